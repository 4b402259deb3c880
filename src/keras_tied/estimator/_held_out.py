"""Rows that are held out of training, and whether a network beats PCA on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from keras_tied._types import Array

FEW_ROWS = 1000
"""With fewer, cross-validation: a single validation part would be too small. And other defaults."""
FOLDS = 5
STANDARD_ERRORS = 2
"""By how many of them the network's error has to be below PCA's, over the folds.

Chosen on other splits of the benchmark's small tables than those that it reports.
"""
MARGIN, MARGIN_OF_ROWS = 0.01, 5

Params = SimpleNamespace
"""The parameters of a `TiedAutoencoder`, with a generator as `random_state`."""


@dataclass
class TrainingResult:
    """The outcome of a solver.

    Attributes:
        losses: the loss after each iteration or epoch.
        validation_errors: the error on held-out rows after each; empty without such rows.
        n_iter: the iterations of L-BFGS, or the passes of Nadam over the rows.
        better: whether the model is better than PCA on held-out rows; None without such rows.
        held_out: the places of rows that the model has not learned from; None without such rows.
    """

    losses: list[float]
    validation_errors: list[float]
    n_iter: int
    better: bool | None
    held_out: Array | None = None


def make_folds(n: int, params: Params) -> list[Array]:
    """The places of the rows that are held out, in turn, as those of scikit-learn's `KFold`."""
    if n >= FEW_ROWS:
        return [split_rows(n, params)[1]]
    places = np.arange(n)
    params.random_state.shuffle(places)
    return [np.sort(part) for part in np.array_split(places, min(FOLDS, n))]


def split_rows(n: int, params: Params) -> tuple[Array, Array]:
    """The places of the rows to train on, and of the held-out rows, as those of `ShuffleSplit`."""
    n_held_out = math.ceil(params.validation_fraction * n)
    if n_held_out >= n:
        raise ValueError(
            f"validation_fraction={params.validation_fraction} leaves none of {n} rows to train on."
        )
    places = params.random_state.permutation(n)
    return places[n_held_out:], places[:n_held_out]


def choose_margin(n: int) -> float:
    """By what share of PCA's error the network's has to be smaller, for `n` rows."""
    return MARGIN + MARGIN_OF_ROWS / n


def is_clearly_less_in_folds(errors: Array, others: Array, margin: float) -> bool:
    """Whether errors are less than others by a margin, and by standard errors over the folds.

    Args:
        errors: the sum of the errors of the rows of each fold, `(folds,)`.
        others: other errors of the same rows, `(folds,)`.
        margin: relative to `others`.
    """
    gains = others - errors
    ahead = gains.sum() > margin * others.sum()
    if len(gains) > 1:
        standard_error = gains.std(ddof=1) / np.sqrt(len(gains))
        ahead &= gains.mean() > STANDARD_ERRORS * standard_error
    return bool(ahead)


def is_clearly_less(errors: Array, others: Array, weights: Array, count: int) -> bool:
    """Whether errors are less than others by a margin, and by more than their standard error.

    Args:
        errors: of the rows, `(n,)`.
        others: other errors of the same rows, `(n,)`.
        weights: the weights of the rows.
        count: of different rows.
    """
    differences = others - errors
    mean = np.average(differences, weights=weights)
    variance = np.average((differences - mean) ** 2, weights=weights)
    certain = mean > np.sqrt(variance / count)
    return bool(certain and mean > choose_margin(count) * np.average(others, weights=weights))
