"""A comparison of several widths of the code."""

import math
import warnings
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA

from keras_tied._types import Array
from keras_tied.comparison._held_out import list_seeds, mean_square, split_rows
from keras_tied.comparison._methods import fit_autoencoder, transform_back

HIDDEN_SHARE, REPEATS = 0.15, 4  # of the columns of a row, and how often in others of each row
ITERATIONS = 10  # after which reconstructions of hidden values hardly change


class Width(NamedTuple):
    """A code of one width.

    Attributes:
        n_components: its number of components.
        error: the mean squared error of the standardised held-out values of `TiedAutoencoder`. Of
            several seeds, the mean.
        pca_error: that of PCA.
        hidden_error: that of `TiedAutoencoder` at values that were hidden from it; NaN if none
            could be hidden, as of a single column.
        errors, pca_errors: (n_seeds,) the former two with each seed.
    """

    n_components: int
    error: float
    pca_error: float
    hidden_error: float
    errors: tuple[float, ...] = ()
    pca_errors: tuple[float, ...] = ()


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

    The rows are split and standardised as by `compare`, once with each seed for all widths. The
    error falls with each component more, down to 0. That of values which are hidden, and
    reconstructed from the others of their rows, is least where the code holds what the columns have
    in common, and rises where it holds the noise of single ones: `choose_width` gives that width
    (Wold, "Cross-validatory estimation of the number of components in factor and principal
    components models", Technometrics 20, 1978; Owen and Perry, "Bi-cross-validation of the SVD and
    the nonnegative matrix factorization", Annals of Applied Statistics 3, 2009).

    Args:
        X: (n, features) the rows, at least 10; numbers, with NaN where one is missing.
        widths: numbers of components.
        column_of: (features,) the column that each feature belongs to, as the levels of a category
            do; the features of one are hidden together. Defaults to a column for each.
        random_state: seed of the split and of the fits. Defaults to 0.
        n_seeds: the number of repetitions, with the seeds from `random_state` on. Defaults to 1.
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
    seeds = list_seeds(random_state, n_seeds)
    split_rows(X, min(widths), random_state)  # raises for one that is too small
    splits = [split_rows(X, max(widths), seed) for seed in seeds]
    columns = _check_columns(column_of, splits[0][0].shape[1])
    results = []
    for n_components in widths:
        if on_width is not None:
            on_width(n_components)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns without values in the training part
            runs = [
                _measure_width(n_components, seed, *split, columns)
                for seed, split in zip(seeds, splits, strict=True)
            ]
        errors, pca_errors, hidden_errors = zip(*runs, strict=True)
        error, pca_error, hidden_error = map(fmean, (errors, pca_errors, hidden_errors))
        results.append(Width(n_components, error, pca_error, hidden_error, errors, pca_errors))
    return results


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
            "numbers of components are compared by hidden values, which are reconstructed from "
            "other columns, and no value could be hidden: there is one column, or too few values; "
            "give one number of components."
        )
    return min(curve, key=lambda width: width.hidden_error).n_components


def _check_columns(column_of: ArrayLike | None, n_features: int) -> Array:
    """Return the place of the column of each feature, among all columns."""
    columns = np.arange(n_features) if column_of is None else np.asarray(column_of)
    if (shape := columns.shape) != (n_features,):
        raise ValueError(
            f"column_of has the shape {shape}; give a column for each feature, {n_features}."
        )
    places: Array = np.unique(columns, return_inverse=True)[1]
    return places


def _measure_width(
    n_components: int, seed: int, train: Array, test: Array, columns: Array
) -> tuple[float, float, float]:
    """Return the error of an autoencoder, of PCA, and of the former at hidden values."""
    autoencoder = fit_autoencoder(n_components, seed, train)
    by_pca = transform_back(PCA(n_components, random_state=seed), train, test)
    rows = np.tile(test, (REPEATS, 1))
    chances = np.random.default_rng(seed).random((len(rows), columns.max() + 1))
    # One column of each row stays at least.
    hidden = (chances < HIDDEN_SHARE) & (chances < chances.max(axis=1, keepdims=True))
    hidden = hidden[:, columns] & ~np.isnan(rows)
    imputed = np.where(hidden, 0.0, rows)
    for _ in range(ITERATIONS):
        imputed = np.where(hidden, autoencoder.reconstruct(imputed), imputed)
    error, pca_error = mean_square(autoencoder.reconstruct(test) - test), mean_square(by_pca - test)
    return error, pca_error, mean_square((imputed - rows)[hidden])
