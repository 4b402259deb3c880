"""Preprocessing: columns are scaled, then missing values are imputed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._imputation import Gaussian, fit_gaussian
from keras_tied.estimator._scaling import Scaling


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What happens to rows before the network.

    Attributes:
        scaling: of the columns.
        mean: of the scaled training rows, missing values imputed, `(d,)` float64.
        gaussian: imputes missing values; None if there were none in training: `mean` does then.
    """

    scaling: Scaling
    mean: Array
    gaussian: Gaussian | None = None

    def forward(self, X: Any, part: slice) -> tuple[Array, Array]:
        """Preprocess a block of rows.

        Args:
            X: the rows, an array or a CSR matrix, `(n, d)`, with NaN for missing values.
            part: the place of the block.

        Returns:
            The scaled rows with NaN, and the complete ones, `(rows, d)` float32; one array twice
            where nothing is missing.
        """
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


def fit_preprocessing(X: Array, scaling: Scaling, random: np.random.RandomState) -> Preprocessing:
    """Fit to rows, but for the mean, which is 0."""
    gaussian = None
    if np.isnan(X).any():
        gaussian = fit_gaussian(scaling.forward_in_double(X), random)
    return Preprocessing(scaling, np.zeros(X.shape[1]), gaussian)
