"""The solver of the estimator's own networks: training, calibration, comparison with PCA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.pca import Components
from keras_tied.fitting import nadam
from keras_tied.fitting.held_out import Solution
from keras_tied.fitting.members import (
    Member,
    is_better,
    make_members,
    measure_held_out,
)
from keras_tied.fitting.nadam import Nadam, take_steps
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.stack import Objective, Stack
from keras_tied.fitting.start import pca_network, undo_projection

RATE_OF_BATCHES = 1 / 3  # of `partial_fit`, beside the largest learning rate of a fit


def fit(
    plan: Plan,
    rows: TrainingRows,
    principal: Components,
    is_interrupted: Callable[[], bool],
) -> Solution:
    """Train the estimator's own network, and keep its weights of the least error on held-out rows.

    Of few rows, each of five parts is held out of a network, and a sixth network learns
    from all rows. The sixth is kept from the step with the lowest cross-validation
    error.
    """
    axes = None if plan.n_axes is None else principal.truncate(plan.n_axes)
    rows = rows if axes is None else rows.project(axes)
    members = make_members(plan, rows)
    objective = make_objective(plan, rows)
    train = nadam.train
    if plan.method == "lbfgs":
        from keras_tied.fitting import lbfgs  # SciPy takes long to import

        train = lbfgs.train
    training = train(members, plan, objective, is_interrupted)
    network = training.networks[-1]
    network = network if axes is None else undo_projection(network, axes)
    n_iter = len(training.losses)
    solution = Solution(network, training.losses, training.errors, n_iter)
    return (
        _compare(solution, rows, members, training.networks)
        if plan.early_stopping
        else solution
    )


def fit_batch(
    plan: Plan, rows: TrainingRows, network: DenseNetwork, state: Nadam | None
) -> tuple[Solution, Nadam]:
    """Train a network on some rows once, in steps of `batch_size`, on from a state of Nadam."""
    stack = Stack([network])
    state = Nadam.begin(stack.numbers) if state is None else state.copy()
    n, size = len(rows.inputs), min(plan.batch_size, len(rows.inputs))
    n_steps = -(-n // size)
    # Full batches only: some rows come twice.
    batches = np.resize(plan.random.permutation(n), (n_steps, size))
    rates = np.full(n_steps, plan.learning_rate * RATE_OF_BATCHES)
    weights = rows.weights[None].astype(np.float32)
    objective = make_objective(plan, rows)
    losses = take_steps(stack, state, rows, weights, batches, rates, objective)
    return Solution(stack.make_network(0), [float(losses.mean())], [], 1), state


def make_objective(plan: Plan, rows: TrainingRows) -> Objective:
    """What a plan minimises on some rows."""
    return Objective(
        weight_decay=plan.weight_decay,
        sparsity=plan.sparsity,
        noise=plan.noise,
        seed=plan.seed,
        share=rows.share,
        link=rows.link,
        axes=rows.axes,
    )


def _compare(
    solution: Solution,
    rows: TrainingRows,
    members: list[Member],
    networks: list[DenseNetwork],
) -> Solution:
    """The solution with its errors on held-out rows beside PCA's, and with calibrated links."""
    plain = rows.plain if rows.validation is None else rows.validation.plain
    of_pca = [pca_network(member.principal) for member in members]
    network = measure_held_out(members, networks, plain)
    pca = measure_held_out(members, of_pca, plain)
    return replace(
        solution,
        better=is_better(members, network, pca),
        held_out=members[-1].places,
        held_out_errors=(network.mean, pca.mean),
        link=network.link,
        pca_link=pca.link,
    )
