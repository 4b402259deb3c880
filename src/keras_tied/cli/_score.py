"""``keras-tied score``: how odd each row is, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._text import format_number, format_quantity, format_rarity
from keras_tied.cli._app import command
from keras_tied.cli._cluster import open_workers, require_folder, write_on_cluster
from keras_tied.cli._messages import UsageError
from keras_tied.cli._model import Rows, load, open_rows
from keras_tied.cli._options import Cluster, Data, Id, Json, ModelFile, NumWorkers, Quiet, SafeCsv
from keras_tied.cli._progress import show_rows
from keras_tied.cli._show import print_json, print_table
from keras_tied.cli._table import (
    STANDARD_OUTPUT,
    TableOptions,
    require_output,
    say_misread,
    say_unseen,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from keras_tied.distributed import BatchTransform

DEFAULT_TOP = 10
"""Rows that are printed without --output and --top."""
BATCH_ROWS = 2**16
"""Rows that are written at a time."""


@command("keras-tied score model.safetensors rows.csv --top 20")
def score(
    model: ModelFile,
    data: Data,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The file to write, its format by ending; - for CSV. Without it, the oddest rows "
            "are printed.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Only so many rows, the oddest first, and why.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Write for all rows why they are odd, which takes longer."),
    ] = False,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    cluster: Cluster = None,
    workers: NumWorkers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute how odd each row is, its rank, one row in how many is as odd, and its error."""
    import numpy as np

    from keras_tied.distributed import BatchTransform
    from keras_tied.tables import write_table

    if cluster is not None:
        if output is None or top is not None:
            raise UsageError("--cluster writes all rows: give --output, and leave out --top.")
        require_folder(output)
    elif output is not None:
        require_output(output, json)
    opened_model = load(model)
    rows = open_rows(opened_model, data, options, id, quiet)
    transform = BatchTransform(opened_model.fitted_value, rows.columns, "scores", rows.id, explain)
    with open_workers(cluster, workers) as opened_workers:
        if cluster is not None:
            assert output is not None
            write_on_cluster("scored", transform, rows, output, opened_workers, json, quiet)
            return
    if output is None or top is not None:
        oddest = _find_oddest(transform, rows, top or DEFAULT_TOP, quiet)
        n_rows, of_rows, batches = oddest.n_rows, oddest.table["score"], iter([oddest.table])
    else:
        of_rows, errors = measure_rows(transform, rows, quiet)
        n_rows = len(errors)
        batches = _score_all(transform, rows, of_rows, errors, quiet)
    n_written = write_table(output, batches, safe_csv=safe_csv) if output is not None else 0
    say_unseen(rows.unseen, quiet)
    say_misread(rows.misread, quiet)
    if output is None:
        _print_oddest(oddest, transform.fitted.largest_rarity, json)
    elif json:
        print_json({"scored": n_rows, "written": n_written, "output": output})
    elif not quiet and output != STANDARD_OUTPUT:
        n = int(transform.fitted.stand_out(np.asarray(of_rows), n_rows).sum())
        some = "none of which stands out" if n == 0 else f"of which {n:,} stand{'s' * (n == 1)} out"
        print(f"scored {format_quantity(n_rows, 'row')}, {some}, to {output}")


def measure_rows(transform: BatchTransform, rows: Rows, quiet: bool) -> tuple[Any, Any]:
    """Compute scores and errors of all rows, in single precision to save memory."""
    import numpy as np

    scores, errors = np.empty((2, rows.source.n_rows), np.float32)
    first = 0
    with show_rows("scoring", rows.source.n_rows, quiet) as advance:
        for batch, numbers in rows.batches():
            part = slice(first, first := first + batch.num_rows)
            scores[part], errors[part] = transform.fitted.measure_rows(numbers)
            advance(batch.num_rows)
    return scores, errors


def _score_all(
    transform: BatchTransform, rows: Rows, scores: Any, errors: Any, quiet: bool
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order, with score, rank, rarity and error, and why if it is asked for."""
    from keras_tied.distributed import prepend_id
    from keras_tied.estimator.internal import ranks

    places = ranks(scores)

    def describe(part: slice) -> dict[str, Any]:
        facts = transform.describe_scores(scores[part], errors[part])
        return {"score": facts.pop("score"), "rank": places[part]} | facts

    if rows.id is None and not transform.explain:
        for begin in range(0, len(scores), BATCH_ROWS):
            yield prepend_id(None, None, describe(slice(begin, begin + BATCH_ROWS)))
        return
    first = 0
    with show_rows("writing", rows.source.n_rows, quiet) as advance:
        for batch, numbers in rows.batches() if transform.explain else rows.batches_of_ids():
            facts = describe(slice(first, first := first + batch.num_rows))
            if transform.explain:
                explanation = transform.fitted.explain(numbers)
                facts |= transform.describe_causes(transform.find_causes(batch, explanation))
            yield prepend_id(rows.id, batch, facts)
            advance(batch.num_rows)


@dataclass(frozen=True)
class OddestRows:
    """The oddest rows of a table.

    Attributes:
        table: the rows, the oddest first, with row number, rank, score, rarity, error and causes.
        reasons: why each is odd, in words.
        n_rows: the number of all rows.
    """

    table: pa.RecordBatch
    reasons: list[str]
    n_rows: int


def _find_oddest(transform: BatchTransform, rows: Rows, top: int, quiet: bool) -> OddestRows:
    """Find the oddest rows, and why they are; holds a batch and as many rows as are asked for."""
    import numpy as np
    import pyarrow as pa

    from keras_tied.distributed import describe_reasons, prepend_id

    kept: Any = []
    scores = errors = places = np.empty(0, np.float32)
    numbers = np.empty((0, len(rows.columns.features)), np.float32)
    first = 0
    with show_rows("scoring", rows.source.n_rows, quiet) as advance:
        for batch, of_batch in rows.batches():
            of_rows, row_errors = transform.fitted.measure_rows(of_batch)
            some = np.argsort(-of_rows, kind="stable")[:top]
            kept = pa.Table.from_batches([*kept, batch.take(pa.array(some))])
            scores = np.concatenate([scores, of_rows[some]])
            order = np.argsort(-scores, kind="stable")[:top]
            kept = kept.take(pa.array(order)).combine_chunks().to_batches()
            scores = scores[order]
            errors = np.concatenate([errors, row_errors[some]])[order]
            places = np.concatenate([places.astype(np.int64), some + first + 1])[order]
            numbers = np.concatenate([numbers, of_batch[some]])[order]
            first += batch.num_rows
            advance(batch.num_rows)
    [batch] = kept
    rank = np.arange(1, len(places) + 1, dtype=np.int32)
    facts = {"row": places, "score": scores, "rank": rank}
    facts |= transform.describe_scores(scores, errors)
    reasons, causes = describe_reasons(transform, batch, numbers)
    return OddestRows(prepend_id(rows.id, batch, facts | causes), reasons, first)


def _print_oddest(oddest: OddestRows, largest_rarity: float, json: bool) -> None:
    rows = oddest.table.to_pylist()
    if json:
        print_json(
            {"oddest": [row | {"why": why} for row, why in zip(rows, oddest.reasons, strict=True)]}
        )
        return
    fact_names = oddest.table.schema.names
    fact_names = fact_names[: fact_names.index("error") + 1]
    formats: dict[str, Callable[[Any], str]] = {
        "score": format_number,
        "error": format_number,
        "one_in": partial(format_rarity, most=largest_rarity),
    }
    print_table(
        [*(name.replace("_", " ") for name in fact_names), "why"],
        [
            [*(formats.get(name, str)(row[name]) for name in fact_names), why]
            for row, why in zip(rows, oddest.reasons, strict=True)
        ],
    )
