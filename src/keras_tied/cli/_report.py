"""``keras-tied report``: a model and a table as one page."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._files import check_writable
from keras_tied.cli._app import command
from keras_tied.cli._messages import UsageError, wrong_use
from keras_tied.cli._model import Model, Rows, load
from keras_tied.cli._options import (
    ArrayName,
    Data,
    Delimiter,
    Encoding,
    Id,
    Json,
    ModelFile,
    Quiet,
)
from keras_tied.cli._output import written
from keras_tied.cli._progress import waiting
from keras_tied.cli._sample import Label, Sample, open_labelled, take
from keras_tied.cli._show import print_json
from keras_tied.cli._table import Reading

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
    id: Id = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    array: ArrayName = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a page to explore rows, their codes and errors; one file, which works offline.

    PCA's error on it is that of PCA of the rows on the page.
    """
    with wrong_use():
        target = check_writable(output, ["html"], "--output")
    _require_bokeh()
    loaded = load(model)
    rows = open_labelled(loaded, data, Reading(delimiter, encoding, array), id, label, quiet)
    sample = take(rows, quiet)
    with waiting("writing the page", quiet):
        from keras_tied.estimator.internal import baseline_errors

        error, pca_error = baseline_errors(loaded.fitted, sample.numbers)
        page = _page(loaded, rows, sample, pca_error)
        with written(output, target) as part:
            part.write_text(page.to_html(), encoding="utf-8")
    n = len(sample.numbers)
    if json:
        found = {"rows": rows.source.n_rows, "shown": n, "error": error, "pca_error": pca_error}
        print_json({"output": str(output)} | found)
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


def _page(model: Model, rows: Rows, sample: Sample, pca_error: float) -> Report:
    from keras_tied.report import Report

    return Report.from_estimator(
        model.fitted,
        sample.numbers,
        history={"loss": model.contents.learned["loss_curve_"]},
        feature_names=rows.columns.features,
        ids=sample.ids,
        labels=sample.labels,
        label_name=sample.label_name or "label",
        pca_error=pca_error,
        title=Path(rows.source.name).name or rows.source.name,
        command=_commands(model.notes),
        versions=_versions(model.notes),
        notes=_notes(rows, sample),
    )


def _commands(notes: dict[str, Any]) -> str:
    """What made the model and the page; a file may note anything."""
    of_model = notes.get("command")
    commands = [of_model] if isinstance(of_model, str) else []
    return " && ".join([*commands, shlex.join(["keras-tied", *sys.argv[1:]])])


def _versions(notes: dict[str, Any]) -> dict[str, str]:
    noted = notes.get("versions")
    versions = noted if isinstance(noted, dict) else {}
    return {str(name): str(what) for name, what in versions.items()} | {"bokeh": version("bokeh")}


def _notes(rows: Rows, sample: Sample) -> list[str]:
    left_out = [f"{name} ({reason})" for name, reason in rows.columns.left_out.items()]
    notes = [
        sample.note,
        f"Columns that the model does not use: {', '.join(left_out)}." if left_out else None,
    ]
    return [note for note in notes if note is not None]
