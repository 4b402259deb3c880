"""A chart of the errors of several widths of the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied.drawing import palette
from keras_tied.plotting import _figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Errors: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | NDArray[np.float64]


def _check_lengths(columns: dict[str, Sequence[Any] | NDArray[Any]]) -> None:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1 or 0 in lengths:
        *others, last = (f"{len(values)} {name}" for name, values in columns.items())
        counts = f"{', '.join(others)} and {last}"
        raise ValueError(f"there are {counts}; give as many of each, at least one.")


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
        errors: (n,) the errors of the model, where 1 is that of the mean. Or (n,
            seeds), those with each of several seeds: drawn as thin lines, and as a
            thick line their mean.
        pca_errors: (n,) or (n, seeds) those of PCA.
        hidden_errors: (n,) those of the model at values that were hidden from it.
            Defaults to none.
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
    from matplotlib.ticker import (
        MaxNLocator,
    )  # after Matplotlib is known to be installed

    axes = figure.subplots()
    _figure.remove_frame(axes)
    thin: dict[str, Any] = {"linewidth": 1.5, "markersize": 4}
    _draw_curve(
        axes, widths, errors, "tied autoencoder", "o-", color=palette(1)[0], linewidth=2
    )
    _draw_curve(axes, widths, pca_errors, "PCA", "o--", color=palette(5)[4], **thin)
    if hidden_errors is not None:
        _draw_curve(
            axes,
            widths,
            hidden_errors,
            "hidden values",
            "o:",
            color=_figure.INK,
            **thin,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=_figure.INK)
    _figure.label_axes(
        axes, "Error by width of the code", "components", "error on rows held out"
    )
    return figure


def _draw_curve(
    axes: Axes,
    widths: Sequence[int],
    errors: ArrayLike,
    name: str,
    style: str,
    **look: Any,
) -> None:
    """Draw the mean of each width, and several seeds as thin lines beneath."""
    each_error = np.asarray(errors, dtype=float).reshape(len(widths), -1)
    if each_error.shape[1] > 1:
        axes.plot(widths, each_error, color=look["color"], linewidth=0.8, alpha=0.4)
        name = f"{name}, mean of {each_error.shape[1]} seeds"
    axes.plot(widths, each_error.mean(axis=1), style, label=name, **look)
