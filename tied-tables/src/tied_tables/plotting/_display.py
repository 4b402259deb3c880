"""The article's figure: the input, the code, the reconstruction and the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from tied_tables._text import format_quantity, format_value
from tied_tables._types import Array
from tied_tables.drawing import (
    MOST_DRAWN_UNITS,
    Labels,
    average_errors,
    classify_labels,
    collect_history,
    fit_plane,
    pair_with_errors,
    palette,
)
from tied_tables.plotting._figure import (
    INK,
    MOST_POINTS,
    add_fallback_fonts,
    draw_key,
    label_axes,
    lay_out,
    remove_frame,
    scatter,
    scatter_pairs,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    History = Mapping[str, Sequence[float] | Array]

_LONGEST = 30  # characters of a label or of a feature's name
# Of a curve of the cost: its name, its colour and its width.
_CURVES = {
    "loss": ("train", "#9CCBE8", 5.0),
    "val_loss": ("validation", INK, 1.2),
}
_POWER_OF_TEN = 10  # an axis that reaches over one has such ticks to read


class AutoencoderDisplay:
    """The input, the code and the reconstruction of some rows, and the cost by epoch.

    Each pair of a code of three to six units is drawn, the first two units of a wider
    one, and a single unit against the error of the row. A single feature is drawn
    against the row number. Input and reconstruction have the same scale. Of more than
    20,000 rows so many are drawn, chosen at random, and the figure says so. The 20 most
    frequent labels differ in colour and marker; more than 10 different numbers are
    shades.

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
        >>> history = {"loss": [0.1, 0.01]}
        >>> display = AutoencoderDisplay(rows, rows, rows, history, y=["a", "b"])
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
        from sklearn.utils import check_array, check_consistent_length

        self.X, self.code, self.reconstruction = (
            check_array(table, dtype=None, ensure_all_finite=False)
            for table in (X, code, reconstruction)
        )
        self.y = None if y is None else np.asarray(y)
        check_consistent_length(X, code, reconstruction, self.y)
        self.history = dict(history or {})
        if errors is None:
            squares = np.square(self.X - self.reconstruction)
            errors = np.nan_to_num(average_errors(squares))
        self.errors = np.asarray(errors)
        self.pca_error = pca_error
        self.plane = plane
        if feature_names is None:
            feature_names = [f"feature {i + 1}" for i in range(self.X.shape[1])]
        self.feature_names = feature_names
        self.label_name = label_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, figure: Figure | None = None, **kwargs: Any
    ) -> Self:
        """Draw rows, their code and reconstruction, and the losses of an estimator.

        Args:
            estimator: A fitted `TiedAutoencoder`, or an object with its methods.
            X: (n, features) the rows: an array, or a data frame.
            figure: As for `plot`.
            **kwargs: The other arguments of `AutoencoderDisplay`.

        Examples:
            >>> from sklearn.datasets import load_iris
            >>> from tied_tables import TiedAutoencoder
            >>> X, y = load_iris(return_X_y=True)
            >>> autoencoder = TiedAutoencoder(random_state=0).fit(X)
            >>> display = AutoencoderDisplay.from_estimator(autoencoder, X, y=y)
            >>> [axes.get_title("left") for axes in display.axes_.flat]
            ['Incoming data, 4-D', 'Encoded data, 2-D', 'Decoded data, 4-D', 'Cost']
        """
        facts = {
            "history": collect_history(estimator),
            "errors": estimator.reconstruction_error(X),
            "feature_names": getattr(estimator, "feature_names_in_", None),
        }
        code, reconstruction = estimator.transform(X), estimator.reconstruct(X)
        return cls(X, code, reconstruction, **(facts | kwargs)).plot(figure)

    def plot(self, figure: Figure | None = None) -> Self:
        """Draw the four panels into an empty Matplotlib figure, or a new one.

        Raises:
            ImportError: If Matplotlib is not installed.
        """
        self.figure_ = lay_out(figure)
        self.axes_ = self.figure_.subplots(2, 2)
        for axes in self.axes_.flat:
            axes.set_box_aspect(1)
            remove_frame(axes)
        n = len(self.X)
        places = np.arange(n)
        if n > MOST_POINTS:  # in a random order, so that no label covers the others
            places = np.random.default_rng(0).permutation(n)[:MOST_POINTS]
            self.figure_.supxlabel(
                f"{MOST_POINTS:,} of {n:,} rows", fontsize=10, color=INK
            )
        labels = None
        if self.y is not None:
            labels = classify_labels(self.y[places], _LONGEST)
        self._draw_rows(labels, places)
        self._draw_code(labels, places)
        if labels is not None:
            title = format_value(self.label_name, _LONGEST)
            draw_key(self.figure_, self.axes_[0, 0], labels, title)
        self._draw_cost()
        add_fallback_fonts(self.figure_)
        return self

    def _draw_rows(self, labels: Labels | None, places: Array) -> None:
        """Draw input and reconstruction alike."""
        (upper, _), (lower, _) = self.axes_
        lower.sharex(upper)
        lower.sharey(upper)
        names = [format_value(name, _LONGEST) for name in self.feature_names]
        plane = fit_plane(self.X, names, self.plane == "principal")
        scatter(upper, plane.project(self.X)[places], labels)
        scatter(lower, plane.project(self.reconstruction)[places], labels)
        n_features = self.X.shape[1]
        label_axes(upper, f"Incoming data, {n_features}-D", *plane.names)
        label_axes(lower, f"Decoded data, {n_features}-D", *plane.names)

    def _draw_code(self, labels: Labels | None, places: Array) -> None:
        """Draw the code, of several units each pair."""
        axes, n_components = self.axes_[0, 1], self.code.shape[1]
        second = "unit 2" if n_components > 1 else "error"
        title = f"Encoded data, {n_components}-D"
        label_axes(axes, title, "unit 1", second)
        if 2 < n_components <= MOST_DRAWN_UNITS:
            scatter_pairs(axes, self.code[places], labels)
            return
        pair = pair_with_errors(self.code, self.errors)
        scatter(axes, pair[places, :2], labels)

    def _draw_cost(self) -> None:
        """Draw the curves on each other: wide pale ones below thin dark ones."""
        axes, pca_error = self.axes_[1, 1], self.pca_error
        label_axes(axes, "Cost", "epoch", "loss")
        costs = []
        for key, (label, colour, width) in _CURVES.items():
            curve = np.asarray(self.history.get(key, ()))
            if not np.isfinite(curve).any():
                continue
            dot = "o" if len(curve) == 1 else ""
            epochs = np.arange(1, len(curve) + 1)
            axes.plot(
                epochs, curve, label=label, color=colour, linewidth=width, marker=dot
            )
            costs.append(curve)
            # Most happens in the first epochs.
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
        if not costs:
            axes.set_xticks([])
            place = axes.transAxes
            axes.text(0.5, 0.3, "not trained", transform=place, ha="center", color=INK)
        if pca_error is not None:
            label = f"PCA, {format_quantity(self.code.shape[1], 'component')}"
            axes.axhline(
                pca_error,
                label=label,
                linewidth=1.5,
                color=palette(5)[4],
                linestyle=(0, (5, 3)),
            )
            costs.append(np.array([pca_error]))
        if not costs:
            axes.set_yticks([])
            return
        axes.legend(fontsize=10, frameon=False)
        if (np.concatenate(costs) > 0).any():
            axes.set_yscale("log", nonpositive="mask")
        for axis, (low, high) in (
            (axes.xaxis, axes.get_xlim()),
            (axes.yaxis, axes.get_ylim()),
        ):
            if high < _POWER_OF_TEN * low:
                axis.set_minor_formatter("{x:g}")
