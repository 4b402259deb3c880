"""The solver of the estimator's own networks: training, and comparison with PCA."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tied_tables.fit import nadam
from tied_tables.fit.loss import choose_loss
from tied_tables.fit.members import (
    Member,
    is_better,
    make_members,
    measure_held_out,
)
from tied_tables.fit.nadam import Nadam, take_steps
from tied_tables.fit.plan import Plan
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.stack import Stack
from tied_tables.fit.start import start_network, undo_projection
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.link import Link
from tied_tables.model.pca import Components
from tied_tables.model.training import NadamState, Training

RATE_OF_BATCHES = 1 / 3  # of `partial_fit`, beside the largest learning rate of a fit


class Solution(NamedTuple):
    """What a solver finds: a network, its link, and how it was trained."""

    network: DenseNetwork
    link: Link | None
    training: Training


def fit(
    plan: Plan,
    rows: TrainingRows,
    validation: TrainingRows | None,
    principal: Components,
    is_interrupted: Callable[[], bool],
) -> Solution:
    """Train the estimator's own network; keep the weights best on held-out rows.

    Of few rows, each of five parts is held out of a network, and a sixth network learns
    from all rows. The sixth is kept from the step with the lowest cross-validation
    error. PCA is the solution, unless there is noise or sparsity, or the network is
    better on rows held out and not worse on all rows.
    """
    members = _make_members(plan, rows, validation, principal)
    train = nadam.train
    if plan.method == "lbfgs":
        from tied_tables.fit import lbfgs  # SciPy takes long to import

        train = lbfgs.train
    networks, training = train(members, plan, is_interrupted)
    network = networks[-1]
    if plan.n_axes is not None:
        network = undo_projection(network, principal.truncate(plan.n_axes))
    pca = start_network(principal.truncate(plan.n_components))
    link = pca_link = None
    is_better_held_out = True
    if plan.early_stopping:
        tested = [member for member in members if member.held_out.count]
        held_out = measure_held_out(tested, networks[: len(tested)])
        pca_held_out = measure_held_out(tested, [member.pca for member in tested])
        is_better_held_out = is_better(tested, held_out, pca_held_out)
        link = held_out.loss.link
        pca_link = pca_held_out.loss.link
        training = training._replace(held_out_errors=(held_out.mean, pca_held_out.mean))

    def measure(result: DenseNetwork, result_link: Link | None) -> float:
        errors = rows.measure(result, choose_loss(result_link))
        return float(rows.weights @ errors)

    is_chosen = bool(plan.noise or plan.sparsity)
    if not is_chosen and is_better_held_out:
        is_chosen = measure(network, link) <= measure(pca, pca_link)
    if is_chosen:
        training = training._replace(weight_decay=plan.weight_decay)
        return Solution(network, link, training)
    errors = training.held_out_errors
    if errors is not None:
        errors = errors[1], errors[1]
    training = training._replace(is_pca=True, held_out_errors=errors)
    return Solution(pca, pca_link, training)


def _make_members(
    plan: Plan,
    rows: TrainingRows,
    validation: TrainingRows | None,
    principal: Components,
) -> list[Member]:
    """The networks to train, of features or of scores on principal axes."""
    if plan.n_axes is not None:
        axes = principal.truncate(plan.n_axes)
        rows = rows.project(axes)
        validation = validation and validation.project(axes)
    return make_members(plan, rows, validation)


def fit_batch(
    plan: Plan,
    rows: TrainingRows,
    network: DenseNetwork,
    state: NadamState | None,
) -> Solution:
    """Train a network on some rows once, in steps, on from a state of Nadam."""
    stack = Stack([network])
    optimizer = Nadam.begin(stack.parameters)
    if state is not None:
        optimizer.averages[0], optimizer.squares[0], optimizer.step = state
    n = len(rows.inputs)
    size = min(plan.batch_size, n)
    n_steps = -(-n // size)
    # Full batches only: some rows come twice.
    batches = np.resize(plan.random.permutation(n), (n_steps, size))
    rates = np.full(n_steps, plan.learning_rate * RATE_OF_BATCHES)
    weights = rows.weights[None].astype(np.float32)
    losses = take_steps(stack, optimizer, rows, weights, batches, rates, plan)
    training = Training(
        loss_curve=[float(losses.mean())],
        weight_decay=plan.weight_decay,
        nadam=NadamState(optimizer.averages[0], optimizer.squares[0], optimizer.step),
    )
    return Solution(stack.make_network(stack.parameters[0]), None, training)
