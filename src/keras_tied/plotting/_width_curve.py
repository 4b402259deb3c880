"""A chart of the errors of several widths of the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_tied.drawing import palette
from keras_tied.plotting._figure import INK, label_axes, lay_out, remove_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def width_curve(
    widths: Sequence[int],
    errors: Sequence[float],
    pca_errors: Sequence[float],
    *,
    hidden_errors: Sequence[float] | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the errors of codes of several widths, beside PCA's; return the figure.

    Args:
        widths: (n,) the numbers of components.
        errors: (n,) the errors of the model, where 1 is that of the mean.
        pca_errors: (n,) those of PCA.
        hidden_errors: (n,) those of the model at values that were hidden from it.
            Defaults to none.
        figure: An empty Matplotlib figure to draw into, or None for a new one.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is not one error of each for each width.

    Examples:
        >>> figure = width_curve([1, 2], [0.4, 0.2], [0.6, 0.4])
        >>> figure.axes[0].get_legend_handles_labels()[1]
        ['tied autoencoder', 'PCA']
    """
    curves = {"tied autoencoder": errors, "PCA": pca_errors}
    if hidden_errors is not None:
        curves["hidden values"] = hidden_errors
    for name, values in curves.items():
        if len(values) != len(widths) or not len(widths):
            raise ValueError(
                f"there are {len(widths)} widths and {len(values)} errors of {name};"
                " give as many of each, at least one."
            )
    figure = lay_out(figure, (7.0, 4.5))
    from matplotlib.ticker import MaxNLocator

    axes = figure.subplots()
    remove_frame(axes)
    looks = ("o-", palette(1)[0]), ("o--", palette(5)[4]), ("o:", INK)
    for (name, values), (style, colour) in zip(curves.items(), looks, strict=False):
        axes.plot(widths, values, style, label=name, color=colour)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=INK)
    label_axes(
        axes, "Error by width of the code", "components", "error on rows held out"
    )
    return figure
