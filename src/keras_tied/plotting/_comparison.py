"""Bar charts of the errors and the times of several methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_tied._labels import palette
from keras_tied._text import format_number, format_value
from keras_tied.plotting._figure import GREY, INK, label_axes, new_figure, remove_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LONGEST = 40


def comparison(
    names: Sequence[str],
    errors: Sequence[float],
    seconds: Sequence[float],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Draw the errors of some methods, relative to PCA's, and the seconds that each took.

    Args:
        names: (n,) the methods, from top to bottom; the first one is drawn in colour.
        errors: (n,) their errors divided by PCA's; NaN for a method that gives none.
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
    """
    if not len(names) == len(errors) == len(seconds) or not len(names):
        raise ValueError(
            f"there are {len(names)} names, {len(errors)} errors and {len(seconds)} times; give as "
            "many of each, at least one."
        )
    figure = new_figure((9.0, 1.6 + 0.45 * len(names))) if figure is None else figure
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, values, formatter in (
        (left, errors, "{:.2f}".format),
        (right, seconds, format_number),
    ):
        remove_frame(axes)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        _draw_bars(axes, np.asarray(values, dtype=float), formatter)
    left.invert_yaxis()
    left.set_yticks(range(len(names)), [format_value(name, _LONGEST) for name in names])
    for text in left.get_yticklabels():
        text.set_parse_math(False)
    left.axvline(1.0, color=INK, linewidth=1.0, linestyle=(0, (5, 3)))
    right.tick_params(labelleft=False)
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
    label_axes(left, "Error", "relative to PCA", "")
    label_axes(right, "Time", "seconds", "")
    return figure


def _draw_bars(axes: Axes, values: NDArray[np.float64], formatter: Callable[[float], str]) -> None:
    colours = [palette(1)[0], *[GREY] * (len(values) - 1)]
    bars = axes.barh(range(len(values)), np.nan_to_num(values), height=0.6, color=colours)
    texts = ["none" if np.isnan(value) else formatter(value) for value in values.tolist()]
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.bar_label(bars, texts, padding=4, color=INK, fontsize=10, bbox=behind)
    axes.set_xlim(0, 1.18 * max(np.nanmax(values, initial=0.0), 1e-9))
