"""``keras-tied encode``, ``decode`` and ``reconstruct``: rows in, rows out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from keras_tied._text import format_quantity
from keras_tied.cli._app import command
from keras_tied.cli._cluster import ClusterOptions
from keras_tied.cli._lazy import pa, pipeline, table_columns, tables
from keras_tied.cli._messages import UsageError, say
from keras_tied.cli._model import Model, load
from keras_tied.cli._options import Data, Id, ModelFile, SafeCsv, output_option
from keras_tied.cli._output import Printing
from keras_tied.cli._progress import show_rows
from keras_tied.cli._rows import RowOptions, choose_id, open_rows
from keras_tied.cli._table import (
    STANDARD_OUTPUT,
    TableOptions,
    describe_doubtful,
    require_output,
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is transformed, and where the result is written."""

    model: ModelFile
    data: Data
    output: str = output_option("The file to write, its format by ending; - for CSV.")
    id: Id = None
    options: TableOptions
    safe_csv: SafeCsv = False

    def write(
        self,
        rows: pipeline.Scan,
        function: Callable[[pipeline.Batch], pa.RecordBatch],
    ) -> tuple[int, pipeline.Doubts]:
        """Write the result of a function for each batch; return the number of rows."""
        delimiter = rows.source.delimiter if rows.reads == "all" else None

        def write(batches: Iterator[pipeline.Batch]) -> int:
            return tables.write_table(
                self.output,
                map(function, batches),
                safe_csv=self.safe_csv,
                delimiter=delimiter,
            )

        return pipeline.fold(rows, write)


@dataclass(frozen=True, kw_only=True)
class RowTask(Task):
    """What is encoded, with the options of rows."""

    options: RowOptions


@command("keras-tied encode model.safetensors rows.csv -o codes.csv")
def encode(task: RowTask, cluster: ClusterOptions, printing: Printing) -> None:
    """Encode rows: write the code of each."""
    _transform("encoded", "codes", task, cluster, printing)


@command("keras-tied reconstruct model.safetensors rows.csv -o reconstructed.csv")
def reconstruct(task: RowTask, cluster: ClusterOptions, printing: Printing) -> None:
    """Reconstruct rows: encode and decode each."""
    _transform("reconstructed", "reconstructions", task, cluster, printing)


@command("keras-tied fill model.safetensors rows.csv -o filled.csv")
def fill(task: RowTask, cluster: ClusterOptions, printing: Printing) -> None:
    """Fill the gaps of a table, and write all else as it is."""
    _transform("filled", "filled", task, cluster, printing)


@command("keras-tied decode model.safetensors codes.csv -o rows.csv")
def decode(task: Task, printing: Printing) -> None:
    """Decode codes, such as those that encode writes, into rows."""
    require_output(task.output, printing.json, task.data)
    model = load(task.model)
    rows = _open_codes(model, task)
    value = model.fitted_value
    names = value.feature_names or [f"x{index}" for index in range(value.n_features)]
    columns = model.columns or table_columns.Columns.of_numbers(names)

    def decode_batch(batch: pipeline.Batch) -> pa.RecordBatch:
        decoded = columns.decode(value.inverse_transform(batch.numbers))
        return pipeline.prepend_id(rows.id, batch.rows, pipeline.to_dict(decoded))

    write_rows(
        "decoded",
        rows,
        partial(task.write, function=decode_batch),
        task.output,
        printing,
    )


def _transform(
    verb: str,
    output: pipeline.Output,
    task: Task,
    options: ClusterOptions,
    printing: Printing,
) -> None:
    """Transform the rows of a table, here or on workers."""
    options.require_output(task.output, printing.json, task.data)
    model = load(task.model)
    is_fill = output == "filled"  # which writes what it does not fill as it stands
    id = None if is_fill else task.id
    rows = open_rows(
        model, task.data, task.options, id, printing.quiet, task.output, as_text=is_fill
    )
    transform = pipeline.BatchTransform(
        model.fitted_value, rows.columns, output, rows.id
    )
    rows = transform.scan(rows.source)
    with options.connect() as workers:
        write = partial(task.write, function=transform.apply)
        if workers is not None:
            folder = pipeline.OutputFolder(task.output)
            write = partial(
                pipeline.transform_table, workers, transform=transform, folder=folder
            )
        write_rows(verb, rows, write, task.output, printing)


def write_rows(
    verb: str,
    rows: pipeline.Scan,
    write: Callable[[pipeline.Scan], tuple[int, pipeline.Doubts]],
    output: str,
    printing: Printing,
) -> None:
    """Write results for the rows of a table by a function, and print a summary."""
    start = time.perf_counter()
    with show_rows(verb, rows, printing.quiet) as shown_rows:
        n_rows, doubts = write(shown_rows)
    seconds = time.perf_counter() - start
    say(*describe_doubtful(rows, doubts), quiet=printing.quiet)
    rate = n_rows / max(seconds, 1e-9)
    done = f"{verb} {format_quantity(n_rows, 'row')} to {output}"
    text = f"{done} in {seconds:.1f} s, {rate:,.0f} a second"
    facts = {
        verb: n_rows,
        "output": output,
        "seconds": seconds,
        "unseen": doubts.unseen.counts,
    }
    printing.print_result(facts, "" if output == STANDARD_OUTPUT else text)


def _open_codes(model: Model, task: Task) -> pipeline.Scan:
    """Open a table of codes: columns code0, code1 and so on, or else its columns of numbers."""
    id_column = task.id or (model.columns.id if model.columns else None)
    source = task.options.open(task.data, [id_column] if id_column else [])
    n_components = model.fitted_value.n_components
    names = codes = pipeline.code_names(n_components)
    if not set(names) <= set(source.schema.names):
        numbers = table_columns.Kind.integer, table_columns.Kind.number
        names = [
            n for n, kind in source.kinds.items() if kind in numbers and n != id_column
        ]
    if len(names) != n_components:
        raise UsageError(
            f"{task.data!r} has {len(names)} columns of numbers, and a code of"
            f" {str(model.path)!r} has {n_components}; name them {', '.join(codes[:3])}"
            " and so on."
        )
    id = choose_id(source, task.id, id_column, task.output)
    return pipeline.Scan(source, table_columns.Columns.of_numbers(names), id)
