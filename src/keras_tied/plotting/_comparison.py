"""Bar charts of the errors and the times of several methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_tied._text import format_number, format_value
from keras_tied.drawing import palette
from keras_tied.plotting._figure import (
    GREY,
    INK,
    add_fallback_fonts,
    label_axes,
    lay_out,
    remove_frame,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 40


def comparison(
    names: Sequence[str],
    errors: Sequence[float] | Sequence[Sequence[float]] | NDArray[np.float64],
    seconds: Sequence[float],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Draw the errors of some methods, relative to PCA's, and the seconds that each took.

    Args:
        names: (n,) the methods, from top to bottom; the first one is drawn in colour.
        errors: (n,) their errors divided by PCA's; NaN for a method that gives none. Or
            (n, seeds), those with each of several seeds: drawn as dots, and as a bar their mean.
        seconds: (n,) their times; NaN where one was not measured.
        figure: An empty Matplotlib figure to draw into, or None for a new one.

    Returns:
        The figure, to be saved with its own ``savefig``.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is not one error and one number of seconds for each name.

    Examples:
        >>> figure = comparison(["tied autoencoder", "PCA"], [0.6, 1.0], [1.4, 0.01])
        >>> [axes.get_title("left") for axes in figure.axes]
        ['Error', 'Time']
        >>> seeds = [[0.5, 0.7], [1.0, 1.0]]
        >>> figure = comparison(["tied autoencoder", "PCA"], seeds, [1.4, 0.01])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.60', '1.00']
    """
    if not len(names) == len(errors) == len(seconds) or not len(names):
        raise ValueError(
            f"there are {len(names)} names, {len(errors)} errors and {len(seconds)} times; give as "
            "many of each, at least one."
        )
    figure = lay_out(figure, (9.0, 1.6 + 0.45 * len(names)))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes in (left, right):
        remove_frame(axes)
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
    left.axvline(1.0, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    right.tick_params(labelleft=False)
    n_seeds = each_error.shape[1]
    dots = f"; dots: {n_seeds} seeds" if n_seeds > 1 else ""
    label_axes(left, "Error", f"relative to PCA{dots}", "")
    label_axes(right, "Time", "seconds", "")
    add_fallback_fonts(figure)
    return figure


def _draw_bars(axes: Axes, values: NDArray[np.float64], formatter: Callable[[float], str]) -> None:
    """Draw the mean of each row as a bar, and several values of a row as dots on it."""
    means, places = values.mean(axis=1), np.arange(len(values))
    colours = [palette(1)[0], *[GREY] * (len(values) - 1)]
    axes.barh(places, np.nan_to_num(means), height=0.6, color=colours)
    if values.shape[1] > 1:
        rows = np.broadcast_to(places[:, None], values.shape)
        axes.scatter(values, rows, s=16, color="white", edgecolors=INK)
    ends = np.nan_to_num(values).max(axis=1)
    for place, (mean, end) in enumerate(zip(means.tolist(), ends.tolist(), strict=True)):
        axes.annotate(
            "none" if np.isnan(mean) else formatter(mean),
            (end, place),
            xytext=(6, 0),
            textcoords="offset points",
            verticalalignment="center",
            color=INK,
            fontsize=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    axes.set_xlim(0, 1.18 * max(ends.max(), 1e-9))
