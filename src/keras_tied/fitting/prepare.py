"""Rows are put in order, trimmed, scaled and filled in, once."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.fences import fit_ends, fit_fences, keep_all
from keras_tied.fitted.gaussian import fit_gaussian
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.moments import Moments
from keras_tied.fitted.pca import Components, fit_pca
from keras_tied.fitted.scaling import Scaler, fit_scaling
from keras_tied.fitting.plan import FEW_ROWS, Plan
from keras_tied.fitting.rows import GivenRows, PreparedRows, TrainingRows

FEW_COLUMNS = 16  # that rows are sorted by first: to sort by thousands takes long
DIGITS = 6  # decimal digits that single precision keeps
SMALL = 1e-5  # relative to the range of a column: the most that rounding may change


def check_columns(X: Array, names: Any) -> None:
    """Warn of columns without values, and refuse those whose range overflows."""
    low, high = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
    names = np.arange(X.shape[1]) if names is None else np.asarray(names)
    empty = names[np.isnan(low)].tolist()
    if empty:
        warnings.warn(
            f"X has no value in the columns {empty}: they are not used, and"
            " reconstructed as 0.",
            stacklevel=5,
        )
    with np.errstate(over="ignore"):
        too_wide = names[np.isinf(high - low)].tolist()
    if too_wide:
        raise ValueError(
            f"The values in the columns {too_wide} of X differ by more than {X.dtype}"
            " can hold: divide them by a constant."
        )


def trim(X: Array, weights: Array) -> GivenRows:
    """Find fences, and replace absurd values by the medians of their columns."""
    ends = fit_ends(X)
    fences = fit_fences(X, ends)
    distances = fences.sum_distances(X)
    n_trimmed = int(np.count_nonzero(ends.find(X)))
    return GivenRows(ends.trim(X), weights, fences, distances, n_trimmed)


def keep(X: Array, weights: Array) -> GivenRows:
    """Take rows as they are, without fences."""
    return GivenRows(X, weights, keep_all(X.shape[1]), np.zeros(len(X)), 0)


def prepare_rows(
    rows: GivenRows,
    layout: Layout | None,
    scaler: Scaler,
    random: np.random.RandomState,
    moments: Moments | None,
) -> tuple[PreparedRows, Components]:
    """Fit the preprocessing, and PCA of all components, to the rows or to their moments."""
    X, weights = rows.X, rows.weights
    scaling = (
        fit_scaling(X, scaler, weights)
        if moments is None
        else moments.find_scaling(scaler)
    )
    scaled = scaling.forward_in_double(X)
    layout = Layout.of_numbers(X.shape[1]) if layout is None else layout
    gaussian = fit_gaussian(scaled, random, layout) if np.isnan(scaled).any() else None
    preprocessing = Preprocessing(scaling, np.zeros(X.shape[1]), layout, gaussian)
    complete = preprocessing.impute(scaled)
    if moments is not None and moments.is_complete:
        principal = moments.find_components(scaling)
    else:
        principal = fit_pca(complete, weights)
    preprocessing = replace(preprocessing, mean=principal.mean)
    return PreparedRows(preprocessing, scaled, complete, weights, rows), principal


def prepare_batch(rows: GivenRows, preprocessing: Preprocessing) -> PreparedRows:
    """Scale and fill in rows with what was fitted to others."""
    scaled = preprocessing.scaling.forward_in_double(rows.X)
    return PreparedRows(
        preprocessing, scaled, preprocessing.impute(scaled), rows.weights, rows
    )


def make_training_rows(plan: Plan, rows: PreparedRows) -> TrainingRows:
    """The rows in the shape that the encoder takes, in copies where some values are hidden."""
    inputs, targets, weights = rows.complete, rows.scaled, rows.weights
    plain = TrainingRows(inputs, targets, weights) if plan.n_copies else None
    if plan.n_copies:
        inputs, targets = rows.preprocessing.hide(targets, plan.n_copies, plan.random)
        weights = np.tile(weights, plan.n_copies)
    if plan.encoder is not None:
        shape = (len(inputs), *plan.encoder.input_shape[1:])
        complete = inputs is targets
        inputs = inputs.reshape(shape)
        targets = inputs if complete else targets.reshape(shape)
    copies, validation = max(1, plan.n_copies), None
    if rows.validation is not None:
        validation = make_training_rows(plan, rows.validation)
    return TrainingRows(
        inputs, targets, weights, copies, plain=plain, validation=validation
    )


def canonicalize_few_rows(rows: GivenRows) -> GivenRows:
    """Put few rows into one order and precision.

    Training turns a difference of rounding into one of a tenth, and rows in another
    order are held out in other folds. More rows would be a large copy.
    """
    if len(rows.X) >= FEW_ROWS:
        return rows
    X, weights = _round_columns(rows.X), rows.weights
    order = _sort(np.where(np.isnan(X), -np.inf, X), weights)
    return replace(
        rows, X=X[order], weights=weights[order], distances=rows.distances[order]
    )


def _sort(X: Array, weights: Array) -> Array:
    """The order of rows by as many columns as tell them apart, and then by weight."""
    columns = FEW_COLUMNS
    while True:
        keys = X[:, :columns].T
        order: Array = np.lexsort((weights, *keys[::-1]))
        ordered = keys[:, order]
        equal = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
        if columns >= X.shape[1] or not equal.any():
            return order
        columns *= 8


def _round_columns(X: Array) -> Array:
    """Rows that are equal in double precision if they were so in single precision.

    A column of decimals of few digits keeps these, so that another unit makes no
    difference. One whose range is small beside its numbers is left as it is.
    """
    X = X.astype(np.float64)
    size, single = np.abs(X), np.finfo(np.float32)
    with np.errstate(all="ignore"):
        factor = 10.0 ** (DIGITS - 1 - np.floor(np.log10(size)))
        decimals = np.where(size > 0, np.rint(X * factor) / factor, X)
        rounded = X.astype(np.float32).astype(np.float64)
    short = ~(np.abs(decimals - X) > single.eps / 2 * size).any(axis=0)
    exact = ~(np.abs(rounded - X) > single.eps / 2 * size).any(axis=0)
    spread = np.fmax.reduce(X, axis=0) - np.fmin.reduce(X, axis=0)
    harmless = np.fmax.reduce(size, axis=0) * single.eps < SMALL * spread
    X = np.where(harmless & exact, rounded, X)
    return np.where(harmless & short, decimals, X)
