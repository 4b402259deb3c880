"""L-BFGS, on all rows in each step, for as many iterations as suit held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from keras_tied._types import Array
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitting.members import Member, Training
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
    objective: Objective,
    is_interrupted: Callable[[], bool],
) -> Training:
    """Train networks one after the other, for the best number of iterations.

    It is the one with the least error on the rows that are held out of all networks,
    each of which is trained once before to find it.
    """
    iterations = plan.max_iter or ITERATIONS
    errors: list[float] = []
    if plan.early_stopping:
        with_rows = [member for member in members if member.weights.any()]
        curves = [
            _follow(member, plan, objective, iterations, is_interrupted)
            for member in with_rows
        ]
        length = max(map(len, curves))
        table = [
            np.pad(curve, (0, length - len(curve)), mode="edge") for curve in curves
        ]
        weight = sum(member.weights.sum() for member in with_rows)
        totals = np.sum(table, axis=0) / weight
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
        networks.append(fit_member(member, objective, iterations, on_iteration))
    return Training(networks, losses, errors[: len(losses)])


def _follow(
    member: Member,
    plan: Plan,
    objective: Objective,
    iterations: int,
    is_interrupted: Callable[[], bool],
) -> Array:
    """The sums of the errors of the held-out rows before the first iteration and after each."""
    errors = [float(member.measure(member.network).sum())]

    def on_iteration(network: DenseNetwork, loss: float) -> bool:
        if is_interrupted():
            raise KeyboardInterrupt  # no network of all rows exists yet
        errors.append(float(member.measure(network).sum()))
        iteration, n_worse = len(errors) - 1, len(errors) - 1 - int(np.argmin(errors))
        logs = {"loss": loss, "val_error": errors[-1] / float(member.weights.sum())}
        is_stopped = report(iteration, iterations, logs, plan.verbose)
        return is_stopped or n_worse >= plan.n_iter_no_change

    fit_member(member, objective, iterations, on_iteration)
    return np.array(errors)


def fit_member(
    member: Member, objective: Objective, iterations: int, on_iteration: OnIteration
) -> DenseNetwork:
    """Minimise the loss of a network in double precision."""
    stack, rows = Stack([member.network], np.float64), member.rows
    if iterations == 0:
        return member.network
    weights = member.learning_weights[None] / len(rows.inputs)
    begins = range(0, len(rows.inputs), BLOCK_ROWS)
    of_block = replace(objective, weight_decay=objective.weight_decay / len(begins))

    def find_gradient(numbers: Array) -> tuple[float, Array]:
        stack.numbers[0] = numbers
        loss, gradient = 0.0, np.zeros_like(numbers)
        for begin in begins:
            block = slice(begin, begin + BLOCK_ROWS)
            inputs, targets = (
                of[block].astype(np.float64) for of in (rows.inputs, rows.targets)
            )
            loss += stack.find_gradient(inputs, targets, weights[:, block], of_block)[0]
            gradient += stack.gradient[0]
        return loss, gradient

    def callback(intermediate_result: OptimizeResult) -> None:
        network = stack.make_network(0, intermediate_result.x)
        if on_iteration(network, float(intermediate_result.fun)):
            raise StopIteration

    options = {
        "maxiter": iterations,
        "maxfun": 100 * iterations,
        "ftol": TOLERANCE,
        "gtol": 0.0,
    }
    with np.errstate(over="ignore", invalid="ignore"), limit_threads(stack):
        result = minimize(
            find_gradient,
            stack.numbers[0].copy(),
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options=options,
        )
    return stack.make_network(0, result.x)
