"""Rows that are held out of training, and whether a network beats PCA on them."""

import math

import numpy as np

from keras_tied._types import Array
from keras_tied.fitting.plan import Plan

FOLDS = 5
STANDARD_ERRORS, STANDARD_ERRORS_OF_ROWS = 2, 1
"""By which the network's error has to be below PCA's, over the folds, or over the rows.
Chosen on other splits of the benchmark's small tables than those that it reports."""
MARGIN, MARGIN_OF_ROWS = 0.01, 5
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


def is_clearly_less_in_folds(
    errors: Array,
    others: Array,
    n_rows: float,
) -> bool:
    """Whether the errors of folds of some rows, `(folds,)`, are less than others."""
    freedom = len(errors) - 1
    weights = np.ones(len(errors))
    return _is_less(errors, others, weights, STANDARD_ERRORS, freedom, n_rows)


def is_clearly_less(
    errors: Array,
    others: Array,
    weights: Array,
    n_rows: int,
) -> bool:
    """Whether the errors of rows, `(n,)`, n_rows different ones, are less."""
    return _is_less(errors, others, weights, STANDARD_ERRORS_OF_ROWS, n_rows, n_rows)


def _is_less(
    errors: Array,
    others: Array,
    weights: Array,
    standard_errors: float,
    freedom: float,
    n_rows: float,
) -> bool:
    """Whether errors are less by a margin, and by standard errors of the mean."""
    gains = others - errors
    mean = np.average(gains, weights=weights)
    variance = np.average((gains - mean) ** 2, weights=weights)
    margin = MARGIN + MARGIN_OF_ROWS / n_rows
    least = max(
        margin * np.average(others, weights=weights),
        standard_errors * np.sqrt(variance / freedom),
    )
    return bool(mean > least)
