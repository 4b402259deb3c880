"""Copies of what cannot be read in place: of a bounded size, named as their origin."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property, partial
from tempfile import mkdtemp
from typing import IO

import pyarrow as pa
from pyarrow import ipc

from tied_tables._files import temporary_folder
from tied_tables._table_errors import TableError
from tied_tables._text import hide_secrets

COPY_BYTES = 2**20  # bytes that are copied at a time


class CopyTooLargeError(TableError):
    """Copies take more bytes than they may."""


class Copy(str):
    """The path of a copy; messages show where it came from."""

    origin: str

    def __repr__(self) -> str:
        return repr(hide_secrets(self.origin))


class Copies(ExitStack):
    """Copies for one table, all of which have a bounded size together."""

    def __init__(self, most_bytes: int = 2**34) -> None:
        super().__init__()
        self.most_bytes = most_bytes
        self.n_bytes = 0

    @cached_property
    def _folder(self) -> str:
        return self.enter_context(temporary_folder())

    def make_folder(self) -> str:
        """Make an empty folder, which is deleted with all copies."""
        return mkdtemp(dir=self._folder)

    def copy_bytes(
        self,
        parts: Iterable[bytes],
        origin: str,
        name: str,
    ) -> Copy:
        """Write bytes to a file of a name, in a folder of its own."""
        copy = Copy(os.path.join(self.make_folder(), name))
        copy.origin = origin.origin if isinstance(origin, Copy) else origin
        with open(copy, "wb") as target:
            for part in parts:
                self.count(len(part), copy)
                target.write(part)
        return copy

    def copy_rows(
        self,
        schema: pa.Schema,
        batches: Iterable[pa.RecordBatch],
        origin: str,
    ) -> Copy:
        """Write rows to an Arrow file."""
        copy = self.copy_bytes([], origin, "rows.arrow")
        compressed = ipc.IpcWriteOptions(compression="lz4")
        with (
            pa.OSFile(str(copy), "wb") as target,
            ipc.new_file(target, schema, options=compressed) as writer,
        ):
            for batch in batches:
                begin = target.tell()
                writer.write_batch(batch)
                self.count(target.tell() - begin, copy)
        return copy

    def count(self, n_bytes: int, copy: Copy | None = None) -> None:
        """Count some more bytes, and raise if there are more than there may be."""
        self.n_bytes += n_bytes
        if self.n_bytes > self.most_bytes:
            raise CopyTooLargeError(
                f"{copy!r} needs a temporary copy of more than {self.most_bytes:,}"
                " bytes; choose fewer rows, or raise the limit with `max_copy=...`."
            )


def split_file(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an open file in parts."""
    return iter(partial(file.read, COPY_BYTES), b"")
