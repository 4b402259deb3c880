"""``keras-tied report``: write a page on a model and a table."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tied._text import format_quantity
from keras_tied.cli._app import command
from keras_tied.cli._lazy import Array, drawing, np, pipeline, tables
from keras_tied.cli._lazy import report as pages
from keras_tied.cli._messages import UsageError, say
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import Data, Id, ModelFile, SafeCsv, option, output_option
from keras_tied.cli._output import Printing, check_output, replace_output
from keras_tied.cli._progress import show_rows, show_stages
from keras_tied.cli._rows import (
    Label,
    RowOptions,
    Sample,
    open_rows,
    open_with_label,
    take,
)
from keras_tied.cli._table import TableOptions, describe_doubtful, explain_left_out

if TYPE_CHECKING:
    from keras_tied.fitted.value import Fitted

N_WORST = 20  # the oddest rows, which a report always holds


@command("keras-tied report model.safetensors rows.csv -o report.html")
def report(
    model: ModelFile,
    data: Data,
    output: Path = output_option("The .html file to write."),
    label: Label = None,
    against: str | None = option(
        "An older table, to tell what has drifted since.", metavar="OLD"
    ),
    *,
    id: Id = None,
    options: RowOptions,
    safe_csv: SafeCsv = False,
    printing: Printing,
) -> None:
    """Write a page to explore rows, their codes and why they are odd; one file, works offline.

    Scores, errors and densities are those of all rows. PCA's error on it is that of PCA
    of a sample of 20,000 rows, where there are more.
    """
    check_output(output, ["html"])
    try:
        import bokeh  # noqa: F401
        import jinja2  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'a report needs Bokeh and Jinja2; run pip install "keras-tied[report]".'
        ) from error
    quiet = printing.quiet
    fitted_model = load(model)
    rows = open_with_label(fitted_model, data, options, id, label, quiet)
    rows = replace(rows, reads="restored")
    sample, whole, doubts = survey_rows(fitted_model, rows, quiet)
    say(*describe_doubtful(rows, doubts), quiet=quiet)
    warnings, old = _describe_doubtful(rows, doubts), None
    if against is not None:
        old, doubtful = _read_old(fitted_model, against, options, quiet)
        warnings += doubtful
    with show_stages("writing the page", quiet):
        pca_error = (
            None  # which is not one of squares, as those of the page are, with classes
        )
        if fitted_model.fitted_value.link is None:
            from keras_tied.fitted.value import baseline_errors

            _, pca_error = baseline_errors(fitted_model.fitted_value, sample.numbers)
        warnings += map(str, fitted_model.find_note([], "table", "warnings"))
        warnings = list(dict.fromkeys(warnings))
        facts = {
            "old": old,
            "safe_csv": safe_csv,
            "pca_error": pca_error,
            "warnings": warnings,
            "changed": _list_changes(rows, doubts),
        }
        page = _make_page(fitted_model, rows, sample, whole, **facts)
        with replace_output(output) as part:
            part.write_text(page.to_html(), encoding="utf-8")
    printing.print_result(
        {"output": str(output)} | (_describe(page, pca_error) if printing.json else {}),
        f"reported on {format_quantity(whole.n_rows, 'row')} to {output}",
    )


def survey_rows(
    model: Model, rows: pipeline.Scan, quiet: bool
) -> tuple[Sample, pages.Whole, pipeline.Doubts]:
    """Read a sample of rows and the oddest; measure all rows, and tell what is doubtful."""
    fitted = model.fitted_value
    sample, doubts = take(rows, quiet)
    n_rows, tally = rows.source.n_rows, pages.Tally(fitted)
    places, planes = sample.places, None
    if len(places) == n_rows:
        scores, errors = fitted.measure_rows(sample.numbers)
        tally.add(sample.numbers)
    else:
        with show_rows("scoring", rows, quiet) as shown_rows:
            measure = partial(pipeline.measure_rows, fitted=fitted, look=tally.add)
            measured, _ = pipeline.fold(shown_rows, measure)
        scores, errors = measured
        ordinary = sample.numbers[~fitted.find_far_rows(sample.numbers)]
        planes = pages.Planes(*_compute(fitted, ordinary), rows.columns.features)
        worst = np.sort(np.argsort(-scores, kind="stable")[:N_WORST])
        places, count = np.union1d(places, worst), planes.count
        sample, _ = take(
            rows, quiet, places, "drawing", lambda some: count(*_compute(fitted, some))
        )
    n_outstanding = int(fitted.stand_out(scores, n_rows).sum())
    whole = pages.Whole(errors, scores, places, tally, n_outstanding, planes)
    return sample, whole, doubts


def _compute(fitted: Fitted, numbers: Array) -> tuple[Array, Array, Array]:
    """Return rows, their codes as they are drawn, and reconstructions."""
    code, errors = fitted.transform(numbers), fitted.reconstruction_error(numbers)
    return numbers, drawing.pair_with_errors(code, errors), fitted.reconstruct(numbers)


def _describe(page: pages.Report, pca_error: float | None) -> dict[str, Any]:
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
    try:
        rows = open_rows(model, data, options, None, quiet)
        sample, doubts = take(rows, quiet)
    except tables.TableError as error:  # which may not name the table
        raise UsageError(f"--against {data}: {error}") from error
    numbers = sample.numbers
    scores, _ = model.fitted_value.measure_rows(numbers)
    doubtful = _describe_doubtful(rows, doubts)
    say(*doubtful, quiet=quiet)
    return (Path(rows.source.name).name or rows.source.name, numbers, scores), doubtful


def _make_page(
    model: Model, rows: pipeline.Scan, sample: Sample, whole: pages.Whole, **facts: Any
) -> pages.Report:
    from importlib.metadata import version

    settings, fitted = model.contents.settings, model.fitted_value
    left_out = ", ".join(explain_left_out(rows.columns))
    commands = [
        model.find_note("", "command"),
        shlex.join(["keras-tied", *sys.argv[1:]]),
    ]
    noted = model.find_note({}, "versions") | {"bokeh": version("bokeh")}
    return pages.Report.from_estimator(
        fitted,
        sample.numbers,
        scores=whole.scores[whole.places],
        history=drawing.collect_history(settings),
        model=pages.name_model(fitted, settings.is_pca_),
        widths=[tuple(width.values()) for width in model.find_widths()],
        whole=whole,
        feature_names=rows.columns.features,
        columns=rows.columns,
        ids=sample.ids,
        labels=sample.labels,
        label_name=rows.label or "label",
        facts=model.find_facts(),
        title=Path(rows.source.name).name or rows.source.name,
        command=" && ".join(filter(None, commands)),
        versions={str(name): str(what) for name, what in noted.items()},
        notes=[f"Columns that the model does not use: {left_out}."] if left_out else [],
        n_worst=N_WORST,
        **facts,
    )


def _describe_doubtful(rows: pipeline.Scan, doubts: pipeline.Doubts) -> list[str]:
    """Return which values of a table were doubtful, as sentences that name it."""
    sentences = describe_doubtful(rows, doubts)
    return [f"{rows.source.name}: {sentence}" for sentence in sentences]


def _list_changes(rows: pipeline.Scan, doubts: pipeline.Doubts) -> list[pages.Drift]:
    """Return the columns that had one value in training, or were copies, and are not any more."""
    n, of_training = rows.source.n_rows, rows.columns.left_out
    return [
        pages.Drift(
            name,
            times / n,
            before=of_training.get(name, ""),
            now=doubts.unseen.describe(name),
        )
        for name, times in doubts.unseen.counts.items()
        if name not in rows.columns.names
    ]
