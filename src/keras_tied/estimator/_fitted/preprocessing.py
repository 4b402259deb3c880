"""Preprocessing: columns are scaled, then missing values are imputed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._fitted.imputation import Gaussian
from keras_tied.estimator._fitted.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What happens to rows before the network."""

    scaling: Scaling  # of the columns
    mean: Array  # of the scaled training rows, missing values imputed, `(d,)` float64
    # imputes missing values; None if there were none in training: `mean` does then
    gaussian: Gaussian | None = None

    def forward(self, X: Any, part: slice) -> tuple[Array, Array]:
        """A part of the rows, an array or a CSR matrix, scaled with NaN, and complete, float32.

        It is one array twice where nothing is missing.
        """
        require_floats(X, len(self.mean))
        rows = X[part]
        scaled = self.scaling.forward(rows if isinstance(rows, np.ndarray) else rows.toarray())
        return scaled, self.impute(scaled)

    def impute(self, scaled: Array) -> Array:
        """Scaled rows with missing values imputed; the same array where none are missing."""
        missing = np.isnan(scaled)
        if not missing.any():
            return scaled
        if self.gaussian is not None:
            return self.gaussian.impute(scaled)
        return np.where(missing, self.mean.astype(np.float32), scaled)


def require_floats(X: Any, width: int) -> None:
    """Refuse rows of another dtype or width, which would give wrong numbers in silence."""
    if X.ndim != 2 or X.shape[1] != width or X.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"Rows must be an array of float32 or float64 of shape (n, {width}), and these are "
            f"{X.dtype} of shape {X.shape}."
        )
