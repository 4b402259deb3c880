"""What follows from the results of a case: medians, ratios to ours, and figures that pages quote.

A ratio is how many times as good as theirs ours is, in the median over the turns; above
1, ours is ahead. Over tasks it is the geometric mean. Who fails at a task counts with
twice the worst median of that task (as in ClickBench); who cannot do it by its nature
is compared on the others.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any, NamedTuple

from benchmarks._case import (
    CPU_SECONDS,
    HOT_SECONDS,
    MEMORY,
    SECONDS,
    Measure,
    Numbers,
    load_case,
)

EVEN = 1.05  # who is ahead by less counts as even
GENERAL = {"seconds": SECONDS, "hot_seconds": HOT_SECONDS, "memory": MEMORY}
GENERAL |= {"cpu_seconds": CPU_SECONDS}
Turns = dict[int, float]


class Cell(NamedTuple):
    """One turn of a system at a task, or at "" where its process failed."""

    system: str
    task: str
    turn: int
    numbers: dict[str, Any]


class Column(NamedTuple):
    """A measure in a table: of a group of tasks, or "" for all of them."""

    title: str
    measure: str
    group: str = ""


class Result:
    """The results of one case."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.json = result
        self.name = result["case"]
        self.case = load_case(self.name)
        self.measures = defaultdict(lambda: Measure("", None), GENERAL)
        self.measures |= self.case.MEASURES
        systems = result["systems"].items()
        self.runs = {name: each["runs"] for name, each in systems if each["runs"]}
        self.cells = [
            Cell(system, task, run["turn"], numbers)
            for system, runs in self.runs.items()
            for run in runs
            for task, numbers in run["tasks"].items()
        ]
        tasks = dict.fromkeys(cell.task for cell in self.cells)
        self.tasks = [task for task in tasks if task]

    def is_ours(self, system: str) -> bool:
        return self.case.SYSTEMS[system].ours

    def find_base(self, system: str) -> str:
        """The system that one is compared with."""
        return self.case.SYSTEMS[system].beside or next(iter(self.case.SYSTEMS))

    def is_base(self, system: str) -> bool:
        return self.find_base(system) == system

    @property
    def groups(self) -> list[str]:
        return list(dict.fromkeys(map(find_group, self.tasks)))

    @property
    def shown(self) -> list[str]:
        """The measures of the table, of which there are numbers; time of the CPU beside seconds."""
        names = []
        for name in self.case.MEASURES:
            names += [name, "cpu_seconds"] if name == "seconds" else [name]
        measured = {name for cell in self.cells for name in cell.numbers}
        return [name for name in names if name in measured]

    @property
    def columns(self) -> list[Column]:
        """Of the table: all tasks together, unless they differ in kind.

        Then each measure that is drawn has a column for each group.
        """
        columns = []
        by_group = getattr(self.case, "BY_GROUP", False)
        for name in self.shown:
            title = self.measures[name].title
            if by_group and name in self.case.PICTURE:
                columns += [Column(f"{title}, {g}", name, g) for g in self.groups]
            else:
                columns.append(Column(title, name))
        return columns

    def list_failures(self) -> list[tuple[str, str, str]]:
        """Each once: system, task, and why."""
        failures = [
            (cell.system, cell.task, cell.numbers["failure"])
            for cell in self.cells
            if "failure" in cell.numbers
        ]
        return list(dict.fromkeys(failures))

    def tabulate(self, measure: str) -> dict[str, dict[str, Turns]]:
        """Values by task, system and turn, with the penalty where a system failed."""
        about = self.measures[measure]
        table = defaultdict(lambda: defaultdict(dict))
        for system, task, turn, numbers in self.cells:
            if measure in numbers:
                table[task][system][turn] = max(float(numbers[measure]), about.floor)
        failed = [cell for cell in self.cells if "failure" in cell.numbers]
        for task, systems in table.items():
            medians = [median(turns.values()) for turns in systems.values()]
            is_more = about.better == "more"
            penalty = min(medians) / 2 if is_more else 2 * max(medians)
            for cell in failed:
                if cell.task in ("", task):
                    systems[cell.system][cell.turn] = penalty
        return table

    def compute_values(self, system: str, measure: str) -> Numbers:
        """The median over the turns of each task."""
        tasks = self.tabulate(measure).items()
        return {t: median(each[system].values()) for t, each in tasks if system in each}

    def compute_value(self, system: str, measure: str, group: str = "") -> float | None:
        """The mean of a group of tasks, or over all, geometric where less is better."""
        is_more = self.measures[measure].better == "more"
        mean = fmean if is_more else geometric_mean
        return average(self.compute_values(system, measure), group, mean)

    def compute_differences(self, system: str, measure: str, group: str) -> list[float]:
        """By how much the one beside it is better at each task of a group."""
        values = self.compute_values(system, measure)
        base = self.compute_values(self.find_base(system), measure)
        sign = -1 if self.measures[measure].better == "less" else 1
        tasks = [t for t in values if t in base and is_of(t, group)]
        return [sign * (base[task] - values[task]) for task in tasks]

    def compute_ratios(self, system: str, measure: str) -> Numbers:
        """For each task how many times as good as a system the one beside it is."""
        base = self.find_base(system)
        better = self.measures[measure].better
        ratios = {}
        for task, systems in self.tabulate(measure).items():
            worse = systems.get(system, {})
            good = systems.get(base, {})
            if better == "more":
                worse, good = good, worse
            turns = [worse[turn] / good[turn] for turn in worse.keys() & good.keys()]
            if better and turns:
                ratios[task] = median(turns)
        return ratios

    def compute_ratio(self, system: str, measure: str, group: str = "") -> float | None:
        return average(self.compute_ratios(system, measure), group, geometric_mean)

    def list_leads(self) -> dict[str, Numbers]:
        """Peers that are ahead, by heading, and by which factor."""
        leads = defaultdict(dict)
        peers = [system for system in self.runs if not self.is_ours(system)]
        for title, measure, group in self.columns:
            for system in peers:
                ratio = self.compute_ratio(system, measure, group)
                if ratio is not None and ratio < 1 / EVEN:
                    leads[title][system] = 1 / ratio
        return leads


def find_group(task: str) -> str:
    """What stands before the colon in its name, or the name."""
    group, _, _ = task.partition(": ")
    return group


def is_of(task: str, group: str) -> bool:
    """Whether a task is of a group, or is it; all are of ""."""
    return group in ("", task, find_group(task))


def average(values: Numbers, group: str, mean: Callable) -> float | None:
    chosen = [value for task, value in values.items() if is_of(task, group)]
    return mean(chosen) if chosen else None


def read_results(folder: Path) -> dict[str, Result]:
    paths = sorted(folder.glob("*.json"))
    return {path.stem: Result(json.loads(path.read_text())) for path in paths}


def read_figure(results: dict[str, Result], key: str) -> float:
    """The number behind a key, `CASE/SYSTEM/MEASURE/WHAT` or `.../WHAT/GROUP`.

    WHAT is "value", or "ratio", how many times as good as this system ours is, or
    "share", its inverse.
    """
    case, system, measure, what, *group = key.split("/")
    result = results[case]
    compute = result.compute_value if what == "value" else result.compute_ratio
    number = compute(system, measure, *group)
    return 1 / number if what == "share" else number


def format_number(value: float | None, digits: int = 3) -> str:
    """Three digits, without exponents where that is short: 0.0123, 1.46, 12.3, 1,460."""
    if value is None:
        return ""
    if value < 1e-11:  # the floor of what is zero
        return "0"
    if value >= 10 ** (digits - 1):
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:#.{digits}g}" if value >= 1e-4 else f"{value:.2e}"


def format_rows(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown, in which all columns but the first are numbers."""
    heads = list(heads)
    marks = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, marks, *rows))


def format_table(result: Result) -> str:
    """A row for each system, a value and a ratio for each column."""
    rows = []
    for system in result.runs:
        row = [f"**{system}**" if result.is_ours(system) else system]
        for _, measure, group in result.columns:
            cell = format_number(result.compute_value(system, measure, group))
            ratio = result.compute_ratio(system, measure, group)
            if ratio is not None and not result.is_base(system):
                cell += f" ({format_number(ratio)})"
            row.append(cell)
        rows.append(row)
    return format_rows(["system", *(title for title, *_ in result.columns)], rows)
