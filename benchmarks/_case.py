"""What a case is made of.

A module of `benchmarks/cases` has `TITLE`, `TEXT` (what is compared, and where that
comes from), `CHOSEN_ON` (the data that a setting of ours was chosen on), `MEASURES`,
`SYSTEMS` (ours first), and

- `prepare(options)`: names of tasks, each with a function that loads the task's input;
- `measure(task, output, seconds)`: numbers of what a system returned, the same for all
  systems. It raises `AssertionError` where the system did not do the work;
- optionally `setup(options)`: write into `options.folder` what the systems read, once.

`BY_TASK = True` shows each task by itself, where they differ in kind. `HOT = False`
leaves the second call out, `ISOLATED` gives each task a process of its own, `LONG` runs
the case only where it is named, `REPEATS` sets another number of turns and `LIMIT`
another limit for a process, in seconds; `PICTURE` names the measures that are drawn.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

CASES = Path(__file__).parent / "cases"
Loaders = Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Options:
    """Fewer rows if `quick`; the folder of data; the seed, which is the turn; where files are."""

    quick: bool = False
    data: Path | None = None
    seed: int = 0
    folder: Path = Path()


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

    `make` imports what it needs and returns the function of a task's input that is
    timed; one that raises `NotImplementedError` for a task cannot do it. `needs` are
    modules, without which it is not measured. `beside` is the system that it is
    compared with, by default the first.
    """

    make: Callable[[], Callable[[Any], Any]]
    needs: tuple[str, ...] = ()
    backend: str = "jax"
    ours: bool = False
    beside: str | None = None
    repeats: int | None = None
    hot: bool = True


SECONDS = Measure("seconds")
HOT_SECONDS = Measure("seconds, again")
CPU_SECONDS = Measure("of CPU", None)
MEMORY = Measure("peak memory, MiB")


def load_case(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.cases.{name}")


def list_cases() -> list[str]:
    names = [module.name for module in pkgutil.iter_modules([str(CASES)])]
    return [name for name in names if not name.startswith("_")]


def find_base(systems: Mapping[str, Any], name: str) -> str:
    """The name of the system that one is compared with."""
    return systems[name].beside or next(iter(systems))


def mean_square(differences: np.ndarray) -> float:
    return float(np.mean(np.square(differences, dtype=np.float64)))
