"""Rows that are held out of training, and whether a network beats PCA on them."""

import math

import numpy as np

from tied_tables._types import Array
from tied_tables.fit.plan import Plan

FOLDS = 5
MARGIN = 0.01
MARGIN_OF_ROWS = 5
"""The share of PCA's error by which it has to be below, and what n rows add, over n."""


def make_folds(n: int, plan: Plan) -> list[Array]:
    """The places of the rows held out, in turn, as those of scikit-learn's `KFold`."""
    places = np.arange(n)
    plan.random.shuffle(places)
    folds = np.array_split(places, min(FOLDS, n))
    return [np.sort(fold) for fold in folds]


def split_rows(n: int, plan: Plan) -> tuple[Array, Array]:
    """The places of rows to train on and to hold out, as those of `ShuffleSplit`."""
    n_held_out = math.ceil(plan.validation_fraction * n)
    if n_held_out >= n:
        raise ValueError(
            f"validation_fraction={plan.validation_fraction} leaves none of {n} rows to"
            " train on."
        )
    places = plan.random.permutation(n)
    return places[n_held_out:], places[:n_held_out]


def is_clearly_less(
    errors: Array,
    pca_errors: Array,
    weights: Array,
    standard_errors: float,
    freedom: float,
    n_rows: float,
) -> bool:
    """Whether errors, `(n,)`, are less than PCA's by a margin and standard errors.

    `freedom` is the number of errors that the standard error is estimated from, and
    `n_rows` that of the rows, by which the margin is chosen.
    """
    gains = pca_errors - errors
    mean = np.average(gains, weights=weights)
    variance = np.average((gains - mean) ** 2, weights=weights)
    chance = standard_errors * np.sqrt(variance / freedom)
    margin = MARGIN + MARGIN_OF_ROWS / n_rows
    least = margin * np.average(pca_errors, weights=weights)
    return bool(mean > chance and mean > least)
