"""The planes that rows are drawn in, and how many rows lie where in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from keras_tied._plane import N_HEXAGONS, View, choose_view, fit_principal_plane

Points = NDArray[np.floating]


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
        shared = choose_view(both)
        views = [shared, choose_view(points["code"]), shared]
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
