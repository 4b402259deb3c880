"""The article's picture: what goes in, its code, what comes out, and how the cost fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
"""The endings of the files that the command writes figures to."""

# Okabe and Ito (2008), "Color Universal Design": told apart with any kind of colour vision.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
_INK, _FAINT = "#222222", "#DDDDDD"

_SIZE = (9.0, 8.8)

# The canvases of Matplotlib that only write files.
_WINDOWLESS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def new_figure() -> Figure:
    """Make a figure of the size that `four_panels` is laid out for, apart from pyplot.

    Raises:
        ImportError: If Matplotlib is not installed.

    Examples:
        >>> new_figure().axes
        []
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(dpi=160, figsize=_SIZE)


def new_window() -> Figure:
    """Make the same figure in a window, which ``matplotlib.pyplot.show()`` opens.

    Raises:
        ImportError: If Matplotlib, or what it draws windows with, is not installed.
        RuntimeError: If Matplotlib is set to a backend that has no windows, which it chooses by
            itself where there is no display.
    """
    _require_matplotlib()
    from matplotlib import pyplot

    if pyplot.get_backend().lower() in _WINDOWLESS:
        raise RuntimeError(
            f"Matplotlib's backend here is {pyplot.get_backend()!r}, which opens no window; save "
            "the figure to a file instead, or choose another backend with MPLBACKEND."
        )
    return pyplot.figure(figsize=_SIZE)


def four_panels(
    X: ArrayLike,
    code: ArrayLike,
    reconstruction: ArrayLike,
    history: Mapping[str, Sequence[float] | NDArray[Any]],
    *,
    y: ArrayLike | None = None,
    pca_mse: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw the data, its code, its reconstruction and the cost by epoch, as one figure.

    Of each array the first two columns are drawn; data and reconstruction on the same scale.

    Args:
        X: (n, features) the rows that went in, features ≥ 2.
        code: (n, components) their code, components ≥ 2.
        reconstruction: (n, features) what the decoder made of the code.
        history: ``{"loss": ..., "val_loss": ...}``, one cost per epoch each, as in
            ``keras.callbacks.History.history``; ``val_loss`` may be missing.
        y: (n,) labels to colour the rows by, or None.
        pca_mse: The error of a PCA of the same width, drawn as a line to compare with, or None.
        figure: An empty Matplotlib figure to draw into, or None for `new_figure`.

    Returns:
        The figure, to be saved with its own ``savefig``.

    Raises:
        ImportError: If Matplotlib is not installed.
        ValueError: If an array has fewer than two columns, or not one row per row of X, or y not
            one label per row.

    Examples:
        >>> rows = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> figure = four_panels(rows, rows, rows, {"loss": [0.1, 0.01]}, y=[0, 1])
        >>> [axes.get_title("left") for axes in figure.axes]
        ['Incoming data, 2-D', 'Encoded data, 2-D', 'Decoded data, 2-D', 'Cost']
    """
    incoming, encoded, decoded = (
        _drawable(table, name, len(np.asarray(X)))
        for name, table in (("X", X), ("code", code), ("reconstruction", reconstruction))
    )
    labels = np.zeros(len(incoming)) if y is None else np.asarray(y)
    if labels.shape != (len(incoming),):
        raise ValueError(f"y has the shape {labels.shape}; give one label per row of X.")

    figure = new_figure() if figure is None else figure
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
    for axes in figure.axes:
        _bare(axes)
    bottom_left.sharex(top_left)
    bottom_left.sharey(top_left)
    _scatter(top_left, incoming, labels, "Incoming data", "feature")
    _scatter(top_right, encoded, labels, "Encoded data", "unit")
    _scatter(bottom_left, decoded, labels, "Decoded data", "feature")
    if y is not None:
        _legend(top_left, labels)
    _cost(bottom_right, history, pca_mse, components=encoded.shape[1])
    return figure


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'figures need Matplotlib, which is not installed; run pip install "keras-tied[plot]".'
        ) from error


def _drawable(table: ArrayLike, name: str, n_rows: int) -> NDArray[Any]:
    values = np.asarray(table)
    if values.ndim != 2 or values.shape[1] < 2 or len(values) != n_rows:
        raise ValueError(
            f"{name} has the shape {values.shape}; give one row per row of X, and at least two "
            "columns to draw."
        )
    return values


def _bare(axes: Axes) -> None:
    """A square panel without a frame, so that the points are what is seen."""
    axes.set_box_aspect(1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(which="both", color=_FAINT, labelcolor=_INK, labelsize=10)
    axes.grid(color=_FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=_INK, pad=10)
    axes.set_xlabel(x, fontsize=11, color=_INK)
    axes.set_ylabel(y, fontsize=11, color=_INK)


def _palette(labels: NDArray[Any]) -> tuple[NDArray[Any], list[str], NDArray[np.intp]]:
    """The labels that occur, a colour for each, and the index of each row's."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    classes, index = np.unique(labels, return_inverse=True)
    if len(classes) <= len(_COLOURS):
        return classes, list(_COLOURS[: len(classes)]), index
    shades = colormaps["viridis"](np.linspace(0.0, 1.0, len(classes)))
    return classes, [to_hex(shade) for shade in shades], index


def _scatter(
    axes: Axes, table: NDArray[Any], labels: NDArray[Any], title: str, column: str
) -> None:
    _, colours, index = _palette(labels)
    # One picture of the points, because thousands of them as vectors make a slow SVG or PDF.
    axes.scatter(
        table[:, 0],
        table[:, 1],
        s=5,
        c=np.asarray(colours)[index],
        alpha=0.5,
        linewidths=0,
        rasterized=True,
    )
    _name(axes, f"{title}, {table.shape[1]}-D", f"{column} 1", f"{column} 2")


def _legend(axes: Axes, labels: NDArray[Any]) -> None:
    from matplotlib.lines import Line2D

    classes, colours, _ = _palette(labels)
    if len(classes) > len(_COLOURS):
        return
    axes.legend(
        handles=[
            Line2D([], [], linestyle="", marker="o", markersize=6, color=colour, label=f"{label}")
            for label, colour in zip(classes, colours, strict=True)
        ],
        title="label",
        loc="upper right",
        fontsize=10,
        framealpha=0.8,
        edgecolor="none",
        handletextpad=0.2,
    )


def _cost(
    axes: Axes,
    history: Mapping[str, Sequence[float] | NDArray[Any]],
    pca_mse: float | None,
    components: int,
) -> None:
    """The curves lie on each other: a wide pale one below, a thin dark one on top."""
    for key, label, colour, width in (
        ("loss", "train", "#9CCBE8", 5.0),
        ("val_loss", "validation", _INK, 1.2),
    ):
        if key in history:
            cost = np.asarray(history[key])
            epochs = np.arange(1, len(cost) + 1)
            marker = "o" if len(cost) == 1 else ""
            axes.plot(epochs, cost, color=colour, linewidth=width, marker=marker, label=label)
    if pca_mse is not None:
        axes.axhline(
            pca_mse,
            color=_COLOURS[4],
            linewidth=1.5,
            linestyle=(0, (5, 3)),
            label=f"PCA, {components} components",
        )
    # Most happens in the first epochs, so their axis is logarithmic as well.
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log", nonpositive="mask")
    axes.legend(loc="upper right", fontsize=10, frameon=False)
    _name(axes, "Cost", "epoch", "mean squared error")
