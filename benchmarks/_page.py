"""`docs/benchmarks.md`, made of the results alone."""

import re
import textwrap
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks._case import find_base
from benchmarks._pictures import draw_pictures
from benchmarks._results import (
    EVEN,
    Result,
    format_number,
    format_table,
    read_figure,
    read_results,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
QUOTING = [
    p for p in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if p != PAGE
]
QUOTE = re.compile(r"([\d.,]*\d)([^\d<>]{0,40}<!--\s*bench\s+(.+?)\s*-->)", re.DOTALL)
PICTURES = "images/benchmarks"
ORDER = """
    article mnist images tables limits mixed odd_rows anomalies missing widths encode start growth
    large engines ties dictionary external
    """.split()
INTRODUCTION = """
`python -m benchmarks` measures all of this again, `python -m benchmarks CASE` one case, and
`--quick` a small part of each in minutes. `pip install -e ".[bench]"` brings the peers; one that is
not installed is listed as not measured. `--data FOLDER` names a folder with ADBench's tables
(`adbench/*.npz`), MNIST (`mnist/*.gz`) and the article's file (`donut_corr2.npy`); without it, the
cases take what scikit-learn brings.
"""
RULES = """
- Each system runs in a process of its own, in turn with the others, five times unless it takes
  minutes. Every repeat is in `benchmarks/results/CASE.json`.
- A value is the median over the turns, and over several tasks the geometric mean of the medians
  (of areas and shares, the mean). In brackets is how many times as good ours is: the median of the
  ratios of the same turn, and their geometric mean over the tasks. Above 1, ours is ahead; below 1,
  the peer is.
- *Seconds* are of the first call in a new process, with all compilation and without imports.
  *Again* is a second call.
- Each result is checked. A failure, a wrong result or more time than the limit counts with twice
  the worst median of the task.
- Threads that wait do not spin (`OMP_WAIT_POLICY=PASSIVE`), for ours as for peers.
"""


def write_page(folder: Path, page: Path) -> None:
    results = read_results(folder)
    page.write_text(make_page(results, read_results(folder / "again")))
    for path in QUOTING if page == PAGE else []:
        path.write_text(quote_anew(path.read_text(), results))
    draw_pictures(results, page.parent / PICTURES)


def quote_anew(text: str, results: dict[str, Result]) -> str:
    """A text with its quoted figures as they are in the results, with as many digits."""
    return QUOTE.sub(partial(format_quote, results), text)


def format_quote(results: dict[str, Result], quote: re.Match[str]) -> str:
    number, rest, key = quote.groups()
    value = read_figure(results, " ".join(key.split()))
    decimals = len(number.partition(".")[2])
    if not decimals and number[0] != "0":  # 16, or 1,500: rounded where zeros stand
        zeros = len(number.replace(",", "")) - len(number.replace(",", "").rstrip("0"))
        value = round(value, -zeros) or value
    return f"{value:,.{decimals}f}{rest}"


def make_page(results: dict[str, Result], again: dict[str, Result]) -> str:
    ordered = [results[name] for name in ORDER if name in results]
    parts = ["# Benchmarks", *tell_leads(ordered), wrap(INTRODUCTION), RULES.strip()]
    parts.append(wrap(tell_machine(ordered[0])))
    if lacking := [f"`{name}`" for name in ORDER if name not in results]:
        parts.append(wrap(f"These cases have no results here: {', '.join(lacking)}."))
    for result in ordered:
        parts += make_section(result, again.get(result.name))
    return "\n\n".join(parts) + "\n"


def wrap(text: str, indent: str = "") -> str:
    fill = {"width": 100, "break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(" ".join(text.split()), **fill, subsequent_indent=indent)


def make_slug(title: str) -> str:
    return "".join(
        c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-"
    )


def tell_leads(results: list[Result]) -> list[str]:
    """The first paragraph, and the list below it: where peers are ahead."""
    lines = []
    for result in results:
        by_measure: dict[str, list[str]] = {}
        for title, system, factor in result.list_leads():
            by_measure.setdefault(title, []).append(
                f"*{system}* {format_number(factor, 2)} times"
            )
        if by_measure:
            told = "; ".join(
                f"{title}: {', '.join(names)}" for title, names in by_measure.items()
            )
            lines.append(
                f"- [{result.case.TITLE}](#{make_slug(result.case.TITLE)}): {told}"
            )
    if not lines:
        return [
            f"No peer is ahead of ours by more than {EVEN - 1:.0%} in any case below."
        ]
    text = (
        f"**Peers are ahead of ours** in {len(lines)} of the {len(results)} cases"
        " below, by so much; in all else that is measured, ours is ahead, or even"
        f" within {EVEN - 1:.0%}:"
    )
    return [wrap(text), "\n".join(wrap(line, "  ") for line in lines)]


def tell_machine(result: Result) -> str:
    machine, versions = result.json["machine"], result.json["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"The machine: {machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_gib']} GiB, {machine['system']}; {listed}."
    )


def make_section(result: Result, again: Result | None) -> list[str]:
    case, name = result.case, result.name
    parts = [f"## {case.TITLE}", wrap(case.TEXT)]
    told = f"{case.TITLE}: {', '.join(result.measures[n].title for n in case.PICTURE)}"
    parts.append(
        "\n".join(
            f'<img class="only-{mode}" src="{PICTURES}/{name}-{mode}.svg" alt="{told}">'
            for mode in ("light", "dark")
        )
    )
    command = f"<!-- not run: takes minutes -->\n\n```sh\n{result.json['command']}\n```"
    parts += [command, format_table(result)]
    if hasattr(case, "describe"):
        parts.append(case.describe(result))
    elif len(result.tasks) > 1 and not getattr(case, "BY_TASK", False):
        parts.append(format_tasks(result, case.PICTURE[0]))
    return [*parts, wrap(tell_notes(result, again))]


def tell_notes(result: Result, again: Result | None) -> str:
    """How often, when and on what it was measured, and what failed."""
    turns = max(len(runs) for runs in result.runs.values())
    few = [
        f"{system} {len(runs)}"
        for system, runs in result.runs.items()
        if len(runs) < turns
    ]
    notes = (
        f"{turns} turn{'s' * (turns > 1)}"
        + (f" ({', '.join(few)})" if few else "")
        + ", "
    )
    notes += f"{result.json['date']}, commit {result.json['commit']}."
    load, cores = result.json["load"], result.json["machine"]["cores"]
    if load > 1.5 * cores:  # the case before was a load, too
        notes += (
            f" **Other programs ran beside, a load of {load:.0f} on {cores} cores**:"
            " seconds "
        )
        notes += "are longer than on a quiet machine, and ratios less certain."
    notes += f" {result.case.CHOSEN_ON}"
    missing = ", ".join(
        f"{s} ({why})" for s, why in result.json["not_measured"].items()
    )
    notes += f" Not measured: {missing}." if missing else ""
    for system in result.runs:
        for task, why in result.find_failures(system).items():
            notes += f" Failed: {system}{', ' + task if task else ''}: {why}."
    return notes + (" " + compare_runs(result, again) if again else "")


def format_tasks(result: Result, measure: str) -> str:
    """The medians of each task, in a part that opens."""
    systems = [s for s in result.runs if result.list_values(s, measure)]
    title = result.measures[measure].title
    lines = [
        f"| {title} | " + " | ".join(systems) + " |",
        "| --- |" + " ---: |" * len(systems),
    ]
    values = {s: result.compute_values(s, measure) for s in systems}
    for task in result.tasks:
        cells = [format_number(values[s].get(task)) for s in systems]
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    summary = "<details>\n<summary>Each task</summary>\n\n"
    return summary + "\n".join(lines) + "\n\n</details>"


def compare_runs(first: Result, second: Result) -> str:
    """By how much the ratios of another run differ."""
    changes = {}
    for measure in first.shown:
        for system in first.runs.keys() & second.runs.keys():
            ratios = (
                first.compute_ratio(system, measure),
                second.compute_ratio(system, measure),
            )
            if find_base(first.case.SYSTEMS, system) != system and None not in ratios:
                changes[system, measure] = max(ratios) / min(ratios) - 1
    worst = max(changes, key=lambda key: changes[key])
    title = first.measures[worst[1]].title
    return (
        f"Of a second run the ratios differ by {median(changes.values()):.0%} in the"
        f" median and by {changes[worst]:.0%} at most ({worst[0]}, {title})."
    )
