"""Tables written to disk, batch by batch."""

import csv
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib import format as npy
from pyarrow import csv as arrow
from pyarrow import ipc

from keras_tied import _files
from keras_tied._table_errors import TableError, WriteError
from keras_tied._text import quote
from keras_tied._types import StrPath
from keras_tied.columns import Kind, find_kind
from keras_tied.tables._file import (
    COMPRESSIONS,
    OUTPUT_ENDINGS,
    TEXTS,
    Batches,
    find_format,
)

STANDARD_OUTPUT = "-"
ROWS_IN_GROUP = 2**17
# How a cell begins that a spreadsheet may run (OWASP, CSV Injection): also behind what
# is not seen, and behind what is a delimiter in other places of the world.
FORMULA = "^([=+\\-@\t\r\n＝＋－＠])"  # noqa: RUF001
HIDDEN_FORMULA = "((?:^|[;,\t\r\n])[\\s\\p{Z}\\p{C}]*)([=+\\-@＝＋－＠])"  # noqa: RUF001
NUMBERS = (Kind.boolean, Kind.integer, Kind.number)
# The types whose values single precision holds.
SINGLE = (
    pa.bool_(),
    pa.int8(),
    pa.uint8(),
    pa.int16(),
    pa.uint16(),
    pa.float16(),
    pa.float32(),
)


def check_output(path: StrPath) -> Path | None:
    """Return the absolute path of an output, or None for the standard output.

    Raises:
        TableError: if `write_table` could not write to it.
    """
    if (name := os.fspath(path)) == STANDARD_OUTPUT:
        return None
    with _report_errors(name):
        try:
            return _files.check_writable(Path(name), OUTPUT_ENDINGS)
        except ValueError as error:
            raise TableError(str(error)) from error


def write_table(
    path: StrPath,
    batches: Iterable[pa.RecordBatch],
    *,
    safe_csv: bool = False,
    delimiter: str | None = None,
) -> int:
    r"""Write a table, whole or not at all, and return its number of rows.

    The ending tells the format, as in `open_table`, but for `.bz2`, which is only read.
    The rows go to a temporary file, which replaces the file at the end; after an error,
    an old file stays.

    Args:
        path: the file, or `"-"` for CSV on the standard output.
        batches: its rows, with the same columns in each; at least one batch. For `.npy`
            and `.npz` all columns are numbers or booleans, and their names are not
            kept.
        safe_csv: whether to put a `'` before text and names of columns, in CSV, that
            begin with `=`, `+`, `-`, `@`, a tab or a line break, as a formula does, and
            before such a sign behind a delimiter or behind what is not seen. Defaults
            to `False`.
        delimiter: between the cells of `.csv`, one character. Defaults to a comma.

    Raises:
        TableError: if the path or the columns cannot be written; a `WriteError` of a
            full disk.

    Examples:
        >>> import pathlib, tempfile
        >>> import pyarrow as pa
        >>> from keras_tied.tables import write_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     rows = pa.record_batch({"name": ["plum"], "weight": [31.5]})
        ...     n_rows = write_table(path, [rows])
        ...     n_rows, path.read_text()
        (1, 'name,weight\nplum,31.5\n')
    """
    name, target, n_rows = os.fspath(path), check_output(path), 0
    rest = iter(batches)
    if (first := next(rest, None)) is None:
        raise TableError("there are no rows to write.")

    def count_rows() -> Batches:
        nonlocal n_rows
        for batch in chain([first], rest):
            n_rows += batch.num_rows
            yield batch

    if target is None:
        sys.stdout.flush()
        _write_text(
            sys.stdout.buffer,
            first.schema,
            count_rows(),
            delimiter or ",",
            safe_csv,
        )
        return n_rows
    with _report_errors(name), _files.replace_atomically(target) as part:
        _write_rows(
            name,
            part,
            first.schema,
            count_rows(),
            safe_csv,
            delimiter,
        )
    return n_rows


@contextmanager
def _report_errors(name: str) -> Iterator[None]:
    """Turn an error while a file is written into a `WriteError`."""
    try:
        yield
    except MemoryError:  # Arrow's is an `ArrowException`
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        todo = _files.suggest_after(error)
        raise WriteError(f"cannot write {name!r}: {reason}; {todo}.") from error
    except pa.ArrowException as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise WriteError(f"cannot write {name!r}: {reason}; use Parquet.") from error


def _write_rows(
    name: str,
    part: Path,
    schema: pa.Schema,
    batches: Batches,
    safe_csv: bool,
    delimiter: str | None,
) -> None:
    """Write rows to `part`, in the format of `name`."""
    format, ending = find_format(name), Path(name).suffix[1:].lower()
    if format in TEXTS:
        with pa.output_stream(
            str(part), compression=COMPRESSIONS.get(ending)
        ) as stream:
            between = delimiter if delimiter and format == "csv" else TEXTS[format]
            _write_text(
                stream,
                schema,
                batches,
                between,
                safe_csv,
            )
    elif format == "parquet":
        _write_parquet(part, schema, batches)
    elif format == "npy":
        with part.open("wb") as file:
            _write_array(file, schema, batches)
    elif format == "npz":
        with tempfile.TemporaryFile(dir=part.parent) as file:
            _write_array(file, schema, batches)
            file.seek(0)
            with (
                ZipFile(part, "w") as whole,
                whole.open("rows.npy", "w", force_zip64=True) as f,
            ):
                shutil.copyfileobj(file, f, 2**20)
    else:
        with (
            pa.OSFile(str(part), "wb") as stream,
            ipc.new_file(stream, schema) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch)


def _write_text(
    file: IO[bytes],
    schema: pa.Schema,
    batches: Batches,
    delimiter: str,
    safe: bool,
) -> None:
    """Write CSV to an open file; see `write_table` for `safe`."""
    if others := [
        field.name for field in schema if find_kind(field.type) is Kind.other
    ]:
        raise TableError(
            f"column {quote(others)} holds values that CSV cannot; use .parquet, or"
            " leave it out."
        )
    names = StringIO(newline="")
    writer = csv.writer(names, delimiter=delimiter, lineterminator="\n")
    writer.writerow(
        _escape_formulas(pa.array(schema.names)).to_pylist() if safe else schema.names
    )
    file.write(names.getvalue().encode())
    for batch in batches:
        if safe:
            columns = [_escape_formulas(column) for column in batch.columns]
            batch = pa.record_batch(columns, names=batch.schema.names)
        file.write(_format_lines(batch, delimiter))
    file.flush()


def _format_lines(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer:
    """Format rows as text, with quotes around the cells that need them."""
    options = arrow.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style="none"
    )
    lines = pa.BufferOutputStream()
    try:
        arrow.write_csv(batch, lines, options)
    except pa.ArrowInvalid:
        # Some cell needs quotes, and Arrow would put them around all text.
        return _join_cells(batch, delimiter)
    return lines.getvalue()


def _join_cells(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer:
    """Format rows as text, some cells of which need quotes."""
    text = pa.large_string()
    cells = [column.cast(text) for column in batch.columns]
    nothing, mark, between = (pa.scalar(x, text) for x in ("", '"', delimiter))
    special = f'[{re.escape(delimiter)}"\r\n]'
    for index, column in enumerate(cells):
        doubled = pc.replace_substring(column, '"', '""')
        quoted = pc.binary_join_element_wise(mark, doubled, mark, nothing)
        is_special = pc.match_substring_regex(column, special)
        cells[index] = pc.if_else(is_special, quoted, column)
    rows = pc.binary_join_element_wise(
        *cells, between, null_handling="replace", null_replacement=""
    )
    lines = "".join(f"{row}\n" for row in rows.to_pylist())
    return pa.py_buffer(lines.encode())


def _escape_formulas(values: pa.Array) -> pa.Array:
    if find_kind(values.type) is not Kind.text:
        return values
    texts = values.cast(pa.string())
    escaped = pc.replace_substring_regex(texts, FORMULA, r"'\1")
    return pc.replace_substring_regex(escaped, HIDDEN_FORMULA, r"\1'\2")


def _write_parquet(part: Path, schema: pa.Schema, batches: Batches) -> None:
    """Write Parquet, in row groups of many batches."""
    import pyarrow.parquet as pq  # takes long to import

    # A dictionary helps only where values repeat, which numbers rarely do.
    texts = [
        field.name for field in schema if find_kind(field.type) is Kind.text
    ] or False
    group: list[pa.RecordBatch] = []
    with (
        pa.OSFile(str(part), "wb") as file,
        pq.ParquetWriter(file, schema, use_dictionary=texts) as writer,
    ):
        for batch in batches:
            group.append(batch)
            if sum(rows.num_rows for rows in group) >= ROWS_IN_GROUP:
                writer.write_table(pa.Table.from_batches(group))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_batches(group))


def _write_array(
    file: IO[bytes],
    schema: pa.Schema,
    batches: Batches,
) -> None:
    """Write an .npy file; its header is written again at the end."""
    if texts := [
        field.name for field in schema if find_kind(field.type) not in NUMBERS
    ]:
        raise TableError(
            f"column {quote(texts)} does not hold numbers, and an array holds nothing"
            " else; use .csv or .parquet."
        )
    is_single = all(column in SINGLE for column in schema.types)
    dtype = np.dtype(np.float32 if is_single else np.float64)
    header = {"descr": dtype.str, "fortran_order": False, "shape": (0, len(schema))}
    # The header is of the same length for any number of rows.
    npy.write_array_header_1_0(file, header)
    n_rows = 0
    for batch in batches:
        rows = np.empty((batch.num_rows, len(schema)), dtype)
        for index, column in enumerate(batch.columns):
            values = column.cast(pa.from_numpy_dtype(dtype), safe=False)
            rows[:, index] = values.to_numpy(zero_copy_only=False)
        file.write(rows.tobytes())
        n_rows += batch.num_rows
    file.seek(0)
    npy.write_array_header_1_0(file, header | {"shape": (n_rows, len(schema))})
