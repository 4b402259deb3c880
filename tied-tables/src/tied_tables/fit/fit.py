"""A fit: rows are prepared, a plan is made, a network is trained, the result judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tied_tables._blas import blas_limit
from tied_tables._interrupts import interrupts
from tied_tables._types import Array
from tied_tables.fit import prepare, solver
from tied_tables.fit.judge import finish_model
from tied_tables.fit.plan import (
    Parameters,
    Plan,
    choose_n_components,
    make_generator,
    make_plan,
)
from tied_tables.fit.rows import NUMERIC_FEATURES, Features, PreparedRows
from tied_tables.fit.solver import Solution
from tied_tables.fit.start import start_network
from tied_tables.fit.width import resolve_width
from tied_tables.model.link import Link, fit_link
from tied_tables.model.pca import Components
from tied_tables.model.training import Training
from tied_tables.model.value import TableModel


@blas_limit.limit_to_one()
def fit(
    parameters: Parameters,
    X: Array,
    weights: Array | None = None,
    *,
    features: Features = NUMERIC_FEATURES,
    effort: float = 1,
    validation: Array | None = None,
) -> TableModel:
    """Fit PCA and, where there are enough rows, a network; keep the better one.

    Args:
        parameters: those of `TiedAutoencoder`.
        X: the rows, `(n, d)`, finite or NaN.
        weights: of the rows, `(n,)`, positive, of mean 1. Defaults to 1 each.
        features: of the rows.
        effort: the factor of the most steps of training, below 1 of all.
        validation: rows to hold out, with some values, instead of some of `X`.
    """
    given = prepare.take_rows(parameters, X, weights, features)
    places = prepare.order_columns(given)
    given = given.select(places)
    given = prepare.canonicalize_few_rows(given)
    if parameters.chooses_width:
        parameters = resolve_width(parameters, given.X, given.layout, fit)
    random, seed = make_generator(parameters.random_state)
    rows, principal = prepare.prepare_rows(parameters, given, random)
    held_out = None
    if validation is not None:
        held_out = _prepare_validation(rows, np.take(validation, places, axis=1))
    n_components = choose_n_components(parameters, given.X.shape, principal)
    plan = make_plan(parameters, rows, n_components, random, seed, effort=effort)
    solution = _solve(plan, rows, held_out, principal)
    model = finish_model(plan, rows, solution).select(np.argsort(places))
    return replace(model, columns=features.columns)


@blas_limit.limit_to_one()
def fit_batch(
    parameters: Parameters,
    X: Array,
    weights: Array,
    features: Features,
    previous_model: TableModel | None,
) -> TableModel:
    """Train on some rows once, further than the batches before, if there were any."""
    given = prepare.take_rows(parameters, X, weights, features)
    random, seed = make_generator(parameters.random_state)
    if previous_model is None:
        if parameters.chooses_width:
            parameters = resolve_width(parameters, X, given.layout, fit)
        rows, principal = prepare.prepare_rows(parameters, given, random)
        n_components = choose_n_components(parameters, given.X.shape, principal)
    else:
        rows = prepare.prepare_batch(given, previous_model.preprocessing)
        n_components = previous_model.n_components
    plan = make_plan(parameters, rows, n_components, random, seed, in_batches=True)
    if previous_model is None:
        components = principal.truncate(n_components)
        start_seed = random.randint(2**31 - 1)
        network = start_network(components, plan.hidden, plan.activation, start_seed)
    else:
        network = previous_model.network
    with interrupts() as is_interrupted:
        training_rows = prepare.make_training_rows(plan, rows)
        state = None if previous_model is None else previous_model.training.nadam
        solution = solver.fit_batch(plan, training_rows, network, state)
    solution = _note_interrupt(solution, is_interrupted())
    model = finish_model(plan, rows, solution, previous_model)
    if previous_model is not None:
        previous = previous_model.training
        training = model.training._replace(
            loss_curve=[*previous.loss_curve, *model.training.loss_curve],
            n_iter=previous.n_iter + 1,
            weight_decay=previous.weight_decay,
        )
        model = replace(model, training=training)
    return replace(model, columns=features.columns)


def _prepare_validation(rows: PreparedRows, X: Array) -> PreparedRows:
    """Prepare rows to hold out, `(n, d)`, as those to learn from."""
    given = rows.given
    trimmed = given.absurd_limits.trim(X)
    is_known = ~np.isnan(given.X).all(axis=0)
    if not np.any(~np.isnan(trimmed) & is_known):
        raise ValueError(
            "X_val has no value in the columns in which X has values: give rows with"
            " values, or leave X_val out."
        )
    held_out = replace(given, X=trimmed, weights=np.ones(len(trimmed)))
    return prepare.prepare_batch(held_out, rows.preprocessing)


def _solve(
    plan: Plan,
    rows: PreparedRows,
    validation: PreparedRows | None,
    principal: Components,
) -> Solution:
    """PCA, or what training finds; Ctrl-C keeps the best so far."""
    components = principal.truncate(plan.n_components)
    link = _fit_link(plan, rows, components)
    if plan.method == "pca":
        return Solution(start_network(components), link, Training(is_pca=True))
    training_rows = prepare.make_training_rows(plan, rows, link)
    held_out = None
    if validation is not None:
        held_out = prepare.make_training_rows(plan, validation, link)
    with interrupts() as is_interrupted:
        solution = solver.fit(plan, training_rows, held_out, principal, is_interrupted)
    return _note_interrupt(solution, is_interrupted() and is_interrupted.outermost)


def _note_interrupt(solution: Solution, interrupted: bool) -> Solution:
    training = solution.training._replace(interrupted=interrupted)
    return solution._replace(training=training)


def _fit_link(
    plan: Plan,
    rows: PreparedRows,
    principal: Components,
) -> Link | None:
    """The link of PCA, if there are classes and the loss is theirs."""
    layout = rows.preprocessing.layout
    weights = rows.given.weights
    if not layout.has_classes or not (plan.early_stopping or plan.method == "pca"):
        return None
    link = fit_link(rows.scaled, weights, layout, rows.preprocessing.scaling)
    return link.calibrate(principal.reconstruct(rows.complete), rows.scaled, weights)
