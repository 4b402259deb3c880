"""How well a tied autoencoder and PCA reconstruct a table, by the width of the code."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from keras_tied._interrupts import interrupts
from keras_tied._types import Array
from keras_tied.estimator import TiedAutoencoder
from keras_tied.fitting.width import measure_hidden

TEST_SHARE = 0.3
FEWEST_ROWS = 10  # rows that a comparison needs


class Width(NamedTuple):
    """A code of one width: mean squared errors of standardised values.

    `hidden_error` is that of `TiedAutoencoder` at values that were hidden from it; NaN
    if none could be hidden, as of a single column.
    """

    n_components: int
    error: float  # of `TiedAutoencoder` on the held-out rows
    pca_error: float  # of PCA on the same rows
    hidden_error: float


def compare_widths(
    X: ArrayLike,
    widths: Sequence[int],
    *,
    column_of: ArrayLike | None = None,
    random_state: int = 0,
    on_width: Callable[[int], object] | None = None,
) -> list[Width]:
    """Measure the error of `TiedAutoencoder` and of PCA by the width of the code.

    The model learns from 70 % of the rows and reconstructs the others; their columns
    are standardised by the mean and the variance of the former. Missing values (NaN) do
    not count in the error, which falls with each component more, down to 0.

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
    if not len(widths):
        raise ValueError("widths is empty; give numbers of components.")
    train, test = _split_rows(X, widths, random_state)
    columns = _check_columns(column_of, train.shape[1])
    curve = []
    for n_components in widths:
        if on_width is not None:
            on_width(n_components)
        with warnings.catch_warnings():
            # Of columns without values in the training part.
            warnings.simplefilter("ignore")
            width = _measure_width(n_components, random_state, train, test, columns)
        curve.append(width)
    return curve


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
            "numbers of components are compared by hidden values, which are"
            " reconstructed from other columns, and no value could be hidden: there is"
            " one column, or too few values; give one number of components."
        )
    return min(curve, key=lambda width: width.hidden_error).n_components


def count_most_components(n_rows: int, n_features: int) -> int:
    """Return the most components that a table can compare: 3 of (20, 4)."""
    return min(n_rows - math.ceil(TEST_SHARE * n_rows), n_features - 1)


def _check_columns(column_of: ArrayLike | None, n_features: int) -> Array:
    """Return the place of the column of each feature, among all columns."""
    columns = np.arange(n_features) if column_of is None else np.asarray(column_of)
    if columns.shape != (n_features,):
        problem = f"column_of has the shape {columns.shape}"
        raise ValueError(f"{problem}; give a column for each feature, {n_features}.")
    return np.asarray(np.unique(columns, return_inverse=True)[1])


def _split_rows(
    X: ArrayLike, widths: Sequence[int], random_state: int
) -> tuple[Array, Array]:
    """Return the rows to learn from and the held-out rows, standardised."""
    rows = check_array(
        X,
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        ensure_min_samples=FEWEST_ROWS,
        ensure_min_features=2,
        input_name="X",
    )
    train, test = train_test_split(
        rows, test_size=TEST_SHARE, random_state=random_state
    )
    most = count_most_components(*rows.shape)
    for n_components in (min(widths), max(widths)):
        if not 1 <= n_components <= most:
            raise ValueError(
                f"n_components={n_components} must be between 1 and {most}, for"
                f" {train.shape[1]} features and {len(train)} rows to learn from."
            )
    with warnings.catch_warnings():
        # A column may be missing altogether.
        warnings.simplefilter("ignore", RuntimeWarning)
        scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def _measure_width(
    n_components: int, seed: int, train: Array, test: Array, columns: Array
) -> Width:
    """Measure an autoencoder, PCA, and the former at hidden values."""
    autoencoder = TiedAutoencoder(n_components, random_state=seed)
    with interrupts() as is_interrupted:
        autoencoder.fit(train)
    if is_interrupted():  # which ends the fit, but is meant for the comparison
        raise KeyboardInterrupt
    train, complete = np.nan_to_num(train), np.nan_to_num(test)  # the means are 0
    pca = PCA(n_components, random_state=seed).fit(train)
    pca_rows = pca.inverse_transform(pca.transform(complete))
    return Width(
        n_components,
        _mean_square(autoencoder.reconstruct(test) - test),
        _mean_square(pca_rows - test),
        measure_hidden(autoencoder.reconstruct, test, columns, seed),
    )


def _mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))
