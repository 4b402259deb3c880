"""The planes that rows are drawn in, and how many rows lie where in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_tied._plane import fit_principal_plane

Points = NDArray[np.floating]

N_HEXAGONS = 40
"""From one side of a panel to the other."""
VIEW = 0.002
"""The share of points on each side that the view need not hold, with some room around it."""
ROOM = 0.6
"""The room around the others, relative to their spread; points further out are left outside."""


class View(NamedTuple):
    """The part of a plane that is drawn: the range of each axis."""

    x: tuple[float, float]
    y: tuple[float, float]


class Hexagons:
    """Counts points in hexagons, within a view."""

    def __init__(self, view: View) -> None:
        self.view = view
        # Hexagons are regular on the screen, on a panel that is about square.
        (left, right), (bottom, top) = view.x, view.y
        self.size = (top - bottom) / N_HEXAGONS / 1.5
        self.aspect_scale = (top - bottom) / (right - left)
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, points: Points) -> None:
        """Count some more points, (n, 2)."""
        from bokeh.util.hex import cartesian_to_axial

        (left, right), (bottom, top) = self.view.x, self.view.y
        x, y = points.T
        inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
        if not inside.any():
            return
        q, r = cartesian_to_axial(
            x[inside], y[inside], self.size, "pointytop", aspect_scale=self.aspect_scale
        )
        cells, counts = np.unique(np.column_stack([q, r]), axis=0, return_counts=True)
        self._counts.update(dict(zip(map(tuple, cells.tolist()), counts.tolist(), strict=True)))

    def counts(self) -> tuple[list[int], list[int], list[int]]:
        """Return the axial coordinates of each hexagon, and the points in it."""
        cells = sorted(self._counts)
        return [q for q, _ in cells], [r for _, r in cells], [self._counts[cell] for cell in cells]


class Planes:
    """The planes of the input, the code and the reconstruction.

    Attributes:
        plane: of the input and the reconstruction.
        hexagons: how many rows lie where, by the name of the panel.

    Args:
        X, code, reconstruction: the rows that the planes are fitted to.
        errors: (n,) their errors, which a code of one unit is drawn against.
        names: of the features.
    """

    def __init__(
        self,
        X: Points,
        code: Points,
        reconstruction: Points,
        errors: Points,
        names: Sequence[str],
    ) -> None:
        self.plane = fit_principal_plane(X, names)
        points = self.project(X, code, reconstruction, errors)
        both = np.concatenate([points["input"], points["reconstruction"]])
        shared = _choose_view(both)
        views = [shared, _choose_view(points["code"]), shared]
        self.hexagons = dict(zip(points, map(Hexagons, views), strict=True))

    def project(
        self, X: Points, code: Points, reconstruction: Points, errors: Points
    ) -> dict[str, Points]:
        """Return the points of rows in each plane, (n, 2)."""
        pair = code[:, :2] if code.shape[1] > 1 else np.column_stack([code[:, 0], errors])
        return {
            "input": self.plane.project(X),
            "code": pair,
            "reconstruction": self.plane.project(reconstruction),
        }

    def count(self, X: Points, code: Points, reconstruction: Points, errors: Points) -> None:
        """Count some more rows in the hexagons of each plane."""
        for name, points in self.project(X, code, reconstruction, errors).items():
            self.hexagons[name].add(points)


def _choose_view(points: Points) -> View:
    return View(*(_choose_range(column) for column in points.T))


def _choose_range(values: Points) -> tuple[float, float]:
    """Return a range that holds nearly all values, and all if none lies far out."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, [VIEW, 1 - VIEW])
    room = ROOM * (high - low)
    inside = finite[(finite >= low - room) & (finite <= high + room)]
    low, high = float(inside.min()), float(inside.max())
    padding = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
    return low - padding, high + padding
