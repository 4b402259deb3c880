"""All rows of a table, of which a report may hold some."""

from dataclasses import dataclass

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator.internal import ranks
from keras_tied.report._planes import Planes

TINY = 1e-12
"""The mean square of a feature that is constant but for rounding."""


@dataclass(frozen=True)
class Whole:
    """What a report says of all rows.

    Attributes:
        errors: (N,) the reconstruction error of each row, NaN where all is missing.
        scores: (N,) the outlier score of each row, which ranks follow; the errors where there is
            none.
        feature_errors: (features,) the mean squared error of each feature, NaN where all is
            missing.
        places: (n,) which of the rows the report holds, counted from 0, in order; the oddest ones
            are among them.
        n_outstanding: how many rows are so odd that hardly any table has such rows by chance.
        lost: (features,) the share of the variance of each feature that is lost, or None.
        kept: the share of the variance of all that is kept, or None.
        planes: the planes that rows are drawn in, with all rows counted.
    """

    errors: Array
    scores: Array
    feature_errors: Array
    places: Array
    n_outstanding: int = 0
    lost: Array | None = None
    kept: float | None = None
    planes: Planes | None = None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.errors)

    @property
    def ranks(self) -> Array:
        """(n,) the rank of the score of each row that the report holds, 1 for the oddest."""
        scores = np.nan_to_num(self.scores, nan=0.0, posinf=np.inf)
        with np.errstate(over="ignore"):
            return ranks(scores.astype(np.float32))[self.places]

    @property
    def mean_error(self) -> float | None:
        """The mean error of the rows whose errors count."""
        present = self.feature_errors[~np.isnan(self.feature_errors)]
        return float(present.mean()) if len(present) else None

    @property
    def median_error(self) -> float | None:
        """The median error of all rows."""
        errors = np.asarray(self.errors, np.float64)
        return None if self.mean_error is None else float(np.nanmedian(errors))


def measure_rows(feature_errors: Array, errors: Array, scores: Array) -> Whole:
    """Measure a table of which the report holds all rows."""
    present = (~np.isnan(feature_errors)).sum(axis=0)
    means = np.nansum(feature_errors, axis=0) / np.maximum(present, 1)
    return Whole(errors, scores, np.where(present > 0, means, np.nan), np.arange(len(errors)))


def measure_sums(
    scores: Array,
    errors: Array,
    sums: Array,
    places: Array,
    n_outstanding: int,
    planes: Planes | None = None,
) -> Whole:
    """Measure a table by its sums of squares; see `Whole` for the other arguments.

    `sums` are the squared errors, the squared deviations from the mean, and the number of values,
    of each scaled feature, (3, features); of rows without a value far outside its column.
    """
    squares, deviations, present = sums
    some, varying = present > 0, deviations > TINY * np.maximum(present, 1)
    feature_errors = np.where(some, squares / np.where(some, present, 1), np.nan)
    lost = np.where(varying, squares / np.where(varying, deviations, 1), np.nan)
    total = deviations.sum()
    kept = float(max(0.0, 1 - squares.sum() / total)) if total > 0 else None
    return Whole(errors, scores, feature_errors, places, n_outstanding, lost, kept, planes)
