"""The number of components that reconstructs hidden values best."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.scaling import fit_scaling
from keras_tied.fitting.plan import Parameters, make_generator

MOST_COMPONENTS = 16  # that are compared
MOST_ROWS = 10_000  # that they are compared on
FEWEST_ROWS = 10
TEST_SHARE = 0.3
HIDDEN_SHARE = 0.15  # of the columns of a row
REPEATS = 4  # how often others are hidden in each row
ITERATIONS = 10  # after which reconstructions of hidden values hardly change
PATIENCE = 4
"""Numbers of components without a smaller error after which no more are compared."""


def resolve_width(
    parameters: Parameters,
    X: Array,
    layout: Layout | None,
    fit: Callable[[Parameters, Array], Any],
) -> Parameters:
    """The parameters of a fit to rows, `(n, d)`, with a number for "auto" components.

    With it, hidden values are reconstructed best. Their error is least where the code
    holds what the columns have in common, and rises where it holds the noise of single
    ones; see `comparison.compare_widths`. `fit` gives the outcome of a fit.
    """
    if parameters.encoder is not None or parameters.n_components != "auto":
        return parameters
    n, d = X.shape
    state = copy.deepcopy(parameters.random_state)  # the fit uses the original
    random, seed = make_generator(state)
    columns = (layout or Layout.of_numbers(d)).columns
    places = random.permutation(n)[:MOST_ROWS]
    n_test = int(np.ceil(TEST_SHARE * len(places)))
    most = min(MOST_COMPONENTS, len(places) - n_test, d - 1)
    n_columns = columns.max() + 1
    if n < FEWEST_ROWS or n_columns < 2:
        raise ValueError(
            f'n_components="auto" compares what is hidden in rows, of {FEWEST_ROWS}'
            f" rows and 2 columns at least, and X has {n} of {n_columns}: give a"
            " number."
        )
    train = X[places[n_test:]]
    test = X[places[:n_test]]
    scaling = fit_scaling(train, "standard", np.ones(len(train)))
    train = scaling.forward_in_double(train)
    test = scaling.forward_in_double(test)
    settings = replace(parameters, random_state=seed, verbose=0)
    best = 1
    least = np.inf
    for width in range(1, most + 1):
        outcome = fit(replace(settings, n_components=width), train)
        if outcome.interrupted:
            raise KeyboardInterrupt
        error = measure_hidden(outcome.fitted.reconstruct, test, columns, 0)
        if error < least:
            best = width
            least = error
        elif width - best >= PATIENCE:
            break
    return replace(parameters, n_components=best)


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
    for _ in range(ITERATIONS):
        imputed = np.where(hidden, reconstruct(imputed), imputed)
    errors = (imputed - rows)[hidden]
    if len(errors) == 0:
        return float("nan")
    return float(np.square(errors, dtype=np.float64).mean())
