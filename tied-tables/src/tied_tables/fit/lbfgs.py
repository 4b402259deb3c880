"""L-BFGS, on all rows in each step, for as many iterations as suit held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from tied_tables._types import Array
from tied_tables.fit.members import Member, Run
from tied_tables.fit.plan import Plan
from tied_tables.model.blocks import split_rows
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.training import Training

LBFGS_ITERATIONS = 500  # at most
BLOCK_ROWS = 4096  # rows whose gradient is found at a time
LBFGS_TOLERANCE = 1e-10  # of the relative change of the loss in an iteration


def train(
    members: list[Member],
    plan: Plan,
    is_interrupted: Callable[[], bool],
) -> tuple[list[DenseNetwork], Training]:
    """Minimise the sum of the losses of all networks, in double precision.

    Their weights are one vector, so all have as many iterations.
    """
    iterations = plan.max_iter or LBFGS_ITERATIONS
    run = Run(members, np.float64)
    stack = run.stack
    shape = stack.parameters.shape
    rows = run.rows
    n = len(rows.inputs)
    weights = run.weights / n
    blocks = split_rows(n, BLOCK_ROWS)
    objective = replace(plan, weight_decay=plan.weight_decay / len(blocks))
    losses = np.zeros(0)

    def find_gradient(parameters: Array) -> tuple[float, Array]:
        nonlocal losses
        stack.parameters[...] = parameters.reshape(shape)
        losses = np.zeros(len(members))
        gradient = np.zeros_like(stack.parameters)
        for block in blocks:
            losses += stack.find_gradient(rows, block, weights[:, block], objective)
            gradient += stack.gradient
        return float(losses.sum()), gradient.ravel()

    def callback(intermediate_result: OptimizeResult) -> None:
        stack.parameters[...] = intermediate_result.x.reshape(shape)
        run.add_part([float(losses[-1])])
        if run.finish_part(iterations, plan.n_iter_no_change, plan) or is_interrupted():
            raise StopIteration

    with np.errstate(over="ignore", invalid="ignore"):
        minimize(
            find_gradient,
            stack.parameters.flatten(),
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={
                "maxiter": iterations,
                "maxfun": 100 * iterations,
                "ftol": LBFGS_TOLERANCE,
                "gtol": 0.0,
            },
        )
    training = Training(
        n_iter=max(1, run.n_parts_to_best),
        loss_curve=run.losses[: run.n_parts_to_best],
        validation_curve=run.errors[: run.n_parts_to_best]
        if plan.early_stopping
        else [],
    )
    return run.make_best(), training
