"""Tables written to disk, batch by batch."""

import csv
import errno
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib import format as npy
from pyarrow import csv as arrow
from pyarrow import ipc

from tied_tables import _files
from tied_tables._table_errors import TableError, WriteError
from tied_tables._text import quote
from tied_tables._types import StrPath
from tied_tables.columns import NUMERIC_KINDS, Kind, find_kind
from tied_tables.io._file import (
    COMPRESSIONS,
    OUTPUT_ENDINGS,
    TEXTS,
    Batches,
    find_format,
)
from tied_tables.io._patch import Cells, Patch
from tied_tables.io._source import resize_batches

STANDARD_OUTPUT = "-"
ROWS_IN_GROUP = 2**17
# How a cell begins that a spreadsheet may run (OWASP, CSV Injection): also behind what
# is not seen, and behind what is a delimiter in other places of the world.
FORMULA = "^([=+\\-@\t\r\n＝＋－＠])"  # noqa: RUF001
SAFE_NUMERAL = r"^-?\d[\d.,]*(?:[eE][-+]?\d+)?$"  # which no program runs
HIDDEN_FORMULA = "((?:^|[;,\t\r\n])[\\s\\p{Z}\\p{C}]*)([=+\\-@＝＋－＠])"  # noqa: RUF001


def check_output(path: StrPath, endings: Collection[str] = OUTPUT_ENDINGS) -> None:
    """Raise unless a path is `"-"` or that of a table that could be written.

    Raises:
        TableError: if `write_table` could not write to it.
    """
    if (name := os.fspath(path)) != STANDARD_OUTPUT:
        _files.check_writable(Path(name), endings)


def write_table(
    path: StrPath,
    batches: Iterable[pa.RecordBatch],
    *,
    safe_csv: bool = False,
) -> int:
    r"""Write a table, whole or not at all, and return its number of rows.

    The ending tells the format, as in `open_table`, but for `.bz2`, which is only read.
    The rows go to a temporary file, which replaces the file at the end; after an error,
    an old file stays.

    Args:
        path: the file, or `"-"` for CSV on the standard output.
        batches: its rows, with the same columns in each; at least one batch. For `.npy`
            all columns are numbers or booleans, and their names are not kept.
        safe_csv: whether to put a `'` before text and names of columns, in CSV, that
            begin with `=`, `+`, `-`, `@`, a tab or a line break, as a formula does, and
            before such a sign behind a delimiter or behind what is not seen. Defaults
            to `False`.

    Raises:
        TableError: if the path or the columns cannot be written; a `WriteError` of a
            full disk.

    Examples:
        >>> import pathlib, tempfile
        >>> import pyarrow as pa
        >>> from tied_tables.io import write_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     rows = pa.record_batch({"name": ["plum"], "weight": [31.5]})
        ...     n_rows = write_table(path, [rows])
        ...     n_rows, path.read_text()
        (1, 'name,weight\nplum,31.5\n')
    """
    check_output(path)
    name, remaining, n_rows = os.fspath(path), iter(batches), 0
    if (first := next(remaining, None)) is None:
        raise TableError("there are no rows to write.")

    def count_rows() -> Batches:
        nonlocal n_rows
        for batch in chain([first], remaining):
            n_rows += batch.num_rows
            yield batch

    with _create(name) as file:
        _write_rows(name, file, first.schema, count_rows(), safe_csv)
    return n_rows


def write_patch(path: StrPath, patch: Patch, rows: Iterator[Cells]) -> None:
    """Write a copy of a file with new cells, whole or not at all.

    Args:
        path: the copy, or `"-"` for the standard output.
        patch: what `Source.find_patch` gives for this path.
        rows: the new cells of each row of the file, in order.

    Raises:
        TableError: if the copy cannot be written, or the file has changed; a
            `WriteError` of a full disk.
    """
    name = os.fspath(path)
    with _create(name) as file, _compress(name, file) as stream:
        patch(stream, rows)


@contextmanager
def _create(name: str) -> Iterator[IO[bytes]]:
    """Open a file to write, or the standard output."""
    with _report_errors(name):
        if name == STANDARD_OUTPUT:
            if sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            sys.stdout.flush()
            with open(sys.stdout.fileno(), "wb", closefd=False) as file:
                yield file
        else:
            with _files.replace_atomically(Path(name)) as part, part.open("wb") as file:
                yield file


@contextmanager
def _report_errors(name: str) -> Iterator[None]:
    """Turn an error while a file is written into a `WriteError`."""
    try:
        with _files.report_write_errors(name):
            yield
    except MemoryError:  # Arrow's is an `ArrowException`
        raise
    except UnicodeEncodeError as error:
        reason = f"cannot write {name!r}: {error}"
        raise WriteError(f"{reason}; save the table as UTF-8 first.") from error
    except pa.ArrowException as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise WriteError(f"cannot write {name!r}: {reason}; use Parquet.") from error


def _write_rows(
    name: str,
    file: IO[bytes],
    schema: pa.Schema,
    batches: Batches,
    safe_csv: bool,
) -> None:
    """Write rows to an open file, in the format of `name`."""
    format = find_format(name) or "csv"  # of the standard output
    if format in TEXTS:
        with _compress(name, file) as stream:
            _write_text(stream, schema, batches, TEXTS[format], safe_csv)
    elif format == "parquet":
        _write_parquet(file, schema, batches)
    elif format == "npy":
        _write_array(file, schema, batches)
    else:
        with ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)


def _compress(name: str, file: IO[bytes]) -> pa.NativeFile:
    """Return a stream to an open file, compressed as the ending of `name` tells."""
    ending = Path(name).suffix[1:].lower()
    return pa.output_stream(file, compression=COMPRESSIONS.get(ending))


def _write_text(
    file: IO[bytes],
    schema: pa.Schema,
    batches: Batches,
    delimiter: str,
    safe: bool,
) -> None:
    """Write CSV to an open file; see `write_table` for `safe`."""
    if refused := [
        field.name for field in schema if find_kind(field.type) is Kind.other
    ]:
        raise TableError(
            f"column {quote(refused)} has values that CSV cannot hold; use .parquet, or"
            " leave it out."
        )
    names = pa.array(schema.names)
    if safe:
        names = _escape_formulas(names)
    file.write(_quote_cells([names.to_pylist()], delimiter))
    for batch in batches:
        if safe:
            columns = [_escape_formulas(column) for column in batch.columns]
            batch = pa.record_batch(columns, names=batch.column_names)
        file.write(_format_lines(batch, delimiter))
    file.flush()


def _format_lines(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer | bytes:
    """Format rows as text."""
    options = arrow.WriteOptions(
        include_header=False, delimiter=delimiter, quoting_style="none"
    )
    lines = pa.BufferOutputStream()
    try:
        arrow.write_csv(batch, lines, options)
    except pa.ArrowInvalid:
        # Some cell needs quotes, and Arrow would put them around all text.
        cells = [column.cast(pa.large_string()).to_pylist() for column in batch.columns]
        return _quote_cells(zip(*cells, strict=True), delimiter)
    return lines.getvalue()


def _quote_cells(rows: Iterable[Iterable[str | None]], delimiter: str) -> bytes:
    """Format rows of cells as text, with quotes around those that need them."""
    text = StringIO(newline="\n")
    end = "\r\n"  # both of which are quoted in cells then; each row is one write
    lines = SimpleNamespace(write=lambda row: text.write(row.removesuffix(end) + "\n"))
    csv.writer(lines, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


def _escape_formulas(values: pa.Array) -> pa.Array:
    if find_kind(values.type) is not Kind.text:
        return values
    texts = values.cast(pa.string())
    escaped = pc.replace_substring_regex(texts, FORMULA, r"'\1")
    escaped = pc.replace_substring_regex(escaped, HIDDEN_FORMULA, r"\1'\2")
    return pc.if_else(pc.match_substring_regex(texts, SAFE_NUMERAL), texts, escaped)


def _write_parquet(file: IO[bytes], schema: pa.Schema, batches: Batches) -> None:
    """Write Parquet, in row groups of many batches."""
    import pyarrow.parquet as pq  # takes long to import

    # A dictionary helps only where values repeat, which numbers rarely do.
    texts = [
        field.name for field in schema if find_kind(field.type) is Kind.text
    ] or False
    with pq.ParquetWriter(file, schema, use_dictionary=texts) as writer:
        for group in resize_batches(batches, ROWS_IN_GROUP):
            writer.write_batch(group)


def _write_array(
    file: IO[bytes],
    schema: pa.Schema,
    batches: Batches,
) -> None:
    """Write an .npy file; its header is written again at the end."""
    if texts := [
        field.name
        for field in schema
        if find_kind(field.type) not in (Kind.boolean, *NUMERIC_KINDS)
    ]:
        raise TableError(
            f"column {quote(texts)} is not numeric, and an array holds only numbers;"
            " use .csv or .parquet."
        )
    types = [column.to_pandas_dtype() for column in schema.types]
    is_single = np.result_type(np.float32, *types) == np.float32
    dtype = np.dtype(np.float32 if is_single else np.float64)
    arrow_dtype = pa.from_numpy_dtype(dtype)
    header = {"descr": dtype.str, "fortran_order": False, "shape": (0, len(schema))}
    # The header is of the same length for any number of rows.
    npy.write_array_header_1_0(file, header)
    n_rows = 0
    for batch in batches:
        columns = [column.cast(arrow_dtype, safe=False) for column in batch.columns]
        rows = np.column_stack(columns)
        file.write(rows.tobytes())
        n_rows += len(rows)
    file.seek(0)
    npy.write_array_header_1_0(file, header | {"shape": (n_rows, len(schema))})
