"""``keras-tied score``: how odd each row is, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from keras_tied._text import format_number, format_quantity, format_rarity
from keras_tied.cli._app import command
from keras_tied.cli._apply import write_rows
from keras_tied.cli._cluster import ClusterOptions
from keras_tied.cli._inputs import Inputs
from keras_tied.cli._messages import UsageError, remark, say
from keras_tied.cli._options import (
    DRIFT_CODE,
    FailOnDrift,
    Json,
    SafeCsv,
    option,
    output_option,
)
from keras_tied.cli._output import print_json, print_result, print_table
from keras_tied.cli._progress import fold_rows, show_rows
from keras_tied.cli._table import describe_doubtful

if TYPE_CHECKING:
    import pyarrow as pa

    from keras_tied._types import Array
    from keras_tied.rows import BatchTransform, Scan

DEFAULT_TOP = 10  # rows that are printed without --output and --top
BATCH_ROWS = 2**16  # that are written at a time
ALARM_CODE = 3  # the exit code where rows reach the threshold
RARITY = "1/"  # what a threshold begins with that is no score


@command("keras-tied score model.safetensors rows.csv --top 20")
def score(
    inputs: Inputs,
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
    threshold: str | None = option(
        f"Exit with the code {ALARM_CODE} if a row has this score, such as 100, or a"
        " higher one, or is as rare as 1/1000.",
    ),
    fail_on_drift: FailOnDrift = False,
    *,
    safe_csv: SafeCsv = False,
    cluster: ClusterOptions,
    json: Json = False,
) -> None:
    """Compute how odd each row is, its rank, how rare such a row is, and its error."""
    import numpy as np

    from keras_tied.rows import BatchTransform, find_oddest, measure_rows
    from keras_tied.tables import write_table

    has_alarm = threshold is not None or fail_on_drift
    is_whole = output is not None and top is None and not has_alarm
    if cluster.cluster is not None and not is_whole:
        raise UsageError(
            "--cluster writes all rows: give --output, and leave out --top,"
            " --threshold and --fail-on-drift."
        )
    least = _parse_threshold(threshold)
    is_rarity = str(threshold).startswith(RARITY)
    if output is not None:
        cluster.require_output(output, json, inputs.data)
    fitted_model, rows = inputs.open()
    if rows.id == "why":
        raise UsageError("the id 'why' is a column of the result, too; rename it.")
    fitted = fitted_model.fitted_value
    most = int(fitted.largest_rarity)
    if is_rarity and least > most:
        raise UsageError(
            f"--threshold {threshold} is rarer than a model of {most} rows can tell;"
            f" give {RARITY}{most}, or a score."
        )
    n_rows = rows.source.n_rows
    transform = BatchTransform(
        fitted,
        rows.columns,
        "scores",
        rows.id,
        explain,
    )
    with cluster.connect_writer(transform, output or "") as write:
        if write is not None:
            write_rows("scored", rows, write, output or "", json)
            return
    if output is None or top is not None:
        find = partial(find_oddest, transform=transform, top=top or DEFAULT_TOP)
        oddest, doubts = fold_rows("scoring", rows, find)
        table, scores = oddest.table, oddest.all_scores
        batches = iter([table])
    else:
        measure = partial(measure_rows, fitted=fitted)
        scores_and_errors, doubts = fold_rows("scoring", rows, measure)
        scores = scores_and_errors[0]
        batches = _describe_all(transform, rows, scores_and_errors)
    facts: dict[str, Any] = {}
    if has_alarm:
        sizes = np.float32(fitted.find_rarity(scores) if is_rarity else scores)
        reached = sizes >= np.float32(least)
        facts["reached"] = int(reached.sum())
        facts["drifted"] = fitted.has_drifted(scores)
    if output is not None:
        n_written = write_table(output, batches, safe_csv=safe_csv)
    remark(*describe_doubtful(rows, doubts))
    if output is None:
        facts["oddest"] = _list_oddest(table, oddest.reasons)
        if json:
            print_json(facts)
        else:
            _print_oddest(table, facts["oddest"], most)
    else:
        n_outstanding = int(fitted.stand_out(scores, n_rows).sum())
        ending = "s" if n_outstanding == 1 else ""
        some = f"of which {n_outstanding:,} stand{ending} out"
        if n_outstanding == 0:
            some = "none of which stands out"
        text = f"scored {format_quantity(n_rows, 'row')}, {some}, to {output}"
        facts |= {"scored": n_rows, "written": n_written, "output": output}
        print_result(json, facts, text)
    if n_reached := facts.get("reached"):
        rows_text = format_quantity(n_reached, "row")
        say(f"{rows_text} reached the threshold of {threshold}.")
        raise typer.Exit(ALARM_CODE)
    if fail_on_drift and facts["drifted"]:
        say(
            f"{inputs.data!r} has drifted: far more rows are odd than were in training."
        )
        raise typer.Exit(DRIFT_CODE)


def _parse_threshold(text: str | None) -> float:
    """Read a score such as 100, or N of a rarity such as 1/N; of none, NaN."""
    if text is None:
        return math.nan  # which no score reaches
    with suppress(ValueError):
        least = float(text.removeprefix(RARITY))
        lowest = 1 if text.startswith(RARITY) else -math.inf
        if lowest <= least < math.inf:
            return least
    raise UsageError(
        f"--threshold {text!r} is neither a score such as 100 nor a rarity such as"
        " 1/1000; give one of these."
    )


def _list_oddest(table: pa.RecordBatch, reasons: list[str]) -> list[dict[str, Any]]:
    from keras_tied.columns import list_values

    names = [*table.column_names, "why"]
    columns = [*map(list_values, table.columns), reasons]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _describe_all(
    transform: BatchTransform, rows: Scan, scores_and_errors: Array
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order, with score, rank, rarity and error, and maybe why."""
    from keras_tied.columns import Columns
    from keras_tied.fitted.tail import ranks
    from keras_tied.rows import Doubts, Scan, prepend_id

    places = ranks(scores_and_errors[0])

    def describe(part: slice) -> dict[str, Any]:
        facts = transform.describe_scores(*scores_and_errors[:, part])
        return {"score": facts.pop("score"), "rank": places[part]} | facts

    if rows.id is None and not transform.explain:
        for begin in range(0, len(places), BATCH_ROWS):
            facts = describe(slice(begin, begin + BATCH_ROWS))
            yield prepend_id(None, None, facts)
        return
    first = 0
    if not transform.explain:  # then only ids are read
        rows = Scan(rows.source, Columns(()), rows.id)
    with show_rows("writing", rows) as shown_rows:
        for batch in shown_rows.read(Doubts()):
            last = first + batch.rows.num_rows
            facts = describe(slice(first, last))
            if transform.explain:
                facts |= transform.describe_causes(transform.find_causes(batch))
            yield prepend_id(rows.id, batch.rows, facts)
            first = last


def _print_oddest(table: pa.RecordBatch, rows: list[dict[str, Any]], most: int) -> None:
    names = table.column_names
    names = [*names[: names.index("error") + 1], "why"]
    formats: dict[str, Callable[[Any], str]] = {
        "score": format_number,
        "error": format_number,
        "one_in": partial(format_rarity, most=most),
    }
    cells = []
    for row in rows:
        texts = [formats.get(name, str)(row[name]) for name in names]
        cells.append(texts)
    print_table([name.replace("_", " ") for name in names], cells)
