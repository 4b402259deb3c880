"""The rows and the learning rate of each step of Nadam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tied_tables._types import Array
from tied_tables.fit.members import Member
from tied_tables.fit.plan import Plan

# at least, but for what `MULTIPLICATIONS` allows
STEPS = 4200
STEPS_OF_FEW_ROWS = 450
PASSES = 64  # how often each row is used, at most
MOST_STEP_ROWS = 2**21  # of all steps, at most
# at most so many steps in a part
PART_STEPS = 200
PART_STEPS_OF_FEW_ROWS = 25
FEWEST_STEPS = 100
MULTIPLICATIONS = 2**38
MULTIPLICATIONS_OF_FEW_ROWS = 2**36
"""At most, but for the fewest steps."""
PART_MULTIPLICATIONS = 2**33
"""In a part, which takes a second: Ctrl-C is seen between parts."""
WARMUP = 0.05  # the share of the steps in which the learning rate rises


@dataclass
class Schedule:
    """The rows and the learning rate of each step.

    Attributes:
        batches: the places of the rows of each batch, without an end.
        rates: those of the steps of each part.
        steps_per_pass: the steps that go through all rows once, about.
    """

    batches: Iterator[Array]
    rates: list[Array]
    steps_per_pass: int


def make_schedule(members: list[Member], plan: Plan) -> Schedule:
    """That of a plan for some networks."""
    n = len(members[-1].rows.inputs)
    n_parameters = members[-1].network.n_parameters
    size = min(plan.batch_size, n)
    steps_per_pass = -(-n // size)
    multiplications = 6 * n_parameters * size * len(members)  # of a step
    if plan.few_rows:
        steps = STEPS_OF_FEW_ROWS
        part_steps = PART_STEPS_OF_FEW_ROWS
        most = MULTIPLICATIONS_OF_FEW_ROWS
    else:
        share = min(1, plan.effort)
        most_rows = int(min(share * PASSES * n, plan.effort * MOST_STEP_ROWS))
        steps = max(int(share * STEPS), most_rows // size)
        part_steps = PART_STEPS
        most = int(plan.effort * MULTIPLICATIONS)
    steps = max(min(steps, most // multiplications), FEWEST_STEPS, steps_per_pass)
    if plan.max_iter is not None:
        steps = plan.max_iter * steps_per_pass
    most_part_steps = PART_MULTIPLICATIONS // multiplications
    part_steps = max(1, min(part_steps, steps, most_part_steps))
    rate = plan.learning_rate
    if plan.scales_rate:
        rate /= max(1.0, steps / STEPS) ** 0.25
    batches = draw_batches(n, size, plan.random)
    rates = make_rates(rate, steps, part_steps)
    return Schedule(batches, rates, steps_per_pass)


def make_rates(rate: float, steps: int, part_steps: int) -> list[Array]:
    """Learning rates that rise linearly at first, and then fall along a cosine to 0."""
    step = np.arange(steps)
    warmup = max(1, int(steps * WARMUP))
    share = (step - warmup) / max(1, steps - warmup)
    fall = 0.5 * (1 + np.cos(np.pi * share))
    rise = (step + 1) / warmup
    rates = rate * np.where(step < warmup, rise, fall)
    return np.split(rates, range(part_steps, steps, part_steps))


def draw_batches(
    n: int,
    size: int,
    random: np.random.RandomState,
) -> Iterator[Array]:
    """Batches of places from one random order of all rows after the other."""
    places = np.arange(n)
    if size == n:
        while True:
            yield places
    remaining = places[:0]
    while True:
        if len(remaining) < size:
            remaining = np.concatenate([remaining, random.permutation(n)])
        yield remaining[:size]
        remaining = remaining[size:]
