"""Scaling of columns, and back."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_tied._types import Array
from keras_tied.fitted.validation import require, require_finite

Scaler = Literal["standard", "minmax"] | None

BLOCK = 2**20  # numbers that are brought to double precision at a time
ROUNDING = 1e-5  # least scale of a constant column, relative to it, or 1: no rounding must show


class Scaling(NamedTuple):
    """Scales columns: (x - shift) / scale."""

    shift: Array  # float64 `(d,)` each
    scale: Array

    def validate(self, d: int) -> None:
        """Raise `ValueError` unless these may be numbers of d columns."""
        require_finite((d,), shift=self.shift, scale=self.scale)
        require((self.scale > 0).all(), "scale has numbers that are not positive")

    def forward(self, X: Array) -> NDArray[np.float32]:
        """Scale rows, `(n, d)`, in their own dtype; the result is in single precision."""
        shift, rest = split(self.shift, X.dtype)
        scaled: Array = X - shift
        if rest is not None:
            scaled -= rest
        scaled /= self.scale.astype(X.dtype, copy=False)
        return scaled.astype(np.float32, copy=False)

    def forward_in_double(self, X: Array) -> NDArray[np.float32]:
        """Scale rows, `(n, d)`, in double precision, so that their dtype makes no difference."""
        scaled: NDArray[np.float32] = np.empty(X.shape, np.float32)
        for part in _make_parts(X):
            scaled[part] = self.forward(X[part].astype(np.float64))
        return scaled

    def backward(self, Z: Array, dtype: np.dtype[Any]) -> Array:
        """Undo the scaling, in this dtype."""
        rows: Array = Z * self.scale.astype(dtype, copy=False)
        rows += self.shift.astype(dtype, copy=False)
        return rows


def split(shift: Array, dtype: np.dtype[Any]) -> tuple[Array, Array | None]:
    """A number in a dtype, and what its rounding leaves over; None for double precision."""
    first = shift.astype(dtype, copy=False)
    return first, None if dtype == np.float64 else (shift - first).astype(dtype)


def fit_scaling(X: Array, scaler: Scaler, weights: Array) -> Scaling:
    """Measure the columns of rows, `(n, d)`, in double precision; missing values do not count.

    The scaler None is for mean 0 and one factor for all columns, which makes their mean
    variance 1.
    """
    low, high = (f.reduce(X, axis=0).astype(np.float64) for f in (np.fmin, np.fmax))
    mean, deviation = low, high  # not used
    if scaler != "minmax":
        size = _find_size(low, high)
        mean, deviation = _fit_moments(
            X, weights, size.max() if scaler is None else size
        )
    return make_scaling(low, high, mean, deviation, len(X), scaler)


def make_scaling(
    low: Array, high: Array, mean: Array, deviation: Array, n_rows: int, scaler: Scaler
) -> Scaling:
    """Make a scaling from the statistics of the columns, `(d,)` each, NaN where all is missing."""
    missing, size = np.isnan(low), _find_size(low, high)
    constant = high - low <= n_rows * np.finfo(np.float64).eps * size  # to rounding
    if scaler == "minmax":
        shift, scale = low, high - low
    else:
        shift, scale = np.where(low == high, low, mean), deviation
    varying = scale[~(constant | missing)]
    if scaler is None and len(varying):
        common = varying.max() * np.sqrt(
            np.sum((varying / varying.max()) ** 2) / (~missing).sum()
        )
        scale = np.full_like(scale, common)
    else:
        scale = np.where(constant, np.maximum(1.0, ROUNDING * size), scale)
    return Scaling(np.where(missing, 0.0, shift), np.where(missing, 1.0, scale))


def _find_size(low: Array, high: Array) -> Array:
    """The largest absolute value of each column, 0 where all is missing."""
    return np.where(np.isnan(low), 0.0, np.fmax(np.abs(low), np.abs(high)))


def _fit_moments(X: Array, weights: Array, size: Array) -> tuple[Array, Array]:
    """The mean and the standard deviation of each column, NaN where all is missing.

    Powers of 2 near the `size` of the columns are divided out, so that no square
    overflows or vanishes.
    """
    exponents = np.frexp(size)[1]

    def blocks() -> Iterator[tuple[Array, Array]]:
        for part in _make_parts(X):
            block = np.ldexp(X[part].astype(np.float64), -exponents)
            yield block, np.where(np.isnan(block), 0.0, weights[part, None])

    with np.errstate(invalid="ignore"):
        total = sum(shares.sum(axis=0) for _, shares in blocks())
        mean = (
            sum(np.nansum(block * shares, axis=0) for block, shares in blocks()) / total
        )
        squares = sum(
            np.nansum((b - mean) ** 2 * shares, axis=0) for b, shares in blocks()
        )
        return np.ldexp(mean, exponents), np.ldexp(np.sqrt(squares / total), exponents)


def _make_parts(X: Array) -> Iterator[slice]:
    """Blocks of rows of about `BLOCK` numbers."""
    rows = max(1, BLOCK // X.shape[1])
    return (slice(begin, begin + rows) for begin in range(0, len(X), rows))
