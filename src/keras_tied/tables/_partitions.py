"""Files in folders that are called name=value, each of which is a column."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from keras_tied.tables._file import Batches, Request, TableFile

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
WHOLE = "-?(?:0|[1-9][0-9]{0,14})"


def add_partitions(files: Sequence[TableFile], root: str) -> list[TableFile]:
    """Return files with the columns that the folders below a root name."""
    keys = [_find_keys(file.name, root) for file in files]
    types = {name: pa.int64() for name in keys[0]}
    for name in types:
        texts = [of.get(name) for of in keys]
        if not all(text is None or re.fullmatch(WHOLE, text) for text in texts):
            types[name] = pa.string()
    partitions = []
    for file, of in zip(files, keys, strict=True):
        values = {name: pa.scalar(of.get(name), pa.string()).cast(types[name]) for name in types}
        fields = [field for field in file.schema if field.name not in types]
        schema = pa.schema([*fields, *types.items()])
        partitions.append(replace(file, schema=schema, read=partial(_read, file, values)))
    return partitions if types else list(files)


def _find_keys(file: str, root: str) -> dict[str, str | None]:
    parts = Path(os.path.relpath(file, root)).parts[:-1]
    pairs = [unquote(part).partition("=") for part in parts if "=" in part]
    return {name: None if value == NO_VALUE else value for name, _, value in pairs}


def _read(file: TableFile, values: Mapping[str, pa.Scalar], wanted: Request) -> Batches:
    names = list(wanted.names)
    stored = [name for name in names if name not in values]
    # A column tells how many rows there are.
    for batch in file.read(replace(wanted, names=stored or file.schema.names[:1])):
        columns = [
            pa.repeat(values[name], batch.num_rows) if name in values else batch.column(name)
            for name in names
        ]
        yield pa.record_batch(columns, names=names)
