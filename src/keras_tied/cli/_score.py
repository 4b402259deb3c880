"""``keras-tied score``: the reconstruction error of each row, and its causes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

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


@command("keras-tied score model.keras rows.csv --top 20")
def score(
    model: ModelFile,
    data: Data,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="The file to write, its format by ending; - for CSV. Without it, the rows with "
            "the largest errors are printed.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many rows, those with the largest errors first."),
    ] = None,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    cluster: Cluster = None,
    workers: NumWorkers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the error of each row, its rank, and the columns that contribute most."""
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
    with open_workers(cluster, workers) as opened_workers:
        if cluster is not None:
            assert output is not None
            write_on_cluster(
                "scored", "scores", opened_model, rows, output, opened_workers, json, quiet
            )
            return
    transform = BatchTransform(opened_model.fitted_value, rows.columns, "scores", rows.id)
    if output is None or top is not None:
        worst, summary = _find_worst(transform, rows, top or DEFAULT_TOP, quiet)
        batches: Iterator[pa.RecordBatch] = iter([worst])
    else:
        errors = _compute_errors(transform, rows, quiet)
        summary = len(errors), float(errors.mean(dtype=float))
        batches = _score_all(transform, rows, errors, quiet)
    n_written = write_table(output, batches, safe_csv=safe_csv) if output is not None else 0
    say_unseen(rows.unseen, quiet)
    say_misread(rows.misread, quiet)
    n_rows, mean = summary
    if output is None:
        _print_worst(worst, json)
    elif json:
        print_json({"scored": n_rows, "written": n_written, "output": output, "mean": mean})
    elif not quiet and output != STANDARD_OUTPUT:
        print(f"scored {n_rows:,} rows, mean error {mean:.4g}, to {output}")


def _compute_errors(transform: BatchTransform, rows: Rows, quiet: bool) -> Any:
    """Compute the errors of all rows, in single precision to save memory."""
    import numpy as np

    errors, first = np.empty(rows.source.n_rows, np.float32), 0
    with show_rows("computing errors", rows.source.n_rows, quiet) as advance:
        for batch, numbers in rows.batches():
            errors[first : first + len(numbers)] = transform.compute_errors(numbers)
            first += len(numbers)
            advance(batch.num_rows)
    return errors


def _score_all(
    transform: BatchTransform, rows: Rows, errors: Any, quiet: bool
) -> Iterator[pa.RecordBatch]:
    """Yield all rows in order, with error, rank, and the columns that contribute most."""
    from keras_tied.distributed import prepend_id
    from keras_tied.estimator.internal import ranks

    places, first = ranks(errors), 0
    with show_rows("scoring", rows.source.n_rows, quiet) as advance:
        for batch, numbers in rows.batches():
            part = slice(first, first := first + batch.num_rows)
            facts = {"error": errors[part], "rank": places[part]}
            yield prepend_id(rows.id, batch, facts | transform.attribute(numbers))
            advance(batch.num_rows)


def _find_worst(
    transform: BatchTransform, rows: Rows, top: int, quiet: bool
) -> tuple[pa.RecordBatch, tuple[int, float]]:
    """Find the rows with the largest errors; holds a batch and as many rows as are asked for.

    Returns:
        These rows, largest error first, with their row numbers; the number of all rows and their
        mean error.
    """
    import numpy as np
    import pyarrow as pa

    from keras_tied.distributed import prepend_id

    kept: Any = []
    first, total = 0, 0.0
    with show_rows("scoring", rows.source.n_rows, quiet) as advance:
        for batch, numbers in rows.batches():
            errors = transform.compute_errors(numbers)
            total += float(errors.sum(dtype=float))
            worst = np.argsort(-errors, kind="stable")[:top]
            facts = {"row": worst + first + 1, "error": errors[worst]}
            of_batch = prepend_id(
                rows.id, batch.take(pa.array(worst)), facts | transform.attribute(numbers[worst])
            )
            kept = pa.Table.from_batches([*kept, of_batch])
            order = np.argsort(-kept["error"].to_numpy(), kind="stable")[:top]
            kept = kept.take(pa.array(order)).combine_chunks().to_batches()
            first += len(errors)
            advance(batch.num_rows)
    [worst_rows] = kept
    place = worst_rows.schema.get_field_index("error") + 1
    rank = pa.array(np.arange(1, worst_rows.num_rows + 1, dtype=np.int32))
    return worst_rows.add_column(place, "rank", rank), (first, total / first)


def _print_worst(worst: pa.RecordBatch, json: bool) -> None:
    rows = worst.to_pylist()
    if json:
        print_json({"worst": rows})
        return
    fact_names = [name for name in worst.schema.names if not name.startswith(("column", "share"))]
    count = sum(name.startswith("share") for name in worst.schema.names)
    table = [
        [
            *(f"{row[name]:.4g}" if name == "error" else str(row[name]) for name in fact_names),
            ", ".join(f"{row[f'column{i + 1}']} {row[f'share{i + 1}']:.0%}" for i in range(count)),
        ]
        for row in rows
    ]
    print_table([*fact_names, "largest shares of the error"], table)
