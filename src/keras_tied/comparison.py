"""Compare how well a tied autoencoder, PCA and other installed methods reconstruct a table."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
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

from keras_tied._types import Array
from keras_tied.estimator import TiedAutoencoder
from keras_tied.training import interrupts

Reconstruct = Callable[[Array, Array], Array]
"""Learns from the first rows, and reconstructs the second."""

TEST_SHARE = 0.3
FEWEST_ROWS_TO_COMPARE = 10
HIDDEN_SHARE, REPEATS = 0.15, 4
"""Of the columns of a row, and how often in others of each row."""
ITERATIONS = 10
"""After which reconstructions of hidden values hardly change."""
NEGLIGIBLE_ERROR = 1e-10
"""A smaller error is one of rounding, and nothing to divide by."""
UNITS, MOST_UNITS = 64, 512
MOST_FOR_UMAP = 3


class Compared(NamedTuple):
    """One method of a comparison.

    Attributes:
        name: its name.
        error: the mean squared error of the standardised held-out values, where 1 is the error
            of their mean; NaN if the method failed. Of several seeds, the mean.
        relative: the error divided by PCA's; NaN if there is none, or PCA's is 0. Of several seeds,
            the mean of these ratios.
        seconds: of fitting and of reconstructing the held-out rows, without imports; NaN if the
            method failed. Of several seeds, the mean.
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
        >>> found = compare_widths(X, [1, 2, 3])
        >>> [width.n_components for width in found], found[1].pca_error < found[0].pca_error
        ([1, 2, 3], True)
        >>> choose_width(found)
        2
    """
    if not len(widths):
        raise ValueError("widths is empty; give numbers of components.")
    seeds = _list_seeds(random_state, n_seeds)
    _split(X, min(widths), random_state)  # raises for one that is too small
    splits = [_split(X, max(widths), seed) for seed in seeds]
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
    """Return the number of components that reconstructs hidden values best.

    Args:
        curve: what `compare_widths` has measured.

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
        raise ValueError(
            f"column_of has the shape {columns.shape}; give a column for each feature, "
            f"{n_features}."
        )
    places: Array = np.unique(columns, return_inverse=True)[1]
    return places


def _measure_width(
    n_components: int, seed: int, train: Array, test: Array, columns: Array
) -> tuple[float, float, float]:
    """Return the error of an autoencoder, of PCA, and of the former at hidden values."""
    autoencoder = _fit_autoencoder(n_components, seed, train)
    pca = _make_transformer(PCA(n_components, random_state=seed))()
    rows = np.tile(test, (REPEATS, 1))
    chances = np.random.default_rng(seed).random((len(rows), columns.max() + 1))
    # One column of each row stays at least.
    hidden = (chances < HIDDEN_SHARE) & (chances < chances.max(axis=1, keepdims=True))
    hidden = hidden[:, columns] & ~np.isnan(rows)
    imputed = _impute(autoencoder, rows, hidden)
    return (
        _mean_square(autoencoder.reconstruct(test) - test),
        _mean_square(pca(train, test) - test),
        _mean_square((imputed - rows)[hidden]),
    )


def _impute(autoencoder: TiedAutoencoder, rows: Array, hidden: Array) -> Array:
    """Replace hidden values by the mean, and again and again by their reconstruction."""
    rows = np.where(hidden, 0.0, rows)
    for _ in range(ITERATIONS):
        rows = np.where(hidden, autoencoder.reconstruct(rows), rows)
    return rows


def compare(
    X: ArrayLike,
    n_components: int = 2,
    *,
    others: Mapping[str, Any] | None = None,
    random_state: int = 0,
    n_seeds: int = 1,
    on_method: Callable[[str], object] | None = None,
) -> list[Compared]:
    """Let several methods reconstruct held-out rows, from codes of as many components.

    All learn from the same 70 % of the rows and reconstruct the same 30 %; their columns are
    standardised by the mean and the variance of the former. Missing values (NaN) do not count in
    the error; methods that cannot take them see the mean of the column.

    Compared are `TiedAutoencoder`, PCA and scikit-learn's `MLPRegressor`, as an autoencoder with
    one hidden layer on either side of its code and early stopping; also, where they are installed,
    UMAP (McInnes et al., 2018) and PyOD's `AutoEncoder` (Zhao et al., 2019). All have their default
    settings but for the number of components. The row of one that fails, or cannot reconstruct
    rows, gives the reason.

    With several seeds, each repeats the split and the fits: errors differ from one split to
    another, and those of two methods are best compared on the same.

    Args:
        X: (n, features) the rows, at least 10; numbers, with NaN where one is missing.
        n_components: the number of components of the code, less than the number of features and at
            most the number of rows to learn from. Defaults to 2.
        others: scikit-learn transformers to compare too, by name, which are cloned; they have an
            `inverse_transform` and their own number of components. Defaults to none.
        random_state: seed of the split and of the methods. Defaults to 0.
        n_seeds: the number of repetitions, with the seeds from `random_state` on. Defaults to 1.
        on_method: called with the name of each method before it begins. Defaults to none.

    Returns:
        A row for each method: `TiedAutoencoder` first, PCA second.

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
    seeds = _list_seeds(random_state, n_seeds)
    splits = [_split(X, n_components, seed) for seed in seeds]
    other_methods = {name: _make_transformer(other) for name, other in (others or {}).items()}
    methods = [_list_methods(n_components, seed) | other_methods for seed in seeds]
    results = []
    for name in methods[0]:
        if on_method is not None:
            on_method(name)
        results.append(_repeat(name, [method[name] for method in methods], splits))
    pca = next(result.errors for result in results if result.name == "PCA")
    return [_relate(row, pca) for row in results]


def _list_seeds(random_state: int, n_seeds: int) -> range:
    if n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds} must be at least 1.")
    return range(random_state, random_state + n_seeds)


def _split(X: ArrayLike, n_components: int, random_state: int) -> tuple[Array, Array]:
    """Return the rows to learn from and the held-out rows, standardised."""
    rows = check_array(
        X,
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        ensure_min_samples=FEWEST_ROWS_TO_COMPARE,
        ensure_min_features=2,
        input_name="X",
    )
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=random_state)
    most = min(len(train), train.shape[1] - 1)
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between 1 and {most}, for {train.shape[1]} "
            f"features and {len(train)} rows to learn from."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column may be missing altogether
        scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def _repeat(
    name: str,
    methods: Sequence[Callable[[], Reconstruct]],
    splits: Sequence[tuple[Array, Array]],
) -> Compared:
    """Measure a method with each seed, and return the means."""
    runs = [_measure(name, *run) for run in zip(methods, splits, strict=True)]
    errors = tuple(run.error for run in runs)
    return Compared(
        name,
        error=fmean(errors),
        relative=float("nan"),
        seconds=fmean(run.seconds for run in runs),
        reason=next((run.reason for run in runs if run.reason), ""),
        errors=errors,
    )


def _relate(row: Compared, pca_errors: Sequence[float]) -> Compared:
    relatives = tuple(map(_divide, row.errors, pca_errors))
    return row._replace(relative=fmean(relatives), relatives=relatives)


def _measure(name: str, method: Callable[[], Reconstruct], split: tuple[Array, Array]) -> Compared:
    nan = float("nan")
    train, test = split
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of others, on their own defaults
            reconstruct = method()
            start = time.perf_counter()
            reconstruction = reconstruct(train, test)
            seconds = time.perf_counter() - start
        if not np.isfinite(reconstruction).all():
            raise FloatingPointError("it gives numbers that are not finite")
    except Exception as error:  # other libraries raise errors of any type
        reason = " ".join(str(error).split()) or type(error).__name__
        return Compared(name, nan, nan, nan, reason)
    return Compared(name, _mean_square(reconstruction - test), nan, seconds)


def _mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))


def _divide(error: float, pca: float) -> float:
    return error / pca if pca > NEGLIGIBLE_ERROR else float("nan")


def _list_methods(n_components: int, seed: int) -> dict[str, Callable[[], Reconstruct]]:
    """Return the installed methods; each is imported when it is called."""
    methods: dict[str, Callable[[], Reconstruct]] = {
        "tied autoencoder": lambda: _make_autoencoder(n_components, seed),
        "PCA": _make_transformer(PCA(n_components, random_state=seed)),
        "MLPRegressor": lambda: _make_perceptron(n_components, seed),
    }
    if find_spec("umap"):
        methods["UMAP"] = lambda: _make_umap(n_components, seed)
    if find_spec("pyod"):
        methods["PyOD AutoEncoder"] = lambda: _make_pyod(n_components, seed)
    return methods


def _make_transformer(transformer: Any) -> Callable[[], Reconstruct]:
    def reconstruct(train: Array, test: Array) -> Array:
        if not hasattr(transformer, "inverse_transform"):
            raise TypeError("it has no inverse_transform, which would reconstruct rows")
        model = clone(transformer).fit(_impute_means(train))
        reconstruction: Array = model.inverse_transform(model.transform(_impute_means(test)))
        return reconstruction

    return lambda: reconstruct


def _make_autoencoder(n_components: int, seed: int) -> Reconstruct:
    def reconstruct(train: Array, test: Array) -> Array:
        estimator = _fit_autoencoder(n_components, seed, train)
        reconstruction: Array = np.asarray(estimator.reconstruct(test))
        return reconstruction

    return reconstruct


def _fit_autoencoder(n_components: int, seed: int, train: Array) -> TiedAutoencoder:
    estimator = TiedAutoencoder(n_components, random_state=seed)
    with interrupts() as is_interrupted:
        estimator.fit(train)
    if is_interrupted():
        raise KeyboardInterrupt
    return estimator


def _make_perceptron(n_components: int, seed: int) -> Reconstruct:
    def reconstruct(train: Array, test: Array) -> Array:
        units = min(max(UNITS, 2 * train.shape[1]), MOST_UNITS)
        network = MLPRegressor(
            hidden_layer_sizes=(units, n_components, units),
            activation="tanh",
            early_stopping=True,
            random_state=seed,
        )
        rows = _impute_means(train)
        reconstruction: Array = network.fit(rows, rows).predict(_impute_means(test))
        return reconstruction

    return reconstruct


def _make_umap(n_components: int, seed: int) -> Reconstruct:
    if n_components > MOST_FOR_UMAP:
        raise ValueError(
            f"its inverse_transform triangulates the codes, for at most {MOST_FOR_UMAP} components"
        )
    from umap import UMAP

    return _make_transformer(UMAP(n_components=n_components, random_state=seed, n_jobs=1))()


def _make_pyod(n_components: int, seed: int) -> Reconstruct:
    import torch
    from pyod.models.auto_encoder import AutoEncoder

    def reconstruct(train: Array, test: Array) -> Array:
        detector = AutoEncoder(
            hidden_neuron_list=[UNITS, n_components],
            preprocessing=False,
            random_state=seed,
            verbose=0,
        )
        detector.fit(_impute_means(train).astype(np.float32))
        detector.model.eval()
        rows = torch.as_tensor(_impute_means(test).astype(np.float32), device=detector.device)
        with torch.no_grad():
            reconstruction: Array = detector.model(rows).cpu().numpy()
        return reconstruction

    return reconstruct


def _impute_means(rows: Array) -> Array:
    """Replace missing values by the mean, which is 0 here."""
    return np.nan_to_num(rows, nan=0.0)
