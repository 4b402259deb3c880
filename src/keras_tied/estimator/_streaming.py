"""Streaming: training on more rows than fit in memory, after a fit on some of them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from keras_tied import training
from keras_tied._types import Array
from keras_tied.estimator import _keras_solvers, _network
from keras_tied.estimator._seed_scope import seed_scope
from keras_tied.estimator._training import Outcome, Trainer
from keras_tied.estimator._validation import validate_training_rows

if TYPE_CHECKING:
    from keras_tied.autoencoder import Autoencoder
    from keras_tied.estimator._estimator import TiedAutoencoder

NUMBERS = 2**22
"""The most numbers in a batch."""
DECAY_STEPS = 32
"""The learning rate decays in at least about so many steps, one for each batch."""


class StreamingResult(NamedTuple):
    """The outcome of `fit_stream`.

    Attributes:
        estimator: the better one on the held-out rows.
        error, error_before: the mean squared errors on these; `error` is infinite if training
            diverged.
    """

    estimator: TiedAutoencoder
    error: float
    error_before: float

    @property
    def better(self) -> bool:
        """Whether streaming has made the error smaller."""
        return self.error < self.error_before


def choose_batch_rows(estimator: TiedAutoencoder, n_rows: int) -> int:
    """The rows of a batch for so many rows: `batch_size` times a power of 2, compiled once."""
    most = min(NUMBERS // estimator.n_features_in_, n_rows // DECAY_STEPS)
    steps = max(1, most // estimator.batch_size)
    return int(estimator.batch_size * 2 ** int(np.log2(steps)))


def fit_stream(
    estimator: TiedAutoencoder, batches: Iterable[Array], n_batches: int, held_out: Array
) -> StreamingResult:
    """Train a fitted estimator on batches of rows, at a decaying learning rate.

    Args:
        estimator: the fitted estimator, which is not changed.
        batches: `(batch_rows, n_features)` each, in random order.
        n_batches: how many of them there are.
        held_out: the rows that both estimators are compared on, `(n, n_features)`; better not
            those that the estimator was fitted to. They may be in the batches, once.

    Raises:
        KeyboardInterrupt: after Ctrl-C, at the end of a batch.
    """
    before = estimator._fitted.mean_error(held_out)
    model, trainer = estimator._make_model(), Trainer(estimator)
    try:
        with training.interrupts() as is_interrupted, seed_scope(trainer.seed):
            losses = _fit_batches(estimator, trainer, model, batches, n_batches, is_interrupted)
    except FloatingPointError:  # the loss was not finite
        return StreamingResult(estimator, math.inf, before)
    network = _network.inference_network(model, estimator.encoder is None)
    fitted = replace(estimator._fitted, network=network)
    after = fitted.mean_error(held_out)
    if not after < before:
        return StreamingResult(estimator, after, before)
    outcome = Outcome(
        fitted,
        estimator.loss_curve_ + losses,
        estimator.n_iter_ + 1,
        False,
        estimator._weight_decay,
    )
    other = copy.copy(estimator)
    other._keep(trainer.measure(outcome, held_out, np.ones(len(held_out))))
    return StreamingResult(other, after, before)


def _fit_batches(
    estimator: TiedAutoencoder,
    trainer: Trainer,
    model: Autoencoder,
    batches: Iterable[Array],
    n_batches: int,
    is_interrupted: Callable[[], bool],
) -> list[float]:
    """Train on each batch once; returns the losses."""
    losses: list[float] = []
    _keras_solvers.compile_for_batches(model, trainer.params)
    for index, X in enumerate(batches):
        remaining = max(1 - index / n_batches, 1 / n_batches)
        model.optimizer.learning_rate = trainer.params.learning_rate / 2 * remaining
        X, weights = validate_training_rows(estimator, X, None, reset=False)
        rows = trainer.preprocess_rows(estimator._fitted.preprocessing, X, weights)
        losses += _keras_solvers.fit_batch(model, rows, trainer.params)
        if is_interrupted():
            raise KeyboardInterrupt
    return losses
