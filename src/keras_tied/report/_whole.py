"""All rows of a table, of which a report may hold some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_tied.estimator.internal import ranks
from keras_tied.report._planes import Planes

TINY = 1e-12
"""The mean square of a feature that is constant but for rounding."""
FENCE = 3.0
"""Errors stand out that are more interquartile ranges above the third quartile (Tukey, 1977)."""


@dataclass(frozen=True)
class Whole:
    """What a report says of all rows.

    Attributes:
        errors: (N,) the error of each row, NaN where all is missing.
        feature_errors: (features,) the mean squared error of each feature, NaN where all is
            missing.
        places: (n,) which of the rows the report holds, counted from 0, in order; those with the
            largest errors are among them.
        lost: (features,) the share of the variance of each feature that is lost, or None.
        kept: the share of the variance of all that is kept, or None.
        planes: the planes that rows are drawn in, with all rows counted.
    """

    errors: NDArray[np.floating]
    feature_errors: NDArray[np.float64]
    places: NDArray[np.intp]
    lost: NDArray[np.float64] | None = None
    kept: float | None = None
    planes: Planes | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.errors)

    @property
    def ranks(self) -> NDArray[np.signedinteger[Any]]:
        """(n,) the rank of the error of each row that the report holds, 1 for the largest."""
        errors = np.nan_to_num(self.errors, nan=0.0, posinf=np.inf)
        with np.errstate(over="ignore"):
            return ranks(errors.astype(np.float32))[self.places]

    def count_outstanding(self) -> int:
        """Count the rows whose error is far above the others'.

        These are beyond the outer fence of Tukey, "Exploratory data analysis", 1977, of the
        logarithms: errors differ by orders of magnitude.
        """
        positive = self.errors[np.isfinite(self.errors) & (self.errors > 0)]
        if not positive.size:
            return 0
        logs = np.log(positive)
        first, third = np.quantile(logs, [0.25, 0.75])
        beyond = logs > third + FENCE * (third - first)
        return int(beyond.sum()) if third > first else 0


def measure_rows(feature_errors: NDArray[np.float64], errors: NDArray[np.float64]) -> Whole:
    """Measure a table of which the report holds all rows."""
    present = (~np.isnan(feature_errors)).sum(axis=0)
    means = np.nansum(feature_errors, axis=0) / np.maximum(present, 1)
    return Whole(errors, np.where(present > 0, means, np.nan), np.arange(len(errors)))


def measure_sums(
    errors: NDArray[np.floating],
    sums: NDArray[np.float64],
    places: NDArray[np.intp],
    planes: Planes | None = None,
) -> Whole:
    """Measure a table by its sums of squares.

    Args:
        errors: (N,) the error of each row.
        sums: (3, features) the squared errors, squared deviations from the mean, and values that
            are present, of each scaled feature.
        places: see `Whole`.
        planes: see `Whole`.
    """
    squares, deviations, present = sums
    some, varying = present > 0, deviations > TINY * np.maximum(present, 1)
    feature_errors = np.where(some, squares / np.where(some, present, 1), np.nan)
    lost = np.where(varying, squares / np.where(varying, deviations, 1), np.nan)
    total = deviations.sum()
    kept = float(max(0.0, 1 - squares.sum() / total)) if total > 0 else None
    return Whole(errors, feature_errors, places, lost, kept, planes)
