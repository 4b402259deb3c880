"""What follows from the results of a case: medians, ratios to ours, and figures that pages quote.

A ratio is how many times as good as theirs ours is, in the median over the turns; above
1, ours is ahead. Over tasks it is the geometric mean. Who fails at a task counts with
twice the worst median of that task (as in ClickBench); who cannot do it by its nature
is compared on the others.
"""

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

from benchmarks._case import (
    CPU_SECONDS,
    HOT_SECONDS,
    MEMORY,
    SECONDS,
    Measure,
    find_base,
    load_case,
)

EVEN = 1.05  # who is ahead by less counts as even
GENERAL = {"seconds": SECONDS, "hot_seconds": HOT_SECONDS, "memory": MEMORY}
GENERAL |= {"cpu_seconds": CPU_SECONDS, "hot_cpu_seconds": CPU_SECONDS}


class Result:
    """The results of one case."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.json, self.name = result, result["case"]
        self.case = load_case(self.name)
        self.runs = {
            n: each["runs"] for n, each in result["systems"].items() if each["runs"]
        }
        self.measures: dict[str, Measure] = GENERAL | self.case.MEASURES

    def get_measure(self, name: str) -> Measure:
        return self.measures.get(name, Measure(name, None))

    @cached_property
    def tasks(self) -> list[str]:
        runs = (run for runs in self.runs.values() for run in runs)
        return list(
            dict.fromkeys(task for run in runs for task in run.get("tasks", {}))
        )

    @property
    def shown(self) -> list[str]:
        """The measures of the table, of which there are numbers; time of the CPU beside seconds."""
        names = []
        for name in self.case.MEASURES:
            names += [name, "cpu_seconds"] if name == "seconds" else [name]
        return [n for n in names if any(self.list_values(s, n) for s in self.runs)]

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """Of the table: heading, measure, and task; all tasks together, unless they differ in kind.

        Then each measure that is drawn has a column for each.
        """
        columns = []
        for name in self.shown:
            title, is_split = self.measures[name].title, name in self.case.PICTURE
            if is_split and getattr(self.case, "BY_TASK", False):
                columns += [(f"{title}, {task}", name, task) for task in self.tasks]
            else:
                columns.append((title, name, ""))
        return columns

    def is_ours(self, system: str) -> bool:
        return system in self.case.SYSTEMS and self.case.SYSTEMS[system].ours

    def list_values(
        self, system: str, measure: str, task: str | None = None
    ) -> list[float]:
        return [v for name, _, v in self._walk(system, measure) if task in (None, name)]

    def _walk(self, system: str, measure: str) -> Iterator[tuple[str, int, float]]:
        floor = self.get_measure(measure).floor
        for run in self.runs[system]:
            for task, numbers in run.get("tasks", {}).items():
                if isinstance(numbers.get(measure), int | float):
                    yield task, run["turn"], max(float(numbers[measure]), floor)

    def find_failures(self, system: str) -> dict[str, str]:
        """Why a system failed, by task; "" is the process."""
        failures = {}
        for run in self.runs[system]:
            for task, numbers in {"": run, **run.get("tasks", {})}.items():
                if "failure" in numbers:
                    failures[task] = numbers["failure"]
        return failures

    def _fill_in(self, system: str, measure: str) -> dict[str, dict[int, float]]:
        """Values by task and turn, with the penalty where the system failed."""
        values: dict[str, dict[int, float]] = {}
        for task, turn, value in self._walk(system, measure):
            values.setdefault(task, {})[turn] = value
        for run in self.runs[system]:
            for task in self.tasks:
                failed = "failure" in run or "failure" in run["tasks"].get(task, {})
                penalty = self._compute_penalty(task, measure) if failed else None
                if penalty is not None:
                    values.setdefault(task, {})[run["turn"]] = penalty
        return values

    def _compute_penalty(self, task: str, measure: str) -> float | None:
        every = [self.list_values(system, measure, task) for system in self.runs]
        medians = [median(values) for values in every if values]
        if not medians:
            return None
        return (
            min(medians) / 2
            if self.get_measure(measure).better == "more"
            else 2 * max(medians)
        )

    def compute_values(self, system: str, measure: str) -> dict[str, float]:
        """The median over the turns of each task."""
        filled = self._fill_in(system, measure)
        return {task: median(turns.values()) for task, turns in filled.items()}

    def compute_value(self, system: str, measure: str, task: str = "") -> float | None:
        """The median of a task, or the mean over all, geometric where less is better."""
        values = self.compute_values(system, measure)
        if task:
            return values.get(task)
        mean = fmean if self.get_measure(measure).better == "more" else geometric_mean
        return mean(values.values()) if values else None

    def compute_ratios(self, system: str, measure: str) -> dict[str, float]:
        """For each task how many times as good as a system the one beside it is."""
        base = find_base(self.case.SYSTEMS, system)
        if base not in self.runs or self.get_measure(measure).better is None:
            return {}
        theirs, ours = self._fill_in(system, measure), self._fill_in(base, measure)
        ratios = {}
        for task in theirs.keys() & ours.keys():
            turns = theirs[task].keys() & ours[task].keys()
            pairs = [(theirs[task][turn], ours[task][turn]) for turn in turns]
            if self.get_measure(measure).better == "more":
                pairs = [(b, a) for a, b in pairs]
            if pairs:
                ratios[task] = median(a / b for a, b in pairs)
        return ratios

    def compute_ratio(self, system: str, measure: str, task: str = "") -> float | None:
        ratios = self.compute_ratios(system, measure)
        if task:
            return ratios.get(task)
        return geometric_mean(ratios.values()) if ratios else None

    def compute_range(self, system: str, measure: str) -> tuple[float, float] | None:
        """The smallest and the largest value of all turns, of the mean over the tasks."""
        filled = self._fill_in(system, measure)
        turns: dict[int, list[float]] = {}
        for values in filled.values():
            for turn, value in values.items():
                turns.setdefault(turn, []).append(value)
        mean = fmean if self.get_measure(measure).better == "more" else geometric_mean
        means = [
            mean(values) for values in turns.values() if len(values) == len(filled)
        ]
        return (min(means), max(means)) if means else None

    def list_leads(self) -> list[tuple[str, str, float]]:
        """Peers that are ahead: heading, system, and by which factor."""
        leads = []
        for title, measure, task in self.columns:
            for system in self.runs:
                ratio = (
                    None
                    if self.is_ours(system)
                    else self.compute_ratio(system, measure, task)
                )
                if ratio is not None and ratio < 1 / EVEN:
                    leads.append((title, system, 1 / ratio))
        return leads


def read_results(folder: Path) -> dict[str, Result]:
    paths = sorted(folder.glob("*.json"))
    return {path.stem: Result(json.loads(path.read_text())) for path in paths}


def read_figure(results: dict[str, Result], key: str) -> float:
    """The number behind a key, `CASE/SYSTEM/MEASURE/WHAT` or `.../WHAT/TASK`.

    WHAT is "value", or "ratio", how many times as good as this system ours is, or
    "share", its inverse; "median_ratio" and "median_share" are medians over the tasks,
    not geometric means.
    """
    case, system, measure, what, *task = key.split("/")
    result = results[case]
    if what == "value":
        number = result.compute_value(system, measure, *task)
    elif what.startswith("median"):
        number = median(result.compute_ratios(system, measure).values())
    else:
        number = result.compute_ratio(system, measure, *task)
    if number is None:
        raise KeyError(key)
    return 1 / number if what.endswith("share") else number


def format_number(value: float | None, digits: int = 3) -> str:
    """Three digits, without exponents where that is short: 0.0123, 1.46, 12.3, 1,460."""
    if value is None:
        return ""
    if value < 1e-11:  # the floor of what is zero
        return "0"
    if value >= 10 ** (digits - 1):
        return f"{float(f'{value:.{digits}g}'):,.0f}"
    return f"{value:#.{digits}g}" if value >= 1e-4 else f"{value:.2e}"


def format_table(result: Result) -> str:
    """A table of Markdown: a row for each system, a value and a ratio for each column."""
    titles = [title for title, *_ in result.columns]
    lines = [
        "| system | " + " | ".join(titles) + " |",
        "| --- |" + " ---: |" * len(titles),
    ]
    for system in result.runs:
        cells = []
        for _, *column in result.columns:
            value = format_number(result.compute_value(system, *column))
            ratio = result.compute_ratio(system, *column)
            is_base = find_base(result.case.SYSTEMS, system) == system
            cells.append(
                value
                if ratio is None or is_base
                else f"{value} ({format_number(ratio)})"
            )
        name = f"**{system}**" if result.is_ours(system) else system
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
