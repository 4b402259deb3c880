"""Few rows in one order and precision, whatever they came in.

Training turns a difference of rounding into one of a tenth, and rows in another order are held out
in other folds. More rows would be a large copy.
"""

from __future__ import annotations

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._held_out import FEW_ROWS

FEW_COLUMNS = 16
"""That rows are sorted by first: to sort by all takes long where there are thousands."""
DIGITS = 6
"""Decimal digits that single precision keeps."""
SMALL = 1e-5
"""Relative to the range of a column: the most that rounding may change."""


def canonicalize_few_rows(X: Array, weights: Array) -> tuple[Array, Array]:
    """Round rows, `(n, d)`, to single precision and sort them, with their weights, `(n,)`."""
    if len(X) >= FEW_ROWS:
        return X, weights
    X = _round_columns(X)
    order = _sort(np.where(np.isnan(X), -np.inf, X), weights)
    return X[order], weights[order]


def _sort(X: Array, weights: Array) -> Array:
    """The order of rows by as many columns as tell them apart, and then by weight."""
    columns = FEW_COLUMNS
    while True:
        keys = X[:, :columns].T
        order: Array = np.lexsort((weights, *keys[::-1]))
        ordered = keys[:, order]
        equal = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
        if columns >= X.shape[1] or not equal.any():
            return order
        columns *= 8


def _round_columns(X: Array) -> Array:
    """Rows that are equal in double precision if they were so in single precision.

    A column of decimals of few digits keeps these, so that another unit makes no difference. One
    whose range is small beside its numbers is left as it is.
    """
    X = X.astype(np.float64)
    size, single = np.abs(X), np.finfo(np.float32)
    with np.errstate(all="ignore"):
        factor = 10.0 ** (DIGITS - 1 - np.floor(np.log10(size)))
        decimals = np.where(size > 0, np.rint(X * factor) / factor, X)
        rounded = X.astype(np.float32).astype(np.float64)
    short = ~(np.abs(decimals - X) > single.eps / 2 * size).any(axis=0)
    exact = ~(np.abs(rounded - X) > single.eps / 2 * size).any(axis=0)
    spread = np.fmax.reduce(X, axis=0) - np.fmin.reduce(X, axis=0)
    harmless = np.fmax.reduce(size, axis=0) * single.eps < SMALL * spread
    X = np.where(harmless & exact, rounded, X)
    return np.where(harmless & short, decimals, X)
