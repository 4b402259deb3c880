"""Tables whose rows come as Python values: JSON, workbooks and others."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time
from functools import partial
from io import TextIOWrapper
from typing import Any, TypeAlias

import pyarrow as pa

from keras_tied._table_errors import TableError
from keras_tied._text import quote
from keras_tied.columns import make_distinct
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import (
    BATCH_BYTES,
    LARGEST_CELL,
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_names,
    check_width,
)

Row: TypeAlias = dict[str, Any]

PART = 2**18  # characters of JSON that are read at a time
BETWEEN = re.compile(r"[\s,]*")
ROWS = 4096  # rows that are turned into Arrow's columns at a time
TYPES = {  # of a column, by the types of its values; any others are text together
    frozenset[type](): pa.null(),
    frozenset({bool}): pa.bool_(),
    frozenset({int}): pa.int64(),
    frozenset({float}): pa.float64(),
    frozenset({int, float}): pa.float64(),
    frozenset({date}): pa.date32(),
    frozenset({datetime}): pa.timestamp("us"),
    frozenset({date, datetime}): pa.timestamp("us"),
    frozenset({time}): pa.time64("us"),
}


def open_rows(
    name: str,
    what: str,
    get_rows: Callable[[], Iterable[Row]],
    options: ReadOptions,
) -> TableFile:
    """Open a file of rows, which is one piece; read it once to learn types."""
    types: dict[str, set[type]] = {}
    n_rows = 0
    with report_read_errors(name, what):
        for row in get_rows():
            n_rows += 1
            for column, value in row.items():
                value_types = types.setdefault(column, set())
                is_large = type(value) is int and not -(2**63) <= value < 2**63
                value_types.add(str if is_large else type(value))
            check_width(name, len(types), options)
        fields = []
        for column, value_types in types.items():
            dtype = TYPES.get(frozenset(value_types - {type(None)}), pa.string())
            fields.append((column, dtype))
        schema = pa.schema(fields)
    read = partial(
        _read,
        name,
        what,
        get_rows,
        schema,
    )
    return TableFile(name, schema, [n_rows], read)


def _read(
    name: str,
    what: str,
    get_rows: Callable[[], Iterable[Row]],
    schema: pa.Schema,
    request: Request,
) -> Batches:
    schema = pa.schema([schema.field(column) for column in request.names])
    with report_read_errors(name, what):
        for some in _group(get_rows()):
            arrays = []
            for field in schema:
                values = [_convert(row.get(field.name), field.type) for row in some]
                arrays.append(pa.array(values, field.type))
            yield pa.record_batch(arrays, schema=schema)


def _group(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yield some rows at a time, fewer where they take many bytes."""
    some: list[Row] = []
    n_bytes = 0
    for row in rows:
        some.append(row)
        n_bytes += sum(map(sys.getsizeof, row.values()))
        if len(some) == ROWS or n_bytes > BATCH_BYTES:
            yield some
            some, n_bytes = [], 0
    if some:
        yield some


def _convert(value: Any, dtype: pa.DataType) -> Any:
    """Return a value as one of the type of its column."""
    if pa.types.is_timestamp(dtype) and type(value) is date:
        return datetime(value.year, value.month, value.day)
    if value is None or isinstance(value, str) or not pa.types.is_string(dtype):
        return value
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _flatten(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def open_json(name: str, options: ReadOptions) -> TableFile:
    """Open a file of JSON objects, in lines or in one array, compressed or not."""
    return open_rows(
        name, "a file of JSON objects", partial(_parse_objects, name), options
    )


def _parse_objects(name: str) -> Iterator[Row]:
    """Yield the objects of a file, of which a part is in memory."""
    decode = json.JSONDecoder().raw_decode
    with TextIOWrapper(pa.input_stream(name), "utf-8-sig") as file:
        text, line = file.read(PART), 1
        is_array = text.lstrip().startswith("[")
        place = text.find("[") + 1 if is_array else 0
        while True:
            between = BETWEEN.match(text, place)
            begin = between.end() if between else place
            row, reason = None, "it is of another type"
            try:
                row, place = decode(text, begin)
            except ValueError as error:
                reason = str(error).partition(": line")[0]
            if isinstance(row, dict):
                yield {name: _flatten(value) for name, value in row.items()}
                continue
            line += text.count("\n", 0, begin)
            text, place = text[begin:], 0
            if len(text) < LARGEST_CELL and (more := file.read(max(PART, len(text)))):
                text += more
            elif text.rstrip() == "]" * is_array:
                return
            else:
                raise TableError(
                    f"{name!r} has no JSON object in line {line}: {reason}; write each"
                    " row as {name: value}, in a line of its own or all in one"
                    " array."
                )


def open_workbook(name: str, options: ReadOptions) -> TableFile:
    """Open a sheet of a workbook in memory, by name or else the first."""
    try:
        from python_calamine import CalamineWorkbook
    except ImportError as error:
        fault = f'{name!r} needs python-calamine; run pip install "keras-tied[excel]".'
        raise TableError(fault) from error
    sheet = options.sheet
    with (
        report_read_errors(name, "a workbook"),
        CalamineWorkbook.from_path(str(name)) as book,
    ):
        sheets = book.sheet_names
        if sheet is not None and sheet not in sheets:
            raise TableError(
                f"{name!r} has no sheet {sheet!r}; name one of {quote(sheets)}."
            )
        first, *others = [sheet] if sheet else sheets
        cells = book.get_sheet_by_name(first).to_python()[options.skip :]
        lines = [[_simplify(cell) for cell in line] for line in cells]
    lines = [line for line in lines if any(cell is not None for cell in line)]
    if not lines:
        raise TableError(
            f"{name!r} has an empty sheet {first!r}; name one of {quote(sheets)}."
        )
    check_names(name, lines, options)
    names = [f"x{index}" for index in range(len(lines[0]))]
    if options.header:
        cells = lines.pop(0)
        names = make_distinct(["" if cell is None else str(cell) for cell in cells])
    rows = [dict(zip(names, line, strict=True)) for line in lines]
    file = open_rows(name, "a workbook", partial(iter, rows), options)
    if not others:
        return file
    note = f"reads the sheet {first!r}; --sheet names another: {quote(others)}"
    return replace(file, notes=[note])


def _simplify(cell: Any) -> Any:
    """Return the value of a cell: a whole number is one, and empty text is none."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return None if cell == "" else cell
