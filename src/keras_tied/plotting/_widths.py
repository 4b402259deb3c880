"""The error by the width of the code, as curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_tied._labels import palette
from keras_tied.plotting._figure import INK, label_axes, new_figure, remove_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def width_curve(
    widths: Sequence[int],
    errors: Sequence[float],
    pca_errors: Sequence[float],
    *,
    figure: Figure | None = None,
) -> Figure:
    """Draw the errors of codes of several widths, beside PCA's.

    Args:
        widths: (n,) the numbers of components.
        errors: (n,) the errors of the model, where 1 is that of the mean.
        pca_errors: (n,) those of PCA.
        figure: An empty Matplotlib figure to draw into, or None for a new one.

    Returns:
        The figure, to be saved with its own ``savefig``.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If there is not one error of each for each width.

    Examples:
        >>> figure = width_curve([1, 2, 3], [0.4, 0.2, 0.1], [0.6, 0.4, 0.2])
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['tied autoencoder', 'PCA']
    """
    if not len(widths) == len(errors) == len(pca_errors) or not len(widths):
        raise ValueError(
            f"there are {len(widths)} widths, {len(errors)} errors and {len(pca_errors)} of PCA; "
            "give as many of each, at least one."
        )
    figure = new_figure((7.0, 4.5)) if figure is None else figure
    from matplotlib.ticker import MaxNLocator

    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.subplots()
    remove_frame(axes)
    colour = palette(1)[0]
    axes.plot(widths, errors, "o-", color=colour, linewidth=2, label="tied autoencoder")
    axes.plot(widths, pca_errors, "o--", color=INK, linewidth=1.2, markersize=4, label="PCA")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=INK)
    label_axes(axes, "Error by width of the code", "components", "error on rows held out")
    return figure
