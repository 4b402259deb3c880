"""``keras-tied encode``, ``decode`` and ``reconstruct``: rows in, rows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tied.cli._app import command
from keras_tied.cli._cluster import open_workers, require_folder, write_on_cluster
from keras_tied.cli._messages import UsageError
from keras_tied.cli._model import Model, Rows, choose_id, load, open_rows
from keras_tied.cli._options import (
    Cluster,
    Data,
    Id,
    Json,
    ModelFile,
    NumWorkers,
    Output,
    Quiet,
    SafeCsv,
)
from keras_tied.cli._progress import show_rows
from keras_tied.cli._show import print_json
from keras_tied.cli._table import (
    STANDARD_OUTPUT,
    TableOptions,
    require_output,
    say_misread,
    say_unseen,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from keras_tied.distributed import Output as Kind


@command("keras-tied encode model.safetensors rows.csv -o codes.csv")
def encode(
    model: ModelFile,
    data: Data,
    output: Output,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    cluster: Cluster = None,
    workers: NumWorkers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Encode rows: write the code of each."""
    _transform(
        "encoded",
        "codes",
        model,
        data,
        output,
        id,
        options,
        safe_csv,
        cluster,
        workers,
        json,
        quiet,
    )


@command("keras-tied reconstruct model.safetensors rows.csv -o reconstructed.csv")
def reconstruct(
    model: ModelFile,
    data: Data,
    output: Output,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    cluster: Cluster = None,
    workers: NumWorkers = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Reconstruct rows: encode and decode each."""
    _transform(
        "reconstructed",
        "reconstructions",
        model,
        data,
        output,
        id,
        options,
        safe_csv,
        cluster,
        workers,
        json,
        quiet,
    )


@command("keras-tied decode model.safetensors codes.csv -o rows.csv")
def decode(
    model: ModelFile,
    data: Data,
    output: Output,
    *,
    id: Id = None,
    options: TableOptions,
    safe_csv: SafeCsv = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Decode codes, such as those that encode writes, into rows."""
    from keras_tied.distributed import prepend_id

    require_output(output, json)
    opened_model = load(model)
    rows = _open_codes(opened_model, data, options, id, output)

    def decode_batch(batch: pa.RecordBatch, numbers: Any) -> pa.RecordBatch:
        decoded_rows = opened_model.fitted_value.inverse_transform(numbers)
        result = _label_columns(opened_model, decoded_rows)
        return prepend_id(
            rows.id, batch, dict(zip(result.schema.names, result.columns, strict=True))
        )

    _write("decoded", rows, decode_batch, output, safe_csv, json, quiet)


def _transform(
    verb: str,
    kind: Kind,
    model: Path,
    data: str,
    output: str,
    id: str | None,
    options: TableOptions,
    safe_csv: bool,
    cluster: str | None,
    n_workers: int | None,
    json: bool,
    quiet: bool,
) -> None:
    """Transform the rows of a table, here or on workers."""
    from keras_tied.distributed import BatchTransform, prepend_id

    if cluster is None:
        require_output(output, json)
    else:
        require_folder(output)
    opened_model = load(model)
    rows = open_rows(opened_model, data, options, id, quiet, output)
    transform = BatchTransform(opened_model.fitted_value, rows.columns, kind, rows.id)
    with open_workers(cluster, n_workers) as workers:
        if cluster is not None:
            write_on_cluster(verb, transform, rows, output, workers, json, quiet)
            return

    def transform_batch(batch: pa.RecordBatch, numbers: Any) -> pa.RecordBatch:
        return prepend_id(rows.id, batch, transform.compute(batch, numbers))

    _write(verb, rows, transform_batch, output, safe_csv, json, quiet)


def _open_codes(
    model: Model, data: str, options: TableOptions, id: str | None, output: str
) -> Rows:
    """Open a table of codes: columns code0, code1 and so on, or else its columns of numbers."""
    from keras_tied.distributed import code_names
    from keras_tied.tables import Column, Columns, Kind

    id_column = id or (model.columns.id if model.columns else None)
    source = options.open(data, [id_column] if id_column else [])
    n_components = model.fitted_value.n_components
    names = list(code_names(n_components))
    if not set(names) <= set(source.schema.names):
        numbers = Kind.integer, Kind.number
        names = [n for n, kind in source.kinds.items() if kind in numbers and n != id_column]
    if len(names) != n_components:
        raise UsageError(
            f"{data!r} has {len(names)} columns of numbers, and a code of {str(model.path)!r} has "
            f"{n_components}; name them {', '.join(code_names(n_components)[:3])} and so on."
        )
    columns = Columns(tuple(Column(name, Kind.number) for name in names))
    return Rows(source, columns, choose_id(source, id, id_column, output))


def _label_columns(model: Model, numbers: Any) -> pa.RecordBatch:
    """Make a table of decoded numbers, with the columns that the model was fitted to."""
    if model.columns is not None:
        return model.columns.decode(numbers)
    import pyarrow as pa

    names: Any = model.fitted_value.feature_names
    if names is None:
        names = [f"x{index}" for index in range(numbers.shape[1])]
    return pa.record_batch(dict(zip(map(str, names), numbers.T, strict=True)))


def _write(
    verb: str,
    rows: Rows,
    transform: Callable[[pa.RecordBatch, Any], pa.RecordBatch],
    output: str,
    safe_csv: bool,
    json: bool,
    quiet: bool,
) -> None:
    """Transform each batch of rows, write the results, and print a summary."""
    from keras_tied.tables import write_table

    start = time.perf_counter()
    with show_rows(verb, rows.source.n_rows, quiet) as advance:

        def batches() -> Iterator[pa.RecordBatch]:
            for batch, numbers in rows.batches():
                yield transform(batch, numbers)
                advance(batch.num_rows)

        n_rows = write_table(output, batches(), safe_csv=safe_csv)
    seconds = time.perf_counter() - start
    say_unseen(rows.unseen, quiet)
    say_misread(rows.misread, quiet)
    if json:
        print_json({verb: n_rows, "output": output, "seconds": seconds, "unseen": rows.unseen})
    elif not quiet and output != STANDARD_OUTPUT:
        rate = n_rows / max(seconds, 1e-9)
        print(f"{verb} {n_rows:,} rows to {output} in {seconds:.1f} s, {rate:,.0f} a second")
