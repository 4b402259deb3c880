"""Points for rows, coloured by label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_tied._labels import Groups, Shades, palette
from keras_tied.plotting._figure import GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

_MOST_INSIDE, _LONGEST_INSIDE = 6, 12
"""Entries, and letters of one, of a legend that leaves room for points beside it."""
_WIDTH_INSIDE, _HEIGHT_OF_ENTRY = 0.45, 0.08
"""Of that legend and of a line in it, as shares of the axes."""
_LETTERS_ACROSS, _LETTERS_OF_MARKER = 90, 6
"""Letters that a figure is wide, and those that an entry takes besides its name."""


def scatter(
    axes: Axes, points: NDArray[np.floating], labels: Groups | Shades | None
) -> PathCollection:
    """Draw points, (n, 2), in the colours of their labels."""
    x, y = points.T
    size, alpha = _choose_marker(len(points))
    # One picture of the points, because thousands of them as vectors make a slow SVG or PDF.
    look: dict[str, Any] = {"s": size, "alpha": alpha, "linewidths": 0, "rasterized": True}
    if isinstance(labels, Shades):
        from matplotlib import colormaps

        shades = colormaps["viridis"].with_extremes(bad=GREY)
        return axes.scatter(x, y, c=labels.values, cmap=shades, plotnonfinite=True, **look)
    colours = palette(1) if labels is None else np.asarray(_group_colours(labels))[labels.index]
    return axes.scatter(x, y, c=colours, **look)


def draw_key(
    figure: Figure, axes: Axes, collection: PathCollection, labels: Groups | Shades, what: str
) -> None:
    """Draw a legend of the colours, in these axes if there is room, or else above all axes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D

    if isinstance(labels, Shades):
        opaque = ScalarMappable(collection.norm, collection.get_cmap())
        bar = figure.colorbar(opaque, ax=figure.axes, location="top", shrink=0.5, aspect=40)
        bar.outline.set_visible(False)
        bar.set_label(what, color=INK, parse_math=False)
        return
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label="-")
        for colour in _group_colours(labels)
    ]
    longest = max(map(len, labels.names))
    small = len(handles) <= _MOST_INSIDE and longest <= _LONGEST_INSIDE
    if small and not _covers_legend(collection, len(handles) + 1):
        legend = axes.legend(handles=handles, loc="upper right", framealpha=0.8, edgecolor="none")
    else:
        legend = figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=_count_columns(len(handles), longest),
            frameon=False,
        )
    _write_names(legend, labels.names, what)


def _covers_legend(collection: PathCollection, n_lines: int) -> bool:
    """Whether a legend of n lines in the upper right corner would cover points."""
    points = np.asarray(collection.get_offsets(), dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return False
    low, high = points.min(axis=0), points.max(axis=0)
    shares = (points - low) / np.maximum(high - low, np.finfo(float).tiny)
    corner = 1 - np.array([_WIDTH_INSIDE, _HEIGHT_OF_ENTRY * n_lines])
    return bool((shares > corner).all(axis=1).any())


def _count_columns(n: int, longest: int) -> int:
    """Return the number of columns in which n entries fit, and fill their rows evenly."""
    most = max(1, min(n, _MOST_INSIDE, _LETTERS_ACROSS // (longest + _LETTERS_OF_MARKER)))
    n_rows = -(-n // most)
    return -(-n // n_rows)


def _write_names(legend: Legend, names: tuple[str, ...], what: str) -> None:
    """Write the user's names as they are: not as formulas, and with a leading underscore."""
    legend.set_title(what)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set(parse_math=False, color=INK, fontsize=10)


def _group_colours(labels: Groups) -> list[str]:
    return [*labels.colours, *[GREY] * (len(labels.names) - labels.n_coloured)]


def _choose_marker(n: int) -> tuple[float, float]:
    """Choose the area and the opacity of n points."""
    if n <= 300:
        return 22.0, 0.8
    return (10.0, 0.65) if n <= 2000 else (5.0, 0.5)
