"""A fit: rows are prepared, a plan is made, a network is trained, the result judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tied_tables._blas import blas_limit
from tied_tables._interrupts import interrupts
from tied_tables._types import Array
from tied_tables.fit import prepare, solver
from tied_tables.fit.judge import Outcome, judge
from tied_tables.fit.plan import (
    Parameters,
    Plan,
    choose_n_components,
    make_generator,
    make_plan,
)
from tied_tables.fit.rows import NUMBERS, Features, PreparedRows
from tied_tables.fit.solver import Solution
from tied_tables.fit.start import pca_network, start_network
from tied_tables.fit.width import resolve_width
from tied_tables.model.link import Link, fit_link
from tied_tables.model.pca import Components

EFFORT = 4
"""The factor of the most steps of training on a sample: reading all rows takes long."""


@blas_limit.limit_to_one()
def fit(
    parameters: Parameters,
    X: Array,
    weights: Array | None = None,
    *,
    features: Features = NUMBERS,
    is_sample: bool = False,
    validation: Array | None = None,
) -> Outcome:
    """Fit PCA and, where there are enough rows, a network; keep the better one.

    Args:
        parameters: those of `TiedAutoencoder`.
        X: the rows, `(n, d)`, finite or NaN.
        weights: of the rows, `(n,)`, positive, of mean 1. Defaults to 1 each.
        features: of the rows.
        is_sample: whether `X` was drawn from more rows, so that training may take long.
        validation: rows to hold out, with some values, instead of some of `X`.
    """
    given = prepare.take_rows(parameters, X, weights, features)
    places = prepare.order_columns(given)
    given = given.select(places)
    given = prepare.canonicalize_few_rows(given)
    if parameters.chooses_width:
        layout = given.features.layout
        parameters = resolve_width(parameters, given.X, layout, fit)
    random, seed = make_generator(parameters.random_state)
    rows, principal = prepare.prepare_rows(parameters, given, random)
    if validation is not None:
        trimmed = given.ends.trim(np.take(validation, places, axis=1))
        if not np.any(~np.isnan(trimmed) & ~np.isnan(given.X).all(axis=0)):
            raise ValueError(
                "X_val has no value in the columns in which X has values: give rows"
                " with values, or leave X_val out."
            )
        others = replace(given, X=trimmed, weights=np.ones(len(trimmed)))
        held_out = prepare.prepare_batch(others, rows.preprocessing)
        rows = replace(rows, validation=held_out)
    n_components = choose_n_components(parameters, given.X.shape, principal)
    effort = EFFORT if is_sample else 1
    plan = make_plan(parameters, rows, n_components, random, seed, effort=effort)
    solution = _solve(plan, rows, principal)
    outcome = judge(plan, rows, solution)
    return outcome.select(np.argsort(places))


@blas_limit.limit_to_one()
def fit_batch(
    parameters: Parameters,
    X: Array,
    weights: Array,
    features: Features,
    before: Outcome | None,
) -> Outcome:
    """Train on some rows once, further than the batches before, if there were any."""
    given = prepare.take_rows(parameters, X, weights, features)
    random, seed = make_generator(parameters.random_state)
    if before is None:
        if parameters.chooses_width:
            parameters = resolve_width(parameters, X, features.layout, fit)
        rows, principal = prepare.prepare_rows(parameters, given, random)
        n_components = choose_n_components(parameters, given.X.shape, principal)
    else:
        rows = prepare.prepare_batch(given, before.fitted.preprocessing)
        n_components = before.fitted.n_components
    plan = make_plan(parameters, rows, n_components, random, seed, in_batches=True)
    if before is None:
        draws = np.random.default_rng(random.randint(2**31 - 1))
        components = principal.truncate(n_components)
        network = start_network(components, plan.hidden, plan.activation, draws)
    else:
        network = before.fitted.network
    with interrupts() as is_interrupted:
        training_rows = prepare.make_training_rows(plan, rows)
        state = before and before.nadam
        solution = solver.fit_batch(plan, training_rows, network, state)
    solution = replace(solution, interrupted=is_interrupted())
    outcome = judge(plan, rows, solution, before and before.fitted)
    if before is None:
        return outcome
    return outcome._replace(
        loss_curve=before.loss_curve + outcome.loss_curve,
        n_iter=before.n_iter + 1,
        weight_decay=before.weight_decay,
    )


def _solve(
    plan: Plan,
    rows: PreparedRows,
    principal: Components,
) -> Solution:
    """PCA, or what training finds; Ctrl-C keeps the best so far."""
    components = principal.truncate(plan.n_components)
    link = _fit_link(plan, rows, components)
    if plan.method == "pca":
        return Solution(pca_network(components), link=link, is_pca=True)
    training_rows = prepare.make_training_rows(plan, rows, link)
    with interrupts() as is_interrupted:
        solution = solver.fit(plan, training_rows, principal, is_interrupted)
    if is_interrupted():
        return replace(solution, interrupted=is_interrupted.outermost)
    return solution


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
