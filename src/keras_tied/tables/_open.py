"""Open a table, wherever it is and whatever its format."""

import os
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from keras_tied._files import temporary_folder
from keras_tied._text import quote
from keras_tied.tables import _binary, _file
from keras_tied.tables._csv import open_csv
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import TEXTS, Batches, ReadOptions, Request, TableFile
from keras_tied.tables._source import Source, find_clashes

AS_DETECTED = ReadOptions()
OPENERS: dict[str | None, Callable[[str], TableFile]] = {  # of files without options
    "parquet": _binary.open_parquet,
    **dict.fromkeys(_file.ARROWS, _binary.open_arrow),
    "orc": _binary.open_orc,
}
SQLITE_MAGIC = b"SQLite format 3\0"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
WHOLE = "-?(?:0|[1-9][0-9]{0,14})"


def open_table(
    path: str | os.PathLike[str], options: ReadOptions = AS_DETECTED, **changes: Any
) -> Source:
    r"""Open a table, or several files that are one.

    The ending tells the format: CSV, TSV and JSON (`.jsonl`, `.ndjson`, `.json`), also
    compressed
    (`.gz`, `.bz2`, `.zst`), Parquet, ORC, Arrow, Feather, NumPy's arrays of rows and
    columns (`.npy`, `.npz`), whose columns are called x0, x1 and so on, workbooks
    (`.xlsx`, `.xls`, `.ods`) and databases (`.duckdb`, `.sqlite`, `.db`). Arrays of
    `.npz` and sheets are taken into memory; all else is read in batches. Text is read
    once when it is opened.

    Args:
        path: a file; a folder, also with folders called `name=value`, which become
            columns; a pattern such as `"part-*.parquet"`; an address such as
            `s3://...`, `gs://...` or `https://...`; or `"-"` for the standard input.
            What is no local file is copied to one. Several files have the same columns,
            and are read in the order of their names.
        options: how the files are read. Defaults to what is detected.
        **changes: options of another value, by the names that `ReadOptions` has for
            them.

    Raises:
        TableError: if it cannot be read. The message says where and why.

    Examples:
        >>> import pathlib, tempfile
        >>> from keras_tied.tables import open_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     _ = path.write_text("name;weight\napple;182\nplum;NA\n")
        ...     table = open_table(path, delimiter=";")
        ...     [batch.to_pydict() for batch in table.batches()]
        [{'name': ['apple', 'plum'], 'weight': [182, None]}]
    """
    name, options = os.fspath(path), replace(options, **changes)
    with ExitStack() as copies:
        source = Source(name, _open_files(name, options, copies))
        weakref.finalize(source, copies.pop_all().close)
    return source


def _open_files(name: str, options: ReadOptions, copies: ExitStack) -> list[TableFile]:
    """Open the files of a path; what is copied for that is deleted with `copies`."""
    place, is_address = name, "://" in name
    if name == "-" or is_address or _file.is_pipe(name):
        from keras_tied.tables import (
            _fetch,
        )  # pyarrow's file systems take long to import

        place = _fetch.copy_here(
            name, options.format, copies.enter_context(temporary_folder())
        )
    paths = _file.find_files(place, options.format)
    files = [_open(path, options, copies) for path in paths]
    if _file.find_format(paths[0], options.format) in TEXTS and (
        clashes := find_clashes(files)
    ):
        # A word in one file makes text of what are numbers in another.
        options = replace(options, text={*(options.text or ()), *clashes})
        files = [_open(path, options, copies) for path in paths]
    root = place
    if is_address:
        root, _, settings = _fetch.split_address(name)
        for index, (path, file) in enumerate(zip(paths, files, strict=True)):
            inside = PurePath(os.path.relpath(path, place)).as_posix()
            address = (f"{root}/{inside}" if os.path.isdir(place) else root) + settings
            read = partial(_read_copy, file, str(path), address, options)
            files[index] = replace(file, name=address, read=read)
    files = _add_partitions(files, root) if os.path.isdir(place) else files
    for index, file in enumerate(files):
        if absent := [name for name in options.absent if name not in file.schema.names]:
            notes = [*file.notes, f"has no column {quote(absent)}, which is imputed"]
            whole = _add_columns(file, dict.fromkeys(absent, pa.scalar(None)))
            files[index] = replace(whole, notes=notes)
    return files


def _read_copy(
    copy: TableFile, path: str, address: str, options: ReadOptions, request: Request
) -> Batches:
    """Read a file that was copied from an address; a process elsewhere copies it again."""
    if os.path.exists(path):
        yield from copy.read(request)
        return
    with ExitStack() as copies:
        for file in _open_files(address, options, copies):
            yield from file.read(request)


def _open(file: str, options: ReadOptions, copies: ExitStack) -> TableFile:
    format = _file.find_format(file, options.format)
    if format in OPENERS:
        opened = OPENERS[format](file)
        _file.check_width(file, len(opened.schema), options)
        return opened
    if format in TEXTS:
        return open_csv(file, options)
    if format in ("npy", "npz"):
        open_array = _binary.open_npy if format == "npy" else _binary.open_npz
        return open_array(file, options)
    from keras_tied.tables import _fetch, _rows  # take long to import

    if format in _file.JSON:
        return _rows.open_json(file, options)
    if format in _file.WORKBOOKS:
        return _rows.open_workbook(file, options)
    with report_read_errors(file, "a database"), open(file, "rb") as start:
        is_sqlite = start.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    if is_sqlite:
        return _rows.open_sqlite(file, options)
    folder = copies.enter_context(temporary_folder())
    return _binary.open_arrow(_fetch.copy_query(file, options, folder))


def _add_partitions(files: Sequence[TableFile], root: str) -> list[TableFile]:
    """Return files with the columns that the folders below a root name."""
    keys = [_find_keys(file.name, root) for file in files]
    types = {}
    for name in keys[0]:
        texts = [text for of in keys if (text := of.get(name)) is not None]
        are_whole = all(re.fullmatch(WHOLE, text) for text in texts)
        types[name] = pa.int64() if are_whole else pa.string()
    partitions = []
    for file, of in zip(files, keys, strict=True):
        values = {
            name: pa.scalar(of.get(name), pa.string()).cast(types[name])
            for name in types
        }
        partitions.append(_add_columns(file, values))
    return partitions if types else list(files)


def _add_columns(file: TableFile, values: Mapping[str, pa.Scalar]) -> TableFile:
    """Return a file with more columns, or others, of one value each."""
    fields = [field for field in file.schema if field.name not in values]
    fields += [pa.field(name, value.type) for name, value in values.items()]
    return replace(
        file, schema=pa.schema(fields), read=partial(_read_columns, file, values)
    )


def _find_keys(file: str, root: str) -> dict[str, str | None]:
    parts = Path(os.path.relpath(file, root)).parts[:-1]
    pairs = [unquote(part).partition("=") for part in parts if "=" in part]
    return {name: None if value == NO_VALUE else value for name, _, value in pairs}


def _read_columns(
    file: TableFile, values: Mapping[str, pa.Scalar], request: Request
) -> Batches:
    names = list(request.names)
    stored = [name for name in names if name not in values]
    # A column tells how many rows there are.
    for batch in file.read(replace(request, names=stored or file.schema.names[:1])):
        columns = [
            (
                pa.repeat(values[name], batch.num_rows)
                if name in values
                else batch.column(name)
            )
            for name in names
        ]
        yield pa.record_batch(columns, names=names)
