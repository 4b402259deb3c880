"""Columns brought to a common size, and back."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler

Array = NDArray[Any]
Scaler = Literal["standard", "minmax"] | None


class Scaling(NamedTuple):
    """What is subtracted from each column, and what it is divided by then; float64 `(d,)` each."""

    shift: Array
    scale: Array

    def forward(self, X: Array) -> NDArray[np.float32]:
        """The columns at a common size, in single precision."""
        scaled: Array = (X - self.shift.astype(X.dtype)) / self.scale.astype(X.dtype)
        return scaled.astype(np.float32)

    def backward(self, Z: Array, dtype: np.dtype[Any]) -> Array:
        """The columns at their own size again."""
        return Z.astype(dtype) * self.scale.astype(dtype) + self.shift.astype(dtype)


def scaling(X: Array, scaler: Scaler, weights: Array | None) -> Scaling:
    """Measure the columns of some rows; what is missing (NaN) does not count.

    Args:
        X: the rows, `(n, d)`.
        scaler: "standard" for mean 0 and variance 1, "minmax" for the interval from 0 to 1, None
            for mean 0 and one factor for all columns, which makes their mean variance 1.
        weights: the weights of the rows, all positive, `(n,)`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column may be missing altogether
        if scaler == "minmax":
            ranges = MinMaxScaler().fit(X)
            shift, scale = ranges.data_min_, 1 / ranges.scale_
        else:
            standard = StandardScaler().fit(X, sample_weight=weights)
            shift, scale = standard.mean_, standard.scale_
            if scaler is None:
                common = np.sqrt(np.nanmean(standard.var_))
                scale = np.full_like(shift, common if common > 0 else 1.0)
    missing = np.isnan(shift) | np.isnan(scale)
    return Scaling(np.where(missing, 0.0, shift), np.where(missing, 1.0, scale))
