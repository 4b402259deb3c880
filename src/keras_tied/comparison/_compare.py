"""A comparison of several methods."""

import math
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_tied._types import Array
from keras_tied.comparison._held_out import NEGLIGIBLE_ERROR, list_seeds, mean_square, split_rows
from keras_tied.comparison._methods import Reconstruct, list_methods, transform_back


class MethodResult(NamedTuple):
    """One method of a comparison.

    Attributes:
        name: its name.
        error: the mean squared error of the standardised held-out values, where 1 is the error
            of their mean; NaN if the method failed. Of several seeds, this and all else is a mean.
        relative: the error divided by PCA's; NaN if there is none, or PCA's is 0.
        seconds: of fitting and of reconstructing the held-out rows, without imports.
        reason: why it failed, in a few words, or an empty text.
        errors: (n_seeds,) the error with each seed.
        relatives: (n_seeds,) the error with each seed, divided by PCA's on the same rows.
    """

    name: str
    error: float
    relative: float
    seconds: float
    reason: str = ""
    errors: tuple[float, ...] = ()
    relatives: tuple[float, ...] = ()


def compare(
    X: ArrayLike,
    n_components: int = 2,
    *,
    others: Mapping[str, Any] | None = None,
    random_state: int = 0,
    n_seeds: int = 1,
    on_method: Callable[[str], object] | None = None,
) -> list[MethodResult]:
    """Let several methods reconstruct held-out rows; return `TiedAutoencoder` first, PCA second.

    All learn from the same 70 % of the rows and reconstruct the same 30 %; their columns are
    standardised by the mean and the variance of the former. Missing values (NaN) do not count in
    the error; methods that cannot take them see the mean of the column.

    Compared are `TiedAutoencoder`, PCA and scikit-learn's `MLPRegressor`, as an autoencoder with
    one hidden layer on either side of its code and early stopping; also, where they are installed,
    UMAP (McInnes et al., 2018) and PyOD's `AutoEncoder` (Zhao et al., 2019). All have their default
    settings but for the number of components. One that fails gives the reason. Each seed repeats
    the split and the fits.

    Args:
        X: (n, features) the rows, at least 10; numbers, with NaN where one is missing.
        n_components: the number of components of the code, less than the number of features and at
            most the number of rows to learn from. Defaults to 2.
        others: scikit-learn transformers to compare too, by name, which are cloned; they have an
            `inverse_transform` and their own number of components. Defaults to none.
        random_state: seed of the split and of the methods. Defaults to 0.
        n_seeds: the number of repetitions, with the seeds from `random_state` on. Defaults to 1.
        on_method: called with the name of each method before it begins. Defaults to none.

    Raises:
        ValueError: for text, infinities, too few rows, or too many components.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import FastICA
        >>> X, _ = load_iris(return_X_y=True)
        >>> rows = compare(X, 1, others={"ICA": FastICA(1, random_state=0)})
        >>> [row.name for row in rows if row.name != "UMAP" and "PyOD" not in row.name]
        ['tied autoencoder', 'PCA', 'MLPRegressor', 'ICA']
        >>> rows[1].relative
        1.0
        >>> len(compare(X, 1, n_seeds=2)[0].errors)
        2
    """
    seeds = list_seeds(random_state, n_seeds)
    splits = [split_rows(X, n_components, seed) for seed in seeds]
    methods = [list_methods(n_components, seed) for seed in seeds]
    for of_seed in methods:
        of_seed |= {name: partial(partial, transform_back, t) for name, t in (others or {}).items()}
    results = []
    for name in methods[0]:
        if on_method is not None:
            on_method(name)
        makers = [of_seed[name] for of_seed in methods]
        runs = [_measure(make, *split) for make, split in zip(makers, splits, strict=True)]
        errors, seconds, reasons = zip(*runs, strict=True)
        reason = next(filter(None, reasons), "")
        results.append(MethodResult(name, fmean(errors), 0.0, fmean(seconds), reason, errors))
    [pca_errors] = (result.errors for result in results if result.name == "PCA")
    for i, result in enumerate(results):
        relatives = tuple(
            error / pca if pca > NEGLIGIBLE_ERROR else math.nan
            for error, pca in zip(result.errors, pca_errors, strict=True)
        )
        results[i] = result._replace(relative=fmean(relatives), relatives=relatives)
    return results


def _measure(
    make: Callable[[], Reconstruct], train: Array, test: Array
) -> tuple[float, float, str]:
    """Return the error and the seconds of a method, or NaN and why it failed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of others, on their own defaults
            reconstruct = make()
            start = time.perf_counter()
            reconstruction = reconstruct(train, test)
            seconds = time.perf_counter() - start
        if not np.isfinite(reconstruction).all():
            raise FloatingPointError("it gives numbers that are not finite")
    except Exception as error:  # other libraries raise errors of any type
        return math.nan, math.nan, " ".join(str(error).split()) or type(error).__name__
    return mean_square(reconstruction - test), seconds, ""
