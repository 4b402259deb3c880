"""All rows of a table, of which a report may hold some, and how many lie where."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from keras_tied import drawing
from keras_tied._types import Array
from keras_tied.fitted.tail import ranks
from keras_tied.fitted.value import Fitted

Orientation = Literal["pointytop", "flattop"]

TINY = 1e-12  # the mean square of a feature that is constant but for rounding
LARGEST = 1e34  # larger numbers are drawn there; a sum of many of them still fits single precision


class Hexagons:
    """Counts points in hexagons, within a view."""

    def __init__(self, view: drawing.View) -> None:
        self.view = view
        # Hexagons are regular on the screen, on a panel that is about square. Bokeh
        # takes their size on both axes, and rounds it to nothing on one that is much
        # longer.
        width, height = (high - low for low, high in view)
        self.orientation: Orientation = "flattop" if width > height else "pointytop"
        self.size = max(width, height) / drawing.N_HEXAGONS / 1.5
        self.aspect_scale = height / width
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, points: Array) -> None:
        """Count some more points, (n, 2)."""
        from bokeh.util.hex import cartesian_to_axial

        low, high = np.transpose(self.view)
        x, y = points[((points >= low) & (points <= high)).all(axis=1)].T
        if not len(x):
            return
        q, r = cartesian_to_axial(
            x, y, self.size, self.orientation, aspect_scale=self.aspect_scale
        )
        first_q, first_r, n_r = int(q.min()), int(r.min()), int(np.ptp(r)) + 1
        counts = np.bincount((q - first_q) * n_r + (r - first_r))
        for cell in np.flatnonzero(counts).tolist():
            self._counts[first_q + cell // n_r, first_r + cell % n_r] += int(
                counts[cell]
            )

    def counts(self) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Return the axial coordinates q and r of each hexagon, (n, 2), and the points in it."""
        cells = sorted(self._counts)
        counts = np.array([self._counts[cell] for cell in cells], np.intp)
        return np.array(cells, np.int32).reshape(-1, 2), counts


class Planes:
    """The planes of the input, the code and the reconstruction, fitted to some rows.

    `code`, (n, 2) or more, has the errors beside a single unit; `names` are those of
    features. `hexagons` hold how many rows lie where, by the name of the panel, and
    `pairs` the same by two columns of the code, counted from 0.
    """

    def __init__(
        self, X: Array, code: Array, reconstruction: Array, names: Sequence[str]
    ) -> None:
        self.plane: drawing.Plane = drawing.fit_plane(X, names)
        points = self.project(X, code, reconstruction)
        pairs = itertools.combinations(range(min(code.shape[1], drawing.MOST_UNITS)), 2)
        code = points["code"]
        self.pairs: dict[tuple[int, int], Hexagons] = {
            pair: Hexagons(drawing.choose_view(code[:, pair])) for pair in pairs
        }
        view = drawing.choose_view(
            np.concatenate([points["input"], points["reconstruction"]])
        )
        self.hexagons: dict[str, Hexagons] = {name: Hexagons(view) for name in points}
        self.hexagons["code"] = self.pairs[0, 1]

    def project(self, X: Array, code: Array, reconstruction: Array) -> dict[str, Array]:
        """Return the points of rows in each plane, (n, 2), and all columns of their code."""
        return {
            "input": _round(self.plane.project(X)),
            "code": _round(code),
            "reconstruction": _round(self.plane.project(reconstruction)),
        }

    def count(self, X: Array, code: Array, reconstruction: Array) -> None:
        """Count some more rows in the hexagons of each plane."""
        points = self.project(X, code, reconstruction)
        self.hexagons["input"].add(points["input"])
        self.hexagons["reconstruction"].add(points["reconstruction"])
        for pair, hexagons in self.pairs.items():
            hexagons.add(points["code"][:, pair])


def _round(points: Array) -> Array:
    """Round to the page's single precision: double would need more hexagons than it can number."""
    return np.clip(points, -LARGEST, LARGEST).astype(np.float32).astype(np.float64)


class Tally:
    """Adds up the errors and the missing values of features, and finds rows that repeat another.

    `sums`, (4, features), are the errors, those of the mean, the number of values and
    the squared errors of each scaled feature; of rows without a value far outside its
    column.
    """

    def __init__(self, fitted: Fitted | None = None) -> None:
        self.sums: Array = np.zeros((4, fitted.n_features if fitted else 0))
        self.missing: Array | float = 0  # (features,)
        self._fitted = fitted
        self._hashes: list[Array] = []

    def add(self, X: Array) -> None:
        """Count some more rows, (n, features)."""
        if self._fitted:
            ordinary = X[~self._fitted.find_far_rows(X)]
            self.sums += self._fitted.sums_of_squares(ordinary, np.ones(len(ordinary)))
        missing = np.isnan(X)
        self.missing += missing.sum(axis=0)
        rows = np.where(missing, np.nan, X).astype(np.float32) + np.float32(
            0
        )  # one NaN, one zero
        rows = np.ascontiguousarray(rows)  # those of a frame lie column by column
        texts = rows.view(f"V{rows.shape[1] * rows.itemsize}").ravel().tolist()
        self._hashes.append(np.fromiter(map(hash, texts), np.int64, len(texts)))

    @property
    def n_duplicates(self) -> int:
        """How many rows are equal to an earlier one."""
        hashes = np.concatenate(self._hashes)
        return len(hashes) - len(np.unique(hashes))


@dataclass(frozen=True)
class Whole:
    """What a report says of all rows."""

    errors: Array  # (N,) the reconstruction error of each row, NaN where all is missing
    scores: (
        Array  # (N,) the outlier score of each row, or its error, which ranks follow
    )
    places: Array  # (n,) which rows the report holds, from 0, in order; with the oddest ones
    tally: Tally  # of all rows
    n_outstanding: int = (
        0  # how many rows are so odd that hardly any table has such rows by chance
    )
    planes: Planes | None = (
        None  # the planes that rows are drawn in, with all rows counted
    )

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
    def feature_errors(self) -> Array:
        """(features,) the mean squared error of each, NaN where all is missing."""
        _, _, present, squares = self.tally.sums
        return np.where(present > 0, squares / np.maximum(present, 1), np.nan)

    @property
    def lost(self) -> Array:
        """(features,) the share of the variance of each that is lost, NaN where it is unknown."""
        unexplained, of_mean, present, _ = self.tally.sums
        varying = of_mean > TINY * np.maximum(present, 1)
        return np.where(varying, unexplained / np.where(varying, of_mean, 1), np.nan)

    @property
    def kept(self) -> float | None:
        """The share of the variance of all features that is kept, None where it is unknown."""
        unexplained, of_mean = self.tally.sums[:2].sum(axis=1)
        return float(max(0.0, 1 - unexplained / of_mean)) if of_mean > 0 else None

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
