"""``keras-tied report``: write a page on a model and a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from keras_tied._files import check_writable
from keras_tied._text import format_quantity, list_some
from keras_tied.cli._app import command
from keras_tied.cli._check import describe_repeats
from keras_tied.cli._inputs import Inputs
from keras_tied.cli._messages import UsageError, describe_command, remark, say
from keras_tied.cli._model import Model
from keras_tied.cli._options import (
    DRIFT_CODE,
    STAR,
    FailOnDrift,
    Json,
    SafeCsv,
    option,
    output_option,
)
from keras_tied.cli._output import print_result, replace_output
from keras_tied.cli._progress import show_stages
from keras_tied.cli._rows import (
    Sample,
    open_rows,
    take,
)
from keras_tied.cli._table import TableOptions, describe_doubtful, explain_left_out

if TYPE_CHECKING:
    from keras_tied._types import Array
    from keras_tied.report import (
        About,
        Drift,
        PageColumn,
        Report,
        Whole,
    )
    from keras_tied.rows import Doubts, Scan

N_WORST = 20  # the oddest rows, which a report always holds


@command("keras-tied report model.safetensors rows.csv -o report.html")
def report(
    inputs: Inputs,
    output: Path = output_option(
        f"The .html file to write. {STAR}", default=Path("*-report.html")
    ),
    against: str | None = option(
        "An older table, to tell what has drifted since.", metavar="OLD"
    ),
    *,
    fail_on_drift: FailOnDrift = False,
    safe_csv: SafeCsv = False,
    json: Json = False,
) -> None:
    """Write a page to explore rows, their codes and why they are odd; it works offline.

    Scores, errors and densities are those of all rows. PCA's error on it is that of PCA
    of a sample of 20,000 rows, where there are more.
    """
    from keras_tied.report import Report, Rows, require_libraries

    check_writable(output, ["html"])
    require_libraries()
    fitted_model, rows = inputs.open_with_label()
    rows = replace(rows, reads="restored")
    sample, whole, doubts = survey_rows(fitted_model, rows)
    warnings, old = describe_doubtful(rows, doubts), None
    remark(*warnings)
    if against is not None:
        old, old_warnings = _read_old(fitted_model, against, inputs.options)
        warnings += old_warnings
    warnings += describe_repeats(rows)
    warnings += _list_warnings(fitted_model, rows)
    with show_stages("writing the page"):
        sample_rows = Rows.compute(
            fitted_model.fitted_value,
            sample.numbers,
            outlier_scores=whole.scores[whole.places],
            ids=sample.ids,
            labels=sample.labels,
            label_name=rows.label or "label",
        )
        page = Report(
            fitted_model.fitted_value,
            sample_rows,
            _list_columns(rows),
            whole,
            old,
            _list_changes(rows, doubts),
            _describe_table(fitted_model, rows, sample, warnings, safe_csv),
            n_worst=N_WORST,
        )
        with replace_output(output) as part:
            part.write_text(page.to_html(), encoding="utf-8")
    drifted = _list_drifts(page)
    facts = {"output": output} | _describe(page) | {"drifted": drifted}
    done = f"reported on {format_quantity(whole.n_rows, 'row')} to {output}"
    print_result(json, facts, done)
    if fail_on_drift and drifted:
        names = list_some(drifted)
        say(f"{inputs.data!r} has drifted: {names}.")
        raise typer.Exit(DRIFT_CODE)


def survey_rows(model: Model, rows: Scan) -> tuple[Sample, Whole, Doubts]:
    """Read a sample and the oddest rows; measure all, and tell what is doubtful."""
    import numpy as np

    from keras_tied.report import Planes, Rows, Tally, Whole

    fitted = model.fitted_value
    tally = Tally(fitted)
    pairs = []

    def measure(numbers: Array) -> None:
        tally.add(numbers)
        pairs.append(fitted.measure_rows(numbers))

    sample, doubts = take(rows, doing="scoring", use=measure)
    scores, errors = np.concatenate(pairs, axis=1)
    if len(sample.places) == rows.source.n_rows:
        return sample, Whole(errors, scores, sample.places, tally), doubts
    is_far = fitted.find_far_values(sample.numbers).any(axis=1)
    ordinary = sample.numbers[~is_far]
    ordinary_rows = Rows.compute(fitted, ordinary)
    planes = Planes(ordinary_rows, _list_columns(rows))

    def count(numbers: Array) -> None:
        planes.count(Rows.compute(fitted, numbers))

    worst = np.argsort(-scores, kind="stable")[:N_WORST]
    places = np.union1d(sample.places, worst)
    sample, _ = take(rows, places, "drawing", count)
    return sample, Whole(errors, scores, places, tally, planes), doubts


def _list_columns(rows: Scan) -> list[PageColumn]:
    from keras_tied.report import PageColumn

    return [PageColumn.from_table(column) for column in rows.columns.used]


def _list_changes(rows: Scan, doubts: Doubts) -> list[Drift]:
    """Return the columns that had one value in training, or were copies."""
    from keras_tied.report import Drift

    changes = []
    for name, times in doubts.unseen.counts.items():
        if name not in rows.columns.names:
            before = rows.columns.left_out.get(name, "")
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
    model: Model, rows: Scan, sample: Sample, warnings: list[str], safe_csv: bool
) -> About:
    from importlib.metadata import version

    from keras_tied.report import About, describe_model

    fitted = model.fitted_value
    pca_error = None  # with classes it is not one of squares, as those of the page are
    if fitted.link is None:
        from keras_tied.fitted.value import baseline_errors

        _, pca_error = baseline_errors(fitted, sample.numbers)
    facts, columns = model.find_facts(), rows.columns
    if rows.id is not None:
        columns = replace(columns, left_out={**columns.left_out, rows.id: "the id"})
        for place, fact in enumerate(facts):
            if fact.name == rows.id:
                facts[place] = replace(fact, becomes="left out: the id")
    text = ", ".join(explain_left_out(columns))
    commands = dict.fromkeys([model.find_note("", "command"), describe_command()])
    versions = model.find_note({}, "versions") | {"bokeh": version("bokeh")}
    return About(
        title=_name_table(rows),
        model=describe_model(fitted, model.contents.settings),
        pca_error=pca_error,
        warnings=list(dict.fromkeys(warnings)),
        facts=facts,
        notes=[f"Columns that the model does not use: {text}."] if text else [],
        command=" && ".join(filter(None, commands)),
        versions={str(name): str(number) for name, number in versions.items()},
        safe_csv=safe_csv,
    )


def _name_table(rows: Scan) -> str:
    return Path(rows.source.name).name or rows.source.name


def _read_old(
    model: Model, data: str, options: TableOptions
) -> tuple[tuple[str, Array, Array], list[str]]:
    """Read a sample of an older table, and tell what is doubtful in it."""
    from keras_tied.tables import TableError

    try:
        rows = open_rows(model, data, options)
        sample, doubts = take(rows)
    except TableError as error:  # which may not name the table
        raise UsageError(f"--against {data}: {error}") from error
    scores, _ = model.fitted_value.measure_rows(sample.numbers)
    sentences = describe_doubtful(rows, doubts)
    warnings = [f"{rows.source.name}: {sentence}" for sentence in sentences]
    remark(*warnings)
    return (_name_table(rows), sample.numbers, scores), warnings


def _describe(page: Report) -> dict[str, Any]:
    """Return what a page says, as JSON."""
    return {
        "rows": page.whole.n_rows,
        "shown": len(page.rows.X),
        "error": page.whole.mean_error,
        "pca_error": page.about.pca_error,
        "kept": page.whole.kept,
        "standing_out": page.whole.n_outstanding,
    }


def _list_drifts(page: Report) -> list[str]:
    """Return what has drifted: columns and scores, or without an older table scores."""
    if page.old is None:
        return ["outlier score"] * page.whole.has_drifted
    drifts, score = page.find_drift()
    return [drift.name for drift in [*drifts, score] if drift.has_drifted]
