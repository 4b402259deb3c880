"""What a case is made of.

A module of `benchmarks/cases` has `TITLE`, `TEXT` (what is compared, and where that
comes from), `CHOSEN_ON` (the data that a setting of ours was chosen on), `MEASURES`,
`PICTURE` (which of them are drawn), `SYSTEMS` (ours first), and

- `prepare(options: Options) -> Loaders`: names of tasks, each with a function that
  loads the task's input;
- `measure(task, output, seconds: Numbers) -> Numbers` of what a system returned, the
  same for all systems. It raises `AssertionError` where the system did not do the work;
- optionally `setup(options: Options)`: write what the systems read, once, into the
  folder that all of them run in;
- optionally `describe(result: Result) -> str`, Markdown in place of the table of tasks,
  and `draw_result(result: Result, column: Column, axis)`, a picture in place of bars.

`BY_GROUP = True` shows groups of tasks apart, where they differ in kind: a group stands
before the colon in the names of its tasks, and a name without a colon is one. `HOT =
True` has each task done twice, and `ISOLATED = True` gives each a process of its own.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

CASES = """
    article mnist tables limits gaps odd_rows dirty anomalies novelties widths encode start growth
    engines ties dictionary external
    """.split()
"Their names, as they stand on the page."
Array = np.ndarray
Loaders = dict[str, Callable[[], Any]]
Numbers = dict[str, float]


@dataclass(frozen=True)
class Options:
    """Few tasks if `quick`; the folder of data, if it is there; the seed, which is the turn."""

    quick: bool = False
    data: str = "data"
    seed: int = 0


@dataclass(frozen=True)
class Measure:
    """What is measured: its heading, and whether "less" or "more" is better; None is neither.

    Smaller numbers than the floor are rounding, or luck, and count as the floor.
    """

    title: str
    better: str | None = "less"
    floor: float = 1e-12


@dataclass(frozen=True)
class System:
    """A way to do the work.

    `run` is a function of a task's input, and is timed. It raises `NotImplementedError`
    for a task that it cannot do. `imports` are modules, with spaces between, that are
    imported before, and `needs` those that are not; where one is not installed, the
    system is not measured. `beside` is the system that it is compared with, by default
    the first.
    """

    run: Callable[[Any], Any]
    imports: str = ""
    backend: str = "jax"
    ours: bool = False
    beside: str | None = None
    repeats: int | None = None
    needs: str = ""


SECONDS = Measure("seconds")
HOT_SECONDS = Measure("seconds, again")
CPU_SECONDS = Measure("of CPU", None)
MEMORY = Measure("peak memory, MiB")


def load_case(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.cases.{name}")


def list_tasks(case: ModuleType, options: Options) -> Loaders:
    """All of a case, or with `--quick` three at most."""
    tasks = case.prepare(options)
    every = -(-len(tasks) // 3) if options.quick else 1
    return dict(list(tasks.items())[::every])


def mean_square(differences: Array) -> np.float64:
    return np.mean(np.square(differences, dtype=np.float64))
