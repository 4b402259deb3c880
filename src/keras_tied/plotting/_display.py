"""The article's figure: the input, the code, the reconstruction and the cost by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied import drawing
from keras_tied._text import format_quantity, format_value
from keras_tied._types import Array
from keras_tied.plotting import _figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    History = Mapping[str, Sequence[float] | NDArray[Any]]

_ROOM = 0.3  # of the cost's axis, for its legend
_LONGEST = 30  # characters of a label or of a feature's name


class AutoencoderDisplay:
    """The input, the code and the reconstruction of some rows, and the cost by epoch.

    Each pair of a code of three to six units is drawn, the first two units of a wider
    one, and a single unit against the error of the row. A single feature is drawn
    against the row number. Input and reconstruction have the same scale. More than
    10,000 rows are drawn as a density and a random sample of points; the figure says
    how many lie far outside of its panels. The 20 most frequent labels differ in colour
    and marker; more than 10 different numbers are shades.

    Args:
        X, reconstruction: (n, features) the rows before and after, with NaN where one
            is missing.
        code: (n, components) their code.
        history: ``{"loss": ..., "val_loss": ...}``, one cost per epoch each, as Keras
            gives it; either may be missing or empty. Defaults to none.
        y: (n,) labels, numbers or texts, None or NaN where one is missing. Defaults to
            none.
        errors: (n,) the error of each row. Defaults to the mean squared error of its
            features.
        pca_error: The error of a PCA with as many components, drawn as a line. Defaults
            to none.
        feature_names: A name for each feature. Defaults to "feature 1", ...
        label_name: The name of the labels. Defaults to "label".
        plane: ``"principal"``, the default, draws more than two features as the first
            two principal components of the standardised features, ``"features"`` as the
            first two.

    Attributes:
        figure_, axes_: The figure, after `plot`, and its (2, 2) axes.

    Raises:
        ValueError: If an array has not one row per row of X, or y not one label per
            row.

    Examples:
        >>> rows = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> display = AutoencoderDisplay(rows, rows, rows, {"loss": [0.1, 0.01]}, y=["a", "b"])
        >>> display.plot().axes_.shape
        (2, 2)
    """

    def __init__(
        self,
        X: ArrayLike,
        code: ArrayLike,
        reconstruction: ArrayLike,
        history: History | None = None,
        *,
        y: ArrayLike | None = None,
        errors: ArrayLike | None = None,
        pca_error: float | None = None,
        feature_names: Sequence[str] | None = None,
        label_name: str = "label",
        plane: Literal["principal", "features"] = "principal",
    ) -> None:
        n = len(np.asarray(X))
        self.X = _check_table(X, "X", n)
        self.code: Array = _check_table(code, "code", n)
        self.reconstruction: Array = _check_table(reconstruction, "reconstruction", n)
        self.history: History = {} if history is None else dict(history)
        self.y: Array | None = None if y is None else np.asarray(y)
        if self.y is not None and self.y.shape != (n,):
            raise ValueError(
                f"y has the shape {self.y.shape}; give one label per row of X."
            )
        if errors is None:
            squares = np.square(self.X - self.reconstruction)
            present = np.maximum((~np.isnan(squares)).sum(axis=1), 1)
            errors = np.nansum(squares, axis=1) / present
        self.errors: Array = np.asarray(errors)
        self.pca_error: float | None = pca_error
        self.plane = plane
        self.feature_names: Sequence[str] | None = feature_names
        self.label_name: str = label_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, figure: Figure | None = None, **kwargs: Any
    ) -> Self:
        """Draw some rows, their code and reconstruction by a fitted estimator, and its losses.

        Args:
            estimator: A fitted `TiedAutoencoder`, or an object with its methods.
            X: (n, features) the rows: an array, or a data frame.
            figure: As for `plot`.
            **kwargs: The other arguments of `AutoencoderDisplay`.

        Examples:
            >>> from sklearn.datasets import load_iris
            >>> from keras_tied import TiedAutoencoder
            >>> X, y = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(random_state=0).fit(X)
            >>> display = AutoencoderDisplay.from_estimator(autoencoder, X, y=y)
            >>> [axes.get_title("left") for axes in display.axes_.flat]
            ['Incoming data, 4-D', 'Encoded data, 2-D', 'Decoded data, 4-D', 'Cost']
        """
        kwargs.setdefault("history", drawing.collect_history(estimator))
        kwargs.setdefault("errors", estimator.reconstruction_error(X))
        kwargs.setdefault(
            "feature_names", getattr(estimator, "feature_names_in_", None)
        )
        return cls(X, estimator.transform(X), estimator.reconstruct(X), **kwargs).plot(
            figure
        )

    def plot(self, figure: Figure | None = None) -> Self:
        """Draw the four panels into an empty Matplotlib figure, or None for `new_figure`.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        self.figure_: Figure = _figure.lay_out(figure)
        self.axes_: Any = self.figure_.subplots(2, 2)
        (input_axes, code_axes), (reconstruction_axes, cost_axes) = self.axes_
        for axes in self.axes_.flat:
            axes.set_box_aspect(1)
            _figure.remove_frame(axes)
        reconstruction_axes.sharex(input_axes)
        reconstruction_axes.sharey(input_axes)
        labels = None if self.y is None else drawing.classify_labels(self.y, _LONGEST)
        n_features, n_components = self.X.shape[1], self.code.shape[1]
        names = self.feature_names
        if names is None:
            names = [f"feature {i + 1}" for i in range(n_features)]
        names = [format_value(name, _LONGEST) for name in names]
        plane = drawing.fit_plane(self.X, names, self.plane == "principal")
        rows, reconstructions = (
            plane.project(self.X),
            plane.project(self.reconstruction),
        )
        view = drawing.choose_view(np.concatenate([rows, reconstructions]))
        is_outside = _figure.scatter(input_axes, rows, labels, view)
        is_outside |= _figure.scatter(
            reconstruction_axes, reconstructions, labels, view
        )
        _figure.label_axes(input_axes, f"Incoming data, {n_features}-D", *plane.names)
        second = "unit 2" if n_components > 1 else "error"
        _figure.label_axes(
            code_axes, f"Encoded data, {n_components}-D", "unit 1", second
        )
        if 2 < n_components <= drawing.MOST_UNITS:
            is_outside |= _figure.scatter_pairs(code_axes, self.code, labels)
        else:
            pair = drawing.pair_with_errors(self.code, self.errors)
            is_outside |= _figure.scatter(code_axes, pair[:, :2], labels)
        _figure.label_axes(
            reconstruction_axes, f"Decoded data, {n_features}-D", *plane.names
        )
        if labels is not None:
            title = format_value(self.label_name, _LONGEST)
            _figure.draw_key(self.figure_, input_axes, labels, title)
        if len(self.X) > _figure.MOST_POINTS:
            n_points, n = drawing.DENSE_POINTS, len(self.X)
            note = f"{n_points:,} of {n:,} rows as points; grey: how many lie where"
            if is_outside.any():
                note += f"; {format_quantity(int(is_outside.sum()), 'row')} far outside"
            self.figure_.supxlabel(note, fontsize=10, color=_figure.INK)
        _draw_cost(cost_axes, self.history, self.pca_error, n_components)
        _figure.add_fallback_fonts(self.figure_)
        return self


def four_panels(
    X: ArrayLike,
    code: ArrayLike,
    reconstruction: ArrayLike,
    history: History,
    *,
    y: ArrayLike | None = None,
    pca_mse: float | None = None,
    figure: Figure | None = None,
) -> Figure:
    """Draw an `AutoencoderDisplay` of the first two columns of the rows; return its figure.

    The arguments are those of `AutoencoderDisplay` and `plot`; `pca_mse` is its
    `pca_error`.

    Examples:
        >>> rows = np.array([[0.0, 1.0], [1.0, 0.0]])
        >>> figure = four_panels(rows, rows, rows, {"loss": [0.1, 0.01]}, y=[0, 1])
        >>> [axes.get_title("left") for axes in figure.axes]
        ['Incoming data, 2-D', 'Encoded data, 2-D', 'Decoded data, 2-D', 'Cost']
    """
    looks: dict[str, Any] = {"y": y, "pca_error": pca_mse, "plane": "features"}
    return (
        AutoencoderDisplay(X, code, reconstruction, history, **looks)
        .plot(figure)
        .figure_
    )


def _check_table(table: ArrayLike, name: str, n_rows: int) -> NDArray[Any]:
    values = np.asarray(table)
    if values.ndim != 2 or values.shape[1] < 1 or len(values) != n_rows:
        raise ValueError(
            f"{name} has the shape {values.shape}; give one row per row of X, and at"
            " least one column to draw."
        )
    return values


def _draw_cost(
    axes: Axes, history: History, pca_error: float | None, n_components: int
) -> None:
    """Draw the curves on each other: a wide pale one below, a thin dark one on top."""
    _figure.label_axes(axes, "Cost", "epoch", "loss")
    curves = {
        key: np.asarray(cost)
        for key, cost in history.items()
        if np.isfinite(cost).any()
    }
    costs = np.concatenate([*curves.values(), [] if pca_error is None else [pca_error]])
    looks = {
        "loss": ("train", "#9CCBE8", 5.0),
        "val_loss": ("validation", _figure.INK, 1.2),
    }
    for key, (label, colour, width) in looks.items():
        if key in curves:
            epochs = np.arange(1, len(curves[key]) + 1)
            dot = "o" * (len(epochs) == 1)
            axes.plot(
                epochs,
                curves[key],
                label=label,
                color=colour,
                linewidth=width,
                marker=dot,
            )
    if not curves:
        axes.set_xticks([])
        if pca_error is None:
            axes.set_yticks([])
        axes.text(
            0.5,
            0.3,
            "not trained",
            transform=axes.transAxes,
            ha="center",
            color=_figure.INK,
        )
    if pca_error is not None:
        label = f"PCA, {format_quantity(n_components, 'component')}"
        colour = drawing.palette(5)[4]
        axes.axhline(
            pca_error, label=label, color=colour, linewidth=1.5, linestyle=(0, (5, 3))
        )
    if curves:
        # Most happens in the first epochs, so their axis is logarithmic as well.
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        n_epochs = max(map(len, curves.values()))
        if n_epochs < 10:  # else there are powers of ten to read
            axes.set_xticks(range(1, n_epochs + 1))
            axes.set_xticks([], minor=True)
    if costs.size:
        axes.legend(loc="upper right", fontsize=10, frameon=False)
    if (costs > 0).any():
        axes.set_yscale("log", nonpositive="mask")
        low, high = axes.get_ylim()
        axes.set_ylim(
            low, high * (high / low) ** _ROOM
        )  # for the legend, above all curves
        if high < 10 * low:  # else there are powers of ten to read
            axes.yaxis.set_minor_formatter("{x:g}")
