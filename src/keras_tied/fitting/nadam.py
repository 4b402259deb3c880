"""Nadam, in batches of rows, with the weights of the least error on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_tied._blas import blas_limit
from keras_tied._checkpoint_file import CheckpointFile
from keras_tied._types import Array
from keras_tied.fitting.members import Member, Training, sum_weights
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.progress import report
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.schedule import make_schedule
from keras_tied.fitting.stack import Objective, Stack

BETA_1 = 0.9
BETA_2 = 0.99
EPSILON = 1e-7
FEWEST_FOR_THREADS = 2**15
"""Weights of a network: in smaller products threads only wait."""
PATIENCE = 6
"""Parts without a smaller error after which the training on few rows ends."""
RESTORED = "losses", "errors", "best", "best_numbers"
"""Attributes of a run, beside its numbers and the state of Nadam."""


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
    def begin(cls, numbers: Array) -> Nadam:
        """The state before the first step."""
        return cls(np.zeros_like(numbers), np.zeros_like(numbers))

    def move(
        self,
        numbers: Array,
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
        numbers -= gradient


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
    shape = len(rates), len(stack.numbers)
    losses = np.empty(shape)
    with np.errstate(all="ignore"):
        for step, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
            batch_weights = weights[:, batch] / len(batch)
            losses[step] = stack.find_gradient(
                rows, batch, batch_weights, objective, nadam.step
            )
            nadam.move(stack.numbers, stack.gradient, float(rate))
    return losses


def limit_threads(stack: Stack) -> AbstractContextManager[Any]:
    """Hold BLAS to one thread while networks are small."""
    is_small = stack.numbers.shape[1] < FEWEST_FOR_THREADS
    return blas_limit.limit_to_one() if is_small else nullcontext()


def train(
    members: list[Member],
    plan: Plan,
    is_interrupted: Callable[[], bool],
) -> Training:
    """Train networks side by side, and keep those with the least held-out error."""
    schedule = make_schedule(members, plan)
    run = Run(members)
    start_error = run.measure()  # of PCA
    file = None
    if plan.checkpoint is not None:
        file = CheckpointFile(Path(plan.checkpoint, "checkpoint.npz"))
        run.restore(file)
    n_restored = len(run.errors)
    n_parts = len(schedule.rates)
    with limit_threads(run.stack):
        for part, rates in enumerate(schedule.rates, 1):
            batches = np.array([next(schedule.batches) for _ in rates])
            if part <= n_restored:  # the rows of the next parts are drawn after these
                continue
            last_losses = run.take_part(batches, rates, plan)
            if not np.isfinite(last_losses).all():
                raise FloatingPointError(
                    f"The loss came out not finite at learning_rate="
                    f"{schedule.rate:.3g}: try {schedule.rate / 10:.3g}."
                )
            if file and file.is_due:
                run.save(file)
            logs = {"loss": run.losses[-1]}
            if plan.early_stopping:
                logs["val_error"] = run.errors[-1]
            is_stopped = report(part, n_parts, logs, plan.verbose)
            is_late = plan.few_rows and part - run.best >= PATIENCE
            if is_stopped or is_interrupted() or is_late:
                break
    ends = schedule.find_ends_of_passes(run.best)
    *begins, end = ends
    step_losses = np.array(run.losses[:end])
    losses = [float(part.mean()) for part in np.split(step_losses, begins)]
    errors = []
    if plan.early_stopping:
        errors = [start_error, *run.errors]
        steps = schedule.find_ends_of_parts(len(run.errors))
        errors = np.interp(ends, steps, errors).tolist()
    networks = list(map(run.stack.make_network, run.best_numbers))
    return Training(networks, losses, errors)


class Run:
    """A training so far, which begins with the networks of its members.

    Attributes:
        losses: of the last network, before each step.
        errors: the mean held-out error after each part.
        best: the number of parts until the least of these.
    """

    def __init__(self, members: list[Member]) -> None:
        self.members = members
        self.stack = Stack([member.network for member in members])
        self.nadam = Nadam.begin(self.stack.numbers)
        weights = [member.weights for member in members]
        self.weights = np.array(weights, np.float32)
        self.total_weight = sum_weights(members) or 1.0
        self.losses: list[float] = []
        self.errors: list[float] = []
        self.best = 0
        self.best_numbers = self.stack.numbers.copy()

    def take_part(
        self,
        batches: Array,
        rates: Array,
        objective: Objective,
    ) -> Array:
        """Take steps, with places of rows, `(steps, batch_size)`, and measure.

        Returns the losses before the last step, `(networks,)`.
        """
        rows = self.members[-1].rows
        stack = self.stack
        losses = take_steps(
            stack, self.nadam, rows, self.weights, batches, rates, objective
        )
        self.losses += losses[:, -1].tolist()
        least = min(self.errors, default=np.inf)
        self.errors.append(self.measure())
        if self.errors[-1] <= least:
            self.best = len(self.errors)
            self.best_numbers = stack.numbers.copy()
        return losses[-1]

    def measure(self) -> float:
        """The mean error of the networks on the rows held out of them."""
        networks = map(self.stack.make_network, self.stack.numbers)
        return sum(map(Member.measure, self.members, networks)) / self.total_weight

    def restore(self, file: CheckpointFile) -> None:
        """Set the state that a file holds, if it is there."""
        notes = file.read()
        if notes is None:
            return
        self.stack.numbers[...] = notes["numbers"]
        self.nadam = Nadam(**notes["nadam"])
        for name in RESTORED:
            setattr(self, name, notes[name])

    def save(self, file: CheckpointFile) -> None:
        """Save the state."""
        notes: dict[str, Any] = {name: getattr(self, name) for name in RESTORED}
        notes["numbers"] = self.stack.numbers
        notes["nadam"] = vars(self.nadam)
        file.write(notes, time.monotonic())
