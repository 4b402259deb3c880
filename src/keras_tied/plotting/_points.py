"""Points for rows, coloured by label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from keras_tied._text import format_quantity
from keras_tied.drawing import (
    DENSE_POINTS,
    MOST_COLOURS,
    N_HEXAGONS,
    Groups,
    Shades,
    View,
    choose_view,
    palette,
)
from keras_tied.plotting._figure import GREY, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_INSIDE, _LONGEST_INSIDE = 6, 12
"""Entries, and letters of one, of a legend that leaves room for points beside it."""
_WIDTH_INSIDE, _HEIGHT_OF_ENTRY = 0.45, 0.08
"""Of that legend and of a line in it, as shares of the axes."""
_LETTERS_ACROSS, _LETTERS_OF_MARKER = 90, 6
"""Letters that a figure is wide, and those that an entry takes besides its name."""

MOST_POINTS = 10_000
"""More are a blob: their density is drawn, and some of them on top."""
_DENSITY = ("#ECEEF1", "#9AA1AA")
"""From few points to many."""


def scatter(
    axes: Axes,
    points: NDArray[np.floating],
    labels: Groups | Shades | None,
    view: View | None = None,
    scale: float = 1.0,
) -> NDArray[np.bool_]:
    """Draw points in the colours of their labels; of many, a sample on the density of all.

    Args:
        axes: the axes to draw in.
        points: (n, 2) the points.
        labels: the labels to colour by, or None.
        view: the part of the plane to draw many points in. Defaults to `choose_view`.
        scale: the width of the axes, relative to that of a panel. Defaults to 1.

    Returns:
        (n,) whether a point lies outside of what is drawn.
    """
    if not is_dense(len(points)):
        _draw_points(axes, points, labels, scale)
        return np.zeros(len(points), bool)
    from matplotlib.colors import LinearSegmentedColormap

    view = choose_view(points) if view is None else view
    axes.hexbin(
        *points.T,
        gridsize=round(N_HEXAGONS * scale**0.5),  # not too small to see on small axes
        bins="log",
        mincnt=1,
        extent=(*view.x, *view.y),
        cmap=LinearSegmentedColormap.from_list("density", _DENSITY),
        linewidths=0.2,
        rasterized=True,
    )
    # In a random order, so that no label covers the others.
    chosen = np.random.default_rng(0).permutation(len(points))[:DENSE_POINTS]
    _draw_points(axes, points[chosen], None if labels is None else labels.take(chosen), scale)
    axes.set(xlim=view.x, ylim=view.y)
    low, high = np.transpose(view)
    is_outside: NDArray[np.bool_] = ((points < low) | (points > high)).any(axis=1)
    return is_outside


def is_dense(n: int) -> bool:
    """Whether n points are so many that their density is drawn."""
    return n > MOST_POINTS


def draw_note(figure: Figure, n: int, n_outside: int) -> None:
    """Say below the panels that of n rows some are points, and how many lie outside."""
    note = f"{DENSE_POINTS:,} of {n:,} rows as points; grey: how many lie where"
    if n_outside:
        note += f"; {format_quantity(n_outside, 'row')} far outside"
    figure.supxlabel(note, fontsize=10, color=INK)


def _draw_points(
    axes: Axes, points: NDArray[np.floating], labels: Groups | Shades | None, scale: float
) -> None:
    size, alpha = _choose_marker(len(points))
    # One picture of the points, because thousands of them as vectors make a slow SVG or PDF.
    look: dict[str, Any] = {"s": size * scale, "alpha": alpha, "linewidths": 0, "rasterized": True}
    x, y = points.T
    if labels is None:
        axes.scatter(x, y, c=palette(1), **look)
    elif isinstance(labels, Shades):
        from matplotlib import colormaps

        shades = colormaps["viridis"].with_extremes(bad=GREY)
        axes.scatter(x, y, c=labels.values, cmap=shades, plotnonfinite=True, **look)
    else:
        colours, markers = (np.asarray(each)[labels.values] for each in _style_groups(labels))
        for marker in np.unique(markers):
            rows = markers == marker
            axes.scatter(x[rows], y[rows], c=colours[rows], marker=marker, **look)


def draw_key(figure: Figure, axes: Axes, labels: Groups | Shades, what: str) -> None:
    """Draw a legend of the points, in their axes if there is room, or else above all axes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D

    if isinstance(labels, Shades):
        points = axes.collections[-1]
        opaque = ScalarMappable(points.norm, points.get_cmap())
        bar = figure.colorbar(opaque, ax=figure.axes, location="top", shrink=0.5, aspect=40)
        bar.outline.set_visible(False)
        bar.set_label(what, color=INK, parse_math=False)
        return
    handles = [
        Line2D([], [], linestyle="", marker=marker, markersize=6, color=colour, label="-")
        for colour, marker in zip(*_style_groups(labels), strict=True)
    ]
    longest = max(map(len, labels.names))
    small = len(handles) <= _MOST_INSIDE and longest <= _LONGEST_INSIDE
    if small and not _covers_legend(axes, len(handles) + 1):
        legend = axes.legend(handles=handles, loc="upper right", framealpha=0.8, edgecolor="none")
    else:
        legend = figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=_count_columns(len(handles), longest),
            frameon=False,
        )
    # The user's names as they are: not as formulas, and with a leading underscore.
    legend.set_title(what)
    for text, name in zip(legend.get_texts(), labels.names, strict=True):
        text.set_text(name)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set(parse_math=False, color=INK, fontsize=10)


def _covers_legend(axes: Axes, n_lines: int) -> bool:
    """Whether a legend of n lines in the upper right corner would cover points or hexagons."""
    points = np.concatenate([np.asarray(drawn.get_offsets()) for drawn in axes.collections])
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


def _style_groups(labels: Groups) -> tuple[list[str], list[str]]:
    """Return a colour and a marker for each group: a square for the second of a colour."""
    n, n_others = labels.n_coloured, len(labels.names) - labels.n_coloured
    colours = palette(min(n, MOST_COLOURS))
    return (
        [colours[group % MOST_COLOURS] for group in range(n)] + [GREY] * n_others,
        ["o" if group < MOST_COLOURS else "s" for group in range(n)] + ["o"] * n_others,
    )


def _choose_marker(n: int) -> tuple[float, float]:
    """Choose the area and the opacity of n points."""
    if n <= 300:
        return 22.0, 0.8
    return (10.0, 0.65) if n <= 2000 else (5.0, 0.5)
