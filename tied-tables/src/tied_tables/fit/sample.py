"""The sample of a table that is too large to train on."""

from collections.abc import Sequence

import numpy as np

from tied_tables._types import Array

# a table with more rows or numbers is sampled
MOST_TRAINING_ROWS = 200_000
MOST_TRAINING_NUMBERS = 2**24
FEWEST_TRAINING_ROWS = 1_000  # rows of the sample of a table with very many columns


def choose_sample_size(n_features: int) -> int:
    """The most rows of so many features that are trained on."""
    return max(
        FEWEST_TRAINING_ROWS,
        min(MOST_TRAINING_ROWS, MOST_TRAINING_NUMBERS // max(1, n_features)),
    )


def choose_places(lengths: Sequence[int], n: int, seed: int) -> list[Array]:
    """Choose at most n rows at random from parts: their places in each, ascending."""
    ends = np.cumsum(lengths)
    random = np.random.default_rng(seed)
    places = random.choice(
        ends[-1],
        min(n, ends[-1]),
        replace=False,
        shuffle=False,
    )
    places.sort()
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    begins = ends - lengths
    return [part - begin for part, begin in zip(parts, begins, strict=True)]
