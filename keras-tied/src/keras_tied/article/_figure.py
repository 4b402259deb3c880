"""The article's figure: the input, the code, the reconstruction and the cost."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied.article._experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Of each label, in order. Okabe and Ito (2008), "Color Universal Design".
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
INK, PALE, FAINT = "#222222", "#9CCBE8", "#DDDDDD"


def draw(result: Experiment, X: ArrayLike, y: ArrayLike | None = None) -> Figure:
    """Draw the input, the code, the reconstruction and the cost in four panels.

    Of the input and the reconstruction the first two columns are drawn, at one scale.

    Args:
        result: what `run` has returned.
        X: (n, features ≥ 2) the rows that it was given.
        y: (n,) a label for each row. Defaults to none.

    Raises:
        ImportError: If Matplotlib is not installed.

    Examples:
        >>> from keras_tied import article
        >>> X, y = article.prepare(*article.make_correlated_donuts(90, random_state=0))
        >>> result = article.run(X, epochs=3, engine="numpy")
        >>> figure = article.draw(result, X, y)
        >>> [axes.get_title("left") for axes in figure.axes]
        ['Incoming data, 4-D', 'Encoded data, 2-D', 'Decoded data, 4-D', 'Cost']
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "The figure needs Matplotlib, which is not installed; run pip install"
            ' "keras-tied[plot]".'
        ) from error
    rows = np.asarray(X)
    labels = np.zeros(len(rows)) if y is None else np.asarray(y)
    figure = Figure(dpi=160, figsize=(9.0, 8.8), layout="constrained")
    (upper, code), (lower, cost) = figure.subplots(2, 2)
    lower.sharex(upper)
    lower.sharey(upper)
    panels = [
        (upper, "Incoming", "feature", rows),
        (code, "Encoded", "unit", result.code),
        (lower, "Decoded", "feature", result.reconstruction),
    ]
    for axes, title, name, points in panels:
        title = f"{title} data, {points.shape[1]}-D"
        _prepare_axes(axes, title, f"{name} 1", f"{name} 2")
        _scatter(axes, points[:, :2], labels)
    if y is not None:
        upper.legend(title="label", frameon=False, markerscale=2)
    _draw_cost(cost, result)
    return figure


def _prepare_axes(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_box_aspect(1)
    axes.spines[:].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _scatter(axes: Axes, points: NDArray[Any], labels: NDArray[Any]) -> None:
    for kind, colour in zip(np.unique(labels), cycle(COLOURS), strict=False):
        first, second = points[labels == kind].T
        # As one picture: thousands of points as vectors make a slow SVG or PDF.
        axes.scatter(
            first,
            second,
            s=5.0,
            alpha=0.5,
            color=colour,
            linewidths=0,
            label=str(kind),
            rasterized=True,
        )


def _draw_cost(axes: Axes, result: Experiment) -> None:
    """Draw the curves on each other: a wide pale one below a thin dark one."""
    _prepare_axes(axes, "Cost", "epoch", "loss")
    loss, validation_loss = result.history["loss"], result.history["val_loss"]
    epochs = np.arange(1, len(loss) + 1)
    axes.plot(epochs, loss, PALE, linewidth=5, label="train")
    axes.plot(epochs, validation_loss, INK, label="validation")
    axes.axhline(result.pca_train_mse, color=COLOURS[4], linestyle="--", label="PCA")
    axes.set_xscale("log")  # most happens in the first epochs
    axes.set_yscale("log")
    axes.legend(frameon=False)
