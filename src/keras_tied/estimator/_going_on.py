"""Training on more rows than fit in memory, from where a fit on some of them has ended."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from keras_tied import training
from keras_tied.estimator import _training
from keras_tied.estimator._seeded import seeded

if TYPE_CHECKING:
    from keras_tied.estimator._estimator import TiedAutoencoder

Array = NDArray[Any]

NUMBERS = 2**22
"""In a batch, at most."""
STEPS_DOWN = 32
"""The learning rate falls in at least about so many steps, one for each batch."""


class GoneOn(NamedTuple):
    """What became of going on.

    Attributes:
        estimator: the better one on the rows held out.
        error, error_before: the mean squared error on these; infinite if it came to no end.
    """

    estimator: TiedAutoencoder
    error: float
    error_before: float

    @property
    def better(self) -> bool:
        """Whether going on has made it better."""
        return self.error < self.error_before


def batch_rows(estimator: TiedAutoencoder, n_rows: int) -> int:
    """How many of so many rows a batch should have: as many as are compiled once for all."""
    most = min(NUMBERS // estimator.n_features_in_, n_rows // STEPS_DOWN)
    steps = max(1, most // estimator.batch_size)
    return int(estimator.batch_size * 2 ** int(np.log2(steps)))


def go_on(
    estimator: TiedAutoencoder, batches: Iterable[Array], n_batches: int, held_out: Array
) -> GoneOn:
    """Train a fitted estimator on batches of rows, at a rate that falls from that of `fit`.

    Args:
        estimator: left as it is.
        batches: `(batch_rows, n_features)` each, in random order.
        n_batches: how many of them there are.
        held_out: the rows that tell which one is better, `(n, n_features)`; best none of those that
            the estimator was fitted to, though they may be in the batches, to be seen once.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the batch is learned.
    """
    before = _error(estimator, held_out)
    other = copy.deepcopy(estimator)
    random = check_random_state(other.random_state)
    settings = other._settings(random)
    try:
        with training.interrupts() as asked, seeded(random.randint(2**31 - 1)):
            _pass(other, batches, n_batches, settings, asked)
    except FloatingPointError:  # the loss was not finite
        return GoneOn(estimator, math.inf, before)
    after = _error(other, held_out)
    if not after < before:
        return GoneOn(estimator, after, before)
    other.model_.compile(None)  # without the optimizer and what it keeps
    other.is_pca_ = False
    other.n_iter_ += 1
    other._measure(held_out, np.ones(len(held_out)), random)
    return GoneOn(other, after, before)


def _pass(
    estimator: TiedAutoencoder,
    batches: Iterable[Array],
    n_batches: int,
    settings: _training.Settings,
    asked: Callable[[], bool],
) -> None:
    _training.compile_for_batches(estimator.model_, settings)
    for index, X in enumerate(batches):
        left = max(1 - index / n_batches, 1 / n_batches)
        estimator.model_.optimizer.learning_rate = settings.learning_rate * left
        rows = estimator._rows(*estimator._checked(X, None, reset=False))
        estimator.loss_curve_ += _training.one_pass(estimator.model_, rows, settings)
        if asked():
            raise KeyboardInterrupt


def _error(estimator: TiedAutoencoder, rows: Array) -> float:
    return float(np.nanmean(estimator.reconstruction_error(rows, per_feature=True)))
