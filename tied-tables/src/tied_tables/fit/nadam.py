"""Nadam, in batches of rows, with the weights of the least error on held-out rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tied_tables._types import Array
from tied_tables.fit.members import Member, Run
from tied_tables.fit.plan import Plan
from tied_tables.fit.rows import TrainingRows
from tied_tables.fit.schedule import make_schedule
from tied_tables.fit.stack import Objective, Stack
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.training import Training

BETA_1 = 0.9
BETA_2 = 0.99
EPSILON = 1e-7
PATIENCE_OF_FEW_ROWS = 6
"""Parts without a smaller error after which the training on few rows ends."""


@dataclass
class Nadam:
    r"""Adam with Nesterov's momentum, as Keras has it, without its schedule.

    With the averages m of gradients g and v of their squares, step t changes a number
    by

    $$-\eta \frac{\beta_1 m / (1 - \beta_1^{t + 1}) + (1 - \beta_1) g / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$

    Dozat, "Incorporating Nesterov momentum into Adam", 2016.

    Attributes:
        averages: of gradients, of any shape.
        squares: the averages of their squares.
        step: the number of steps taken.
    """

    averages: Array
    squares: Array
    step: int = 0

    @classmethod
    def begin(cls, parameters: Array) -> Nadam:
        """The state before the first step."""
        return cls(np.zeros_like(parameters), np.zeros_like(parameters))

    def move(
        self,
        parameters: Array,
        gradient: Array,
        rate: float,
    ) -> None:
        """Take a step with a learning rate; the gradient is overwritten."""
        self.step += 1
        step = self.step
        self.averages *= BETA_1
        self.averages += (1 - BETA_1) * gradient
        self.squares *= BETA_2
        self.squares += (1 - BETA_2) * gradient**2
        divisor = np.sqrt(self.squares)
        divisor *= (1 - BETA_2**step) ** -0.5
        divisor += EPSILON
        gradient *= rate * (1 - BETA_1) / (1 - BETA_1**step)
        next_rate = rate * BETA_1 / (1 - BETA_1 ** (step + 1))
        gradient += next_rate * self.averages
        gradient /= divisor
        parameters -= gradient


def take_steps(
    stack: Stack,
    nadam: Nadam,
    rows: TrainingRows,
    weights: Array,
    batches: Array,
    rates: Array,
    objective: Objective,
) -> Array:
    """Train for some steps; returns the losses before each step, `(steps, networks)`.

    Each step has a rate and the places of its rows, `(steps, batch_size)`. Weights of
    the rows are `(networks, n)`.
    """
    shape = len(rates), len(stack.parameters)
    losses = np.empty(shape)
    with np.errstate(all="ignore"):
        for step, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
            batch_weights = weights[:, batch] / len(batch)
            losses[step] = stack.find_gradient(
                rows, batch, batch_weights, objective, nadam.step
            )
            nadam.move(stack.parameters, stack.gradient, float(rate))
    return losses


def train(
    members: list[Member],
    plan: Plan,
    is_interrupted: Callable[[], bool],
) -> tuple[list[DenseNetwork], Training]:
    """Train networks side by side, and keep those with the least held-out error."""
    schedule = make_schedule(members, plan)
    run = Run(members, np.float32)
    nadam = Nadam.begin(run.stack.parameters)
    start_error = run.measure()  # of PCA
    n_parts = len(schedule.rates)
    patience = PATIENCE_OF_FEW_ROWS if plan.few_rows else n_parts
    for rates in schedule.rates:
        batches = np.array([next(schedule.batches) for _ in rates])
        part_losses = take_steps(
            run.stack, nadam, run.rows, run.weights, batches, rates, plan
        )
        run.add_part(part_losses[:, -1].tolist())
        if not np.isfinite(part_losses[-1]).all():
            rate = plan.learning_rate
            raise FloatingPointError(
                f"The loss became NaN or infinite at learning_rate={rate:.3g}: try"
                f" {rate / 10:.3g}."
            )
        if run.finish_part(n_parts, patience, plan) or is_interrupted():
            break
    # The steps until the end of each part, and of each pass up to the best weights.
    part_ends = np.cumsum([0, *map(len, schedule.rates)])
    end = int(part_ends[run.n_parts_to_best])
    begins = list(range(schedule.steps_per_pass, end, schedule.steps_per_pass))
    step_losses = np.array(run.losses[:end])
    losses = [float(part.mean()) for part in np.split(step_losses, begins)]
    errors = []
    if plan.early_stopping:
        errors = [start_error, *run.errors]
        measured = part_ends[: len(errors)]
        errors = np.interp([*begins, end], measured, errors).tolist()
    training = Training(
        n_iter=max(1, len(losses)),
        loss_curve=losses,
        validation_curve=errors,
    )
    return run.make_best(), training
