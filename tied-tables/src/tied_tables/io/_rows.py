"""Tables whose rows come as Python values: JSON and others."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from typing import Any, TypeAlias

import pyarrow as pa

from tied_tables._table_errors import TableError
from tied_tables.columns import MISSING, merge_types
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    BATCH_BYTES,
    LARGEST_CELL,
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_width,
)
from tied_tables.io._patch import decode, patch_text, replace_members

Row: TypeAlias = dict[str, Any]

JSON_CHARACTERS = 2**18  # characters of JSON that are read at a time
BETWEEN = re.compile(r"[\s,\ufeff]*")
ROWS = 4096  # rows that are turned into Arrow's columns at a time
COLUMN_TYPES = (  # of columns; all else is text
    pa.null(),
    pa.bool_(),
    pa.int64(),
    pa.float64(),
    pa.date32(),
    pa.timestamp("us"),
    pa.time64("us"),
    pa.duration("us"),
)


def open_rows(
    name: str,
    get_rows: Callable[[], Iterable[Row]],
    options: ReadOptions,
) -> TableFile:
    """Open a file of rows, which is one piece; read it once to learn types."""
    dtypes: dict[str, pa.DataType] = {}
    n_rows = 0
    with report_read_errors(name):
        for batch in _group(get_rows()):
            n_rows += len(batch)
            columns: dict[str, list[Any]] = {}
            for row in batch:
                for column, value in row.items():
                    columns.setdefault(column, []).append(value)
            for column, values in columns.items():
                known_dtype = dtypes.get(column, pa.null())
                dtypes[column] = (
                    merge_types(known_dtype, _find_type(values)) or pa.string()
                )
            check_width(name, len(dtypes), options)
        schema = pa.schema(dtypes)
    read = partial(_read, name, get_rows, schema)
    return TableFile(name, schema, [n_rows], read)


def _find_type(values: list[Any]) -> pa.DataType:
    """Return the type that holds values of Python."""
    known = [None if value in MISSING else value for value in values]
    kinds = set(map(type, known)) - {type(None)}
    if len(kinds) > 1 and kinds != {int, float}:
        return pa.string()  # where Arrow would read a number as a day
    try:
        dtype = pa.array(known).type
    except (pa.ArrowException, OverflowError):
        return pa.string()
    return dtype if dtype in COLUMN_TYPES else pa.string()


def _read(
    name: str,
    get_rows: Callable[[], Iterable[Row]],
    schema: pa.Schema,
    request: Request,
) -> Batches:
    schema = pa.schema([schema.field(column) for column in request.names])
    with report_read_errors(name):
        for batch in _group(get_rows()):
            arrays = []
            for field in schema:
                values = [_convert(row.get(field.name), field.type) for row in batch]
                arrays.append(pa.array(values, field.type))
            yield pa.record_batch(arrays, schema=schema)


def _group(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield some rows at a time, fewer where they take many bytes."""
    batch = []
    n_bytes = 0
    for row in rows:
        batch.append(row)
        n_bytes += sum(map(sys.getsizeof, row.values()))
        if len(batch) == ROWS or n_bytes > BATCH_BYTES:
            yield batch
            batch, n_bytes = [], 0
    if batch:
        yield batch


def _convert(value: Any, dtype: pa.DataType) -> Any:
    """Return a value as one of the type of its column."""
    if not pa.types.is_string(dtype):
        return None if isinstance(value, str) else value
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _flatten(value: Any) -> Any:
    is_nested = isinstance(value, dict | list)
    return json.dumps(value, sort_keys=True) if is_nested else value


def open_json(name: str, options: ReadOptions) -> TableFile:
    """Open a file of JSON objects, in lines or in one array, compressed or not."""
    read = partial(_read_objects, name)
    file = open_rows(name, read, options)
    split = partial(_parse_objects, name)
    return replace(file, patch=partial(patch_text, "utf-8", split, replace_members))


def _read_objects(name: str) -> Iterator[Row]:
    return (row for _, row in _parse_objects(name) if row is not None)


def _parse_objects(name: str) -> Iterator[tuple[str, Row | None]]:
    """Yield each object after the text up to its end, and at last the rest.

    A part of the file is in memory.
    """
    with TextIOWrapper(pa.input_stream(name), "utf-8", newline="") as file:
        text, line = file.read(JSON_CHARACTERS), 1
        is_array = text.lstrip("\ufeff \t\r\n").startswith("[")
        place = text.find("[") + 1 if is_array else 0
        known_dtype = text[:place]
        while True:
            between = next(BETWEEN.finditer(text, place))  # maybe nothing
            begin = between.end()
            row, reason = None, "it is of another type"
            try:
                row, end = decode(text, begin)
            except ValueError as error:
                reason = str(error).partition(": line")[0]
            known_dtype += text[place:begin]
            if isinstance(row, dict):
                values = {key: _flatten(value) for key, value in row.items()}
                yield known_dtype + text[begin:end], values
                known_dtype, place = "", end
                continue
            line += text.count("\n", 0, begin)
            text, place = text[begin:], 0
            if len(text) >= LARGEST_CELL:
                reason = f"it has more than {LARGEST_CELL:,} characters"
            elif more := file.read(max(JSON_CHARACTERS, len(text))):
                text += more
                continue
            elif text.rstrip() == "]" * is_array:
                yield known_dtype + text, None
                return
            raise TableError(
                f"{name!r} has no JSON object in line {line}: {reason}; write each row"
                f" as {{name: value}}, on a line of its own or all in one array."
            )
