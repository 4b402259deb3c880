"""``keras-tied score``: which rows a model reconstructs worst, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied.cli._app import command
from keras_tied.cli._model import Model, Rows, load, open_rows
from keras_tied.cli._options import (
    ArrayName,
    Data,
    Delimiter,
    Encoding,
    Id,
    Json,
    ModelFile,
    Quiet,
    SafeCsv,
)
from keras_tied.cli._progress import rows_bar
from keras_tied.cli._show import print_json, print_table
from keras_tied.cli._table import STANDARD_OUTPUT, Reading, require_output, say_unseen

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 10
"""Rows that are printed where neither a file nor a number is asked for."""
MOST_NAMED = 3
"""Columns that are named for each row."""


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
    id: Id = None,
    delimiter: Delimiter = None,
    encoding: Encoding = "utf-8",
    array: ArrayName = None,
    safe_csv: SafeCsv = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell how well each row is reconstructed, its rank, and the columns that contribute most."""
    from keras_tied.tables import write_table

    if output is not None:
        require_output(output, json)
    loaded = load(model)
    rows = open_rows(loaded, data, Reading(delimiter, encoding, array), id, quiet)
    with rows_bar("scoring", 2 * rows.source.n_rows, quiet) as advance:
        errors = _errors(loaded, rows, advance)
        if output is None or top is not None:
            batches = _worst(loaded, rows, errors, top or SHOWN, advance)
        else:
            batches = _all(loaded, rows, errors, advance)
        if output is not None:
            written = write_table(output, batches, safe_csv=safe_csv)
        else:
            shown = next(batches)
    say_unseen(rows.unseen, quiet)
    mean = float(errors.mean(dtype=float))
    if output is None:
        _print(shown, json)
    elif json:
        print_json({"scored": len(errors), "written": written, "output": output, "mean": mean})
    elif not quiet and output != STANDARD_OUTPUT:
        print(f"scored {len(errors):,} rows, mean error {mean:.4g}, to {output}")


def _errors(model: Model, rows: Rows, advance: Any) -> Any:
    """The errors of all rows, in single precision: there may be very many."""
    import numpy as np

    errors, first = np.empty(rows.source.n_rows, np.float32), 0
    for batch, numbers in rows.batches():
        errors[first : first + len(numbers)] = model.fitted.reconstruction_error(numbers)
        first += len(numbers)
        advance(batch.num_rows)
    return errors


def _all(model: Model, rows: Rows, errors: Any, advance: Any) -> Iterator[pa.RecordBatch]:
    """All rows in order, with their error, their rank and what contributes most."""
    from keras_tied.estimator.internal import ranks

    places, first = ranks(errors), 0
    for batch, numbers in rows.batches():
        part = slice(first, first := first + batch.num_rows)
        found = {"error": errors[part], "rank": places[part]}
        yield rows.named(batch, found | _attribute(model, rows, numbers))
        advance(batch.num_rows)


def _worst(
    model: Model, rows: Rows, errors: Any, top: int, advance: Any
) -> Iterator[pa.RecordBatch]:
    """The rows of the largest errors, these first, with their place in the table."""
    import numpy as np
    import pyarrow as pa

    from keras_tied.estimator.internal import ranks

    places, first, found = ranks(errors), 0, []
    for batch, numbers in rows.batches():
        part = slice(first, first + batch.num_rows)
        chosen = np.flatnonzero(places[part] <= top)
        if len(chosen):
            facts = {
                "row": chosen + first + 1,
                "error": errors[part][chosen],
                "rank": places[part][chosen],
            }
            blamed = _attribute(model, rows, numbers[chosen])
            found.append(rows.named(batch.take(pa.array(chosen)), facts | blamed))
        first += batch.num_rows
        advance(batch.num_rows)
    table = pa.Table.from_batches(found).sort_by("rank").combine_chunks()
    yield table.to_batches()[0]


def _attribute(model: Model, rows: Rows, numbers: Any) -> dict[str, Any]:
    """The columns that contribute most to each row's error, and their shares of it."""
    import pyarrow as pa

    from keras_tied.estimator.internal import largest_shares

    errors = model.fitted.reconstruction_error(numbers, per_feature=True)
    names, order, shares = largest_shares(errors, rows.columns.feature_columns, MOST_NAMED)
    labels = pa.array(names, pa.string())
    found: dict[str, Any] = {}
    for place in range(order.shape[1]):
        found[f"column{place + 1}"] = labels.take(pa.array(order[:, place]))
        found[f"share{place + 1}"] = shares[:, place].astype("float32")
    return found


def _print(worst: pa.RecordBatch, json: bool) -> None:
    rows = worst.to_pylist()
    if json:
        print_json({"worst": rows})
        return
    fixed = [name for name in worst.schema.names if not name.startswith(("column", "share"))]
    count = sum(name.startswith("share") for name in worst.schema.names)
    table = [
        [
            *(f"{row[name]:.4g}" if name == "error" else str(row[name]) for name in fixed),
            ", ".join(f"{row[f'column{i + 1}']} {row[f'share{i + 1}']:.0%}" for i in range(count)),
        ]
        for row in rows
    ]
    print_table([*fixed, "largest shares of the error"], table)
