"""Copies of what cannot be read in place: of a bounded size, named as their origin."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO

import pyarrow as pa
from pyarrow import ipc

from keras_tied._table_errors import TableError
from keras_tied.tables._file import ReadOptions, check_width

PART = 2**20  # bytes that are copied at a time


class Copy(str):
    """The path of a copy; messages show where it came from."""

    origin: str

    def __repr__(self) -> str:
        return repr(self.origin)


def name_copy(place: str, origin: str) -> Copy:
    """Return the path of a copy of what has another name."""
    copy = Copy(place)
    copy.origin = origin
    return copy


def split_file(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an open file in parts."""
    return iter(partial(file.read, PART), b"")


def copy_bytes(
    parts: Iterable[bytes],
    copy: Copy,
    options: ReadOptions,
    n_before: int = 0,
) -> int:
    """Write bytes to a file, and return how many there are with those before."""
    n_bytes = n_before
    with open(copy, "wb") as target:
        for part in parts:
            n_bytes += len(part)
            _check_size(copy, n_bytes, options)
            target.write(part)
    return n_bytes


def copy_rows(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    folder: str,
    origin: str,
    options: ReadOptions,
) -> Copy:
    """Write rows to an Arrow file in a folder, and return its path."""
    check_width(origin, len(schema), options)
    copy = name_copy(os.path.join(folder, "rows.arrow"), origin)
    compressed = ipc.IpcWriteOptions(compression="lz4")
    with (
        pa.OSFile(str(copy), "wb") as target,
        ipc.new_file(target, schema, options=compressed) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            _check_size(copy, target.tell(), options)
    return copy


def _check_size(copy: Copy, n_bytes: int, options: ReadOptions) -> None:
    """Raise if a copy has more bytes than one may have."""
    if n_bytes > options.max_copy:
        raise TableError(
            f"{copy!r} takes a copy of more than {options.max_copy:,} bytes; choose"
            " fewer rows, or let it take more with --max-copy (max_copy=...)."
        )
