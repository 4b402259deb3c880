"""How well a tied autoencoder, PCA and other installed methods reconstruct a table."""

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from operator import truediv
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from keras_tied._interrupts import interrupts
from keras_tied._types import Array
from keras_tied.estimator import TiedAutoencoder, internal

TEST_SHARE = 0.3
FEWEST_ROWS = 10  # rows that a comparison needs
NEGLIGIBLE_ERROR = 1e-10  # a smaller error is one of rounding, and nothing to divide by
UNITS, MOST_UNITS = 64, 512  # of the hidden layers of other autoencoders
MOST_FOR_UMAP = 3  # components

Reconstruct = Callable[[Array, Array], Array]  # learns from some rows, and reconstructs others


class MethodResult(NamedTuple):
    """One method of a comparison; of several seeds, its numbers are means.

    `error` is the mean squared error of the standardised held-out values, where 1 is the error of
    their mean; NaN if the method failed.
    """

    name: str
    error: float
    relative: float  # the error divided by PCA's; NaN if there is none, or PCA's is 0
    seconds: float  # of fitting and of reconstructing the held-out rows, without imports
    reason: str = ""  # why it failed, in a few words
    errors: tuple[float, ...] = ()  # (n_seeds,) the error with each seed
    relatives: tuple[float, ...] = ()  # (n_seeds,) each of these divided by PCA's on the same rows


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
    """
    seeds = _list_seeds(random_state, n_seeds)
    splits = [_split_rows(X, n_components, seed) for seed in seeds]
    methods = [_list_methods(n_components, seed) for seed in seeds]
    for name, transformer in (others or {}).items():
        for of_seed in methods:
            of_seed[name] = partial(partial, _transform_back, transformer)
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
    divisors = [error if error > NEGLIGIBLE_ERROR else math.nan for error in pca_errors]
    for i, result in enumerate(results):
        relatives = tuple(map(truediv, result.errors, divisors))
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
    return _mean_square(reconstruction - test), seconds, ""


class Width(NamedTuple):
    """A code of one width: mean squared errors of standardised values, of several seeds the mean.

    `hidden_error` is that of `TiedAutoencoder` at values that were hidden from it; NaN if none
    could be hidden, as of a single column.
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
    seeds = _list_seeds(random_state, n_seeds)
    _split_rows(X, min(widths), random_state)  # raises for one that is too small
    splits = [_split_rows(X, max(widths), seed) for seed in seeds]
    columns = _check_columns(column_of, splits[0][0].shape[1])
    curve = []
    for n_components in widths:
        if on_width is not None:
            on_width(n_components)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns without values in the training part
            pairs = zip(seeds, splits, strict=True)
            runs = [_measure_width(n_components, seed, *split, columns) for seed, split in pairs]
        errors, pca_errors, hidden_errors = zip(*runs, strict=True)
        error, pca_error, hidden_error = map(fmean, (errors, pca_errors, hidden_errors))
        curve.append(Width(n_components, error, pca_error, hidden_error, errors, pca_errors))
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
            "numbers of components are compared by hidden values, which are reconstructed from "
            "other columns, and no value could be hidden: there is one column, or too few values; "
            "give one number of components."
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
    by_pca = _transform_back(PCA(n_components, random_state=seed), train, test)
    hidden_error = internal.measure_hidden(autoencoder.reconstruct, test, columns, seed)
    error = _mean_square(autoencoder.reconstruct(test) - test)
    return error, _mean_square(by_pca - test), hidden_error


def _list_seeds(random_state: int, n_seeds: int) -> range:
    if n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds} must be at least 1.")
    return range(random_state, random_state + n_seeds)


def count_most_components(n_rows: int, n_features: int) -> int:
    """Return the most components that can be compared on a table of this shape: 3 for (20, 4)."""
    return min(n_rows - math.ceil(TEST_SHARE * n_rows), n_features - 1)


def _split_rows(X: ArrayLike, n_components: int, random_state: int) -> tuple[Array, Array]:
    """Return the rows to learn from and the held-out rows, standardised."""
    limits = {"ensure_min_samples": FEWEST_ROWS, "ensure_min_features": 2, "input_name": "X"}
    dtypes = [np.float64, np.float32]
    rows = check_array(X, dtype=dtypes, ensure_all_finite="allow-nan", **limits)
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=random_state)
    most = count_most_components(*rows.shape)
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between 1 and {most}, for {train.shape[1]} "
            f"features and {len(train)} rows to learn from."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column may be missing altogether
        scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def _mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))


def _list_methods(n_components: int, seed: int) -> dict[str, Callable[[], Reconstruct]]:
    """Return the installed methods; each is imported when it is called."""
    methods: dict[str, Callable[[], Reconstruct]] = {
        "tied autoencoder": lambda: partial(_reconstruct_tied, n_components, seed),
        "PCA": lambda: partial(_transform_back, PCA(n_components, random_state=seed)),
        "MLPRegressor": lambda: partial(_reconstruct_mlp, n_components, seed),
    }
    if find_spec("umap") is not None:
        methods["UMAP"] = lambda: _make_umap(n_components, seed)
    if find_spec("pyod") is not None:
        methods["PyOD AutoEncoder"] = lambda: _make_pyod(n_components, seed)
    return methods


def _transform_back(transformer: Any, train: Array, test: Array) -> Array:
    """Reconstruct rows by a scikit-learn transformer, which is cloned."""
    if not hasattr(transformer, "inverse_transform"):
        raise TypeError("it has no inverse_transform, which would reconstruct rows")
    model = clone(transformer).fit(_impute_means(train))
    return np.asarray(model.inverse_transform(model.transform(_impute_means(test))))


def _fit_autoencoder(n_components: int, seed: int, train: Array) -> TiedAutoencoder:
    estimator = TiedAutoencoder(n_components, random_state=seed)
    with interrupts() as is_interrupted:
        estimator.fit(train)
    if is_interrupted():
        raise KeyboardInterrupt
    return estimator


def _reconstruct_tied(n_components: int, seed: int, train: Array, test: Array) -> Array:
    return np.asarray(_fit_autoencoder(n_components, seed, train).reconstruct(test))


def _reconstruct_mlp(n_components: int, seed: int, train: Array, test: Array) -> Array:
    units = min(max(UNITS, 2 * train.shape[1]), MOST_UNITS)
    settings = {"activation": "tanh", "early_stopping": True, "random_state": seed}
    network = MLPRegressor(hidden_layer_sizes=(units, n_components, units), **settings)
    rows = _impute_means(train)
    return np.asarray(network.fit(rows, rows).predict(_impute_means(test)))


def _make_umap(n_components: int, seed: int) -> Reconstruct:
    if n_components > MOST_FOR_UMAP:
        raise ValueError(
            f"its inverse_transform triangulates the codes, for at most {MOST_FOR_UMAP} components"
        )
    from umap import UMAP

    return partial(_transform_back, UMAP(n_components=n_components, random_state=seed, n_jobs=1))


def _make_pyod(n_components: int, seed: int) -> Reconstruct:
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    def reconstruct(train: Array, test: Array) -> Array:
        settings = {"preprocessing": False, "random_state": seed, "verbose": 0}
        detector = AutoEncoder(hidden_neuron_list=[UNITS, n_components], **settings)
        detector.fit(_impute_means(train).astype(np.float32))
        detector.model.eval()
        rows = torch.as_tensor(_impute_means(test).astype(np.float32), device=detector.device)
        with torch.no_grad():
            return np.asarray(detector.model(rows).cpu().numpy())

    return reconstruct


def _impute_means(rows: Array) -> Array:
    """Replace missing values by the mean, which is 0 here."""
    return np.nan_to_num(rows, nan=0.0)
