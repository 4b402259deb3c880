"""The writers of each format: context managers that give a function of one batch."""

import csv
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from pathlib import Path
from typing import IO, Any, TypeAlias
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.lib import format as npy
from pyarrow import csv as arrow
from pyarrow import ipc

from keras_tied.tables._errors import TableError, quote
from keras_tied.tables._kinds import Kind, find_kind
from keras_tied.tables._paths import TEXTS, find_compression, find_format

Write: TypeAlias = Callable[[pa.RecordBatch], None]
Writer: TypeAlias = AbstractContextManager[Write]

ROWS_IN_GROUP = 2**17
FORMULA = "^([=+\\-@\t\r\n＝＋－＠])"  # noqa: RUF001
"""How a cell begins that a spreadsheet may run (OWASP, CSV Injection)."""
NUMBERS = (Kind.boolean, Kind.integer, Kind.number)


def open_writer(name: str, part: Path, schema: pa.Schema, safe_csv: bool) -> Writer:
    """Return the writer for the format of `name`, which writes to `part`."""
    ending = find_format(name)
    if ending in TEXTS:
        return _write_text(name, part, schema, TEXTS[ending], safe_csv)
    if ending == "parquet":
        return _write_parquet(part, schema)
    if ending == "npy":
        return _write_npy(part, schema)
    return _write_npz(part, schema) if ending == "npz" else _write_arrow(part, schema)


@contextmanager
def open_text_writer(
    file: IO[bytes], schema: pa.Schema, delimiter: str = ",", safe: bool = False
) -> Iterator[Write]:
    """Write CSV to an open file; see `write_table` for `safe`."""
    if others := [field.name for field in schema if find_kind(field.type) is Kind.other]:
        raise TableError(
            f"column {quote(others)} holds values that CSV cannot; use .parquet, or leave it out."
        )
    names = StringIO(newline="")
    writer = csv.writer(names, delimiter=delimiter, lineterminator="\n")
    writer.writerow(_escape_formulas(pa.array(schema.names)).to_pylist() if safe else schema.names)
    file.write(names.getvalue().encode())

    def write(batch: pa.RecordBatch) -> None:
        if safe:
            columns = [_escape_formulas(column) for column in batch.columns]
            batch = pa.record_batch(columns, names=batch.schema.names)
        file.write(_format_lines(batch, delimiter))

    yield write
    file.flush()


def _format_lines(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer:
    """Format rows as text, with quotes around the cells that need them and no others."""
    options = arrow.WriteOptions(include_header=False, delimiter=delimiter, quoting_style="none")
    lines = pa.BufferOutputStream()
    try:
        arrow.write_csv(batch, lines, options)
    except pa.ArrowInvalid:  # some cell needs quotes, and Arrow would put them around all text
        return _join_cells(batch, delimiter)
    return lines.getvalue()


def _join_cells(batch: pa.RecordBatch, delimiter: str) -> pa.Buffer:
    """Format rows as text, some cells of which need quotes."""
    text = pa.large_string()
    cells = [column.cast(text) for column in batch.columns]
    nothing, quote = pa.scalar("", text), pa.scalar('"', text)
    for index, column in enumerate(cells):
        doubled = pc.replace_substring(column, '"', '""')
        quoted = pc.binary_join_element_wise(quote, doubled, quote, nothing)
        special = pc.match_substring_regex(column, f'[{delimiter}"\r\n]')
        cells[index] = pc.if_else(special, quoted, column)
    missing_is_empty = {"null_handling": "replace", "null_replacement": ""}
    rows = pc.binary_join_element_wise(*cells, pa.scalar(delimiter, text), **missing_is_empty)
    ended = pc.binary_join_element_wise(rows, pa.scalar("\n", text), nothing)
    return pa.py_buffer("".join(ended.to_pylist()).encode())


def _escape_formulas(values: pa.Array) -> pa.Array:
    if find_kind(values.type) is not Kind.text:
        return values
    return pc.replace_substring_regex(values.cast(pa.string()), FORMULA, r"'\1")


@contextmanager
def _write_text(
    name: str, part: Path, schema: pa.Schema, delimiter: str, safe: bool
) -> Iterator[Write]:
    with (
        pa.output_stream(str(part), compression=find_compression(name)) as file,
        open_text_writer(file, schema, delimiter, safe) as write,
    ):
        yield write


@contextmanager
def _write_parquet(part: Path, schema: pa.Schema) -> Iterator[Write]:
    """Write Parquet, in row groups of many batches."""
    texts = [field.name for field in schema if find_kind(field.type) is Kind.text]
    with (
        pa.OSFile(str(part), "wb") as file,
        # A dictionary helps only where values repeat, which numbers rarely do.
        pq.ParquetWriter(file, schema, use_dictionary=texts or False) as writer,
    ):
        batches: list[pa.RecordBatch] = []

        def write(batch: pa.RecordBatch) -> None:
            batches.append(batch)
            if sum(batch.num_rows for batch in batches) >= ROWS_IN_GROUP:
                flush()

        def flush() -> None:
            if batches:
                writer.write_table(pa.Table.from_batches(batches))
                batches.clear()

        yield write
        flush()


@contextmanager
def _write_arrow(part: Path, schema: pa.Schema) -> Iterator[Write]:
    with pa.OSFile(str(part), "wb") as file, ipc.new_file(file, schema) as writer:
        yield writer.write_batch


@contextmanager
def _write_npy(part: Path, schema: pa.Schema) -> Iterator[Write]:
    with part.open("wb") as file, _write_array(file, schema) as write:
        yield write


@contextmanager
def _write_npz(part: Path, schema: pa.Schema) -> Iterator[Write]:
    with tempfile.TemporaryFile(dir=part.parent) as file:
        with _write_array(file, schema) as write:
            yield write
        file.seek(0)
        with ZipFile(part, "w") as archive, archive.open("rows.npy", "w", force_zip64=True) as rows:
            shutil.copyfileobj(file, rows, 2**20)


@contextmanager
def _write_array(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    """Write an .npy file; its header is written again at the end, with the number of rows."""
    if texts := [field.name for field in schema if find_kind(field.type) not in NUMBERS]:
        raise TableError(
            f"column {quote(texts)} does not hold numbers, and an array holds nothing else; use "
            ".csv or .parquet."
        )
    dtype = _choose_dtype(schema)
    n_rows = 0

    def write_header() -> None:
        shape = (n_rows, len(schema))
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(file, header)  # of the same length for any number of rows

    def write(batch: pa.RecordBatch) -> None:
        nonlocal n_rows
        rows = np.empty((batch.num_rows, len(schema)), dtype)
        for index, column in enumerate(batch.columns):
            values = column.cast(pa.from_numpy_dtype(dtype), safe=False)
            rows[:, index] = values.to_numpy(zero_copy_only=False)
        file.write(rows.tobytes())
        n_rows += batch.num_rows

    write_header()
    yield write
    file.seek(0)
    write_header()


def _choose_dtype(schema: pa.Schema) -> np.dtype[Any]:
    """Choose single precision if it holds the values of all columns, else double."""
    single = (
        pa.bool_(),
        pa.int8(),
        pa.uint8(),
        pa.int16(),
        pa.uint16(),
        pa.float16(),
        pa.float32(),
    )
    return np.dtype(np.float32 if all(dtype in single for dtype in schema.types) else np.float64)
