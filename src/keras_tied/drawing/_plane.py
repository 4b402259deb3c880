"""The plane to draw rows in: two columns, or the first two principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.floating]

MOST_OUTSIDE = 0.002
"""The share of points on each side that the view need not hold, with some room around it."""
ROOM = 0.6
"""The room around the others, relative to their spread; points further out are left outside."""
DENSE_POINTS = 1500
"""Points on top of a density."""
N_HEXAGONS = 40
"""Of a density, from one side of a panel to the other."""
MOST_UNITS = 6
"""Units of a code of which each pair is drawn or counted: 15 pairs."""


@dataclass(frozen=True)
class Plane:
    """Two axes for the rows of a table, and for other rows with the same columns.

    Attributes:
        names: the names of the axes.
        directions: (features, 2) for principal components, or None for the columns as they are.
        mean, scale: (features,) subtracted from the columns, and dividing them, first.
    """

    names: tuple[str, str]
    directions: Points | None = None
    mean: Points | float = 0.0
    scale: Points | float = 1.0

    def project(self, rows: Points) -> Points:
        """Project rows to (n, 2); principal components take a column's mean for a missing value."""
        rows = rows.astype(np.float64)
        if self.directions is not None:
            standard_rows = (rows - self.mean) / self.scale
            return np.where(np.isnan(standard_rows), 0.0, standard_rows) @ self.directions
        if rows.shape[1] == 1:
            return np.column_stack([np.arange(1.0, len(rows) + 1), rows[:, 0]])
        return rows[:, :2]


def fit_plane(X: ArrayLike, feature_names: Sequence[str], is_principal: bool = True) -> Plane:
    """Fit the plane of the first two principal components of the standardised columns.

    Up to two columns are drawn as they are, and so are the first two if it is not principal; a
    single column is drawn against the number of the row. NaN is a missing value.

    Examples:
        >>> fit_plane(np.eye(3), ["a", "b", "c"]).names
        ('component 1 (50 %)', 'component 2 (50 %)')
    """
    rows = np.asarray(X, dtype=np.float64)
    if not is_principal or rows.shape[1] <= 2 or len(rows) < 2:
        first, second, *_ = feature_names if len(feature_names) > 1 else ("row", *feature_names)
        return Plane((first, second))
    # Imported here, because it takes a second, and most figures of two columns do without.
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    pca = PCA(n_components=2, random_state=0)
    with np.errstate(invalid="ignore"):  # of columns without a value, or that are all constant
        scaler = StandardScaler().fit(rows)
        standard_rows = (rows - scaler.mean_) / scaler.scale_
        pca.fit(np.where(np.isnan(standard_rows), 0.0, standard_rows))
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    first, second = (f"component {i + 1} ({100 * share:.0f} %)" for i, share in enumerate(shares))
    return Plane((first, second), pca.components_.T, scaler.mean_, scaler.scale_)


def pair_with_errors(code: Points, errors: Points) -> Points:
    """Return the first two units of a code, or a single one beside the errors: (n, 2)."""
    return code[:, :2] if code.shape[1] > 1 else np.column_stack([code[:, 0], errors])


class View(NamedTuple):
    """The part of a plane that is drawn: the range of each axis."""

    x: tuple[float, float]
    y: tuple[float, float]


def choose_view(points: Points) -> View:
    """Choose a view that holds nearly all points, (n, 2), and all if none lies far out."""
    return View(*map(_choose_range, points.T))


def _choose_range(values: Points) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, [MOST_OUTSIDE, 1 - MOST_OUTSIDE])
    room = ROOM * (high - low)
    inside = finite[(finite >= low - room) & (finite <= high + room)]
    low, high = float(inside.min()), float(inside.max())
    padding = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - padding, high + padding
