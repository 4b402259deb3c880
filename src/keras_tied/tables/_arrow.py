"""Arrow, Feather, Parquet and ORC, in record batches, row groups and stripes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import Batches, Request, TableFile

ARROW = "an Arrow or Feather (version 2) file"
STREAM_START = b"\xff\xff\xff\xff"
"""The continuation marker; the stream format has no magic of its own."""
READ_AHEAD = 2**20
"""Bytes of each column of Parquet; without it a row group is read whole, however large."""


@contextmanager
def _open(name: str, what: str) -> Iterator[pa.OSFile]:
    with report_read_errors(name, what), pa.OSFile(name) as source:
        yield source


def _validate(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows if they are sound, or raise; any use of others may end the process."""
    batch.validate(full=True)
    return batch


def open_arrow(name: str) -> TableFile:
    """Open an Arrow IPC file of the file format, or of the stream format, which is one piece."""
    with _open(name, ARROW) as source:
        is_stream = source.read(len(STREAM_START)) == STREAM_START
        source.seek(0)
        if is_stream:
            stream = ipc.open_stream(source)
            n_rows = sum(batch.num_rows for batch in stream)
            return TableFile(name, stream.schema, [n_rows], partial(_read_stream, name))
        schema = ipc.open_file(source).schema
        # One column is enough to learn how many rows there are.
        file = ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=[0]))
        batches = range(file.num_record_batches if len(schema) else 0)
        rows = [file.get_batch(index).num_rows for index in batches]
    return TableFile(name, schema, rows, partial(_read_arrow, name, schema))


def _read_arrow(name: str, schema: pa.Schema, request: Request) -> Batches:
    fields = sorted(map(schema.get_field_index, request.names))
    with _open(name, ARROW) as source:
        file = ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=fields))
        yield from map(_validate, map(file.get_batch, request.pieces))


def _read_stream(name: str, request: Request) -> Batches:
    for _ in request.pieces:
        with _open(name, ARROW) as source:
            for batch in ipc.open_stream(source):
                yield _validate(batch).select(list(request.names))


def open_parquet(name: str) -> TableFile:
    """Open a Parquet file."""
    import pyarrow.parquet as pq  # takes long to import

    with _open(name, "a Parquet file") as source, pq.ParquetFile(source) as file:
        metadata, schema = file.metadata, file.schema_arrow
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return TableFile(name, schema, rows, partial(_read_parquet, name, metadata))


def _read_parquet(name: str, metadata: Any, request: Request) -> Batches:
    import pyarrow.parquet as pq

    options = {"metadata": metadata, "buffer_size": READ_AHEAD, "pre_buffer": False}
    with _open(name, "a Parquet file") as source, pq.ParquetFile(source, **options) as file:
        batches = file.iter_batches(request.n_rows, list(request.pieces), list(request.names))
        yield from map(_validate, batches)


def open_orc(name: str) -> TableFile:
    """Open an ORC file."""
    from pyarrow import orc  # takes long to import

    with _open(name, "an ORC file") as source:
        file = orc.ORCFile(source)
        first = file.schema.names[:1]
        rows = [file.read_stripe(i, columns=first).num_rows for i in range(file.nstripes)]
    return TableFile(name, file.schema, rows, partial(_read_orc, name))


def _read_orc(name: str, request: Request) -> Batches:
    from pyarrow import orc

    with _open(name, "an ORC file") as source:
        file = orc.ORCFile(source)
        for piece in request.pieces:
            batch = _validate(file.read_stripe(piece, columns=list(request.names)))
            yield batch.select(list(request.names))
