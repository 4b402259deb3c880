"""How well the codes of several widths reconstruct rows, and hidden values."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tied_tables._layout import Layout
from tied_tables._types import Array
from tied_tables.fit.plan import Parameters, make_generator
from tied_tables.model.pca import fit_pca
from tied_tables.model.value import TableModel

MOST_COMPONENTS = 16  # that are compared
WIDTH_SAMPLE_ROWS = 10_000  # that they are compared on
MIN_WIDTH_ROWS = 10
TEST_SHARE = 0.3
HIDDEN_SHARE = 0.15  # of the columns of a row
REPEATS = 4  # how often others are hidden in each row
REFINEMENTS = 10  # after which reconstructions of hidden values hardly change
WIDTH_PATIENCE = 4
"""Numbers of components without a smaller error after which no more are compared."""


class Width(NamedTuple):
    """A code of one width: mean squared errors of standardised values.

    `hidden_error` is that of `TiedAutoencoder` at values that were hidden from it; NaN
    if none could be hidden, as of a single column.
    """

    n_components: int
    error: float  # of `TiedAutoencoder` on the held-out rows
    pca_error: float  # of PCA on the same rows
    hidden_error: float


def count_most_components(n_rows: int, n_features: int) -> int:
    """Return the most components that a table can compare: 3 of (20, 4)."""
    return min(n_rows - math.ceil(TEST_SHARE * n_rows), n_features - 1)


def resolve_width(
    parameters: Parameters,
    X: Array,
    layout: Layout,
    fit: Callable[[Parameters, Array], TableModel],
) -> Parameters:
    """The parameters of a fit to rows, `(n, d)`, with a number for "auto" components.

    With it, hidden values are reconstructed best. Their error is least where the code
    holds what the columns have in common, and rises where it holds the noise of single
    ones; see `comparison.compare_widths`. `fit` gives the model of a fit.
    """
    n, d = X.shape
    columns = layout.columns
    n_columns = columns.max() + 1
    if n < MIN_WIDTH_ROWS or n_columns < 2:
        raise ValueError(
            f'n_components="auto" needs at least {MIN_WIDTH_ROWS} rows and 2 columns;'
            f" X has {n} and {n_columns}: give a number."
        )
    state = copy.deepcopy(parameters.random_state)  # the fit uses the original
    _, seed = make_generator(state)
    settings = replace(parameters, random_state=seed, verbose=0)
    most = min(MOST_COMPONENTS, count_most_components(min(n, WIDTH_SAMPLE_ROWS), d))
    widths = range(1, most + 1)
    curve: list[Width] = []
    for width in measure_widths(settings, X, columns, widths, fit):
        curve.append(width)
        best = find_best_width(curve)
        if width.n_components - best >= WIDTH_PATIENCE:
            break
    return replace(parameters, n_components=best)


def find_best_width(curve: Sequence[Width]) -> int:
    """The first number of components with the least error of hidden values."""
    return min(curve, key=lambda width: width.hidden_error).n_components


def measure_widths(
    parameters: Parameters,
    X: Array,
    columns: Array,
    widths: Iterable[int],
    fit: Callable[[Parameters, Array], TableModel],
) -> Iterator[Width]:
    """Yield the errors of each width, on rows held out of `X`, `(n, d)`.

    At most 10,000 rows are drawn. `columns`, `(d,)`, are numbers of what is hidden
    together, and `fit` gives the model of a fit.
    """
    from sklearn.model_selection import train_test_split  # which take long to import
    from sklearn.preprocessing import StandardScaler

    seed = parameters.random_state
    n = min(len(X), WIDTH_SAMPLE_ROWS)
    n_test = math.ceil(TEST_SHARE * n)
    train, test = train_test_split(
        X, train_size=n - n_test, test_size=n_test, random_state=seed
    )
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
        # A column may be missing altogether.
        scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    principal = fit_pca(np.nan_to_num(train))  # the means are 0
    complete = np.nan_to_num(test)
    for width in widths:
        with warnings.catch_warnings(action="ignore"):
            # Of columns without values in the training part.
            model = fit(replace(parameters, n_components=width), train)
        if model.training.interrupted:
            raise KeyboardInterrupt
        reconstruct = model.reconstruct
        pca_rows = principal.truncate(width).reconstruct(complete)
        yield Width(
            width,
            _mean_square(reconstruct(test) - test),
            _mean_square(pca_rows - test),
            measure_hidden(reconstruct, test, columns, seed),
        )


def _mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))


def measure_hidden(
    reconstruct: Callable[[Array], Array],
    rows: Array,
    columns: Array,
    seed: int,
) -> float:
    """The mean squared error at values hidden from an autoencoder; NaN for none.

    The rows, `(n, d)`, have columns of mean 0, and `columns`, `(d,)`, are numbers of
    what is hidden together. One column of each row stays at least.
    """
    rows = np.tile(rows, (REPEATS, 1))
    shape = len(rows), columns.max() + 1
    chances = np.random.default_rng(seed).random(shape)  # (n, columns)
    largest = chances.max(axis=1, keepdims=True)
    is_chosen = chances < np.minimum(HIDDEN_SHARE, largest)
    hidden = is_chosen[:, columns] & ~np.isnan(rows)  # (n, d)
    imputed = np.where(hidden, rows.dtype.type(0), rows)
    for _ in range(REFINEMENTS):
        imputed = np.where(hidden, reconstruct(imputed), imputed)
    return _mean_square((imputed - rows)[hidden])
