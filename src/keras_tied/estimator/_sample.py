"""A fit to a sample of more rows than are in memory, with the statistics of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tied._types import Array

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder
    from keras_tied.estimator._fences import Fences
    from keras_tied.estimator._moments import Moments

MOST_ROWS, MOST_NUMBERS = 200_000, 2**24
"""A table with more rows or numbers is sampled."""
SMALLEST_SAMPLE = 1_000
"""Rows of the sample of a table with very many columns."""
EFFORT = 4
"""The factor of the most steps of training: reading all rows takes as long."""


def choose_sample_size(n_features: int) -> int:
    """The most rows of so many features that are trained on."""
    return max(SMALLEST_SAMPLE, min(MOST_ROWS, MOST_NUMBERS // max(1, n_features)))


def choose_places(lengths: Sequence[int], n: int, seed: int) -> list[Array]:
    """Choose n rows at random from parts of these lengths.

    Returns:
        The places of the rows in each part, ascending.
    """
    ends = np.cumsum(lengths)
    places = np.random.default_rng(seed).choice(ends[-1], n, replace=False, shuffle=False)
    places.sort()
    of_parts = np.split(places, np.searchsorted(places, ends[:-1]))
    return [part - (end - n) for part, end, n in zip(of_parts, ends, lengths, strict=True)]


def fit_rows(
    estimator: TiedAutoencoder,
    X: Any,
    *,
    columns: Array | None = None,
    moments: Moments | None = None,
    fences: Fences | None = None,
) -> TiedAutoencoder:
    """Fit an estimator to rows, as its `fit` does, or to a sample, with scale and PCA of all rows.

    Args:
        estimator: the estimator.
        X: the rows, or the sample, `(n_samples, n_features)`.
        columns: the column that each feature belongs to, `(n_features,)`, from 0 on, not falling.
            Defaults to one for each.
        moments: of all rows within the fences, if `X` is a sample.
        fences: of the columns. Defaults to those of the rows.
    """
    # keras-tied check asks for the size of a sample, and needs no scikit-learn.
    from keras_tied.estimator._training import Trainer
    from keras_tied.estimator._validation import validate_training_rows

    rows, weights = validate_training_rows(estimator, X, None, reset=True)
    effort = 1 if moments is None else EFFORT
    trainer = Trainer(estimator, moments=moments, fences=fences, columns=columns, effort=effort)
    return estimator._fit(trainer, rows, weights)
