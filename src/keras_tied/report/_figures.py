"""The page's figures in Bokeh, in colours that its style sheet and its script set."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from bokeh import models
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations import Span
from bokeh.plotting import figure

from keras_tied._types import Array
from keras_tied.report._whole import Hexagons, Orientation, Planes

_MOST_BINS = 60
_MIRRORED: dict[Orientation, Orientation] = {
    "pointytop": "flattop",
    "flattop": "pointytop",
}


def draw_panels(
    planes: Planes,
    points: Mapping[str, Array],
    axes: Mapping[str, tuple[str, str]],
    is_dense: bool,
    outstanding: Sequence[int],
) -> list[Any]:
    """Return the linked panels of the same rows, with rings around those that stand out.

    `points` are (n, 2) in each panel, or more of a code; hexagons are drawn below them
    if they are some of the rows.
    """
    n = len(points["code"])
    data: dict[str, Any] = {"colour": np.zeros(n, np.float32), "shape": ["circle"] * n}
    for name in points:
        x, y = np.ascontiguousarray(points[name][:, :2].T, np.float32)
        data |= {f"{name}_x": x, f"{name}_y": y}
    source = ColumnDataSource(data, name="rows")
    mapper = models.LinearColorMapper(palette=["#808080"], name="colours")
    density = models.LinearColorMapper(palette=["#808080"], name="densities")
    size, alpha = (8.0, 0.85) if n <= 300 else (6.0, 0.75) if n <= 2000 else (4.5, 0.6)
    if is_dense:
        size, alpha = 4.0, 0.8
    plots = []
    for name, hexagons in planes.hexagons.items():
        x_range, y_range = (Range1d(start=low, end=high) for low, high in hexagons.view)
        plot = _make_plot(name, axes[name], x_range, y_range)
        box = models.BoxSelectTool(name="box")
        box.overlay.use_handles = False
        lasso, pan = models.LassoSelectTool(name="lasso"), models.PanTool(name="pan")
        zoom, reset = models.WheelZoomTool(name="zoom"), models.ResetTool(name="reset")
        tap, hover = models.TapTool(), models.HoverTool(tooltips=None)
        plot.add_tools(box, lasso, pan, zoom, reset, tap, hover)
        plot.toolbar.active_drag = box
        plot.toolbar.active_scroll = None  # the page scrolls, until the tool is chosen
        if is_dense:
            pairs = planes.pairs if name == "code" else {None: hexagons}
            for pair, each in pairs.items():
                _add_hexagons(plot, each, density, pair)
        at = partial(models.Scatter, x=f"{name}_x", y=f"{name}_y")
        colour = {"field": "colour", "transform": mapper}
        dots = partial(at, marker={"field": "shape"}, fill_color=colour)
        renderer = plot.add_glyph(
            source,
            dots(size=size, fill_alpha=alpha, line_color=None),
            selection_glyph=dots(size=size + 1.5, line_width=0.7),
            nonselection_glyph=dots(size=size, fill_alpha=alpha / 5, line_color=None),
            hover_glyph=dots(size=size + 5, line_width=1.5),
            name="points",
        )
        rings = at(size=size + 5, fill_color=None, line_width=1.5)
        view = models.CDSView(filter=models.IndexFilter(indices=list(outstanding)))
        same: dict[str, Any] = {"selection_glyph": rings, "nonselection_glyph": rings}
        plot.add_glyph(source, rings, view=view, name="rings", **same)
        for tool in (box, lasso, tap, hover):
            tool.renderers = [renderer]
        plots.append(plot)
    return plots


def draw_errors(errors: Array, lines: Mapping[str, float]) -> Any:
    """Return a histogram of the errors of all rows, (N,), with lines at some errors, by name."""
    counts, edges, log = _bin_errors(errors)
    y_range = Range1d(start=0, end=float(counts.max()) * 1.08)
    axes = "error of a row", "rows"
    plot = _make_plot("errors", axes, _fit_range(edges, log), y_range, "x" * log)
    plot.yaxis.formatter = models.NumeralTickFormatter(format="0,0")
    plot.xaxis.ticker.desired_num_ticks = 4
    if edges[-1] < 200 * edges[0]:
        plot.xaxis.formatter = (
            models.BasicTickFormatter()
        )  # a few ticks are written out
    plot.add_tools(models.BoxSelectTool(dimensions="width"))
    data = {"left": edges[:-1], "right": edges[1:], "top": counts}
    source = ColumnDataSource(data, name="bins")
    bar = partial(
        models.Quad, left="left", right="right", top="top", bottom=0, line_color=None
    )
    plot.add_glyph(
        source, bar(), selection_glyph=bar(), nonselection_glyph=bar(), name="bars"
    )
    _add_lines(plot, lines, "height")
    return plot


def draw_losses(
    curves: Mapping[str, Sequence[float]], lines: Mapping[str, float]
) -> Any:
    """Return the curves of the losses by epoch, with lines across at some losses, by name."""
    n_epochs = max(map(len, curves.values()))
    losses = np.concatenate([*curves.values(), list(lines.values())])
    log = bool((losses[np.isfinite(losses)] > 0).all())
    x_range = Range1d(start=1 if n_epochs > 1 else 0, end=max(n_epochs, 2))
    y_range = _fit_range(losses, log)
    plot = _make_plot("losses", ("epoch", "loss"), x_range, y_range, "y" * log)
    plot.yaxis.formatter = models.BasicTickFormatter()
    if n_epochs == 1:
        plot.xaxis.ticker = models.FixedTicker(ticks=[1])
    for label, curve in curves.items():
        data = {
            "epoch": np.arange(1.0, len(curve) + 1),
            "loss": np.asarray(curve, float),
        }
        source = ColumnDataSource(data)
        plot.line("epoch", "loss", source=source, name=label, line_width=2)
        if len(curve) == 1:
            plot.scatter(
                "epoch", "loss", source=source, name=label, size=7, line_color=None
            )
    _add_lines(plot, lines, "width")
    return plot


def draw_widths(widths: Sequence[Sequence[float]], chosen: int) -> Any:
    """Return the errors by the number of components, of which one is chosen; see `Report`."""
    components, *curves = np.asarray(widths, float).T
    highest = max(np.nanmax(curves, initial=0.0), 1e-9)
    axes = "components", "error on rows held out"
    y_range = Range1d(start=0, end=float(highest) * 1.05)
    plot = _make_plot("widths", axes, _fit_range(components), y_range)
    plot.xaxis.ticker = models.BasicTicker(min_interval=1, desired_num_ticks=8)
    dashes = {"error": "solid", "pca": "dashed", "hidden": "dotted"}
    for (label, dash), errors in zip(dashes.items(), curves, strict=True):
        source = ColumnDataSource({"components": components, "error": errors})
        look: dict[str, Any] = {"source": source, "name": label}
        plot.line("components", "error", line_width=2, line_dash=dash, **look)
        plot.scatter("components", "error", size=6, line_color=None, **look)
    _add_lines(plot, {"chosen": chosen}, "height")
    return plot


def to_json(plots: Sequence[Any]) -> str:
    """Return the document of BokehJS, and the id of the element that each of its roots goes to."""
    document = Document()
    for plot in plots:
        document.add_root(plot)
    roots = json.dumps({plot.id: plot.name for plot in plots})
    page = serialize_json(document.to_json(deferred=False))
    return f'{{"document": {page}, "roots": {roots}}}'


def _make_plot(
    name: str, axes: tuple[str, str], x_range: Range1d, y_range: Range1d, log: str = ""
) -> Any:
    """Make an empty plot, with logarithmic axes of the named directions, such as "x"."""
    look: dict[str, Any] = {"sizing_mode": "stretch_both", "toolbar_location": None}
    look |= {"background_fill_color": None, "outline_line_color": None, "min_border": 8}
    look |= {f"{direction}_axis_type": "log" for direction in log}
    plot: Any = figure(tools=[], name=name, x_range=x_range, y_range=y_range, **look)
    for axis, text in zip((plot.xaxis, plot.yaxis), axes, strict=True):
        text = text if len(text) <= 40 else f"{text[:38]}…"
        # Plain text, because a name such as $$x$$ would be taken for a formula.
        axis.axis_label = models.PlainText(text=text)
        axis.ticker.desired_num_ticks = 5
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.axis.axis_line_color = None
    return plot


def _add_lines(
    plot: Any, lines: Mapping[str, float], along: Literal["width", "height"]
) -> None:
    for name, at in lines.items():
        dash = "dashed" if name == "pca" else "solid"
        look: dict[str, Any] = {"name": name, "line_width": 1.5, "line_dash": dash}
        plot.add_layout(Span(location=at, dimension=along, **look))


def _add_hexagons(
    plot: Any,
    hexagons: Hexagons,
    colours: models.LinearColorMapper,
    pair: tuple[int, int] | None,
) -> None:
    """Add hexagons; those of two units in both orders, of which the first two are shown."""
    cells, counts = hexagons.counts()
    q, r = cells.T
    density = np.log1p(counts).astype(np.float32)
    colour: Any = {"field": "density", "transform": colours}
    size, scale, orientation = (
        hexagons.size,
        hexagons.aspect_scale,
        hexagons.orientation,
    )
    look = partial(
        models.HexTile, q="q", r="r", size=size, fill_color=colour, line_color=None
    )
    orders = [(look(aspect_scale=scale, orientation=orientation), q, r, pair)]
    if pair is not None:
        mirrored = look(aspect_scale=1 / scale, orientation=_MIRRORED[orientation])
        orders.append((mirrored, -r, -q, pair[::-1]))
    for glyph, across, upwards, units in orders:
        source = ColumnDataSource({"q": across, "r": upwards, "density": density})
        name = "density" if units is None else f"density {units[0]} {units[1]}"
        is_shown = units in (None, (0, 1))
        plot.add_glyph(source, glyph, name=name, level="underlay", visible=is_shown)


def _fit_range(values: Array, log: bool = False) -> Range1d:
    """Make a range from the smallest to the largest value, with a margin."""
    finite = values[np.isfinite(values)].astype(np.float64)
    finite = np.log10(finite[finite > 0]) if log else finite
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.5
    low, high = low - room, high + room
    if log:
        low, high = 10**low, 10**high
    return Range1d(start=float(low), end=float(high))


def _bin_errors(errors: Array) -> tuple[Array, Array, bool]:
    """Return the counts, the edges, and whether the scale is logarithmic."""
    finite = errors[np.isfinite(errors)]
    positive = finite[finite > 0]
    log = positive.size > 0 and positive.max() > 3 * positive.min()
    if log:
        finite = np.log10(np.maximum(finite, positive.min()))
    n_bins = min(_MOST_BINS, max(10, round(2 * finite.size ** (1 / 3))))
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = 0.0 if high > low else 0.5 * abs(low) or 0.5
    counts, edges = np.histogram(finite, n_bins, (low - room, high + room))
    return counts, 10**edges if log else edges, bool(log)
