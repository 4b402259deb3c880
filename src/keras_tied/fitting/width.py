"""The number of components that reconstructs hidden values best."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.scaling import fit_scaling
from keras_tied.fitting.fit import fit, make_generator
from keras_tied.fitting.plan import Parameters

MOST_COMPONENTS = 16  # that are compared
MOST_ROWS = 10_000  # that they are compared on
FEWEST_ROWS = 10
TEST_SHARE = 0.3
HIDDEN_SHARE, REPEATS = (
    0.15,
    4,
)  # of the columns of a row, and how often in others of each row
ITERATIONS = 10  # after which reconstructions of hidden values hardly change
PATIENCE = (
    4  # numbers of components without a smaller error after which no more are compared
)


def resolve_width(
    parameters: Parameters, X: Array, layout: Layout | None
) -> Parameters:
    """The parameters of a fit to rows, `(n, d)`, with a number for `n_components="auto"`."""
    if parameters.encoder is not None or parameters.n_components != "auto":
        return parameters
    return replace(parameters, n_components=_choose_width(parameters, X, layout))


def _choose_width(parameters: Parameters, X: Array, layout: Layout | None) -> int:
    """The number of components with which hidden values are reconstructed best.

    The error is least where the code holds what the columns have in common, and
    rises where it holds the noise of single ones; see `comparison.compare_widths`.
    """
    (n, d), state = (
        X.shape,
        copy.deepcopy(parameters.random_state),
    )  # the fit uses the original
    random, seed = make_generator(state)
    columns = np.arange(d) if layout is None else layout.columns
    places = random.permutation(n)[:MOST_ROWS]
    n_test = int(np.ceil(TEST_SHARE * len(places)))
    most = min(MOST_COMPONENTS, len(places) - n_test, d - 1)
    if n < FEWEST_ROWS or columns.max() < 1:
        raise ValueError(
            f'n_components="auto" compares what is hidden in rows, of {FEWEST_ROWS}'
            f" rows and 2 columns at least, and X has {n} of {columns.max() + 1}: give"
            " a number."
        )
    train, test = X[places[n_test:]], X[places[:n_test]]
    scaling = fit_scaling(train, "standard", np.ones(len(train)))
    train, test = (scaling.forward_in_double(part) for part in (train, test))
    settings = replace(parameters, random_state=seed, verbose=0)
    best, least = 1, np.inf
    for width in range(1, most + 1):
        outcome = fit(replace(settings, n_components=width), train, np.ones(len(train)))
        if outcome.interrupted:
            raise KeyboardInterrupt
        error = measure_hidden(outcome.fitted.reconstruct, test, columns, 0)
        if error < least:
            best, least = width, error
        elif width - best >= PATIENCE:
            break
    return best


def measure_hidden(
    reconstruct: Callable[[Array], Array], rows: Array, columns: Array, seed: int
) -> float:
    """The mean squared error at values that are hidden from an autoencoder; NaN if none could be.

    The rows, `(n, d)`, have columns of mean 0, and `columns`, `(d,)`, are numbers of
    what is hidden together. One column of each row stays at least.
    """
    rows = np.tile(rows, (REPEATS, 1))
    chances = np.random.default_rng(seed).random((len(rows), columns.max() + 1))
    hidden = (chances < HIDDEN_SHARE) & (chances < chances.max(axis=1, keepdims=True))
    hidden = hidden[:, columns] & ~np.isnan(rows)
    imputed = np.where(hidden, rows.dtype.type(0), rows)
    for _ in range(ITERATIONS):
        imputed = np.where(hidden, reconstruct(imputed), imputed)
    squares = np.square((imputed - rows)[hidden], dtype=np.float64)
    return float(squares.mean()) if len(squares) else float("nan")
