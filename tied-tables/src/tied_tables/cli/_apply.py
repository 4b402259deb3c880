"""``tied-tables encode``, ``decode`` and ``reconstruct``: rows in, rows out."""

from __future__ import annotations

import os
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tied_tables._text import format_quantity, hide_secrets, list_some
from tied_tables.cli._app import command
from tied_tables.cli._cluster import ClusterOptions
from tied_tables.cli._inputs import Inputs
from tied_tables.cli._messages import UsageError, remark
from tied_tables.cli._model import Model, load
from tied_tables.cli._options import (
    ID,
    STANDARD_OUTPUT,
    Data,
    Json,
    ModelFile,
    SafeCsv,
    option,
    output_option,
)
from tied_tables.cli._output import print_result
from tied_tables.cli._progress import show_rows
from tied_tables.cli._rows import choose_id
from tied_tables.cli._table import (
    TableOptions,
    remark_doubtful,
    require_output,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from tied_tables.cli._cluster import Write
    from tied_tables.columns import Doubts
    from tied_tables.io import Patch
    from tied_tables.rows import Batch, BatchTransform, Output, Scan

MOST_FILLED = 0.5  # of the values of a column, above which a warning says so
TYPED = (".parquet", ".feather", ".arrow", ".npy")  # files that have types


@dataclass(frozen=True, kw_only=True)
class Task:
    """Where the result is written, and how it is reported."""

    output: str = output_option(
        "The file to write, in the format of its extension; - for CSV."
    )
    safe_csv: SafeCsv = False
    json: Json = False

    def write(
        self,
        rows: Scan,
        function: Callable[[Batch], pa.RecordBatch],
    ) -> tuple[int, Doubts]:
        """Write the result of a function for each batch; count rows and doubts."""
        from tied_tables.io import write_table
        from tied_tables.rows import fold

        write = partial(write_table, self.output, safe_csv=self.safe_csv)
        return fold(rows, lambda batches: write(map(function, batches)))


@command("tied-tables encode model.safetensors rows.csv -o codes.csv")
def encode(task: Task, inputs: Inputs, cluster: ClusterOptions) -> None:
    """Encode rows: write the code of each."""
    _transform("encoded", "codes", task, inputs, cluster)


@command("tied-tables reconstruct model.safetensors rows.csv -o reconstructed.csv")
def reconstruct(task: Task, inputs: Inputs, cluster: ClusterOptions) -> None:
    """Reconstruct rows: encode and decode each."""
    _transform("reconstructed", "reconstructions", task, inputs, cluster)


@command("tied-tables fill model.safetensors rows.csv -o filled.csv")
def fill(
    task: Task,
    inputs: Inputs,
    cells: str | None = option(
        "A second table to write: which cells were filled, with what, and how sure it"
        " is.",
        metavar="OUT",
    ),
) -> None:
    """Fill the gaps of a table, and leave all else unchanged, byte for byte."""
    from tied_tables.io import ENDINGS, find_total
    from tied_tables.rows import BatchTransform

    data, output = inputs.data, task.output
    is_same_format = Path(output).suffix == Path(data).suffix
    require_output(output, task.json, data, ENDINGS if is_same_format else ())
    if cells is not None:
        _require_cells(cells, task, data)
    has_types = output.endswith(TYPED)
    model, table = inputs.open(output, as_text=not has_types)
    transform = BatchTransform(model.fitted_value, table.columns, "filled")
    patch = None if task.safe_csv else table.source.find_patch(output)
    rows = transform.scan(table.source)
    total = find_total(table.source)
    if total is not None:
        remark(str(total))
    place = None if total is None else total.row - 1
    write = partial(_write_filled, task, transform, patch, place)
    write_rows("filled", rows, write, task, "cell")
    if cells is not None:
        _write_cells(cells, task, transform, rows, place)
    if not (patch or (has_types and data.endswith(TYPED))):
        remark(
            f"{output!r} was rewritten, not copied byte for byte; that needs one input"
            " file of the same format, and no --safe-csv."
        )


def _require_cells(cells: str, task: Task, data: str) -> None:
    """Raise if the cells could not be written, or where the table goes."""
    require_output(cells, task.json, data)
    is_output = os.path.realpath(cells) == os.path.realpath(task.output)
    if is_output or cells == STANDARD_OUTPUT:
        raise UsageError(
            f"--cells {cells!r} is the standard output, or the file of the table;"
            " choose another file."
        )


def _write_filled(
    task: Task,
    transform: BatchTransform,
    patch: Patch | None,
    total: int | None,
    rows: Scan,
) -> tuple[int, Doubts]:
    """Write filled rows, or a copy with new cells; count these, and doubts.

    `total` is the place of a row that adds up the others, which is kept.
    """
    from tied_tables.columns import rename_rows
    from tied_tables.io import write_patch, write_table
    from tied_tables.rows import fill_rows, fold

    counts: Counter[str] = Counter()  # of the new cells, by column
    n_rows = 0

    def fill_batch(batch: Batch) -> tuple[pa.RecordBatch, list[dict[str, Any]]]:
        nonlocal n_rows
        place = None if total is None else total - n_rows
        filled, cells = fill_rows(transform, batch, place)
        counts.update(chain.from_iterable(cells))
        n_rows += len(cells)
        return rename_rows(filled, rows.source.stored_names), cells

    def write_all(batches: Iterator[Batch]) -> None:
        filled = map(fill_batch, batches)
        if patch is None:
            filled_tables = (table for table, _ in filled)
            write_table(task.output, filled_tables, safe_csv=task.safe_csv)
        else:
            new = chain.from_iterable(cells for _, cells in filled)
            write_patch(task.output, patch, new)

    _, doubts = fold(rows, write_all)
    for name, n_filled in counts.items():
        if n_filled > MOST_FILLED * n_rows:
            remark(
                f"column {name!r} was empty in {n_filled:,} of {n_rows:,} rows; if that"
                f" means that there is no value, leave it out with --exclude"
                f" {shlex.quote(name)}."
            )
    return counts.total(), doubts


def _write_cells(
    cells: str, task: Task, transform: BatchTransform, rows: Scan, total: int | None
) -> None:
    """Write which cells are filled, with what, and how sure it is."""
    from tied_tables.io import write_table
    from tied_tables.rows import fold, list_new_cells

    write = partial(write_table, cells, safe_csv=task.safe_csv)
    fold(rows, lambda batches: write(list_new_cells(transform, batches, total)))


@command("tied-tables decode model.safetensors codes.csv -o decoded.csv")
def decode(
    task: Task,
    model: ModelFile,
    data: Data,
    id: str | None = option(ID, metavar="COLUMN"),
    *,
    options: TableOptions,
) -> None:
    """Decode codes, such as those that encode writes, into rows."""
    from tied_tables.columns import Columns
    from tied_tables.rows import prepend_id, to_dict

    require_output(task.output, task.json, data)
    fitted_model = load(model)
    value = fitted_model.fitted_value
    rows = _open_codes(fitted_model, data, options, id, task.output)
    names = [f"x{index}" for index in range(value.n_features)]
    columns = fitted_model.columns or Columns.of_numbers(names)

    def decode_batch(batch: Batch) -> pa.RecordBatch:
        codes = batch.numbers.astype(columns.dtype)
        decoded = columns.decode(value.inverse_transform(codes))
        return prepend_id(rows.id, batch.rows, to_dict(decoded))

    write = partial(task.write, function=decode_batch)
    write_rows("decoded", rows, write, task)


def _transform(
    verb: str,
    output: Output,
    task: Task,
    inputs: Inputs,
    cluster: ClusterOptions,
) -> None:
    """Transform the rows of a table, here or on workers."""
    from tied_tables.rows import BatchTransform

    cluster.require_output(task.output, task.json, inputs.data)
    model, rows = inputs.open(task.output)
    transform = BatchTransform(model.fitted_value, rows.columns, output, rows.id)
    rows = transform.scan(rows.source)
    with cluster.connect_writer(transform, task.output) as write:
        write = write or partial(task.write, function=transform.apply)
        write_rows(verb, rows, write, task)


def write_rows(
    verb: str, rows: Scan, write: Write, task: Task, thing: str = "row"
) -> None:
    """Write results for the rows of a table by a function, and print a summary."""
    start = time.perf_counter()
    with show_rows(verb, rows) as shown_rows:
        n_things, doubts = write(shown_rows)
    seconds = time.perf_counter() - start
    remark_doubtful(rows, doubts)
    name = hide_secrets(task.output)
    facts = {
        verb: n_things,
        "output": name,
        "seconds": seconds,
        "unseen": doubts.unseen.counts,
    }
    text = f"{verb} {format_quantity(n_things, thing)} to {name} in {seconds:.1f} s"
    print_result(task.json, facts, text)


def _open_codes(
    model: Model, data: str, options: TableOptions, id: str | None, output: str
) -> Scan:
    """Open a table of codes: columns code0, code1, ..., or else all of numbers."""
    from tied_tables.columns import NUMERIC_KINDS, Columns
    from tied_tables.rows import Scan, code_names

    id_column = id or (model.columns.id if model.columns else None)
    source = options.open(data, [id_column] if id_column else [])
    n_components = model.fitted_value.n_components
    names = codes = code_names(n_components)
    has_names = set(names) <= set(source.schema.names)
    if not has_names:
        names = [name for name, kind in source.kinds.items() if kind in NUMERIC_KINDS]
        names = [name for name in names if name != id_column]
    if len(names) != n_components:
        raise UsageError(
            f"{data!r} has {format_quantity(len(names), 'numeric column')}, but"
            f" codes of {str(model.path)!r} have"
            f" {format_quantity(n_components, 'component')}; name the code columns"
            f" {list_some(codes, 3)}."
        )
    if not (has_names or data.endswith((".npy", ".npz"))):  # which have no names
        remark(
            f"{data!r} has no columns {list_some(codes, 3)}; its columns"
            f" {list_some(names, 3)} are read as the codes."
        )
    id = choose_id(source, id, id_column, output)
    return Scan(source, Columns.of_numbers(names), id)
