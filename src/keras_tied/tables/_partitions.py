"""Files in folders that are called name=value, each of which is a column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from keras_tied.tables._file import TableFile

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


class PartitionFile:
    """A file with the columns that its folders name.

    Args:
        file: the file.
        keys: the value of each of these columns.
        types: the type of each.
    """

    def __init__(
        self, file: TableFile, keys: Mapping[str, str | None], types: Mapping[str, pa.DataType]
    ) -> None:
        self.name, self.rows, self._file = file.name, file.rows, file
        self.notes = getattr(file, "notes", [])
        self._keys = {
            name: pa.scalar(value, pa.string()).cast(types[name]) for name, value in keys.items()
        }
        fields = [field for field in file.schema if field.name not in keys]
        self.schema = pa.schema([*fields, *types.items()])

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some pieces of the file; see `TableFile`."""
        stored = [name for name in names if name not in self._keys]
        # A column tells how many rows there are.
        for batch in self._file.read(pieces, stored or self._file.schema.names[:1], n_rows):
            columns = [
                pa.repeat(self._keys[name], batch.num_rows)
                if name in self._keys
                else batch.column(name)
                for name in names
            ]
            yield pa.record_batch(columns, names=list(names))


def add_partitions(files: Sequence[TableFile], root: str) -> list[TableFile]:
    """Return files with the columns that the folders below a root name."""
    keys = [_find_keys(file.name, root) for file in files]
    names = list(keys[0]) if keys else []
    if not names:
        return list(files)
    types = {}
    for name in names:
        values = [of.get(name) for of in keys]
        whole = all(value is None or _is_whole(value) for value in values)
        types[name] = pa.int64() if whole else pa.string()
    return [
        PartitionFile(file, {name: of.get(name) for name in names}, types)
        for file, of in zip(files, keys, strict=True)
    ]


def _is_whole(value: str) -> bool:
    digits = value.removeprefix("-")
    return digits.isdecimal() and len(digits) < 16 and (digits == "0" or digits[0] != "0")


def _find_keys(file: str, root: str) -> dict[str, str | None]:
    parts = Path(os.path.relpath(file, root)).parts[:-1]
    pairs = [unquote(part).partition("=") for part in parts if "=" in part]
    return {name: None if value == NO_VALUE else value for name, _, value in pairs}
