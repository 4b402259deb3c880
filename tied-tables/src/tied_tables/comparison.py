"""How well a tied autoencoder and PCA reconstruct a table, by the width of the code."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from tied_tables._types import Array
from tied_tables.fit.fit import fit
from tied_tables.fit.plan import Parameters
from tied_tables.fit.width import (
    MIN_WIDTH_ROWS,
    Width,
    count_most_components,
    find_best_width,
    measure_widths,
)
from tied_tables.model.imputation import fill_masked


def compare_widths(
    X: ArrayLike,
    widths: Sequence[int],
    *,
    column_of: ArrayLike | None = None,
    random_state: int = 0,
    on_width: Callable[[int], object] | None = None,
) -> list[Width]:
    """Measure the error of `TiedAutoencoder` and of PCA by the width of the code.

    The model learns from 70 % of the rows, of at most 10,000 that are drawn, and
    reconstructs the others; their columns are standardised by the mean and the variance
    of the former. Missing values (NaN) do not count in the error, which falls with each
    component more, down to 0.

    The error of values that are hidden, and reconstructed from the others of their
    rows, is least where the code holds what the columns have in common, and rises where
    it holds the noise of single ones: `choose_width` gives that width (Wold,
    "Cross-validatory estimation of the number of components in factor and principal
    components models", Technometrics 20, 1978; Owen and Perry, "Bi-cross-validation of
    the SVD and the nonnegative matrix factorization", Annals of Applied Statistics 3,
    2009).

    Args:
        X: (n, features) the rows, at least 10; numbers, with NaN where one is missing.
        widths: numbers of components.
        column_of: (features,) the column that each feature belongs to, as the levels of
            a category do; the features of one are hidden together. Defaults to a column
            for each.
        random_state: seed of the split and of the fits. Defaults to 0.
        on_width: called with each width before its fit. Defaults to none.

    Raises:
        ValueError: for text, infinities, too few rows, or a width that is too large.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X, _ = load_iris(return_X_y=True)
        >>> curve = compare_widths(X, [1, 2, 3])
        >>> [width.n_components for width in curve]
        [1, 2, 3]
        >>> curve[1].pca_error < curve[0].pca_error
        True
        >>> choose_width(curve)
        2
    """
    rows = _check_rows(X)
    _check_widths(widths, rows)
    columns = _check_columns(column_of, rows.shape[1])
    parameters = Parameters(random_state=random_state)

    def report(width: int) -> int:
        if on_width is not None:
            on_width(width)
        return width

    reported = map(report, widths)
    return list(measure_widths(parameters, rows, columns, reported, fit))


def choose_width(curve: Sequence[Width]) -> int:
    """Return the number of components that reconstructs hidden values best.

    Raises:
        ValueError: if no value could be hidden.

    Examples:
        >>> errors = [(1, 0.5, 0.6, 0.7), (2, 0.2, 0.3, 0.5), (3, 0, 0, 0.8)]
        >>> choose_width([Width(*width) for width in errors])
        2
    """
    if any(math.isnan(width.hidden_error) for width in curve):
        raise ValueError(
            "n_components cannot be chosen, as no value could be hidden: there is one"
            " column, or too few values; give one number of components."
        )
    return find_best_width(curve)


def _check_rows(X: ArrayLike) -> Array:
    """Return rows as an array of enough rows of floats, or raise `ValueError`."""
    rows: Array = check_array(
        fill_masked(X),
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        ensure_min_samples=MIN_WIDTH_ROWS,
        ensure_min_features=2,
        input_name="X",
    )
    return rows


def _check_widths(widths: Sequence[int], rows: Array) -> None:
    """Raise `ValueError` unless rows can be reduced to each of these widths."""
    if not len(widths):
        raise ValueError("widths is empty; give numbers of components.")
    most = count_most_components(*rows.shape)
    for n_components in (min(widths), max(widths)):
        if not 1 <= n_components <= most:
            raise ValueError(
                f"n_components={n_components} must be between 1 and {most}, for"
                f" {rows.shape[1]} features and {len(rows)} rows."
            )


def _check_columns(column_of: ArrayLike | None, n_features: int) -> Array:
    """Return the place of the column of each feature, among all columns."""
    columns = np.arange(n_features) if column_of is None else np.asarray(column_of)
    if columns.shape != (n_features,):
        problem = f"column_of has the shape {columns.shape}"
        raise ValueError(f"{problem}; give a column for each feature, {n_features}.")
    return np.asarray(np.unique(columns, return_inverse=True)[1])
