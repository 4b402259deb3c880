"""``tied-tables score``: how odd each row is, and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from tied_tables._text import format_quantity
from tied_tables.cli._app import command
from tied_tables.cli._apply import Task, write_rows
from tied_tables.cli._cluster import ClusterOptions
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError, remark, say
from tied_tables.cli._options import (
    DRIFT_CODE,
    FailOnDrift,
    Json,
    SafeCsv,
    option,
    output_option,
)
from tied_tables.cli._output import print_json, print_result, print_rows
from tied_tables.cli._progress import fold_rows
from tied_tables.cli._table import describe_doubtful

if TYPE_CHECKING:
    import pyarrow as pa

    from tied_tables._types import Array
    from tied_tables.io import Total
    from tied_tables.rows import Batch, BatchTransform, Oddest

DEFAULT_TOP = 10  # rows that are printed without --output and --top
ALARM_CODE = 3  # the exit code where rows reach the threshold
RARITY = "1/"  # what a threshold begins with that is no score


@command("tied-tables score model.safetensors rows.csv --top 20")
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

    from tied_tables.io import find_total, write_table
    from tied_tables.rows import BatchTransform, find_oddest

    has_alarm = threshold is not None or fail_on_drift
    is_whole = output is not None and top is None
    if cluster.cluster is not None and (has_alarm or not is_whole):
        raise UsageError(
            "--cluster writes all rows: give --output, and leave out --top,"
            " --threshold and --fail-on-drift."
        )
    least, is_rarity = _parse_threshold(threshold)
    if output is not None:
        cluster.require_output(output, json, inputs.data)
    model, rows = inputs.open()
    if rows.id in ("rank", "why"):
        raise UsageError(
            f"the id {rows.id!r} is a column of the result, too; rename it."
        )
    if total := find_total(rows.source):
        remark(str(total))
    fitted = model.fitted_value
    most = int(fitted.largest_rarity)
    if is_rarity and least > most:
        raise UsageError(
            f"--threshold {threshold} is rarer than a model of {most} rows can tell;"
            f" give {RARITY}{most}, or a score."
        )
    transform = BatchTransform(fitted, rows.columns, "scores", rows.id, explain)
    with cluster.connect_writer(transform, output or "") as write:
        if write is not None:
            task = Task(output=output or "", json=json)
            write_rows("scored", rows, write, task)
            return
    if is_whole:
        find_all = partial(_score_all, transform)
        (batches, scores), doubts = fold_rows("scoring", rows, find_all)
    else:
        find = partial(find_oddest, transform=transform, top=top or DEFAULT_TOP)
        oddest, doubts = fold_rows("scoring", rows, find)
        batches, scores = [oddest.table], oddest.all_scores
    facts: dict[str, Any] = {}
    if has_alarm:
        sizes = fitted.find_rarity(scores) if is_rarity else scores
        facts["reached"] = int((np.float32(sizes) >= np.float32(least)).sum())
        facts["drifted"] = fitted.has_drifted(scores)
    remark(*describe_doubtful(rows, doubts))
    if output is None:
        facts["oddest"] = _list_oddest(oddest, total)
        columns = oddest.table.column_names
        names = [*columns[: columns.index("error") + 1], "why"]
        if json:
            print_json(facts)
        else:
            print_rows(names, facts["oddest"], most)
    else:
        n_rows = len(scores)
        n_written = write_table(output, batches, safe_csv=safe_csv)
        facts |= {"scored": n_rows, "written": n_written, "output": output}
        n_outstanding = int(fitted.stand_out(scores, n_rows).sum())
        print_result(json, facts, _summarize(n_rows, n_outstanding, output))
    if facts.get("reached"):
        n_reached = format_quantity(facts["reached"], "row")
        say(f"{n_reached} reached the threshold of {threshold}.")
        raise typer.Exit(ALARM_CODE)
    if fail_on_drift and facts["drifted"]:
        say(
            f"{inputs.data!r} has drifted: far more rows are odd than were in training."
        )
        raise typer.Exit(DRIFT_CODE)


def _summarize(n_rows: int, n_outstanding: int, output: str) -> str:
    some = "none of which stands out"
    if n_outstanding:
        verb = "stands" if n_outstanding == 1 else "stand"
        some = f"of which {n_outstanding:,} {verb} out"
    return f"scored {format_quantity(n_rows, 'row')}, {some}, to {output}"


def _parse_threshold(text: str | None) -> tuple[float, bool]:
    """Read a score such as 100, or N of 1/N; return it, and whether it is a rarity."""
    if text is None:
        return math.nan, False  # which no score reaches
    is_rarity = text.startswith(RARITY)
    with suppress(ValueError):
        least = float(text.removeprefix(RARITY))
        if (1 if is_rarity else -math.inf) <= least < math.inf:
            return least, is_rarity
    raise UsageError(
        f"--threshold {text!r} is neither a score such as 100 nor a rarity such as"
        " 1/1000; give one of these."
    )


def _list_oddest(oddest: Oddest, total: Total | None) -> list[dict[str, Any]]:
    """Return the oddest rows, with a reason each."""
    from tied_tables.columns import list_values

    table, reasons = oddest.table, oddest.reasons
    if total is not None:
        pairs = zip(table["row"].to_pylist(), reasons, strict=True)
        why_total = f"a total: it {total.reason}"
        reasons = [why_total if row == total.row else why for row, why in pairs]
    names = [*table.column_names, "why"]
    columns = [*map(list_values, table.columns), reasons]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _score_all(
    transform: BatchTransform, batches: Iterable[Batch]
) -> tuple[list[pa.RecordBatch], Array]:
    """Return all rows in order, with score, rank, rarity and error, and maybe why."""
    import pyarrow as pa

    from tied_tables.model.tail import ranks

    table = pa.Table.from_batches(map(transform.apply, batches))
    scores = table["score"].to_numpy()
    place = table.column_names.index("score") + 1
    ranked = table.add_column(place, "rank", pa.array(ranks(scores)))
    return ranked.to_batches(), scores
