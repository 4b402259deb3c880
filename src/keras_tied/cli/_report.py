"""``keras-tied report``: write a page on a model and a table."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._files import check_writable
from keras_tied.cli._app import command
from keras_tied.cli._messages import UsageError, report_wrong_use
from keras_tied.cli._model import Model, Rows, load
from keras_tied.cli._options import Data, Id, Json, ModelFile, Quiet
from keras_tied.cli._output import replace_output
from keras_tied.cli._progress import show_activity
from keras_tied.cli._sample import Label, Sample, open_with_label, take
from keras_tied.cli._show import print_json
from keras_tied.cli._table import TableOptions, explain_left_out

if TYPE_CHECKING:
    from keras_tied.report import Report


@command("keras-tied report model.keras rows.csv -o report.html")
def report(
    model: ModelFile,
    data: Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The .html file to write.")
    ],
    label: Label = None,
    *,
    id: Id = None,
    options: TableOptions,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page to explore rows, their codes and errors; one file, which works offline.

    PCA's error on it is that of PCA of the rows on the page.
    """
    with report_wrong_use():
        target = check_writable(output, ["html"], "--output")
    _require_bokeh()
    opened_model = load(model)
    rows = open_with_label(opened_model, data, options, id, label, quiet)
    sample = take(rows, quiet)
    with show_activity("writing the page", quiet):
        from keras_tied.estimator.internal import baseline_errors

        error, pca_error = baseline_errors(opened_model.fitted_value, sample.numbers)
        page = _make_page(opened_model, rows, sample, pca_error)
        with replace_output(output, target) as part:
            part.write_text(page.to_html(), encoding="utf-8")
    n = len(sample.numbers)
    if json:
        facts = {"rows": rows.source.n_rows, "shown": n, "error": error, "pca_error": pca_error}
        print_json({"output": str(output)} | facts)
    elif not quiet:
        print(f"reported on {n:,} of {rows.source.n_rows:,} rows to {output}")


def _require_bokeh() -> None:
    try:
        import bokeh  # noqa: F401
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'a report needs Bokeh and Jinja2; run pip install "keras-tied[report]".'
        ) from error


def _make_page(model: Model, rows: Rows, sample: Sample, pca_error: float) -> Report:
    from keras_tied.report import Report

    return Report.from_estimator(
        model.fitted_value,
        sample.numbers,
        history={"loss": model.contents.learned["loss_curve_"]},
        feature_names=rows.columns.features,
        ids=sample.ids,
        labels=sample.labels,
        label_name=sample.label_name or "label",
        pca_error=pca_error,
        title=Path(rows.source.name).name or rows.source.name,
        command=_join_commands(model.notes),
        versions=_merge_versions(model.notes),
        notes=_write_notes(rows, sample),
    )


def _join_commands(notes: dict[str, Any]) -> str:
    """Return the commands that made the model and the page; notes may have any type."""
    of_model = notes.get("command")
    commands = [of_model] if isinstance(of_model, str) else []
    return " && ".join([*commands, shlex.join(["keras-tied", *sys.argv[1:]])])


def _merge_versions(notes: dict[str, Any]) -> dict[str, str]:
    versions = notes.get("versions")
    versions = versions if isinstance(versions, dict) else {}
    return {str(name): str(what) for name, what in versions.items()} | {"bokeh": version("bokeh")}


def _write_notes(rows: Rows, sample: Sample) -> list[str]:
    notes = [sample.note] if sample.note else []
    if rows.columns.left_out:
        left_out = ", ".join(explain_left_out(rows.columns))
        notes.append(f"Columns that the model does not use: {left_out}.")
    return notes
