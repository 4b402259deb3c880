"""The solver of the estimator's own networks: training, and comparison with PCA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from tied_tables.fit import nadam
from tied_tables.fit.members import is_better, make_members, measure_held_out
from tied_tables.fit.nadam import Nadam, take_steps
from tied_tables.fit.plan import Plan
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.stack import Stack
from tied_tables.fit.start import pca_network, undo_projection
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.file.contents import NadamState
from tied_tables.model.link import Link
from tied_tables.model.pca import Components

RATE_OF_BATCHES = 1 / 3  # of `partial_fit`, beside the largest learning rate of a fit


@dataclass(frozen=True)
class Solution:
    """What a solver finds.

    Attributes:
        network: the network.
        losses: after each iteration or epoch.
        validation_errors: on held-out rows after each; empty without such rows.
        n_iter: the iterations of L-BFGS, or the passes of Nadam over the rows.
        held_out_errors: the mean errors of the network and of PCA on rows that neither
            has learned from.
        is_pca: whether the network is PCA.
        link: of the network.
        interrupted: whether Ctrl-C ended training, and no caller reports it.
        nadam: the state that `partial_fit` goes on from.
    """

    network: DenseNetwork
    losses: list[float] = field(default_factory=list)
    validation_errors: list[float] = field(default_factory=list)
    n_iter: int = 1
    held_out_errors: tuple[float, float] | None = None
    is_pca: bool = False
    link: Link | None = None
    interrupted: bool = False
    nadam: NadamState | None = None


def fit(
    plan: Plan,
    rows: TrainingRows,
    principal: Components,
    is_interrupted: Callable[[], bool],
) -> Solution:
    """Train the estimator's own network; keep the weights best on held-out rows.

    Of few rows, each of five parts is held out of a network, and a sixth network learns
    from all rows. The sixth is kept from the step with the lowest cross-validation
    error. PCA is the solution, unless there is noise or sparsity, or the network is
    better on rows held out and not worse on all rows.
    """
    axes = None
    projected = rows
    if plan.n_axes is not None:
        axes = principal.truncate(plan.n_axes)
        projected = rows.project(axes)
    members = make_members(plan, projected)
    train = nadam.train
    if plan.method == "lbfgs":
        from tied_tables.fit import lbfgs  # SciPy takes long to import

        train = lbfgs.train
    training = train(members, plan, is_interrupted)
    network = training.networks[-1]
    solution = Solution(
        network=network if axes is None else undo_projection(network, axes),
        losses=training.losses,
        validation_errors=training.errors,
        n_iter=len(training.losses),
    )
    components = principal.truncate(plan.n_components)
    pca = replace(solution, network=pca_network(components), is_pca=True)
    better = True
    if plan.early_stopping:
        with_rows = [member for member in members if member.held_out.count]
        networks = training.networks[: len(with_rows)]
        own = measure_held_out(with_rows, networks)
        others = measure_held_out(with_rows, [member.pca for member in with_rows])
        better = is_better(with_rows, own, others)
        means = own.mean, others.mean
        pca_means = others.mean, others.mean
        solution = replace(solution, link=own.link, held_out_errors=means)
        pca = replace(pca, link=others.link, held_out_errors=pca_means)

    def measure(result: Solution) -> float:
        return float(rows.weights @ rows.measure(result.network, result.link))

    is_plain = not (plan.noise or plan.sparsity)
    if not is_plain or (better and measure(solution) <= measure(pca)):
        return solution
    return pca


def fit_batch(
    plan: Plan,
    rows: TrainingRows,
    network: DenseNetwork,
    state: NadamState | None,
) -> Solution:
    """Train a network on some rows once, in steps, on from a state of Nadam."""
    stack = Stack([network])
    optimizer = Nadam.begin(stack.numbers)
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
    return Solution(
        network=stack.make_network(stack.numbers[0]),
        losses=[float(losses.mean())],
        nadam=NadamState(optimizer.averages[0], optimizer.squares[0], optimizer.step),
    )
