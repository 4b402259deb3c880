"""Charts of the errors of several methods, and of several widths of the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied._text import format_number, format_value
from keras_tied.drawing import palette
from keras_tied.plotting import _figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Errors: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | NDArray[np.float64]

_LONGEST = 40  # characters of a name that are shown


def comparison(
    names: Sequence[str], errors: Errors, seconds: Sequence[float], *, figure: Figure | None = None
) -> Figure:
    """Draw the errors of some methods, relative to PCA's, and their seconds; return the figure.

    Args:
        names: (n,) the methods, from top to bottom; the first one is drawn in colour.
        errors: (n,) their errors divided by PCA's; NaN for a method that gives none. Or
            (n, seeds), those with each of several seeds: drawn as dots, and as a bar their mean.
        seconds: (n,) their times; NaN where one was not measured.
        figure: An empty Matplotlib figure to draw into, or None for a new one.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is not one error and one number of seconds for each name.

    Examples:
        >>> seeds = [[0.5, 0.7], [1.0, 1.0]]
        >>> figure = comparison(["tied autoencoder", "PCA"], seeds, [1.4, 0.01])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.60', '1.00']
    """
    _check_lengths({"names": names, "errors": errors, "times": seconds})
    figure = _figure.lay_out(figure, (9.0, 1.6 + 0.45 * len(names)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        _figure.remove_frame(axes)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    each_error = np.asarray(errors, dtype=float).reshape(len(names), -1)
    _draw_bars(left, each_error, "{:.2f}".format)
    _draw_bars(right, np.asarray(seconds, dtype=float)[:, None], format_number)
    left.invert_yaxis()
    left.set_yticks(range(len(names)), [format_value(name, _LONGEST) for name in names])
    for text in left.get_yticklabels():
        text.set_parse_math(False)
    left.axvline(1.0, color=_figure.INK, linewidth=1.0, linestyle=(0, (5, 3)))
    right.tick_params(labelleft=False)
    n_seeds = each_error.shape[1]
    dots = f"; dots: {n_seeds} seeds" if n_seeds > 1 else ""
    _figure.label_axes(left, "Error", f"relative to PCA{dots}", "")
    _figure.label_axes(right, "Time", "seconds", "")
    _figure.add_fallback_fonts(figure)
    return figure


def _check_lengths(columns: dict[str, Sequence[Any] | NDArray[Any]]) -> None:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1 or 0 in lengths:
        *others, last = (f"{len(values)} {name}" for name, values in columns.items())
        counts = f"{', '.join(others)} and {last}"
        raise ValueError(f"there are {counts}; give as many of each, at least one.")


def _draw_bars(axes: Axes, values: NDArray[np.float64], formatter: Callable[[float], str]) -> None:
    """Draw the mean of each row as a bar, and several values of a row as dots on it."""
    means, places = values.mean(axis=1), np.arange(len(values))
    colours = [palette(1)[0], *[_figure.GREY] * (len(values) - 1)]
    axes.barh(places, np.nan_to_num(means), height=0.6, color=colours)
    if values.shape[1] > 1:
        rows = np.broadcast_to(places[:, None], values.shape)
        axes.scatter(values, rows, s=16, color="white", edgecolors=_figure.INK)
    ends = np.nan_to_num(values).max(axis=1)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    look: dict[str, Any] = {"va": "center", "color": _figure.INK, "fontsize": 10, "bbox": box}
    for place, (mean, end) in enumerate(zip(means.tolist(), ends.tolist(), strict=True)):
        label = "none" if np.isnan(mean) else formatter(mean)
        axes.annotate(label, (end, place), xytext=(6, 0), textcoords="offset points", **look)
    axes.set_xlim(0, 1.18 * max(ends.max(), 1e-9))


def width_curve(
    widths: Sequence[int],
    errors: Errors,
    pca_errors: Errors,
    *,
    hidden_errors: Sequence[float] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the errors of codes of several widths, beside PCA's; return the figure.

    Args:
        widths: (n,) the numbers of components.
        errors: (n,) the errors of the model, where 1 is that of the mean. Or (n, seeds), those with
            each of several seeds: drawn as thin lines, and as a thick line their mean.
        pca_errors: (n,) or (n, seeds) those of PCA.
        hidden_errors: (n,) those of the model at values that were hidden from it. Defaults to none.
        figure: An empty Matplotlib figure to draw into, or None for a new one.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is not one error of each for each width.

    Examples:
        >>> figure = width_curve([1, 2], [[0.4, 0.5], [0.2, 0.3]], [[0.6, 0.7], [0.4, 0.5]])
        >>> figure.axes[0].get_legend_handles_labels()[1]
        ['tied autoencoder, mean of 2 seeds', 'PCA, mean of 2 seeds']
    """
    _check_lengths({"widths": widths, "errors": errors, "of PCA": pca_errors})
    figure = _figure.lay_out(figure, (7.0, 4.5))
    from matplotlib.ticker import MaxNLocator  # after Matplotlib is known to be installed

    axes = figure.subplots()
    _figure.remove_frame(axes)
    thin: dict[str, Any] = {"linewidth": 1.5, "markersize": 4}
    _draw_curve(axes, widths, errors, "tied autoencoder", "o-", color=palette(1)[0], linewidth=2)
    _draw_curve(axes, widths, pca_errors, "PCA", "o--", color=palette(5)[4], **thin)
    if hidden_errors is not None:
        _draw_curve(axes, widths, hidden_errors, "hidden values", "o:", color=_figure.INK, **thin)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=_figure.INK)
    _figure.label_axes(axes, "Error by width of the code", "components", "error on rows held out")
    return figure


def _draw_curve(
    axes: Axes, widths: Sequence[int], errors: ArrayLike, name: str, style: str, **look: Any
) -> None:
    """Draw the mean of each width, and several seeds as thin lines beneath."""
    each_error = np.asarray(errors, dtype=float).reshape(len(widths), -1)
    if each_error.shape[1] > 1:
        axes.plot(widths, each_error, color=look["color"], linewidth=0.8, alpha=0.4)
        name = f"{name}, mean of {each_error.shape[1]} seeds"
    axes.plot(widths, each_error.mean(axis=1), style, label=name, **look)
