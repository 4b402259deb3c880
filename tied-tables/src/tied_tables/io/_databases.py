"""Databases: the result of a query at one moment, copied to a file of Arrow."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from tied_tables._table_errors import TableError
from tied_tables._text import quote
from tied_tables.columns import make_distinct
from tied_tables.io._binary import open_arrow
from tied_tables.io._copy import Copies, Copy
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    BATCH_ROWS,
    LARGEST_CELL,
    ReadOptions,
    Request,
    TableFile,
    find_stamp,
    forbid_changes,
)
from tied_tables.io._rows import Row, open_rows

SQLITE_MAGIC = b"SQLite format 3\0"
LOG_VERSION = 2  # of the format of a database with a write-ahead log
READS = (  # what a query may do
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)
# Of DuckDB: a view must not read other files, nor a query change this.
DUCKDB = {"enable_external_access": "false", "memory_limit": "2GiB"}


def open_database(name: str, options: ReadOptions, copies: Copies) -> TableFile:
    """Open the result of a query of a database, or its only table."""
    with report_read_errors(name):
        with open(name, "rb") as start:
            is_sqlite = start.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
        copy_result = _copy_sqlite if is_sqlite else _copy_duckdb
        return open_arrow(copy_result(name, options, copies))


def _copy_sqlite(name: str, options: ReadOptions, copies: Copies) -> Copy:
    with _connect(name) as database:
        database.execute("BEGIN")  # all that follows reads one moment
        allowed, denied = sqlite3.SQLITE_OK, sqlite3.SQLITE_DENY
        database.set_authorizer(
            lambda action, *_: allowed if action in READS else denied
        )
        kinds = database.execute(
            "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"
        ).fetchall()
        query = _choose_query(name, options, kinds)
        get_rows = partial(_run, name, database, query)
        file = open_rows(name, get_rows, options)
        rows = file.read(Request([0], file.schema.names))
        return copies.copy_rows(file.schema, rows, name)


@contextmanager
def _connect(name: str) -> Iterator[sqlite3.Connection]:
    """Connect to a database; what is beside it is as before."""
    path = Path(name).absolute()
    with open(path, "rb") as file:
        has_log = LOG_VERSION in file.read(20)[18:]  # of who writes, and who reads
    mode, is_still = "mode=ro", False
    if has_log and not Path(f"{path}-wal").exists():
        # One who may only read would leave the log that it makes, or could make none.
        is_still = not os.access(path.parent, os.W_OK)
        mode = "immutable=1" if is_still else "mode=rw"
    stays = forbid_changes(name, find_stamp(name)) if is_still else nullcontext()
    address = f"{path.as_uri()}?{mode}"
    with stays, closing(sqlite3.connect(address, uri=True)) as database:
        # of a value, also a computed one
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_CELL)
        database.execute("PRAGMA trusted_schema = OFF")
        yield database


def _run(name: str, database: sqlite3.Connection, query: str) -> Iterator[Row]:
    try:
        cursor = database.execute(query)
    except sqlite3.DatabaseError as error:
        if "not authorized" in str(error):
            raise _refuse(name) from error
        raise
    if cursor.description is None:
        raise _refuse(name)
    names = make_distinct([column[0] for column in cursor.description])
    for row in cursor:
        yield dict(zip(names, row, strict=True))


def _copy_duckdb(name: str, options: ReadOptions, copies: Copies) -> Copy:
    try:
        import duckdb
    except ImportError as error:
        raise TableError(
            f'{name!r} needs DuckDB; run pip install "tied-tables[sql]".'
        ) from error
    most = f"{options.max_copy}B"
    folder = copies.make_folder()
    config = DUCKDB | {"temp_directory": folder, "max_temp_directory_size": most}
    with duckdb.connect(str(name), read_only=True, config=config) as database:
        kinds = database.execute(
            "SELECT table_name, table_type FROM information_schema.tables"
        ).fetchall()
        query = _choose_query(name, options, kinds)
        statements = database.extract_statements(query)
        if [each.type.name for each in statements] not in (["SELECT"], ["MULTI"]):
            raise _refuse(name)  # the other is PIVOT
        result = database.sql(query)
        # Older versions have another name for it.
        to_arrow = getattr(result, "to_arrow_reader", None) or result.fetch_record_batch
        reader = to_arrow(BATCH_ROWS)
        return copies.copy_rows(reader.schema, reader, name)


def _refuse(name: str) -> TableError:
    return TableError(
        f"{name!r} is opened only for reading; give one SELECT with `query=...`."
    )


def _choose_query(
    name: str, options: ReadOptions, kinds: Sequence[tuple[str, str]]
) -> str:
    """Return the query, or that for the only table; no view runs unasked."""
    if options.query is not None:
        return options.query
    tables = [table for table, kind in kinds if kind.lower() != "view"]
    if len(tables) != 1:
        held = quote(sorted(table for table, _ in kinds)) or "none"
        raise TableError(
            f"{name!r} does not hold exactly one table (tables and views: {held});"
            ' select rows with `query="SELECT ... FROM ..."`.'
        )
    return 'SELECT * FROM "{}"'.format(tables[0].replace('"', '""'))
