"""``keras-tied score``: how odd each row is, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import typer

from keras_tied._text import format_number, format_quantity, format_rarity
from keras_tied.cli._app import command
from keras_tied.cli._apply import write_rows
from keras_tied.cli._cluster import ClusterOptions
from keras_tied.cli._lazy import Array, pa, pipeline, table_columns, tables
from keras_tied.cli._messages import UsageError, say
from keras_tied.cli._model import load
from keras_tied.cli._options import Data, Id, ModelFile, SafeCsv, option, output_option
from keras_tied.cli._output import Printing, print_json, print_table
from keras_tied.cli._progress import show_rows
from keras_tied.cli._rows import RowOptions, open_rows
from keras_tied.cli._table import STANDARD_OUTPUT, describe_doubtful

DEFAULT_TOP = 10  # rows that are printed without --output and --top
BATCH_ROWS = 2**16  # that are written at a time
ALARM_CODE = 3  # the exit code where rows reach the threshold


@command("keras-tied score model.safetensors rows.csv --top 20")
def score(
    model: ModelFile,
    data: Data,
    output: str | None = output_option(
        "The file to write, its format by ending; - for CSV. Without it, the oddest"
        " rows are printed.",
        default=None,
    ),
    top: int | None = option("Only so many rows, the oddest first, and why.", min=1),
    explain: bool = option(
        "Write for all rows why they are odd, which takes longer.",
        "--explain",
        default=False,
    ),
    threshold: float | None = option(
        f"Exit with the code {ALARM_CODE} if a row has this score, or a higher one."
    ),
    *,
    id: Id = None,
    options: RowOptions,
    safe_csv: SafeCsv = False,
    cluster: ClusterOptions,
    printing: Printing,
) -> None:
    """Compute how odd each row is, its rank, one row in how many is as odd, and its error."""
    if cluster.cluster is not None and (
        output is None or (top, threshold) != (None, None)
    ):
        what = "give --output, and leave out --top and --threshold"
        raise UsageError(f"--cluster writes all rows: {what}.")
    if threshold is not None and math.isnan(threshold):
        raise UsageError("--threshold nan is no score; give a number.")
    if output is not None:
        cluster.require_output(output, printing.json, data)
    fitted_model = load(model)
    fitted = fitted_model.fitted_value
    rows = open_rows(fitted_model, data, options, id, printing.quiet)
    transform = pipeline.BatchTransform(
        fitted, rows.columns, "scores", rows.id, explain
    )
    with cluster.connect() as workers:
        if workers is not None and output is not None:
            folder = pipeline.OutputFolder(output)
            write = partial(
                pipeline.transform_table, workers, transform=transform, folder=folder
            )
            write_rows("scored", rows, write, output, printing)
            return
    if output is None or top is not None:
        with show_rows("scoring", rows, printing.quiet) as shown_rows:
            find = partial(
                pipeline.find_oddest, transform=transform, top=top or DEFAULT_TOP
            )
            (table, reasons), doubts = pipeline.fold(shown_rows, find)
        scores, batches = table.column("score").to_numpy(), iter([table])
    else:
        with show_rows("scoring", rows, printing.quiet) as shown_rows:
            measure = partial(pipeline.measure_rows, fitted=fitted)
            measured, doubts = pipeline.fold(shown_rows, measure)
        scores, batches = (
            measured[0],
            _describe_all(transform, rows, measured, printing.quiet),
        )
    n_written = (
        tables.write_table(output, batches, safe_csv=safe_csv)
        if output is not None
        else 0
    )
    say(*describe_doubtful(rows, doubts), quiet=printing.quiet)
    if output is None:
        _print_oddest(table, reasons, fitted.largest_rarity, printing.json)
    else:
        n_rows = rows.source.n_rows
        n = int(fitted.stand_out(scores, n_rows).sum())
        some = (
            "none of which stands out"
            if n == 0
            else f"of which {n:,} stand{'s' * (n == 1)} out"
        )
        text = f"scored {format_quantity(n_rows, 'row')}, {some}, to {output}"
        facts = {"scored": n_rows, "written": n_written, "output": output}
        printing.print_result(facts, "" if output == STANDARD_OUTPUT else text)
    if threshold is not None and (n := int((scores >= threshold).sum())):
        more = "at least " * (
            n == len(scores) < rows.source.n_rows
        )  # of those that are shown
        say(
            f"{more}{format_quantity(n, 'row')} reached the threshold of {threshold:g}."
        )
        raise typer.Exit(ALARM_CODE)


def _describe_all(
    transform: pipeline.BatchTransform,
    rows: pipeline.Scan,
    measured: Array,
    quiet: bool,
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order, with score, rank, rarity and error, and why if it is asked for."""
    from keras_tied.fitted.tail import ranks

    places = ranks(measured[0])

    def describe(part: slice) -> dict[str, Any]:
        facts = transform.describe_scores(*measured[:, part])
        return {"score": facts.pop("score"), "rank": places[part]} | facts

    if rows.id is None and not transform.explain:
        for begin in range(0, len(places), BATCH_ROWS):
            yield pipeline.prepend_id(
                None, None, describe(slice(begin, begin + BATCH_ROWS))
            )
        return
    first = 0
    ids = pipeline.Scan(rows.source, table_columns.Columns(()), rows.id)
    with show_rows("writing", rows if transform.explain else ids, quiet) as shown_rows:
        for batch in shown_rows.read(pipeline.Doubts()):
            facts = describe(slice(first, first := first + batch.rows.num_rows))
            if transform.explain:
                facts |= transform.describe_causes(transform.find_causes(batch))
            yield pipeline.prepend_id(rows.id, batch.rows, facts)


def _print_oddest(
    table: pa.RecordBatch, reasons: list[str], largest_rarity: float, json: bool
) -> None:
    rows = [
        row | {"why": why} for row, why in zip(table.to_pylist(), reasons, strict=True)
    ]
    if json:
        print_json({"oddest": rows})
        return
    names = table.schema.names
    names = [*names[: names.index("error") + 1], "why"]
    formats: dict[str, Callable[[Any], str]] = {
        "score": format_number,
        "error": format_number,
    }
    formats["one_in"] = partial(format_rarity, most=largest_rarity)
    header = [name.replace("_", " ") for name in names]
    print_table(
        header, [[formats.get(name, str)(row[name]) for name in names] for row in rows]
    )
