"""``tied-tables report``: write a page on a model and a table."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tied_tables._files import check_writable
from tied_tables._text import format_quantity, list_some
from tied_tables.cli._app import command
from tied_tables.cli._check import describe_repeats
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError, print_message, remark
from tied_tables.cli._model import Model
from tied_tables.cli._options import (
    DRIFT_CODE,
    STAR,
    FailOnDrift,
    Json,
    SafeCsv,
    option,
    output_option,
)
from tied_tables.cli._output import print_result, replace_output
from tied_tables.cli._progress import show_stages
from tied_tables.cli._proposals import join
from tied_tables.cli._rows import (
    Sample,
    open_rows,
    take,
)
from tied_tables.cli._table import TableOptions, describe_doubtful, remark_doubtful

if TYPE_CHECKING:
    from tied_tables._types import Array
    from tied_tables.columns import Doubts
    from tied_tables.report import About, Drift, Report, Whole
    from tied_tables.rows import Batch, Scan
    from tied_tables.rules import Doubt

    Old = tuple[str, Array, Array]  # the name, the numbers and the scores of a table

N_WORST = 20  # the oddest rows, which a page begins with


@command("tied-tables report model.safetensors rows.csv -o report.html")
def report(
    inputs: Inputs,
    output: Path = output_option(
        f"The .html file to write. {STAR}", default=Path("*-report.html")
    ),
    against: str | None = option(
        "An older table to compare with, to find drift.", metavar="OLD"
    ),
    *,
    fail_on_drift: FailOnDrift = False,
    safe_csv: SafeCsv = False,
    json: Json = False,
) -> None:
    """Write a page to explore rows, their codes and their outlier scores, offline.

    Scores and errors are those of all rows. PCA's error on it is that of PCA of a
    sample of 20,000 rows, where there are more.
    """
    from tied_tables.report import require_libraries

    check_writable(output, ["html"])
    require_libraries()
    model, table = inputs.open()
    rows, warnings = _leave_out_total(replace(table, reads="all"))
    sample, all_rows, doubts, broken = survey_rows(model, rows)
    remark_doubtful(rows, doubts)
    old, old_warnings = _read_old(model, against, inputs.options)
    warnings += describe_doubtful(rows, doubts) + old_warnings
    warnings += describe_repeats(rows) + _list_warnings(model, rows)
    with show_stages("writing the page"):
        about = _describe_table(model, rows, sample, warnings, broken, safe_csv)
        page = _make_page(model, rows, sample, all_rows, old, doubts, about)
        _write(page, output)
    drifted = page.name_drifts()
    facts = _describe_rows(sample, all_rows, about) | {"drifted": drifted}
    text = f"reported on {format_quantity(all_rows.n_rows, 'row')} to {output}"
    print_result(json, {"output": output} | facts, text)
    if fail_on_drift and drifted:
        print_message(f"{inputs.data!r} has drifted: {list_some(drifted)}.")
        raise typer.Exit(DRIFT_CODE)


def _leave_out_total(rows: Scan) -> tuple[Scan, list[str]]:
    """Leave out a row that adds up the others; return also what is said of it.

    The rows are there as long as all of the table are.
    """
    from tied_tables.io import find_total

    total = find_total(rows.source)
    if total is None:
        return rows, []
    remark(str(total))
    return replace(rows, source=rows.source.head(total.row - 1)), [str(total)]


def _write(page: Report, output: Path) -> None:
    with replace_output(output) as part:
        part.write_text(page.to_html(), encoding="utf-8")


def _describe_rows(sample: Sample, all_rows: Whole, about: About) -> dict[str, Any]:
    """Return the numbers that --json prints of the rows."""
    return {
        "rows": all_rows.n_rows,
        "shown": len(sample.numbers),
        "error": all_rows.mean_error,
        "pca_error": about.pca_error,
        "kept": all_rows.kept,
        "standing_out": all_rows.n_outstanding,
        "rules": about.rules,
        "broken": len(about.broken),
    }


def _make_page(
    model: Model,
    rows: Scan,
    sample: Sample,
    all_rows: Whole,
    old: Old | None,
    doubts: Doubts,
    about: About,
) -> Report:
    from tied_tables.report import Report, Rows

    shown = Rows.compute(
        model.fitted_value,
        sample.numbers,
        outlier_scores=all_rows.scores[sample.places],
        ids=sample.ids,
        labels=sample.labels,
        label_name=rows.label or "label",
        places=sample.places,
    )
    columns = rows.columns.used
    changes = _list_changes(rows, doubts)
    return Report(model.fitted_value, shown, columns, all_rows, old, changes, about)


def survey_rows(model: Model, rows: Scan) -> tuple[Sample, Whole, Doubts, list[Doubt]]:
    """Read a sample and the oddest rows; measure and judge all.

    Returns also what is doubtful, and the values that break rules.
    """
    import numpy as np

    from tied_tables.checks import ContradictionFinder
    from tied_tables.report import Whole

    all_rows = Whole(model.fitted_value)
    contradictions = ContradictionFinder(rows.columns, model.fitted_value.rules)

    def use(batch: Batch) -> None:
        all_rows.add(batch.numbers)
        contradictions.add(batch)

    sample, doubts = take(rows, doing="scoring", use=use)
    if len(sample.places) < all_rows.n_rows:
        worst = np.argsort(-all_rows.scores, kind="stable")[:N_WORST]
        sample, _ = take(rows, np.union1d(sample.places, worst), "drawing")
    return sample, all_rows, doubts, contradictions.find()


def _list_changes(rows: Scan, doubts: Doubts) -> list[Drift]:
    """Return the columns that had one value in training."""
    from tied_tables._column_words import describe_left_out
    from tied_tables.cli._column_words import REMEDIES
    from tied_tables.report import Drift

    left_out = describe_left_out(rows.columns, REMEDIES)
    changes = []
    for name, times in doubts.unseen.counts.items():
        if name not in rows.columns.names:
            before = left_out.get(name, "")
            now = doubts.unseen.describe(name)
            share = times / rows.source.n_rows
            changes.append(Drift(name, share, before=before, now=now))
    return changes


def _list_warnings(model: Model, rows: Scan) -> list[str]:
    """Return what was said of the table of training, named if it is another one."""
    trained = model.find_note("", "data")
    beginning = "" if trained == rows.source.name else f"{trained}: "
    warnings: list[Any] = model.find_note([], "table", "warnings")
    return [f"{beginning}{warning}" for warning in warnings]


def _describe_table(
    model: Model,
    rows: Scan,
    sample: Sample,
    warnings: list[str],
    broken: list[Doubt],
    safe_csv: bool,
) -> About:
    from importlib.metadata import version

    from tied_tables.model.value import baseline_errors
    from tied_tables.report import About, describe_model

    fitted = model.fitted_value
    pca_error = None  # with classes it is not one of squares, as those of the page are
    if fitted.link is None:
        _, pca_error = baseline_errors(fitted, sample.numbers)
    commands = dict.fromkeys([model.find_note("", "command"), join(sys.argv[1:])])
    return About(
        title=_name_table(rows),
        model=describe_model(fitted),
        pca_error=pca_error,
        warnings=list(dict.fromkeys(warnings)),
        facts=model.find_facts(),
        rules=[] if fitted.rules is None else fitted.rules.list_words(),
        broken=broken,
        command=" && ".join(filter(None, commands)),
        versions=model.find_note({}, "versions") | {"bokeh": version("bokeh")},
        safe_csv=safe_csv,
    )


def _name_table(rows: Scan) -> str:
    return Path(rows.source.name).name or rows.source.name


def _read_old(
    model: Model, data: str | None, options: TableOptions
) -> tuple[Old | None, list[str]]:
    """Read a sample of an older table, if any, and tell what is doubtful in it."""
    from tied_tables.io import TableError

    if data is None:
        return None, []
    try:
        rows = open_rows(model, data, options)
        sample, doubts = take(rows)
    except TableError as error:  # which may not name the table
        raise UsageError(f"--against {data}: {error}") from error
    scores = -model.fitted_value.score_samples(sample.numbers)
    sentences = describe_doubtful(rows, doubts)
    warnings = [f"{rows.source.name}: {sentence}" for sentence in sentences]
    remark(*warnings)
    return (_name_table(rows), sample.numbers, scores), warnings
