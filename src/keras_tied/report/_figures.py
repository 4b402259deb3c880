"""The page's figures in Bokeh: three linked panels, the errors and the losses.

Their colours are not set here. Bokeh takes those of axes and grids from the page's style sheet
(``--bk-…``), and the page's script sets those of the points, so that both follow the reader's
choice of light or dark.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from bokeh.core.json_encoder import serialize_json
from bokeh.document import Document
from bokeh.models import (
    BasicTickFormatter,
    BoxSelectTool,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    NumeralTickFormatter,
    PanTool,
    PlainText,
    Quad,
    Range1d,
    ResetTool,
    Scatter,
    TapTool,
    WheelZoomTool,
)
from bokeh.models.annotations import Span
from bokeh.plotting import figure
from numpy.typing import NDArray

Points = NDArray[np.floating]

_MOST_BINS = 60


@dataclass(frozen=True)
class Panel:
    """Points to draw, and what their axes show.

    Attributes:
        name: the id of the element on the page that the panel goes into.
        points: (n, 2), NaN where there is nothing to draw.
        axes: what the axes show.
        log_y: whether the second axis is logarithmic.
    """

    name: str
    points: Points
    axes: tuple[str, str]
    log_y: bool = False


class Figures:
    """The figures of one page; a row that is marked in one is marked in all."""

    def __init__(self) -> None:
        self._plots: list[Any] = []

    def add_panels(self, panels: Sequence[Panel], colours: NDArray[np.float64]) -> None:
        """Add three panels of the same rows: the input, the code, the reconstruction.

        Args:
            panels: the first and the last are drawn on the same axes.
            colours: (n,) the number that the colour of a row shows.
        """
        data: dict[str, Any] = {"colour": _to_float32(colours)}
        for panel in panels:
            data[f"{panel.name}_x"], data[f"{panel.name}_y"] = map(_to_float32, panel.points.T)
        source = ColumnDataSource(data, name="rows")
        mapper = LinearColorMapper(palette=["#808080"], name="colours")
        size, alpha = _choose_marker(len(colours))
        first = panels[0]
        shared_ranges = _fit_ranges(np.concatenate([first.points, panels[-1].points]))
        for panel in panels:
            is_shared = panel is first or panel is panels[-1]
            ranges = shared_ranges if is_shared else _fit_ranges(panel.points, panel.log_y)
            plot = self._add_plot(panel.name, panel.axes, *ranges, panel.log_y)
            plot.add_tools(BoxSelectTool(), LassoSelectTool(), PanTool(), WheelZoomTool())
            plot.add_tools(ResetTool(), TapTool(visible=False))
            plot.add_tools(HoverTool(tooltips=None, visible=False))
            plot.toolbar.active_drag = plot.select_one(BoxSelectTool)
            plot.toolbar.active_scroll = None  # the page scrolls, until the tool is chosen
            dots = partial(
                Scatter,
                x=f"{panel.name}_x",
                y=f"{panel.name}_y",
                fill_color={"field": "colour", "transform": mapper},
            )
            plot.add_glyph(
                source,
                dots(size=size, fill_alpha=alpha, line_color=None),
                selection_glyph=dots(size=size + 1.5, line_width=0.7),
                nonselection_glyph=dots(size=size, fill_alpha=alpha / 5, line_color=None),
                hover_glyph=dots(size=size + 5, line_width=1.5),
                name="points",
            )

    def add_errors(
        self, name: str, errors: NDArray[np.float64], lines: Mapping[str, float]
    ) -> None:
        """Add a histogram of the rows' errors, in which an interval can be selected.

        Args:
            name: the id of the element on the page.
            errors: (n,) the errors of all rows.
            lines: errors that are marked by a line, by the name of the line.
        """
        counts, edges, log = _bin_errors(errors)
        plot = self._add_plot(
            name,
            ("error of a row", "rows"),
            _fit_range(edges, log),
            Range1d(start=0, end=float(counts.max()) * 1.08),
            log_x=log,
        )
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
        if edges[-1] < 200 * edges[0]:
            plot.xaxis.formatter = BasicTickFormatter()  # a few ticks are written out
        plot.add_tools(BoxSelectTool(dimensions="width"))
        plot.toolbar_location = None
        data = {"left": edges[:-1], "right": edges[1:], "top": counts}
        source = ColumnDataSource(data, name="bins")
        bars, selected, others = (
            Quad(left="left", right="right", top="top", bottom=0, line_color=None) for _ in range(3)
        )
        plot.add_glyph(
            source, bars, selection_glyph=selected, nonselection_glyph=others, name="bars"
        )
        for label, value in lines.items():
            plot.add_layout(_make_line(label, value, "height"))

    def add_losses(
        self, name: str, curves: Mapping[str, Sequence[float]], lines: Mapping[str, float]
    ) -> None:
        """Add the curve of the loss by epoch.

        Args:
            name: the id of the element on the page.
            curves: the losses of each epoch, by the name of the curve.
            lines: losses that are marked by a line across, by the name of the line.
        """
        most = max(len(losses) for losses in curves.values())
        finite_losses = np.concatenate([*curves.values(), list(lines.values())])
        log = bool((finite_losses[np.isfinite(finite_losses)] > 0).all())
        plot = self._add_plot(
            name,
            ("epoch", "loss"),
            Range1d(start=1 if most > 1 else 0, end=max(most, 2)),
            _fit_range(finite_losses, log),
            log_y=log,
        )
        plot.yaxis.formatter = BasicTickFormatter()
        if most == 1:
            plot.xaxis.ticker = FixedTicker(ticks=[1])
        plot.toolbar_location = None
        for label, losses in curves.items():
            data = {"epoch": np.arange(1.0, len(losses) + 1), "loss": np.asarray(losses, float)}
            source = ColumnDataSource(data)
            plot.line("epoch", "loss", source=source, name=label, line_width=2)
            if len(losses) == 1:
                plot.scatter("epoch", "loss", source=source, name=label, size=7, line_color=None)
        for label, value in lines.items():
            plot.add_layout(_make_line(label, value, "width"))

    def to_json(self) -> str:
        """Return the document of BokehJS, and the element of each of its roots."""
        document = Document()
        for plot in self._plots:
            document.add_root(plot)
        roots = json.dumps({plot.id: plot.name for plot in self._plots})
        return (
            f'{{"document": {serialize_json(document.to_json(deferred=False))}, "roots": {roots}}}'
        )

    def _add_plot(
        self,
        name: str,
        axes: tuple[str, str],
        x_range: Range1d,
        y_range: Range1d,
        log_y: bool = False,
        log_x: bool = False,
    ) -> Any:
        plot: Any = figure(
            tools=[],
            name=name,
            x_range=x_range,
            y_range=y_range,
            x_axis_type="log" if log_x else "linear",
            y_axis_type="log" if log_y else "linear",
            sizing_mode="stretch_both",
            toolbar_location="above",
            background_fill_color=None,
            border_fill_color=None,
            outline_line_color=None,
            min_border=4,
        )
        plot.toolbar.logo = None
        # Plain text, because a name such as $$x$$ would be taken for a formula.
        plot.xaxis.axis_label = PlainText(text=_shorten(axes[0]))
        plot.yaxis.axis_label = PlainText(text=_shorten(axes[1]))
        plot.axis.axis_label_text_font_style = "normal"
        plot.axis.minor_tick_line_color = None
        plot.axis.axis_line_color = None
        plot.toolbar.stylesheets = [":host { --button-color: transparent; }"]  # no dividers
        plot.xaxis.ticker.desired_num_ticks = 5
        plot.yaxis.ticker.desired_num_ticks = 5
        self._plots.append(plot)
        return plot


def _make_line(name: str, at: float, along: Literal["width", "height"]) -> Span:
    dash = "dashed" if name == "pca" else "solid"
    return Span(location=at, dimension=along, name=name, line_width=1.5, line_dash=dash)


def _shorten(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:38]}…"


def _to_float32(values: Points) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)


def _choose_marker(n: int) -> tuple[float, float]:
    """Choose the size and the opacity of n points."""
    if n <= 300:
        return 8.0, 0.85
    return (6.0, 0.75) if n <= 2000 else (4.5, 0.6)


def _fit_ranges(points: Points, log_y: bool = False) -> tuple[Range1d, Range1d]:
    return _fit_range(points[:, 0]), _fit_range(points[:, 1], log_y)


def _fit_range(values: Points, log: bool = False) -> Range1d:
    """Make a range from the smallest to the largest value, with a margin."""
    finite = values[np.isfinite(values)].astype(np.float64)
    finite = np.log10(finite[finite > 0]) if log else finite
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.5
    low, high = low - room, high + room
    if log:
        low, high = 10**low, 10**high
    return Range1d(start=float(low), end=float(high))


def _bin_errors(errors: NDArray[np.float64]) -> tuple[NDArray[np.intp], Points, bool]:
    """Return the counts, the edges, and whether the scale is logarithmic."""
    finite = errors[np.isfinite(errors)]
    positive = finite[finite > 0]
    log = positive.size > 0 and positive.max() > 3 * positive.min()
    if log:
        finite = np.log10(np.maximum(finite, positive.min()))
    n_bins = min(_MOST_BINS, max(10, round(2 * finite.size ** (1 / 3))))
    counts, edges = np.histogram(finite, bins=n_bins)
    return counts, 10**edges if log else edges, bool(log)
