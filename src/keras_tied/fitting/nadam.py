"""Nadam, in batches of rows, with the weights of the least error on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_tied._blas import blas_limit
from keras_tied._checkpoint_file import CheckpointFile
from keras_tied._types import Array
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitting.members import Member, Training
from keras_tied.fitting.plan import Plan
from keras_tied.fitting.progress import report
from keras_tied.fitting.rows import TrainingRows
from keras_tied.fitting.schedule import Schedule
from keras_tied.fitting.stack import Objective, Stack

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-7
FEWEST_FOR_THREADS = (
    2**15
)  # weights of a network: in smaller products threads only wait
PATIENCE = 6  # parts without a smaller error after which the training on few rows ends


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

    def copy(self) -> Nadam:
        """A copy, which changes by itself."""
        return Nadam(self.averages.copy(), self.squares.copy(), self.step)

    def move(self, numbers: Array, gradient: Array, rate: float) -> None:
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
        gradient += (rate * BETA_1 / (1 - BETA_1 ** (step + 1))) * self.averages
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
    """Train for some steps, each with a rate and the places of rows, `(steps, batch_size)`.

    Weights of the rows are `(networks,
    n)`. Returns the losses before each step, `(steps, networks)`.
    """
    losses = np.empty((len(rates), len(stack.numbers)))
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for place, (batch, rate) in enumerate(zip(batches, rates, strict=True)):
            inputs = rows.inputs[batch]
            targets = inputs if rows.targets is rows.inputs else rows.targets[batch]
            of_rows = weights[:, batch] / len(batch)
            losses[place] = stack.find_gradient(
                inputs, targets, of_rows, objective, nadam.step
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
    objective: Objective,
    is_interrupted: Callable[[], bool],
) -> Training:
    """Train networks side by side, and keep those of the part with the least held-out error."""
    schedule, run = Schedule.make(members, plan), Run(members)
    of_pca = run.measure()  # the networks begin as PCA
    with limit_threads(run.stack):
        _take_parts(run, schedule, plan, objective, is_interrupted)
    losses = schedule.average_by_pass([each[-1] for each in run.losses], run.best)
    errors = []
    if plan.early_stopping:
        errors = schedule.interpolate([of_pca, *run.errors], run.best)
    return Training(run.make_best(), losses, errors)


def _take_parts(
    run: Run,
    schedule: Schedule,
    plan: Plan,
    objective: Objective,
    is_interrupted: Callable[[], bool],
) -> None:
    """Take part by part, from a checkpoint on, until the last one or until somebody ends it."""
    file = None
    if plan.checkpoint is not None:
        file = CheckpointFile(Path(plan.checkpoint, "checkpoint.npz"))
        run.restore(file)
    for rates in schedule.rates[: run.n_parts]:
        schedule.draw_batches(
            len(rates)
        )  # the orders of the rows are those after these
    for rates in schedule.rates[run.n_parts :]:
        run.take_part(schedule.draw_batches(len(rates)), rates, objective)
        if not np.isfinite(run.losses[-1]).all():
            raise FloatingPointError(
                f"The loss came out not finite at learning_rate={schedule.rate:.3g}: "
                f"try {schedule.rate / 10:.3g}."
            )
        if file and file.is_due:
            run.save(file)
        logs = {"loss": run.losses[-1][-1]}
        if plan.early_stopping:
            logs["val_error"] = run.errors[-1]
        is_stopped = report(run.n_parts, len(schedule.rates), logs, plan.verbose)
        n_worse = run.n_parts - 1 - run.best
        if is_stopped or is_interrupted() or (plan.few_rows and n_worse >= PATIENCE):
            break


@dataclass
class Run:
    """A training so far, which begins with the networks of its members."""

    members: list[Member]
    losses: list[list[float]] = field(
        default_factory=list
    )  # of the networks, before each step
    errors: list[float] = field(
        default_factory=list
    )  # the mean held-out error after each part
    best: int = 0  # the part with the least of these

    def __post_init__(self) -> None:
        self.stack = Stack([member.network for member in self.members])
        self.nadam = Nadam.begin(self.stack.numbers)
        self.best_numbers = self.stack.numbers.copy()
        of_members = [member.learning_weights for member in self.members]
        self.weights = np.array(of_members, np.float32)
        self.weight = sum(member.weights.sum() for member in self.members) or 1.0

    @property
    def n_parts(self) -> int:
        """The parts that were taken."""
        return len(self.errors)

    def take_part(self, batches: Array, rates: Array, objective: Objective) -> None:
        """Take steps, with places of rows, `(steps, batch_size)`, and measure the networks."""
        rows, state = self.members[-1].rows, (self.stack, self.nadam)
        self.losses += take_steps(
            *state, rows, self.weights, batches, rates, objective
        ).tolist()
        self.errors.append(self.measure())
        if self.errors[-1] <= self.errors[self.best]:
            self.best, self.best_numbers = self.n_parts - 1, self.stack.numbers.copy()

    def measure(self) -> float:
        """The mean error of the networks on the rows held out of them."""
        total = 0.0
        for place, member in enumerate(self.members):
            total += member.measure(self.stack.make_network(place)).sum()
        return float(total / self.weight)

    def make_best(self) -> list[DenseNetwork]:
        """The networks after the best part."""
        places = range(len(self.members))
        return [
            self.stack.make_network(place, self.best_numbers[place]) for place in places
        ]

    def restore(self, file: CheckpointFile) -> None:
        """Set the state that a file holds, if it is there."""
        content = file.read()
        if content is None:
            return
        arrays, notes = content
        self.stack.numbers[...] = arrays["numbers"]
        self.nadam = Nadam(arrays["averages"], arrays["squares"], notes["step"])
        self.best_numbers = arrays["best"]
        self.losses, self.errors, self.best = (
            notes["losses"],
            notes["errors"],
            notes["best"],
        )

    def save(self, file: CheckpointFile) -> None:
        """Save the state."""
        begin, nadam = time.monotonic(), self.nadam
        arrays = {
            "numbers": self.stack.numbers,
            "averages": nadam.averages,
            "squares": nadam.squares,
            "best": self.best_numbers,
        }
        notes = {
            "step": nadam.step,
            "losses": self.losses,
            "errors": self.errors,
            "best": self.best,
        }
        file.write(arrays, notes, begin)
