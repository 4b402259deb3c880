"""Scaling of columns, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tied_tables._types import Array
from tied_tables.model.blocks import split_rows

Scaler = Literal["standard", "minmax"] | None

DOUBLE_BLOCK_NUMBERS = 2**20  # numbers that are brought to double precision at a time
ROUNDING = 1e-5
"""The least scale of a constant column, relative to it, or 1: no rounding must show."""
LEAST_DEVIATION = 1e-5
"""Relative to the range of a column that is not constant: that of one other value among
10 billion rows of equal weights. Single precision holds no more."""


class Scaling(NamedTuple):
    """Scales columns: (x - shift) / scale."""

    shift: Array  # `(d,)` float64
    scale: Array  # `(d,)` float64

    def select(self, features: Array) -> Scaling:
        """The scaling of some columns, at these places."""
        return Scaling(self.shift[features], self.scale[features])

    def forward(self, X: Array) -> NDArray[np.float32]:
        """Scale rows, `(n, d)`, alike whatever their dtype, in double precision."""
        scaled: NDArray[np.float32] = np.empty(X.shape, np.float32)
        with np.errstate(over="ignore"):
            for part in _split(X):
                rows = X[part].astype(np.float64)
                rows -= self.shift
                rows /= self.scale
                scaled[part] = rows
        return scaled

    def backward(self, Z: Array, dtype: DTypeLike) -> Array:
        """Undo the scaling, in this dtype."""
        rows = Z * self.scale.astype(dtype, copy=False)
        rows += self.shift.astype(dtype, copy=False)
        return rows


def fit_scaling(
    X: Array,
    scaler: Scaler,
    weights: Array,
    names: Sequence[str | int] | None = None,
) -> Scaling:
    """Measure the columns of rows, `(n, d)` with NaN, in double precision.

    The scaler None is for mean 0 and one factor for all columns, which makes their mean
    variance 1. An error names columns by `names`, and by their places without.
    """
    low, high = find_range(X)
    # the largest absolute value of each column, 0 where all is missing
    size = np.nan_to_num(np.fmax(np.abs(low), np.abs(high)))
    _, exponents = np.frexp(size)
    with np.errstate(invalid="ignore"):  # columns without values
        mean, deviation = _measure_moments(X, exponents, weights)
    missing = np.isnan(low)
    rounding = len(X) * np.finfo(np.float64).eps * size
    constant = high - low <= rounding
    hidden = ~constant & (deviation < LEAST_DEVIATION * (high - low))
    _refuse_hidden(hidden, names)
    if scaler == "minmax":
        mean = low
        deviation = high - low
    shift = np.where(low == high, low, mean)
    smallest_scale = np.maximum(1.0, ROUNDING * size)
    scale = np.where(constant, smallest_scale, deviation)
    varying = deviation[~(constant | missing)]
    if scaler is None and len(varying):
        largest = varying.max()
        squares = np.sum((varying / largest) ** 2)
        count = np.count_nonzero(~missing)
        scale[:] = largest * np.sqrt(squares / count)
    shift[missing] = 0.0
    scale[missing] = 1.0
    return Scaling(shift, scale)


def _measure_moments(X: Array, exponents: Array, weights: Array) -> tuple[Array, Array]:
    """The means and the standard deviations of columns, `(d,)` each.

    They are computed of numbers without these powers of 2: no square overflows or
    vanishes.
    """
    total, mean, squares = np.zeros((3, X.shape[1]))

    def normalize(part: slice) -> tuple[Array, Array]:
        """Rows of normalized numbers, and the weight of each number."""
        block = X[part].astype(np.float64)
        np.ldexp(block, -exponents, out=block)
        present = ~np.isnan(block)
        return block, present * weights[part, None]

    for part in _split(X):
        block, shares = normalize(part)
        total += shares.sum(axis=0)
        block *= shares
        mean += np.nansum(block, axis=0)
    mean /= total
    for part in _split(X):
        block, shares = normalize(part)
        block -= mean
        block *= block
        block *= shares
        squares += np.nansum(block, axis=0)
    deviation = np.sqrt(squares / total)
    return np.ldexp(mean, exponents), np.ldexp(deviation, exponents)


def _refuse_hidden(hidden: Array, names: Sequence[str | int] | None) -> None:
    """Raise if weights hide that columns vary, `(d,)` bool."""
    if not hidden.any():
        return
    columns = np.asarray(names or range(len(hidden)))
    raise ValueError(
        "sample_weight hides all rows but those of the largest weights, which are"
        f" equal in the columns {columns[hidden].tolist()} of X: give weights that"
        " differ less."
    )


def find_range(X: Array) -> tuple[Array, Array]:
    """The smallest and the largest value of each column, float64; NaN without any."""
    low = np.fmin.reduce(X, axis=0)
    high = np.fmax.reduce(X, axis=0)
    return low.astype(np.float64), high.astype(np.float64)


def _split(X: Array) -> list[slice]:
    n, d = X.shape
    return split_rows(n, max(1, DOUBLE_BLOCK_NUMBERS // d))
