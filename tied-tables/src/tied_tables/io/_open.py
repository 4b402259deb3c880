"""Open a table, wherever it is and whatever its format."""

import os
import weakref
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import pyarrow as pa

from tied_tables._table_errors import TableError
from tied_tables._text import hide_secrets, quote
from tied_tables._types import StrPath
from tied_tables.columns import rename_rows, trim_names
from tied_tables.io import _binary, _file
from tied_tables.io._copy import Copies, Copy
from tied_tables.io._csv import open_csv
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    SHOWN_ENDINGS,
    TEXTS,
    Batches,
    ReadOptions,
    Request,
    Stamp,
    TableFile,
    find_stamp,
    forbid_changes,
)
from tied_tables.io._patch import Cells, Patch
from tied_tables.io._source import Piece, Source, merge_columns, merge_schemas
from tied_tables.io._text_types import find_type

AS_DETECTED = ReadOptions()
SELF_DESCRIBING = {  # files that need no options
    "parquet": _binary.open_parquet,
    "orc": _binary.open_orc,
    **dict.fromkeys(_file.ARROWS, _binary.open_arrow),
}
SHEETS = (*TEXTS, *_file.WORKBOOKS)
SUITABLE: Mapping[str, Collection[str]] = {  # formats that an option is for
    "delimiter": TEXTS,
    "encoding": TEXTS,
    "comment": TEXTS,
    "header": SHEETS,
    "skip": SHEETS,
    "sheet": _file.WORKBOOKS,
    "array": ("npz",),
    "query": _file.DATABASES,
}
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def open_table(
    path: StrPath, options: ReadOptions = AS_DETECTED, **changes: Any
) -> Source:
    r"""Open a table, or several files that are one.

    The ending tells the format: CSV, TSV and JSON (`.jsonl`, `.ndjson`, `.json`), also
    compressed (`.gz`, `.bz2`, `.zst`), Parquet, ORC, Arrow, Feather, NumPy's arrays of
    rows and columns (`.npy`, `.npz`), whose columns are called x0, x1 and so on,
    workbooks (`.xlsx`, `.xls`, `.ods`) and databases (`.duckdb`, `.sqlite`, `.db`).
    Sheets are taken into memory; all else is read in batches. Text is read once when it
    is opened. A file that changes from then on is an error.

    Args:
        path: a file; a folder, or a pattern such as `"part-*.parquet"`, also with
            folders called `name=value`, which become columns; an address such as
            `s3://...`, `gs://...` or `https://...`; or `"-"` for the standard input.
            What is no local file is copied to one, and so is what a database holds at
            this moment. Several files have the same columns, and are read in the order
            of their names.
        options: how the files are read. Defaults to what is detected.
        **changes: options of another value, by the names that `ReadOptions` has for
            them.

    Raises:
        TableError: if it cannot be read. The message says where and why.

    Examples:
        >>> import pathlib, tempfile
        >>> from tied_tables.io import open_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     _ = path.write_text("name;weight\napple;182\nplum;NA\n")
        ...     table = open_table(path, delimiter=";")
        ...     [batch.to_pydict() for batch in table.batches()]
        [{'name': ['apple', 'plum'], 'weight': [182, None]}]
    """
    name, options = os.fspath(path), replace(options, **changes)
    with Copies(options.max_copy) as copies:
        files = _open_files(name, options, copies)
        schema = merge_schemas(files)
        pieces = [
            Piece(file, place) for file in files for place in range(len(file.rows))
        ]
        source = Source(hide_secrets(name), pieces, schema)
        weakref.finalize(source, copies.pop_all().close)
    return source


def _open_files(name: str, options: ReadOptions, copies: Copies) -> list[TableFile]:
    """Open the files of a path; what is copied for that is deleted with `copies`."""
    paths: Sequence[str]
    is_pipe = os.path.exists(name) and Path(name).is_fifo()
    if name == "-" or "://" in name or is_pipe:
        # pyarrow's file systems take long to import
        from tied_tables.io._fetch import fetch

        paths = fetch(name, options.format, copies)
    else:
        paths = _file.find_files(name, options.format)
    files = [_open(path, options, copies) for path in paths]
    is_text = _file.find_format(paths[0], options.format) in TEXTS
    if is_text and (clashes := merge_columns(files)[1]):
        # A word in one file makes text of what are numbers in another.
        options = replace(options, text={*(options.text or ()), *clashes})
        files = [_open(path, options, copies) for path in paths]
    files = _add_partitions(files, hide_secrets(_file.find_root(name)))
    return [_add_absent(file, options.absent) for file in files]


def _open(path: str, options: ReadOptions, copies: Copies) -> TableFile:
    """Open a file, or the copy of one, by its format.

    Its rows are those that it has now, or an error.
    """
    format = _file.find_format(path, options.format)
    if format is None:
        raise TableError(
            f"{path!r} has no supported extension ({SHOWN_ENDINGS}); set its format"
            " with `format=...`."
        )
    _require_suitable(path, format, options)
    # A database may change: it is read as it is at one moment.
    may_change = format in _file.DATABASES
    stays = nullcontext() if may_change else forbid_changes(path, find_stamp(path))
    with stays:
        file = _trim_names(_open_format(path, format, options, copies))
        stamp = find_stamp(file.path)
    _file.check_width(path, len(file.schema), options)
    read = partial(_read_and_watch, file, stamp, options)
    patch = file.patch and partial(_patch_and_watch, file.patch, path, stamp)
    return replace(file, read=read, patch=patch)


def _require_suitable(path: str, format: str, options: ReadOptions) -> None:
    """Raise a `TableError` if an option is given that does not apply to a format."""
    for name, formats in SUITABLE.items():
        value = getattr(options, name)
        if value != getattr(AS_DETECTED, name) and format not in formats:
            listed = ", ".join(f".{each}" for each in formats)
            raise TableError(
                f"`{name}={value}` is for {listed}, and {path!r} is read as .{format};"
                " drop it."
            )


def _trim_names(file: TableFile) -> TableFile:
    """Return a file whose columns have no blanks at the ends of their names.

    The names are those of the same table as CSV.
    """
    with report_read_errors(file.name):
        stored_names = file.schema.names
    names = trim_names(stored_names)
    pairs = zip(names, stored_names, strict=True)
    stored = {name: stored_name for name, stored_name in pairs if name != stored_name}
    if not stored:
        return file
    fields = [
        field.with_name(name) for name, field in zip(names, file.schema, strict=True)
    ]
    return replace(
        file,
        schema=pa.schema(fields, file.schema.metadata),
        read=partial(_read_stored, file, stored),
        patch=file.patch and partial(_patch_stored, file.patch, stored),
        stored_names=stored,
    )


def _read_stored(
    file: TableFile, stored: Mapping[str, str], request: Request
) -> Batches:
    """Read a file by the names of its columns without blanks at their ends."""
    names = {stored_name: name for name, stored_name in stored.items()}
    stored_names = [stored.get(name, name) for name in request.names]
    for batch in file.read(replace(request, names=stored_names)):
        trimmed = [
            names.get(stored_name, stored_name) for stored_name in batch.schema.names
        ]
        yield rename_rows(batch, trimmed)


def _patch_stored(
    patch: Patch, stored: Mapping[str, str], file: IO[bytes], rows: Iterator[Cells]
) -> None:
    """Write a copy of a file by the names of its columns without blanks."""
    patch(
        file,
        ({stored.get(name, name): cells[name] for name in cells} for cells in rows),
    )


def _read_and_watch(
    file: TableFile, stamp: Stamp, options: ReadOptions, request: Request
) -> Batches:
    """Read a file of which each batch is as it was when it was opened.

    A process elsewhere copies what is at an address again.
    """
    path = file.path
    if isinstance(path, Copy) and "://" in path.origin and not os.path.exists(path):
        from tied_tables.io._fetch import fetch

        with Copies(options.max_copy) as copies:
            [again] = fetch(path.origin, options.format, copies)
            yield from _open(again, options, copies).read(request)
        return
    with forbid_changes(path, stamp) as check:
        for batch in file.read(request):
            check()
            yield batch


def _patch_and_watch(
    patch: Patch, path: str, stamp: Stamp, file: IO[bytes], rows: Iterator[Cells]
) -> None:
    """Write a copy of a file with new cells, if it is as it was when it was opened."""
    with forbid_changes(path, stamp):
        patch(file, rows)


def _open_format(
    name: str,
    format: str,
    options: ReadOptions,
    copies: Copies,
) -> TableFile:
    if format in SELF_DESCRIBING:
        return SELF_DESCRIBING[format](name)
    if format in TEXTS:
        return open_csv(name, options, copies)
    if format == "npy":
        return _binary.open_npy(name, options)
    if format == "npz":
        return _binary.open_npz(name, options, copies)
    if format in _file.DATABASES:
        from tied_tables.io._databases import open_database

        return open_database(name, options, copies)
    if format in _file.JSON:
        from tied_tables.io._rows import open_json  # takes long to import

        return open_json(name, options)
    from tied_tables.io._workbook import open_workbook

    return open_workbook(name, options)


def _add_partitions(files: Sequence[TableFile], root: str) -> list[TableFile]:
    """Return files with the columns that the folders below a root name."""
    keys: list[dict[str, str | None]] = []
    for file in files:
        file_keys = {}
        for folder in Path(file.name).relative_to(root).parts[:-1]:
            name, is_named, value = unquote(folder).partition("=")
            if is_named:
                file_keys[name] = None if value == HIVE_NULL else value.strip()
        keys.append(file_keys)
    extended = list(files)
    for name in keys[0]:
        texts = pa.array([file_keys.get(name) for file_keys in keys], pa.string())
        is_empty = texts.null_count == len(texts)
        values = texts if is_empty else texts.cast(find_type(texts))
        pairs = zip(extended, values, strict=True)
        extended = [_add_column(file, name, value) for file, value in pairs]
    return extended


def _add_absent(file: TableFile, names: Collection[str]) -> TableFile:
    """Return a file with columns without a value for those names that it lacks."""
    absent = [name for name in names if name not in file.schema.names]
    if not absent:
        return file
    for name in absent:
        file = _add_column(file, name, pa.scalar(None))
    note = f"has no column {quote(absent)}, which is imputed"
    return replace(file, notes=[*file.notes, note])


def _add_column(file: TableFile, name: str, value: pa.Scalar) -> TableFile:
    """Return a file with a column of one value, instead of its own of that name."""
    schema = file.schema
    if name in schema.names:
        schema = schema.remove(schema.get_field_index(name))
    schema = schema.append(pa.field(name, value.type))
    return replace(file, schema=schema, constants={**file.constants, name: value})
