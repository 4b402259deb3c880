"""The page's figures in Bokeh, in colours that its style sheet and its script set."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from bokeh.document import Document
from bokeh.models import (
    BoxSelectTool,
    CDSView,
    ColumnDataSource,
    HoverTool,
    IndexFilter,
    LassoSelectTool,
    LinearColorMapper,
    PlainText,
    Range1d,
    Scatter,
    TapTool,
)
from bokeh.plotting import figure

from tied_tables._text import format_value
from tied_tables._types import Array
from tied_tables.drawing import View
from tied_tables.report._rows import Rows
from tied_tables.report._whole import Planes, count_points

SMALL_POINT, LARGE_POINT = 4.5, 8.0  # sizes; the larger one of few points
FEW_POINTS = 300
ALPHA = 0.75
_LONGEST_LABEL = 40  # characters of an axis
TRANSPARENT = "#00000000"  # of cells without a point
_GREY = ["#808080"]  # until the script of the page sets the colours


def draw_panels(
    planes: Planes,
    rows: Rows,
    counted_rows: Rows | None,
    outstanding: Sequence[int],
) -> dict[str, Any]:
    """Return the linked panels of rows, with rings around those that stand out.

    They are a document of BokehJS, and the name of each of its roots. How many of those
    that are counted lie where is drawn below them.
    """
    points = planes.project(rows)
    counted = None if counted_rows is None else planes.project(counted_rows)
    n = len(rows.X)
    data = {"colour": np.zeros(n, np.float32), "shape": ["circle"] * n}
    for name in points:
        x, y = np.ascontiguousarray(points[name][:, :2].T, np.float32)
        data |= {f"{name}_x": x, f"{name}_y": y}
    source = ColumnDataSource(data, name="rows")
    colours = LinearColorMapper(palette=_GREY, name="colours")
    densities = LinearColorMapper(
        palette=_GREY, nan_color=TRANSPARENT, name="densities"
    )
    size = SMALL_POINT if n > FEW_POINTS or counted is not None else LARGE_POINT
    document, roots = Document(), {}
    for name, view in planes.views.items():
        plot = _make_plot(name, planes.axes[name], view)
        if counted is not None:
            pairs = planes.pairs if name == "code" else {(0, 1): view}
            for pair, pair_view in pairs.items():
                _add_density(plot, counted[name][:, pair], pair_view, densities, pair)
        renderer = _add_points(plot, source, colours, size, outstanding)
        plot.hover.tooltips = None
        plot.select(BoxSelectTool).overlay.use_handles = False
        for kind in (BoxSelectTool, LassoSelectTool, TapTool, HoverTool):
            plot.select(kind).renderers = [renderer]
        document.add_root(plot)
        roots[plot.id] = name
    return {"document": document.to_json(deferred=False), "roots": roots}


def _make_plot(name: str, axes: tuple[str, str], view: View) -> Any:
    """Make an empty plot."""
    x_range, y_range = (Range1d(start=low, end=high) for low, high in view)
    plot: Any = figure(
        tools="box_select,lasso_select,tap,hover,pan,wheel_zoom,reset",
        active_drag="box_select",
        active_scroll=None,  # the page scrolls, until the tool is chosen
        name=name,
        x_range=x_range,
        y_range=y_range,
        sizing_mode="stretch_both",
        toolbar_location=None,
        background_fill_color=None,
        outline_line_color=None,
        min_border=8,
    )
    for axis, text in zip((plot.xaxis, plot.yaxis), axes, strict=True):
        # Plain text, because a name such as $$x$$ would be taken for a formula.
        axis.axis_label = PlainText(text=format_value(text, _LONGEST_LABEL))
        axis.ticker.desired_num_ticks = 5
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_line_color = None
    return plot


def _add_points(
    plot: Any,
    source: ColumnDataSource,
    colours: Any,
    size: float,
    outstanding: Sequence[int],
) -> Any:
    """Add points, and rings around some; return the renderer of the points."""
    place: dict[str, Any] = {"x": f"{plot.name}_x", "y": f"{plot.name}_y"}
    colour: Any = {"field": "colour", "transform": colours}
    dots = partial(Scatter, **place, marker={"field": "shape"}, fill_color=colour)
    points = plot.add_glyph(
        source,
        dots(size=size, fill_alpha=ALPHA, line_color=None),
        selection_glyph=dots(size=size + 1.5, line_width=0.7),
        nonselection_glyph=dots(size=size, fill_alpha=ALPHA / 5, line_color=None),
        hover_glyph=dots(size=size + 5, line_width=1.5),
        name="points",
    )
    rings = Scatter(**place, size=size + 5, fill_color=None, line_width=1.5)
    view = CDSView(filter=IndexFilter(indices=list(outstanding)))
    plot.add_glyph(
        source,
        rings,
        view=view,
        name="rings",
        selection_glyph=rings,
        nonselection_glyph=rings,
    )
    return points


def _add_density(
    plot: Any, points: Array, view: View, densities: Any, pair: tuple[int, int]
) -> None:
    """Add how many points, (n, 2), lie where; of two units, the first pair is shown."""
    counts = count_points(points, view)
    density = np.where(counts > 0, np.log1p(counts), np.nan)
    (left, right), (bottom, top) = view
    plot.image(
        [density.astype(np.float32)],
        x=left,
        y=bottom,
        dw=right - left,
        dh=top - bottom,
        color_mapper=densities,
        name=f"density {pair[0]} {pair[1]}",
        level="underlay",
        visible=pair == (0, 1),
    )
