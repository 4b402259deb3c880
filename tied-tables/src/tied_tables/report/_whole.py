"""All rows of a table, of which a report may hold some, and how many lie where."""

import itertools
from collections.abc import Sequence

import numpy as np

from tied_tables._text import format_value
from tied_tables._types import Array
from tied_tables.columns import Column
from tied_tables.drawing import (
    MOST_DRAWN_UNITS,
    Plane,
    View,
    choose_view,
    fit_plane,
    pair_with_errors,
)
from tied_tables.model.tail import ranks
from tied_tables.model.value import TableModel
from tied_tables.report._columns import LARGEST_SHOWN, name_features
from tied_tables.report._rows import Rows

CONSTANT = 1e-12  # the largest mean square of a feature that is constant
N_CELLS = 40  # of a density, from one side of a panel to the other


class Planes:
    """The planes of the input, the code and the reconstruction, fitted to some rows.

    A code of a single unit has the errors beside it. By the name of the panel, `axes`
    are what its axes are called, and `views` the parts of the planes to draw; `pairs`
    are those of two columns of the code, counted from 0.
    """

    def __init__(self, rows: Rows, columns: Sequence[Column]) -> None:
        names = [
            format_value(name) for column in columns for name in name_features(column)
        ]
        self.plane: Plane = fit_plane(rows.X, names)
        second = "unit 2" if rows.code.shape[1] > 1 else "error"
        self.axes = {
            "input": self.plane.names,
            "code": ("unit 1", second),
            "reconstruction": self.plane.names,
        }
        points = self.project(rows)
        code = points["code"]
        n_units = min(code.shape[1], MOST_DRAWN_UNITS)
        self.pairs = {
            pair: choose_view(code[:, pair])
            for pair in itertools.permutations(range(n_units), 2)
        }
        both = np.concatenate([points["input"], points["reconstruction"]])
        view = choose_view(both)
        self.views = {"input": view, "code": self.pairs[0, 1], "reconstruction": view}

    def project(self, rows: Rows) -> dict[str, Array]:
        """Return the points of rows in each plane, (n, 2), and their whole code."""
        points = {
            "input": self.plane.project(rows.X),
            "code": pair_with_errors(rows.code, rows.errors),
            "reconstruction": self.plane.project(rows.reconstruction),
        }
        # The page has single precision; in double, a view may be too narrow to draw.
        single = {}
        for name, place in points.items():
            inside = np.clip(place, -LARGEST_SHOWN, LARGEST_SHOWN)
            single[name] = inside.astype(np.float32).astype(np.float64)
        return single

    def count_outside(self, rows: Rows) -> int:
        """Return how many rows lie outside of what the map of the code shows."""
        points = self.project(rows)["code"][:, :2]
        low, high = np.transpose(self.views["code"])
        is_inside = (points >= low) & (points <= high)
        return int((~is_inside.all(axis=1)).sum())


def count_points(points: Array, view: View) -> Array:
    """Count points, (n, 2), in the cells of a view, (cells upwards, cells across)."""
    x, y = points.T
    counts, _, _ = np.histogram2d(x, y, bins=N_CELLS, range=view)
    return np.asarray(counts.T)


class Whole:
    """What a report says of all rows of a table, which are added in batches.

    `sums`, (4, features), are the errors, those of the mean, the number of values and
    the squared errors of each scaled feature; of rows without a value far outside its
    column. `missing`, (features,), is how many values are missing.
    """

    def __init__(self, fitted: TableModel) -> None:
        self.fitted = fitted
        self.sums: Array = np.zeros((4, fitted.n_features))
        self.missing: Array = np.zeros(fitted.n_features)
        self._scores: list[Array] = []

    def add(self, X: Array) -> None:
        """Measure some more rows, (n, features)."""
        is_far = self.fitted.find_far_values(X).any(axis=1)
        ordinary = X[~is_far]
        weights = np.ones(len(ordinary))
        self.sums += self.fitted.sums_of_squares(ordinary, weights)
        self.missing += np.isnan(X).sum(axis=0)
        self._scores.append(-self.fitted.score_samples(X))

    @property
    def scores(self) -> Array:
        """(n,) the outlier score of each row."""
        return np.concatenate(self._scores)

    @property
    def n_outstanding(self) -> int:
        """How many rows are so odd that hardly any table has such rows by chance."""
        stands_out = self.fitted.stand_out(self.scores, self.n_rows)
        return int(stands_out.sum())

    @property
    def has_drifted(self) -> bool:
        """Whether far more rows are odd than were in training."""
        return self.fitted.has_drifted(self.scores)

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.scores)

    @property
    def ranks(self) -> Array:
        """(n,) the rank of each row, 1 for the oddest."""
        scores = np.nan_to_num(self.scores, nan=0.0, posinf=np.inf)
        with np.errstate(over="ignore"):
            scores = scores.astype(np.float32)
        return ranks(scores)

    @property
    def feature_errors(self) -> Array:
        """(features,) the mean squared error of each, NaN where all is missing."""
        _, _, n_present, squares = self.sums
        means = squares / np.maximum(n_present, 1)
        return np.where(n_present > 0, means, np.nan)

    @property
    def lost_shares(self) -> Array:
        """(features,) the share of each variance that is lost, NaN where unknown."""
        unexplained, variance, n_present, _ = self.sums
        varies = variance > CONSTANT * np.maximum(n_present, 1)
        shares = unexplained / np.where(varies, variance, 1)
        return np.where(varies, shares, np.nan)

    @property
    def kept(self) -> float | None:
        """The share of all variance that is kept, None where it is unknown."""
        unexplained, variance = self.sums[:2].sum(axis=1)
        if variance <= 0:
            return None
        return float(max(0.0, 1 - unexplained / variance))

    @property
    def mean_error(self) -> float | None:
        """The mean error of the rows whose errors count."""
        errors = self.feature_errors
        present = errors[~np.isnan(errors)]
        # JSON has no infinite number
        return min(LARGEST_SHOWN, float(present.mean())) if len(present) else None
