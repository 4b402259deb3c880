"""L-BFGS, on all rows in each step, for as many iterations as suit held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from keras_tied._types import Array
from keras_tied.fitted.blocks import split_rows
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitting.members import Member, Training, sum_weights
from keras_tied.fitting.nadam import limit_threads
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.progress import report
from keras_tied.fitting.stack import Objective, Stack

ITERATIONS = 500  # at most
BLOCK_ROWS = 4096  # rows whose gradient is found at a time
TOLERANCE = 1e-10  # of the relative change of the loss in an iteration

OnIteration = Callable[[DenseNetwork, float], bool]
"""Takes the network after an iteration, and its loss; returns whether training ends."""


def train(
    members: list[Member],
    plan: Plan,
    is_interrupted: Callable[[], bool],
) -> Training:
    """Train networks one after the other, for the best number of iterations.

    It is the one with the least error on the rows that are held out of all networks,
    each of which is trained once before to find it.
    """
    iterations = plan.max_iter or ITERATIONS
    errors: list[float] = []
    if plan.early_stopping:
        with_rows = [member for member in members if member.held_out.count]
        curves = [_follow(each, plan, iterations, is_interrupted) for each in with_rows]
        length = max(map(len, curves))
        totals = np.zeros(length)
        for curve in curves:
            n_absent = length - len(curve)
            totals += np.pad(curve, (0, n_absent), mode="edge")
        totals /= sum_weights(members)
        iterations = int(totals.argmin())
        errors = totals[1 : iterations + 1].tolist()
    networks = []
    losses: list[float] = []

    def on_iteration(_: DenseNetwork, loss: float) -> bool:
        losses.append(loss)
        is_stopped = report(len(losses), iterations, {"loss": loss}, plan.verbose)
        return is_stopped or is_interrupted()

    for member in members:
        losses.clear()
        networks.append(fit_member(member, plan, iterations, on_iteration))
    return Training(networks, losses, errors[: len(losses)])


def _follow(
    member: Member,
    plan: Plan,
    iterations: int,
    is_interrupted: Callable[[], bool],
) -> list[float]:
    """The sums of held-out errors before the first iteration and after each."""
    errors = [member.measure(member.network)]
    weight = sum_weights([member])

    def on_iteration(network: DenseNetwork, loss: float) -> bool:
        if is_interrupted():
            raise KeyboardInterrupt  # no network of all rows exists yet
        errors.append(member.measure(network))
        iteration = len(errors) - 1
        logs = {"loss": loss, "val_error": errors[-1] / weight}
        is_stopped = report(iteration, iterations, logs, plan.verbose)
        n_worse = iteration - errors.index(min(errors))
        return is_stopped or n_worse >= plan.n_iter_no_change

    fit_member(member, plan, iterations, on_iteration)
    return errors


def fit_member(
    member: Member,
    objective: Objective,
    iterations: int,
    on_iteration: OnIteration,
) -> DenseNetwork:
    """Minimise the loss of a network in double precision."""
    if iterations == 0:
        return member.network
    stack = Stack([member.network], np.float64)
    rows = member.rows
    weights = member.weights[None] / len(rows.inputs)
    blocks = split_rows(len(rows.inputs), BLOCK_ROWS)
    decay = objective.weight_decay / len(blocks)
    block_objective = replace(objective, weight_decay=decay)

    def find_gradient(numbers: Array) -> tuple[float, Array]:
        stack.numbers[0] = numbers
        loss = 0.0
        gradient = np.zeros_like(numbers)
        for block in blocks:
            [block_loss] = stack.find_gradient(
                rows, block, weights[:, block], block_objective
            )
            loss += block_loss
            gradient += stack.gradient[0]
        return loss, gradient

    def callback(intermediate_result: OptimizeResult) -> None:
        network = stack.make_network(intermediate_result.x)
        if on_iteration(network, float(intermediate_result.fun)):
            raise StopIteration

    with np.errstate(over="ignore", invalid="ignore"), limit_threads(stack):
        result = minimize(
            find_gradient,
            stack.numbers[0].copy(),
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={
                "maxiter": iterations,
                "maxfun": 100 * iterations,
                "ftol": TOLERANCE,
                "gtol": 0.0,
            },
        )
    return stack.make_network(result.x)
