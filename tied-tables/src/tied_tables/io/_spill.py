"""Rows that were read once, in files of Arrow from which they are read again."""

import os
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

import pyarrow as pa
from pyarrow import ipc

from tied_tables.io._copy import Copies, Copy, CopyTooLargeError
from tied_tables.io._file import Batches


class Spill:
    """The rows of a file of text in files of Arrow, one for each schema in turn.

    The rows can be pickled with their file; in a process that has not these files,
    `is_there` is false.
    """

    def __init__(self, parts: Iterable[Copy] = ()) -> None:
        self._parts = list(parts)

    @property
    def is_there(self) -> bool:
        """Whether the rows can be read."""
        return bool(self._parts) and all(map(os.path.exists, self._parts))

    def delete(self, copies: Copies) -> None:
        """Delete the files."""
        for part in self._parts:
            copies.delete(part)
        self._parts = []

    def read(self, schema: pa.Schema) -> Batches:
        """Yield the rows of some columns, in types that are as wide or wider."""
        for part in self._parts:
            with pa.OSFile(str(part)) as source:
                stored = ipc.open_file(source).schema
                places = sorted(map(stored.get_field_index, schema.names))
                options = ipc.IpcReadOptions(included_fields=places)
                reader = ipc.open_file(source, options=options)
                for place in range(reader.num_record_batches):
                    batch = reader.get_batch(place).select(schema.names)
                    columns = []
                    for values, field in zip(batch.columns, schema, strict=True):
                        # Large whole numbers are rounded, as in text.
                        columns.append(values.cast(field.type, safe=False))
                    yield pa.record_batch(columns, schema=schema)


def spill(batches: Batches, origin: str, copies: Copies) -> Spill:
    """Write rows to files of Arrow, and read all even if there is no room for them."""
    parts: list[Copy] = []
    faults: list[Exception] = []
    try:
        for schema, rows in groupby(_watch(batches, faults), attrgetter("schema")):
            parts.append(copies.copy_rows(schema, rows, origin))
    except BaseException as error:
        for part in parts:
            copies.delete(part)
        is_full = isinstance(error, OSError | CopyTooLargeError)
        if not is_full or error in faults:
            raise
        parts = []
        for _ in batches:
            pass
    return Spill(parts)


def _watch(batches: Batches, faults: list[Exception]) -> Batches:
    """Yield rows; what fails in reading them, not in writing, is among the faults."""
    try:
        yield from batches
    except Exception as error:
        faults.append(error)
        raise
