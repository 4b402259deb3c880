"""A fit: rows are prepared, a plan is made, a network is trained, and the result is judged."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_tied._checkpoint_file import digest
from keras_tied._interrupts import interrupts
from keras_tied._types import Array
from keras_tied._version import __version__
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.link import Link, fit_link
from keras_tied.fitted.moments import Moments
from keras_tied.fitted.outlier_score import Block
from keras_tied.fitted.pca import Components
from keras_tied.fitted.value import Fitted, compute_block
from keras_tied.fitting import prepare, solver
from keras_tied.fitting.held_out import Solution
from keras_tied.fitting.judge import Outcome, judge, weigh_imputations
from keras_tied.fitting.plan import Parameters, Plan, choose_n_components, make_plan
from keras_tied.fitting.rows import PreparedRows, TrainingRows
from keras_tied.fitting.start import pca_network, start_network

if TYPE_CHECKING:
    from keras_tied.columns import Columns

EFFORT = 4  # the factor of the most steps of training on a sample: reading all rows takes as long


def fit(
    parameters: Parameters,
    X: Array,
    weights: Array,
    *,
    layout: Layout | None = None,
    moments: Moments | None = None,
    validation: Array | None = None,
) -> Outcome:
    """Fit PCA and, where there are enough rows, a network; keep the better one.

    The rows are `(n, d)`, finite or NaN, with positive weights `(n,)` of mean 1.
    `validation` are those that are held out, instead of some of the rows. For the other
    arguments see `fit_rows`.
    """
    random, seed = make_generator(parameters.random_state)
    given = prepare.trim(X, weights) if parameters.trim else prepare.keep(X, weights)
    given = prepare.canonicalize_few_rows(given)
    rows, principal = prepare.prepare_rows(
        given, layout, parameters.scaler, random, moments
    )
    if validation is not None:
        held_out = prepare.keep(validation, np.ones(len(validation)))
        rows = replace(
            rows, validation=prepare.prepare_batch(held_out, rows.preprocessing)
        )
    n_components = choose_n_components(parameters, given.X.shape, principal)
    effort = 1 if moments is None else EFFORT
    plan = make_plan(parameters, rows, n_components, random, seed, effort=effort)
    solution, block = _solve(plan, rows, principal)
    fitted = Fitted(rows.preprocessing, solution.network, link=solution.link)
    fitted = learn_ends(fitted, given.X)
    fitted = replace(fitted, imputation_weights=weigh_imputations(plan, rows, fitted))
    outcome = judge(plan, rows, solution, fitted, block)
    if solution.checkpoint is not None:
        shutil.rmtree(solution.checkpoint, ignore_errors=True)
    return outcome


def fit_rows(
    parameters: Parameters,
    X: Array,
    *,
    columns: Columns | None = None,
    moments: Moments | None = None,
) -> Outcome:
    """Fit to rows, as `TiedAutoencoder.fit` does, or to a sample, with scale and PCA of all rows.

    Rows are `(n, d)`, finite or NaN. `columns` are what they were made from, by default
    numbers. `moments` are those of all rows without absurd values, if `X` is a sample.
    """
    prepare.check_columns(X, None)
    layout = None if columns is None else columns.layout
    outcome = fit(parameters, X, np.ones(len(X)), layout=layout, moments=moments)
    if columns is None:
        return outcome
    return outcome._replace(
        fitted=replace(outcome.fitted, columns_json=columns.to_json())
    )


def fit_batch(
    parameters: Parameters,
    X: Array,
    weights: Array,
    before: Outcome | None,
    layout: Layout | None,
) -> Outcome:
    """Train on some rows once, further than the batches before have, if there were any."""
    random, seed = make_generator(parameters.random_state)
    given = prepare.trim(X, weights) if parameters.trim else prepare.keep(X, weights)
    if before is None:
        rows, principal = prepare.prepare_rows(
            given, layout, parameters.scaler, random, None
        )
        n_components = choose_n_components(parameters, given.X.shape, principal)
    else:
        rows = prepare.prepare_batch(given, before.fitted.preprocessing)
        n_components = before.fitted.n_components
    plan = make_plan(parameters, rows, n_components, random, seed, in_batches=True)
    if before is None:
        draws = np.random.default_rng(random.randint(2**31 - 1))
        components = principal.truncate(n_components)
        network = start_network(components, plan.hidden, plan.activation, draws)
        fitted, state = Fitted(rows.preprocessing, network), None
    else:
        assert isinstance(before.fitted.network, DenseNetwork)
        network, state = before.fitted.network, before.nadam
        fitted = replace(before.fitted, link=None)
    with interrupts() as is_interrupted:
        training_rows = prepare.make_training_rows(plan, rows)
        solution, state = solver.fit_batch(plan, training_rows, network, state)
    fitted = replace(fitted, network=solution.network)
    fitted = learn_ends(fitted, given.X, before and before.fitted)
    block = compute_block(solution.network, rows.scaled, rows.complete)
    outcome = judge(plan, rows, solution, fitted, block)
    outcome = outcome._replace(nadam=state, interrupted=is_interrupted())
    if before is None:
        return outcome
    return outcome._replace(
        losses=before.losses + outcome.losses,
        n_iter=before.n_iter + 1,
        weight_decay=before.weight_decay,
    )


def make_generator(state: Any) -> tuple[np.random.RandomState, int]:
    """The generator of all random numbers of a fit, and the seed of what Keras draws."""
    if isinstance(state, Integral):
        random = np.random.RandomState(int(state))
    else:
        from sklearn.utils import check_random_state

        random = check_random_state(state)
    return random, random.randint(2**31 - 1)


def _solve(
    plan: Plan, rows: PreparedRows, principal: Components
) -> tuple[Solution, Block]:
    """PCA, or a network if that is better, and what it makes of the rows."""
    principal_of_code = principal.truncate(plan.n_components)
    pca = pca_network(principal_of_code)
    link = _fit_link(plan, rows, principal_of_code)
    if plan.method == "pca":
        solution = Solution(pca, [], [], 1, is_pca=True, link=link)
        return solution, compute_block(pca, rows.scaled, rows.complete, link)
    training_rows = prepare.make_training_rows(plan, rows).with_link(link)
    solution = _train(plan, training_rows, principal)
    if solution.better is not False or not plan.may_be_pca:
        block = compute_block(
            solution.network, rows.scaled, rows.complete, solution.link
        )
        if not plan.may_be_pca or _beats_pca(
            solution, training_rows, principal_of_code, block
        ):
            return solution, block
    link = solution.pca_link
    of_pca = solution.held_out_errors and (solution.held_out_errors[1],) * 2
    solution = replace(solution, network=pca, link=link, is_pca=True, held_out=None)
    solution = replace(solution, held_out_errors=of_pca)
    return solution, compute_block(pca, rows.scaled, rows.complete, link)


def _fit_link(plan: Plan, rows: PreparedRows, principal: Components) -> Link | None:
    """The link of PCA, if there are classes and the loss is theirs."""
    layout = rows.preprocessing.layout
    is_typed = plan.method == "pca" or (
        plan.method != "encoder" and plan.early_stopping
    )
    if not (layout.has_classes and is_typed):
        return None
    link = fit_link(rows.scaled, rows.weights, layout, rows.preprocessing.scaling)
    return link.calibrate(
        principal.reconstruct(rows.complete), rows.scaled, rows.weights
    )


def _train(plan: Plan, rows: TrainingRows, principal: Components) -> Solution:
    """Train a network; Ctrl-C keeps the best so far."""
    folder = _choose_folder(plan, rows)
    plan = replace(plan, checkpoint=folder)
    with interrupts() as is_interrupted:
        if plan.method == "encoder":
            from keras_tied.fitting import keras_encoder

            solution = keras_encoder.fit(plan, rows)
        else:
            solution = solver.fit(plan, rows, principal, is_interrupted)
    if is_interrupted():
        return replace(solution, interrupted=is_interrupted.outermost)
    return replace(solution, checkpoint=folder)


def _choose_folder(plan: Plan, rows: TrainingRows) -> Path | None:
    """The folder for the checkpoint of this training alone, in that of the plan, if it has one."""
    if plan.checkpoint is None:
        return None
    if not plan.is_repeatable:
        raise ValueError(
            "`checkpoint` needs a number as `random_state`: without one, the next fit"
            " draws other weights and goes on from nothing."
        )
    folder = Path(plan.checkpoint)
    own = folder / digest((__version__, replace(plan, checkpoint=None), rows))[:16]
    if folder.is_dir() and not own.exists() and any(folder.iterdir()):
        warnings.warn(
            f"{str(folder)!r} holds the checkpoint of a fit to other rows or with other"
            " settings, and this fit begins anew.",
            stacklevel=2,
        )
    return own


def _beats_pca(
    solution: Solution, rows: TrainingRows, principal: Components, block: Block
) -> bool:
    """Whether a network's error on the training rows is at most PCA's."""
    if rows.inputs is not block.complete:  # copies, with values hidden
        block = compute_block(solution.network, rows.flat, rows.flat, solution.link)
    errors = replace(rows, link=solution.link).errors(block.reconstruction)
    of_pca = replace(rows, link=solution.pca_link).pca_errors(principal)
    return bool(rows.weights @ errors <= rows.weights @ of_pca)


def learn_ends(fitted: Fitted, X: Array, before: Fitted | None = None) -> Fitted:
    """With the smallest and largest values of rows `(n, d)`, and of a fit before them."""
    smallest = np.fmin.reduce(X, axis=0).astype(np.float64)
    largest = np.fmax.reduce(X, axis=0).astype(np.float64)
    smallest[np.isnan(smallest)] = -np.inf  # where nothing is known
    largest[np.isnan(largest)] = np.inf
    if before is not None:
        smallest = np.minimum(before.ends[0], smallest)
        largest = np.maximum(before.ends[1], largest)
    return replace(fitted, smallest=smallest, largest=largest)
