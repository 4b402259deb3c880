"""Empty figures, the style of their axes, and points for rows, coloured by label."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tied_tables.drawing import Labels, Points, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The endings of the files that the command writes figures to.
FORMATS = "png", "svg", "pdf"

INK, GREY, FAINT = "#222222", "#8A8F96", "#DDDDDD"

_SIZE = (9.0, 8.8)
# Of Linux, macOS and Windows, for letters that Matplotlib's own font lacks.
_FALLBACK_FONTS = (
    "Noto Sans CJK SC",
    "Arial Unicode MS",
    "Microsoft YaHei",
    "Malgun Gothic",
)

MOST_POINTS = 20_000  # more are a blob
_GAP = 0.04  # between the panels of pairs of units
_MOST_ACROSS = 6  # entries of a legend beside each other
_LETTERS_ACROSS = 90  # of a figure
_LETTERS_OF_MARKER = 6  # of an entry of a legend, besides its name


def new_figure(size: tuple[float, float] = _SIZE) -> Figure:
    """Make a figure without pyplot, of a size in inches; by default for four panels.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        import matplotlib.figure
    except ImportError as error:
        raise ImportError(
            "figures need Matplotlib, which is not installed; run pip install"
            ' "tied-tables[plot]".'
        ) from error
    return matplotlib.figure.Figure(dpi=160, figsize=size)


def lay_out(figure: Figure | None) -> Figure:
    """Return an empty figure, a new one for None, with room around what is drawn."""
    figure = new_figure() if figure is None else figure
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    return figure


def remove_frame(axes: Axes) -> None:
    """Remove the frame of the axes, and draw a pale grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=10)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Set the title and the names of the axes, which are not read as formulas."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(x, fontsize=11, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=11, color=INK, parse_math=False)


def add_fallback_fonts(figure: Figure) -> None:
    """Let texts take letters that their font lacks from other installed fonts."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    installed = set(get_font_names())
    fallbacks = [font for font in _FALLBACK_FONTS if font in installed]
    for text in figure.findobj(Text):
        text.set_fontfamily([*text.get_fontfamily(), *fallbacks])


def scatter_pairs(axes: Axes, code: Points, labels: Labels | None) -> None:
    """Draw each pair of 3 units or more."""
    last = code.shape[1] - 1
    side = (1 - (last - 1) * _GAP) / last
    step = side + _GAP
    axes.set_axis_off()
    pairs = itertools.combinations(range(last + 1), 2)
    for across, upwards in sorted(pairs, key=lambda units: units[1]):
        pair = axes.inset_axes((across * step, (last - upwards) * step, side, side))
        remove_frame(pair)
        pair.tick_params(length=0, labelbottom=False, labelleft=False)
        scatter(pair, code[:, [across, upwards]], labels, side)
        if across == 0:
            pair.set_ylabel(f"unit {upwards + 1}", fontsize=9, color=INK)
        if upwards == last:
            pair.set_xlabel(f"unit {across + 1}", fontsize=9, color=INK)


def draw_key(figure: Figure, axes: Axes, labels: Labels, title: str) -> None:
    """Draw a legend of the points of some axes, above all."""
    if labels.groups is None:
        _draw_colour_bar(figure, axes, title)
        return
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], linestyle="", marker=marker, markersize=6, color=colour, label="-"
        )
        for colour, marker in _style_groups(labels)
    ]
    longest = max(map(len, labels.groups))
    n_fitting = _LETTERS_ACROSS // (longest + _LETTERS_OF_MARKER)
    legend = figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(_MOST_ACROSS, max(1, n_fitting)),
        frameon=False,
    )
    # The user's names as they are: not as formulas, and with a leading underscore.
    legend.set_title(title)
    for text, name in zip(legend.get_texts(), labels.groups, strict=True):
        text.set_text(name)
    for text in (legend.get_title(), *legend.get_texts()):
        text.set(parse_math=False, color=INK, fontsize=10)


def _draw_colour_bar(figure: Figure, axes: Axes, title: str) -> None:
    from matplotlib.cm import ScalarMappable

    points = axes.collections[-1]
    opaque = ScalarMappable(points.norm, points.get_cmap())
    bar = figure.colorbar(opaque, ax=figure.axes, location="top", shrink=0.5, aspect=40)
    bar.outline.set_visible(False)
    bar.set_label(title, color=INK, parse_math=False)


def scatter(
    axes: Axes,
    points: Points,
    labels: Labels | None,
    scale: float = 1.0,
) -> None:
    """Draw points, (n, 2), on axes of a width relative to a panel's."""
    n = len(points)
    size, alpha = (10.0, 0.65) if n <= 2000 else (5.0, 0.5)
    if n <= 300:
        size, alpha = 22.0, 0.8
    # One picture of the points, because thousands of them as vectors make a slow SVG or
    # PDF.
    draw = partial(
        axes.scatter,
        s=size * scale,
        alpha=alpha,
        linewidths=0,
        rasterized=True,
    )
    x, y = points.T
    if labels is None:
        draw(x, y, c=palette(1))
    elif labels.groups is None:
        from matplotlib import colormaps

        shades = colormaps["viridis"].with_extremes(bad=GREY)
        draw(x, y, c=labels.values, cmap=shades, plotnonfinite=True)
    else:
        styles = np.array(_style_groups(labels))  # (groups, 2)
        colours, markers = styles[labels.values].T
        for marker in np.unique(markers):
            rows = markers == marker
            draw(x[rows], y[rows], c=colours[rows], marker=marker)


def _style_groups(labels: Labels) -> list[tuple[str, str]]:
    """Return a colour and a marker for each group: of one colour, two markers."""
    n_coloured = labels.n_coloured
    colours = palette(n_coloured)
    styles = [(colour, marker) for marker in ("o", "s") for colour in colours]
    n_others = len(labels.groups or ()) - n_coloured
    return styles[:n_coloured] + n_others * [(GREY, "o")]
