"""How well a tied autoencoder and PCA reconstruct a table, by the width of the code."""

import math
import warnings
from collections.abc import Callable, Sequence
from statistics import fmean
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
    """A code of one width: mean squared errors of standardised values, of several seeds the mean.

    `hidden_error` is that of `TiedAutoencoder` at values that were hidden from it; NaN
    if none could be hidden, as of a single column.
    """

    n_components: int
    error: float  # of `TiedAutoencoder` on the held-out rows
    pca_error: float  # of PCA on the same rows
    hidden_error: float
    errors: tuple[float, ...] = ()  # (n_seeds,) the error with each seed
    pca_errors: tuple[float, ...] = ()  # (n_seeds,) that of PCA


def compare_widths(
    X: ArrayLike,
    widths: Sequence[int],
    *,
    column_of: ArrayLike | None = None,
    random_state: int = 0,
    n_seeds: int = 1,
    on_width: Callable[[int], object] | None = None,
) -> list[Width]:
    """Measure the error of `TiedAutoencoder` and of PCA on held-out rows, by the width of the code.

    The model learns from 70 % of the rows and reconstructs the others, once with each
    seed; their columns are standardised by the mean and the variance of the former.
    Missing values (NaN) do not count in the error, which falls with each component
    more, down to 0.

    The error of values that are hidden, and reconstructed from the others of their
    rows, is least where the code holds what the columns have in common, and rises where
    it holds the noise of single ones: `choose_width` gives that width (Wold,
    "Cross-validatory estimation of the number
    of components in factor and principal components models", Technometrics 20, 1978;
    Owen and Perry, "Bi-cross-validation of the SVD and the nonnegative matrix
    factorization", Annals of Applied Statistics 3, 2009).

    Args:
        X: (n, features) the rows, at least 10; numbers, with NaN where one is missing.
        widths: numbers of components.
        column_of: (features,) the column that each feature belongs to, as the levels of
            a category do; the features of one are hidden together. Defaults to a column
            for each.
        random_state: seed of the split and of the fits. Defaults to 0.
        n_seeds: the number of repetitions, with the seeds from `random_state` on.
            Defaults to 1.
        on_width: called with each width before its fit. Defaults to none.

    Raises:
        ValueError: for text, infinities, too few rows, or a width that is too large.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> X, _ = load_iris(return_X_y=True)
        >>> curve = compare_widths(X, [1, 2, 3])
        >>> [width.n_components for width in curve], curve[1].pca_error < curve[0].pca_error
        ([1, 2, 3], True)
        >>> choose_width(curve)
        2
    """
    if not len(widths):
        raise ValueError("widths is empty; give numbers of components.")
    seeds = _list_seeds(random_state, n_seeds)
    _split_rows(X, min(widths), random_state)  # raises for one that is too small
    splits = [_split_rows(X, max(widths), seed) for seed in seeds]
    columns = _check_columns(column_of, splits[0][0].shape[1])
    curve = []
    for n_components in widths:
        if on_width is not None:
            on_width(n_components)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of columns without values in the training part
            pairs = zip(seeds, splits, strict=True)
            runs = [
                _measure_width(n_components, seed, *split, columns)
                for seed, split in pairs
            ]
        errors, pca_errors, hidden_errors = zip(*runs, strict=True)
        error, pca_error, hidden_error = map(fmean, (errors, pca_errors, hidden_errors))
        curve.append(
            Width(n_components, error, pca_error, hidden_error, errors, pca_errors)
        )
    return curve


def choose_width(curve: Sequence[Width]) -> int:
    """Return the number of components of `compare_widths` that reconstructs hidden values best.

    Raises:
        ValueError: if no value could be hidden.

    Examples:
        >>> choose_width([Width(1, 0.5, 0.6, 0.7), Width(2, 0.2, 0.3, 0.5), Width(3, 0, 0, 0.8)])
        2
    """
    if any(math.isnan(width.hidden_error) for width in curve):
        raise ValueError(
            "numbers of components are compared by hidden values, which are"
            " reconstructed from other columns, and no value could be hidden: there is"
            " one column, or too few values; give one number of components."
        )
    return min(curve, key=lambda width: width.hidden_error).n_components


def _check_columns(column_of: ArrayLike | None, n_features: int) -> Array:
    """Return the place of the column of each feature, among all columns."""
    columns = np.arange(n_features) if column_of is None else np.asarray(column_of)
    if columns.shape != (n_features,):
        problem = f"column_of has the shape {columns.shape}"
        raise ValueError(f"{problem}; give a column for each feature, {n_features}.")
    return np.asarray(np.unique(columns, return_inverse=True)[1])


def _measure_width(
    n_components: int, seed: int, train: Array, test: Array, columns: Array
) -> tuple[float, float, float]:
    """Return the error of an autoencoder, of PCA, and of the former at hidden values."""
    autoencoder = _fit_autoencoder(n_components, seed, train)
    train, complete = np.nan_to_num(train), np.nan_to_num(test)  # the means are 0
    pca = PCA(n_components, random_state=seed).fit(train)
    by_pca = pca.inverse_transform(pca.transform(complete))
    hidden_error = measure_hidden(autoencoder.reconstruct, test, columns, seed)
    error = _mean_square(autoencoder.reconstruct(test) - test)
    return error, _mean_square(by_pca - test), hidden_error


def _list_seeds(random_state: int, n_seeds: int) -> range:
    if n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds} must be at least 1.")
    return range(random_state, random_state + n_seeds)


def count_most_components(n_rows: int, n_features: int) -> int:
    """Return the most components that can be compared on a table of this shape: 3 for (20, 4)."""
    return min(n_rows - math.ceil(TEST_SHARE * n_rows), n_features - 1)


def _split_rows(
    X: ArrayLike, n_components: int, random_state: int
) -> tuple[Array, Array]:
    """Return the rows to learn from and the held-out rows, standardised."""
    limits = {
        "ensure_min_samples": FEWEST_ROWS,
        "ensure_min_features": 2,
        "input_name": "X",
    }
    dtypes = [np.float64, np.float32]
    rows = check_array(X, dtype=dtypes, ensure_all_finite="allow-nan", **limits)
    train, test = train_test_split(
        rows, test_size=TEST_SHARE, random_state=random_state
    )
    most = count_most_components(*rows.shape)
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between 1 and {most}, for"
            f" {train.shape[1]} features and {len(train)} rows to learn from."
        )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a column may be missing altogether
        scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def _mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))


def _fit_autoencoder(n_components: int, seed: int, train: Array) -> TiedAutoencoder:
    estimator = TiedAutoencoder(n_components, random_state=seed)
    with interrupts() as is_interrupted:
        estimator.fit(train)
    if is_interrupted():
        raise KeyboardInterrupt
    return estimator
