"""Rows are put in order, trimmed, scaled and filled in, once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tied_tables._layout import Layout
from tied_tables._types import Array
from tied_tables.fit.loss import choose_loss
from tied_tables.fit.plan import FEW_ROWS, Parameters, Plan
from tied_tables.fit.rows import (
    Features,
    GivenRows,
    PreparedRows,
    TrainingRows,
)
from tied_tables.model.fences import fit_absurd_limits, fit_fences, keep_all
from tied_tables.model.gaussian import fit_gaussian
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.link import Link
from tied_tables.model.pca import Components, fit_pca
from tied_tables.model.scaling import find_range, fit_scaling

SINGLE_DIGITS = 6  # decimal digits that single precision keeps
HARMLESS_ROUNDING = 1e-5  # relative to the range of a column, at most


def take_rows(
    parameters: Parameters,
    X: Array,
    weights: Array | None,
    features: Features,
) -> GivenRows:
    """Find fences, and replace absurd values by the medians of their columns."""
    n, d = X.shape
    columns = np.asarray(features.names or range(d))
    low, high = find_range(X)
    with np.errstate(over="ignore"):
        spans = (high - low).astype(X.dtype)
    too_wide = columns[np.isinf(spans)].tolist()
    if too_wide:
        raise ValueError(
            f"The values in the columns {too_wide} of X differ by more than {X.dtype}"
            " can hold: divide them by a constant."
        )
    absurd_limits = fences = keep_all(d)
    if parameters.trim:
        absurd_limits = fit_absurd_limits(X)
        fences = fit_fences(X, absurd_limits)
    is_absurd = absurd_limits.find(X)
    trimmed = absurd_limits.trim(X)
    if trimmed is not X:
        low, high = find_range(trimmed)
    return GivenRows(
        X=trimmed,
        names=features.names,
        layout=features.layout or Layout.of_numbers(d),
        weights=np.ones(n) if weights is None else weights,
        absurd_limits=absurd_limits,
        fences=fences,
        distances=fences.sum_distances(X),
        n_trimmed=int(np.count_nonzero(is_absurd)),
        trimmed=columns[is_absurd.any(axis=0)].tolist(),
        empty=columns[np.isnan(low)].tolist(),
        smallest=low,
        largest=high,
    )


def prepare_rows(
    parameters: Parameters,
    rows: GivenRows,
    random: np.random.RandomState,
) -> tuple[PreparedRows, Components]:
    """Fit the preprocessing, and PCA of all components, to rows."""
    X = rows.X
    weights = rows.weights
    scaling = fit_scaling(X, parameters.scaler, weights, rows.names)
    scaled = scaling.forward(X)
    gaussian = None
    if np.isnan(scaled).any():
        is_far = rows.fences.find(X)
        ordinary = np.where(is_far, np.float32(np.nan), scaled)
        gaussian = fit_gaussian(ordinary, weights, random, rows.layout)
    mean = np.zeros(X.shape[1])  # until PCA has found it
    preprocessing = Preprocessing(scaling, mean, rows.layout, gaussian)
    complete = preprocessing.impute(scaled)
    principal = fit_pca(complete, weights)
    preprocessing = replace(preprocessing, mean=principal.mean)
    return PreparedRows(rows, preprocessing, scaled, complete), principal


def prepare_batch(
    rows: GivenRows,
    preprocessing: Preprocessing,
) -> PreparedRows:
    """Scale and fill in rows with what was fitted to others."""
    scaled = preprocessing.scaling.forward(rows.X)
    return PreparedRows(rows, preprocessing, scaled, preprocessing.impute(scaled))


def make_training_rows(
    plan: Plan,
    rows: PreparedRows,
    link: Link | None = None,
) -> TrainingRows:
    """The rows that a network learns from, in copies where some values are hidden."""
    weights = rows.given.weights
    loss = choose_loss(link)
    training_rows = TrainingRows(rows.complete, rows.scaled, weights, loss)
    if not plan.n_copies:
        return training_rows
    inputs, targets = rows.preprocessing.hide(rows.scaled, plan.n_copies, plan.random)
    return replace(
        training_rows,
        inputs=inputs,
        targets=targets,
        weights=np.tile(weights, plan.n_copies),
        unmasked=training_rows,
    )


def order_columns(rows: GivenRows) -> Array:
    """The features in an order of their columns that tells nothing of their places.

    It is that of the covariances of the scaled columns with the lengths of the rows.
    They depend neither on the units of columns nor on the order of the rows. Training
    draws weights for each feature, and turns a difference of rounding into one of a
    tenth.
    """
    X = rows.X
    scaling = fit_scaling(X, "standard", rows.weights, rows.names)
    scaled = np.nan_to_num(scaling.forward(X), copy=False)
    lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64))
    covariances = (rows.weights * lengths) @ scaled
    layout = rows.layout
    order = np.argsort(covariances[layout.starts], kind="stable")
    places = np.arange(X.shape[1])
    return np.concatenate([places[layout.parts[column]] for column in order])


def canonicalize_few_rows(rows: GivenRows) -> GivenRows:
    """Put few rows into one order and precision.

    Training turns a difference of rounding into one of a tenth, and rows in another
    order are held out in other folds. More rows would be a large copy.
    """
    if len(rows.X) >= FEW_ROWS:
        return rows
    X = _round_columns(rows.X)
    keys = np.where(np.isnan(X), -np.inf, X)
    last_first = keys.T[::-1]
    order = np.lexsort((rows.weights, *last_first))
    return replace(
        rows,
        X=X[order],
        weights=rows.weights[order],
        distances=rows.distances[order],
    )


def _round_columns(X: Array) -> Array:
    """Rows that are equal in double precision if they were so in single precision.

    A column of decimals of few digits keeps these, so that another unit makes no
    difference. One whose range is small beside its numbers is left as it is.
    """
    X = X.astype(np.float64)
    size = np.abs(X)
    epsilon = np.finfo(np.float32).eps
    with np.errstate(all="ignore"):
        exponents = SINGLE_DIGITS - 1 - np.floor(np.log10(size))
        factor = 10.0**exponents
        decimals = np.where(size > 0, np.rint(X * factor) / factor, X)
        single = X.astype(np.float32).astype(np.float64)
    low, high = find_range(X)
    largest = np.fmax.reduce(size, axis=0)
    is_harmless = largest * epsilon < HARMLESS_ROUNDING * (high - low)
    for rounded in (single, decimals):
        is_near = np.abs(rounded - X) <= epsilon / 2 * size
        is_near = is_harmless & (is_near | np.isnan(X)).all(axis=0)
        X = np.where(is_near, rounded, X)
    return X
