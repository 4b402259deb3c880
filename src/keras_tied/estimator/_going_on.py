"""Training on more rows than fit in memory, from where a fit on some of them has ended."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from keras_tied.estimator import _training
from keras_tied.estimator._seeded import seeded

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder

Array = NDArray[Any]

NUMBERS = 2**22
"""In a batch, at most."""
RATE = 0.1
"""The learning rate begins at this share of that of `TiedAutoencoder.partial_fit`: the model is
already near an optimum, from which larger steps would lead away."""


class GoneOn(NamedTuple):
    """What became of going on.

    Attributes:
        estimator: the better one on the rows held out.
        error, error_before: the mean squared error on these.
    """

    estimator: TiedAutoencoder
    error: float
    error_before: float

    @property
    def better(self) -> bool:
        """Whether going on has made it better."""
        return self.error < self.error_before


def batch_rows(estimator: TiedAutoencoder) -> int:
    """How many rows a batch should have, so that all are compiled once."""
    steps = max(1, NUMBERS // (estimator.n_features_in_ * estimator.batch_size))
    return int(estimator.batch_size * 2 ** int(np.log2(steps)))


def go_on(
    estimator: TiedAutoencoder, batches: Iterable[Array], n_batches: int, held_out: Array
) -> GoneOn:
    """Train a fitted estimator on batches of rows, with a learning rate that falls to 0.

    Args:
        estimator: left as it is.
        batches: `(batch_rows, n_features)` each, in random order.
        n_batches: how many of them there are.
        held_out: the rows that tell which one is better, `(n, n_features)`.
    """
    before = _error(estimator, held_out)
    other = copy.deepcopy(estimator)
    random = check_random_state(other.random_state)
    settings = other._settings(random)
    with seeded(random.randint(2**31 - 1)):
        _training.compile_for_batches(other.model_, settings)
        optimizer = other.model_.optimizer
        highest = float(np.asarray(optimizer.learning_rate)) * RATE
        for index, X in enumerate(batches):
            optimizer.learning_rate = highest * max(1 - index / n_batches, 1 / n_batches)
            rows = other._rows(*other._checked(X, None, reset=False))
            other.loss_curve_ += _training.one_pass(other.model_, rows, settings)
    after = _error(other, held_out)
    if not after < before:
        return GoneOn(estimator, after, before)
    other.is_pca_ = False
    other.n_iter_ += 1
    other._measure(held_out, np.ones(len(held_out)), random)
    return GoneOn(other, after, before)


def _error(estimator: TiedAutoencoder, rows: Array) -> float:
    return float(np.nanmean(estimator.reconstruction_error(rows, per_feature=True)))
