"""Files in folders that are called name=value, each of which is a column."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from keras_tied.tables._file import TableFile

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
WHOLE = "-?(?:0|[1-9][0-9]{0,14})"


def add_partitions(files: Sequence[TableFile], root: str) -> list[TableFile]:
    """Return files with the columns that the folders below a root name."""
    keys = [_find_keys(file.name, root) for file in files]
    types = {name: _find_type(of.get(name) for of in keys) for name in keys[0]}
    return [
        _add_columns(
            file, {name: pa.scalar(of.get(name), pa.string()).cast(types[name]) for name in types}
        )
        for file, of in zip(files, keys, strict=True)
    ]


def _find_keys(file: str, root: str) -> dict[str, str | None]:
    parts = Path(os.path.relpath(file, root)).parts[:-1]
    pairs = [unquote(part).partition("=") for part in parts if "=" in part]
    return {name: None if value == NO_VALUE else value for name, _, value in pairs}


def _find_type(values: Iterable[str | None]) -> pa.DataType:
    whole = all(value is None or re.fullmatch(WHOLE, value) for value in values)
    return pa.int64() if whole else pa.string()


def _add_columns(file: TableFile, values: Mapping[str, pa.Scalar]) -> TableFile:
    if not values:
        return file
    stored = [field for field in file.schema if field.name not in values]
    schema = pa.schema([*stored, *((name, value.type) for name, value in values.items())])
    return replace(file, schema=schema, read=partial(_read, file, values))


def _read(
    file: TableFile,
    values: Mapping[str, pa.Scalar],
    pieces: Sequence[int],
    names: Sequence[str],
    n_rows: int,
) -> Iterator[pa.RecordBatch]:
    stored = [name for name in names if name not in values]
    # A column tells how many rows there are.
    for batch in file.read(pieces, stored or file.schema.names[:1], n_rows):
        columns = [
            pa.repeat(values[name], batch.num_rows) if name in values else batch.column(name)
            for name in names
        ]
        yield pa.record_batch(columns, names=list(names))
