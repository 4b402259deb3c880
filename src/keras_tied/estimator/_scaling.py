"""Scaling of columns, and back."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_tied._types import Array

Scaler = Literal["standard", "minmax"] | None


class Scaling(NamedTuple):
    """Scales columns: (x - shift) / scale.

    Attributes:
        shift, scale: float64 `(d,)` each.
    """

    shift: Array
    scale: Array

    def forward(self, X: Array) -> NDArray[np.float32]:
        """Scale rows, `(n, d)`, in their own dtype; the result is in single precision."""
        scaled: Array = X - self.shift.astype(X.dtype, copy=False)
        scaled /= self.scale.astype(X.dtype, copy=False)
        return scaled.astype(np.float32, copy=False)

    def backward(self, Z: Array, dtype: np.dtype[Any]) -> Array:
        """Undo the scaling, in this dtype."""
        rows: Array = Z * self.scale.astype(dtype, copy=False)
        rows += self.shift.astype(dtype, copy=False)
        return rows


def fit_scaling(X: Array, scaler: Scaler, weights: Array | None) -> Scaling:
    """Measure the columns of some rows; missing values (NaN) do not count.

    Args:
        X: the rows, `(n, d)`.
        scaler: "standard" for mean 0 and variance 1, "minmax" for the interval from 0 to 1, None
            for mean 0 and one factor for all columns, which makes their mean variance 1.
        weights: the weights of the rows, all positive, `(n,)`.
    """
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

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
