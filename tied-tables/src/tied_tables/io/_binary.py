"""Files of columns: Arrow, Feather, Parquet, ORC, and NumPy's, in pieces."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from pyarrow import ipc

from tied_tables._table_errors import TableError
from tied_tables._text import quote
from tied_tables.io._copy import Copies, split_file
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    BATCH_BYTES,
    BATCH_ROWS,
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_width,
)

CELLS = 2**20  # numbers in a piece of an array
# The continuation marker; the stream format has no magic.
STREAM_START = b"\xff\xff\xff\xff"
# Bytes of each column of Parquet; without it a row group is read whole, however large.
READ_AHEAD = 2**20


@contextmanager
def _open(name: str) -> Iterator[pa.OSFile]:
    with report_read_errors(name), pa.OSFile(name) as source:
        yield source


def _validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows if they are sound, or raise: others may end the process."""
    batch.validate(full=True)
    return batch


def open_arrow(name: str) -> TableFile:
    """Open an Arrow file, or a stream of Arrow, which is one piece."""
    with _open(name) as source:
        is_stream = source.read(len(STREAM_START)) == STREAM_START
        source.seek(0)
        if is_stream:
            stream = ipc.open_stream(source)
            n_rows = sum(batch.num_rows for batch in stream)
            return TableFile(name, stream.schema, [n_rows], partial(_read_stream, name))
        schema = ipc.open_file(source).schema
        # One column is enough to learn how many rows there are.
        file = _open_columns(source, [0])
        n_batches = file.num_record_batches if len(schema) else 0
        rows = [file.get_batch(index).num_rows for index in range(n_batches)]
    return TableFile(name, schema, rows, partial(_read_arrow, name, schema))


def _open_columns(source: pa.OSFile, places: Sequence[int]) -> Any:
    """Open an Arrow file, of which some columns are read."""
    return ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=places))


def _read_arrow(name: str, schema: pa.Schema, request: Request) -> Batches:
    places = sorted(map(schema.get_field_index, request.names))
    with _open(name) as source:
        file = _open_columns(source, places)
        for piece in request.pieces:
            yield _validate(file.get_batch(piece))


def _read_stream(name: str, _: Request) -> Batches:
    with _open(name) as source:
        yield from map(_validate, ipc.open_stream(source))


def open_parquet(name: str) -> TableFile:
    """Open a Parquet file."""
    import pyarrow.parquet as pq  # takes long to import

    with _open(name) as source, pq.ParquetFile(source) as file:
        metadata, schema = file.metadata, file.schema_arrow
    groups = list(map(metadata.row_group, range(metadata.num_row_groups)))
    rows = [group.num_rows for group in groups]
    row_bytes = [
        1 + group.total_byte_size // max(1, group.num_rows) for group in groups
    ]
    most_rows = max(1, min(BATCH_ROWS, BATCH_BYTES // max(row_bytes, default=1)))
    read = partial(_read_parquet, name, metadata, most_rows)
    return TableFile(name, schema, rows, read)


def _read_parquet(
    name: str, metadata: Any, most_rows: int, request: Request
) -> Batches:
    import pyarrow.parquet as pq

    with _open(name) as source:
        file = pq.ParquetFile(
            source, metadata=metadata, buffer_size=READ_AHEAD, pre_buffer=False
        )
        pieces = list(request.pieces)
        batches = file.iter_batches(most_rows, pieces, request.names)
        yield from map(_validate, batches)


def open_orc(name: str) -> TableFile:
    """Open an ORC file, which is one piece."""
    from pyarrow import orc  # takes long to import

    with _open(name) as source:
        file = orc.ORCFile(source)
        return TableFile(name, file.schema, [file.nrows], partial(_read_orc, name))


def _read_orc(name: str, request: Request) -> Batches:
    from pyarrow import dataset

    with _open(name) as source:
        fragment = dataset.OrcFileFormat().make_fragment(source)
        batches = fragment.to_batches(
            columns=request.names,
            batch_size=BATCH_ROWS,
            batch_readahead=1,
            use_threads=False,
        )
        yield from map(_validate, batches)


def open_npz(name: str, options: ReadOptions, copies: Copies) -> TableFile:
    """Open a copy of an array of an `.npz` file, by name where there are several."""
    array = options.array
    with report_read_errors(name, _explain), ZipFile(name) as archive:
        members = archive.namelist()
        names = [
            member.removesuffix(".npy") for member in members if member.endswith(".npy")
        ]
        if array is None and len(names) != 1:
            raise TableError(
                f"{name!r} holds {len(names)} arrays, {quote(names)}; choose one with"
                " `array=...`."
            )
        if array is not None and array not in names:
            raise TableError(
                f"{name!r} has no array {array!r}; choose one of {quote(names)}."
            )
        with archive.open(f"{array or names[0]}.npy") as member:
            copy = copies.copy_bytes(split_file(member), name, "rows.npy")
    return open_npy(copy, options)


def open_npy(name: str, options: ReadOptions) -> TableFile:
    """Open a file of rows and columns, which are called x0, x1 and so on."""
    with report_read_errors(name, _explain):
        rows = npy.open_memmap(name, mode="r")
    if rows.ndim != 2 or not rows.shape[1]:
        raise TableError(
            f"{name!r} holds an array of shape {rows.shape}; save one of rows and"
            " columns."
        )
    if rows.dtype.kind not in "biuf" or rows.dtype.itemsize > 8:
        raise TableError(
            f"{name!r} holds values of type {rows.dtype}; save real numbers, or text as"
            " CSV or Parquet."
        )
    n_rows, n_columns = rows.shape
    check_width(name, n_columns, options)
    dtype = pa.from_numpy_dtype(_to_native(rows.dtype))
    schema = pa.schema([(f"x{index}", dtype) for index in range(n_columns)])
    size = max(1, CELLS // n_columns)
    sizes = [min(size, n_rows - start) for start in range(0, n_rows, size)]
    return TableFile(name, schema, sizes, partial(_read_npy, name, size))


def _read_npy(name: str, size: int, request: Request) -> Batches:
    places = [int(column.removeprefix("x")) for column in request.names]
    for piece in request.pieces:
        with report_read_errors(name, _explain):
            # A new map each time lets go of the memory of the rows read before.
            stored = npy.open_memmap(name, mode="r")
            begin = piece * size
            rows = stored[begin : begin + size]
            columns = rows.T[places].astype(_to_native(rows.dtype), order="C")
            del stored, rows
        arrays = [pa.array(column) for column in columns]
        yield pa.record_batch(arrays, names=request.names)


def _to_native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in this machine's byte order; Arrow computes with no float16."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype.newbyteorder("=")


def _explain(name: str, error: Exception) -> Exception:
    """Return the `TableError` for an error of NumPy's."""
    if not isinstance(error, ValueError | EOFError | BadZipFile):
        return error
    if "Object arrays" in str(error) or "Python objects" in str(error):
        return TableError(
            f"{name!r} holds pickled objects, which could run code and are never read;"
            " save an array of numbers with numpy.save."
        )
    return TableError(
        f"{name!r} is not a complete NumPy file; write it with numpy.save."
    )
