"""Tables whose rows come as Python values: JSON, sheets of workbooks and SQLite databases."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time
from functools import partial
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from keras_tied._table_errors import TableError
from keras_tied._text import format_quantity, quote
from keras_tied.columns import make_distinct
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import (
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_names,
    check_width,
)

Row: TypeAlias = dict[str, Any]

PART, LONGEST = (
    2**18,
    2**26,
)  # characters of JSON that are read at a time, and of an object
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


def _open(
    name: str, what: str, get_rows: Callable[[], Iterable[Row]], options: ReadOptions
) -> TableFile:
    """Open a file of rows, which is one piece, and read it once to learn the types of columns."""
    types: dict[str, set[type]] = {}
    n_rows = 0
    with report_read_errors(name, what):
        for row in get_rows():
            n_rows += 1
            for column, value in row.items():
                too_large = type(value) is int and not -(2**63) <= value < 2**63
                types.setdefault(column, set()).add(str if too_large else type(value))
            check_width(name, len(types), options)
        kinds = {column: frozenset(of - {type(None)}) for column, of in types.items()}
        schema = pa.schema(
            [(column, TYPES.get(of, pa.string())) for column, of in kinds.items()]
        )
    return TableFile(
        name, schema, [n_rows], partial(_read, name, what, get_rows, schema)
    )


def _read(
    name: str,
    what: str,
    get_rows: Callable[[], Iterable[Row]],
    schema: pa.Schema,
    request: Request,
) -> Batches:
    schema = pa.schema([schema.field(column) for column in request.names])
    for _ in request.pieces:
        with report_read_errors(name, what):
            rows = iter(get_rows())
            while some := list(islice(rows, ROWS)):
                columns = [
                    _to_array([row.get(f.name) for row in some], f.type) for f in schema
                ]
                yield pa.record_batch(columns, schema=schema)


def _to_array(values: list[Any], dtype: pa.DataType) -> pa.Array:
    if pa.types.is_string(dtype):
        values = [_to_text(value) for value in values]
    elif pa.types.is_timestamp(dtype):
        values = [
            datetime(v.year, v.month, v.day) if type(v) is date else v for v in values
        ]
    return pa.array(values, dtype)


def _to_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list | bool) else str(value)


def open_json(name: str, options: ReadOptions) -> TableFile:
    """Open a file of JSON objects, in lines or in one array, compressed or not."""
    return _open(name, "a file of JSON objects", partial(_parse_objects, name), options)


def _parse_objects(name: str) -> Iterator[Row]:
    """Yield the objects of a file, of which a part is in memory, or as much as the longest."""
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
                yield row
                continue
            line += text.count("\n", 0, begin)
            text, place = text[begin:], 0
            if len(text) < LONGEST and (more := file.read(max(PART, len(text)))):
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
    """Open a sheet of a workbook, by name or else the first; it is taken into memory."""
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
        names = make_distinct(
            ["" if cell is None else str(cell) for cell in lines.pop(0)]
        )
    rows = partial(map, lambda line: dict(zip(names, line, strict=True)), lines)
    notes = [
        f"reads the sheet {first!r}; --sheet names another: {quote(others)}"
    ] * bool(others)
    return replace(_open(name, "a workbook", rows, options), notes=notes)


def _simplify(cell: Any) -> Any:
    """Return the value of a cell; Excel knows no whole numbers, and calls an empty one text."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return None if cell == "" else cell


def open_sqlite(name: str, options: ReadOptions) -> TableFile:
    """Open the result of a query of a SQLite database, or its only table."""
    with (
        report_read_errors(name, "a SQLite database"),
        closing(_connect(name)) as database,
    ):
        kinds = database.execute("SELECT name, type FROM sqlite_master").fetchall()
    query = options.query or select_all(
        name,
        *([name for name, kind in kinds if kind == of] for of in ("table", "view")),
    )
    return _open(
        name, "the result of the query", partial(_run_query, name, query), options
    )


def _connect(name: str) -> sqlite3.Connection:
    with open(name, "rb") as file:
        has_log = 2 in file.read(20)[18:]  # the versions of who writes and who reads
    # A reader makes a write-ahead log where there is none, and none is left to delete
    # it.
    is_at_rest = has_log and not Path(f"{name}-wal").exists()
    options = "?mode=ro" + "&immutable=1" * is_at_rest
    database = sqlite3.connect(Path(name).absolute().as_uri() + options, uri=True)
    database.setlimit(
        sqlite3.SQLITE_LIMIT_LENGTH, LONGEST
    )  # of a value, also a computed one
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _run_query(name: str, query: str) -> Iterator[Row]:
    with closing(_connect(name)) as database:
        cursor = database.execute(query)
        names = make_distinct([column[0] for column in cursor.description or ()])
        for row in cursor:
            yield dict(zip(names, row, strict=True))


def select_all(name: str, tables: Sequence[str], views: Sequence[str]) -> str:
    """Return the query for the only table of a database; a view runs only when it is asked for."""
    if len(tables) != 1:
        counts = {"table": tables, "view": views}
        held = [
            f"{format_quantity(len(of), kind)} ({quote(sorted(of))})"
            for kind, of in counts.items()
            if of
        ]
        raise TableError(
            f"{name!r} holds {' and '.join(held) or 'no table'}; say which rows to read"
            ' with --query "SELECT ... FROM ..." (query=...).'
        )
    return 'SELECT * FROM "{}"'.format(tables[0].replace('"', '""'))
