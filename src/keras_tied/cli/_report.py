"""``keras-tied report``: write a page on a model and a table."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._files import check_writable
from keras_tied._text import format_quantity
from keras_tied.cli._app import command
from keras_tied.cli._messages import UsageError, report_wrong_use, say
from keras_tied.cli._model import Model, Rows, load, open_rows
from keras_tied.cli._options import Data, Id, Json, ModelFile, Quiet, SafeCsv
from keras_tied.cli._output import replace_output
from keras_tied.cli._overview import N_WORST, survey_rows
from keras_tied.cli._progress import show_activity
from keras_tied.cli._report_columns import describe_columns
from keras_tied.cli._sample import Label, Sample, open_with_label, say_found, take
from keras_tied.cli._show import print_json
from keras_tied.cli._table import TableOptions, describe_misread, explain_left_out

if TYPE_CHECKING:
    from keras_tied.report import Report, Whole


Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="OLD", help="An older table, to tell what has drifted since."
    ),
]


@command("keras-tied report model.keras rows.csv -o report.html")
def report(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The .html file to write.")
    ],
    label: Label = None,
    against: Against = None,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page to explore rows, their codes and why they are odd; one file, works offline.

    Scores, errors and densities are those of all rows. PCA's error on it is that of PCA of a
    sample of 20,000 rows, where there are more.
    """
    with report_wrong_use():
        target = check_writable(output, ["html"], "--output")
    _require_bokeh()
    opened_model = load(model)
    rows = open_with_label(opened_model, data, options, id, label, quiet)
    sample, whole = survey_rows(opened_model, rows, quiet)
    say_found(rows, quiet)
    warnings, old = _describe_doubtful(rows), None
    if against is not None:
        old, doubtful = _read_old(opened_model, against, options, quiet)
        warnings += doubtful
    with show_activity("writing the page", quiet):
        from keras_tied.estimator.internal import baseline_errors

        _, pca_error = baseline_errors(opened_model.fitted_value, sample.numbers)
        page = _make_page(opened_model, rows, sample, whole, old, warnings, safe_csv, pca_error)
        with replace_output(output, target) as part:
            part.write_text(page.to_html(), encoding="utf-8")
    if json:
        print_json({"output": str(output)} | _describe(page, pca_error))
    elif not quiet:
        print(f"reported on {format_quantity(whole.n_rows, 'row')} to {output}")


def _describe(page: Report, pca_error: float) -> dict[str, Any]:
    """Return what a page says, as JSON."""
    facts = {
        "rows": page.whole.n_rows,
        "shown": len(page.X),
        "error": page.whole.mean_error,
        "pca_error": pca_error,
        "kept": page.whole.kept,
        "standing_out": page.whole.n_outstanding,
    }
    if page.old is None:
        return facts
    drifts, of_score = page.find_drift()
    return facts | {
        "drifted": [drift.name for drift in drifts if drift.has_drifted],
        "score_drifted": of_score.has_drifted,
    }


def _read_old(
    model: Model, data: str, options: TableOptions, quiet: bool
) -> tuple[tuple[str, Any, Any], list[str]]:
    """Read a sample of an older table: its name, its rows, their scores, and what is doubtful."""
    from keras_tied.tables import TableError

    try:
        rows = open_rows(model, data, options, None, quiet)
        numbers = take(rows, quiet).numbers
    except TableError as error:  # which may not name the table
        raise UsageError(f"--against {data}: {error}") from error
    scores, _ = model.fitted_value.measure_rows(numbers)
    doubtful = _describe_doubtful(rows)
    for sentence in () if quiet else doubtful:
        say(sentence)
    return (Path(rows.source.name).name or rows.source.name, numbers, scores), doubtful


def _require_bokeh() -> None:
    try:
        import bokeh  # noqa: F401
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'a report needs Bokeh and Jinja2; run pip install "keras-tied[report]".'
        ) from error


def _make_page(
    model: Model,
    rows: Rows,
    sample: Sample,
    whole: Whole,
    old: tuple[str, Any, Any] | None,
    warnings: list[str],
    safe_csv: bool,
    pca_error: float,
) -> Report:
    from keras_tied.drawing import collect_history
    from keras_tied.report import Report, name_model

    learned, fitted = model.contents.learned, model.fitted_value
    is_pca = learned["is_pca_"]
    return Report.from_estimator(
        fitted,
        sample.numbers,
        scores=whole.scores[whole.places],
        history=collect_history(SimpleNamespace(**learned)),
        model=name_model(fitted, is_pca),
        widths=[tuple(width.values()) for width in model.find_widths()],
        whole=whole,
        old=old,
        feature_names=rows.columns.features,
        columns=describe_columns(rows.columns),
        ids=sample.ids,
        labels=sample.labels,
        label_name=sample.label_name or "label",
        pca_error=pca_error,
        facts=model.find_facts(),
        warnings=list(dict.fromkeys([*warnings, *model.find_warnings()])),
        title=Path(rows.source.name).name or rows.source.name,
        command=_join_commands(model.notes),
        versions=_merge_versions(model.notes),
        notes=_write_notes(rows),
        safe_csv=safe_csv,
        n_worst=N_WORST,
    )


def _describe_doubtful(rows: Rows) -> list[str]:
    """Return which values of a table were misread or new, as sentences that name it."""
    name = rows.source.name
    misread = [f"{name}: column {c!r} {t}." for c, t in describe_misread(rows.misread).items()]
    unseen = [
        f"{name}: column {column!r} holds {format_quantity(times, 'value')} of rare or new "
        "categories."
        for column, times in rows.unseen.items()
    ]
    return [*misread, *unseen]


def _join_commands(notes: dict[str, Any]) -> str:
    """Return the commands that made the model and the page; notes may have any type."""
    of_model = notes.get("command")
    commands = [of_model] if isinstance(of_model, str) else []
    return " && ".join([*commands, shlex.join(["keras-tied", *sys.argv[1:]])])


def _merge_versions(notes: dict[str, Any]) -> dict[str, str]:
    versions = notes.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return {str(name): str(what) for name, what in versions.items()} | {"bokeh": version("bokeh")}


def _write_notes(rows: Rows) -> list[str]:
    if not rows.columns.left_out:
        return []
    left_out = ", ".join(explain_left_out(rows.columns))
    return [f"Columns that the model does not use: {left_out}."]
