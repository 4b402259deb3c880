"""Rows that were read once, kept in temporary files of Arrow to read them again."""

from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from tied_tables.io._copy import Copies, CopyTooLargeError
from tied_tables.io._file import Batches


class Spill:
    """The rows of a file of text in temporary files of Arrow, one for each schema.

    The files have no names: nothing is left of them when the process ends, even if it
    is killed. In a copy that was pickled they are missing, and `is_there` is false.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Spill, ()

    @property
    def is_there(self) -> bool:
        """Whether the rows can be read."""
        return bool(self._parts)

    def read(self, schema: pa.Schema) -> Batches:
        """Yield the rows of some columns, in types that are as wide or wider."""
        for part in self._parts:
            yield from part.read(schema)

    def write(self, batches: Batches, copies: Copies) -> None:
        """Write rows, instead of those that were there.

        If there is no room for them, they are read to the end and none is kept.
        """
        self.delete(copies)
        has_room = True
        for batch in batches:
            has_room = has_room and _has_room(self._add, batch, copies)
        for part in self._parts:
            has_room = has_room and _has_room(part.finish, copies)
        if not has_room:
            self.delete(copies)

    def delete(self, copies: Copies) -> None:
        """Delete the files, whose bytes no longer count among those of the copies."""
        for part in self._parts:
            part.delete(copies)
        self._parts = []

    def _add(self, batch: pa.RecordBatch, copies: Copies) -> None:
        if not self._parts or self._parts[-1].schema != batch.schema:
            self._parts.append(_Part(batch.schema, copies))
        self._parts[-1].write(batch, copies)


class _Part:
    """A temporary file of Arrow."""

    def __init__(self, schema: pa.Schema, copies: Copies) -> None:
        self.schema = schema
        self._file = TemporaryFile()  # noqa: SIM115 (closed with the copies)
        copies.enter_context(self._file)
        self._target = pa.PythonFile(self._file, "w")
        options = ipc.IpcWriteOptions(compression="lz4")
        self._writer = ipc.new_file(self._target, schema, options=options)
        self._n_bytes = 0

    def write(self, batch: pa.RecordBatch, copies: Copies) -> None:
        """Write some rows."""
        self._writer.write_batch(batch)
        self._count(copies)

    def finish(self, copies: Copies) -> None:
        """Write the end of the file, before it is read."""
        self._writer.close()
        self._file.flush()
        self._count(copies)
        self._source = pa.PythonFile(self._file, "r")

    def read(self, schema: pa.Schema) -> Batches:
        """Yield the rows of some columns; see `Spill.read`."""
        places = sorted(map(self.schema.get_field_index, schema.names))
        options = ipc.IpcReadOptions(included_fields=places)
        reader = ipc.open_file(self._source, options=options)
        for place in range(reader.num_record_batches):
            batch = reader.get_batch(place).select(schema.names)
            columns = []
            for values, field in zip(batch.columns, schema, strict=True):
                # Large whole numbers are rounded, as in text.
                columns.append(values.cast(field.type, safe=False))
            yield pa.record_batch(columns, schema=schema)

    def delete(self, copies: Copies) -> None:
        """Close the file, which has no name and is gone then."""
        copies.n_bytes -= self._n_bytes
        with suppress(OSError):  # what is not yet written has no room
            self._file.close()

    def _count(self, copies: Copies) -> None:
        n_new = self._target.tell() - self._n_bytes
        self._n_bytes += n_new
        copies.count(n_new)


def _has_room(write: Callable[..., None], *arguments: Any) -> bool:
    """Call what writes to a file, and return whether there was room for it."""
    try:
        write(*arguments)
    except (OSError, CopyTooLargeError):
        return False
    return True
