"""Open a table, wherever it is and whatever its format."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import pyarrow as pa

from keras_tied.tables._arrow import open_arrow
from keras_tied.tables._csv import CsvFile
from keras_tied.tables._errors import TableError, report_read_errors
from keras_tied.tables._file import TableFile
from keras_tied.tables._numpy import ArrayFile, open_npz
from keras_tied.tables._parquet import ParquetFile
from keras_tied.tables._partitions import add_partitions
from keras_tied.tables._paths import (
    ARROWS,
    DATABASES,
    FORMATS,
    JSON_LINES,
    TEXTS,
    WORKBOOKS,
    find_files,
    find_format,
)
from keras_tied.tables._source import Source, find_clashes

SQLITE_MAGIC = b"SQLite format 3\0"


@dataclass(frozen=True)
class Options:
    """How files are read; see `open_table`."""

    delimiter: str | None
    encoding: str | None
    text: Collection[str]
    array: str | None
    decimal: str | None
    header: bool
    format: str | None
    sheet: str | None
    query: str | None


def open_table(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    text: Collection[str] = (),
    array: str | None = None,
    decimal: str | None = None,
    header: bool = True,
    format: str | None = None,
    sheet: str | None = None,
    query: str | None = None,
) -> Source:
    r"""Open a table, or several files that are one.

    The ending tells the format: CSV (`.csv`) and TSV (`.tsv`) and JSON lines (`.jsonl`, `.ndjson`),
    also compressed (`.gz`, `.bz2`, `.zst`), Parquet (`.parquet`), ORC (`.orc`), Arrow and Feather
    (`.arrow`, `.feather`), NumPy's arrays of rows and columns (`.npy`, `.npz`), whose columns are
    called x0, x1 and so on, workbooks (`.xlsx`, `.xls`, `.ods`), and databases (`.duckdb`,
    `.sqlite`, `.db`). Arrays of `.npz` and sheets are taken into memory; all else is read in
    batches. Text is read once when it is opened.

    Args:
        path: a file; a folder, also with folders called `name=value`, which become columns; a
            pattern such as `"part-*.parquet"`; an address such as `s3://...`, `gs://...` or
            `https://...`; or `"-"` for the standard input. What is no local file is copied to one.
            Several files have the same columns, and are read in the order of their names.
        delimiter: between the cells of CSV, one character. Defaults to what all lines at the
            beginning hold as many of, or else to a comma, and to a tab for TSV.
        encoding: of CSV. Defaults to UTF-8, UTF-16 if the file is marked as such, or else
            Windows-1252 if most characters are ASCII.
        text: columns of CSV to take for text, even where they look like numbers, such as an id of
            digits. Defaults to none.
        array: the name of the array in an `.npz` file, where there are several.
        decimal: the decimal mark of CSV, `"."` or `","`. Defaults to that of most columns that
            tell.
        header: whether the first line of CSV, or of a sheet, holds the names of the columns. If
            not, they are called x0, x1 and so on.
        format: what the files are, such as `"csv"`, where their endings do not tell.
        sheet: the name of the sheet of a workbook. Defaults to the first.
        query: the rows of a database to read, in SQL. Defaults to its only table.

    Returns:
        The table, open to be read.

    Raises:
        TableError: if it cannot be read. The message says where and why.

    Examples:
        >>> import pathlib, tempfile
        >>> from keras_tied.tables import open_table
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "fruit.csv")
        ...     _ = path.write_text("name,weight\napple,182\nplum,NA\n")
        ...     table = open_table(path)
        ...     [batch.to_pydict() for batch in table.batches()]
        [{'name': ['apple', 'plum'], 'weight': [182, None]}]
    """
    if format is not None and format not in FORMATS:
        raise TableError(f"there is no format {format!r}; name one of {', '.join(FORMATS)}.")
    if decimal not in (None, ".", ","):
        raise TableError(f"the decimal mark is {decimal!r}; give a point or a comma.")
    name = os.fspath(path)
    options = Options(delimiter, encoding, text, array, decimal, header, format, sheet, query)
    copies = Copies()
    try:
        files = _open_files(name, options, copies)
        source = Source(name, files)
    except BaseException:
        copies.delete()
        raise
    weakref.finalize(source, copies.delete)
    return source


class Copies:
    """A temporary folder, which is made when it is first asked for."""

    def __init__(self) -> None:
        self._folder: str | None = None

    @property
    def folder(self) -> str:
        """Its path."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="keras-tied-")
        return self._folder

    def delete(self) -> None:
        """Delete it with all that is in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _open_files(name: str, options: Options, copies: Copies) -> list[TableFile]:
    place = name
    if name == "-" or "://" in name:
        from keras_tied.tables import _fetch  # pyarrow's file systems take long to import

        place = _fetch.copy_here(name, options.format, copies.folder)
    paths = find_files(place, options.format)
    files = [_open(path, options, copies) for path in paths]
    if isinstance(files[0], CsvFile) and (clashes := find_clashes(files)):
        # A word in one file makes text of what are numbers in another.
        options = replace(options, text={*options.text, *clashes})
        files = [_open(path, options, copies) for path in paths]
    root = place
    if "://" in name:
        root, settings = _split_address(name)
        addresses = [_locate(path, place, root) + settings for path in paths]
        files = [
            CopiedFile(file, path, address, options)
            for file, path, address in zip(files, paths, addresses, strict=True)
        ]
    return add_partitions(files, root) if os.path.isdir(place) else files


class CopiedFile:
    """A file that was copied from an address; a process elsewhere copies it again.

    Args:
        file: the copy, open.
        place: where that is.
        address: where the file is.
        options: how it is read.
    """

    def __init__(self, file: TableFile, place: str, address: str, options: Options) -> None:
        self.name, self.schema, self.rows = address, file.schema, file.rows
        self.notes, self.decimal = getattr(file, "notes", []), getattr(file, "decimal", None)
        self._file, self._place, self._options = file, str(place), options

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some pieces of the file; see `TableFile`."""
        if os.path.exists(self._place):
            yield from self._file.read(pieces, names, n_rows)
            return
        copies = Copies()
        try:
            for file in _open_files(self.name, self._options, copies):
                yield from file.read(pieces, names, n_rows)
        finally:
            copies.delete()


def _split_address(address: str) -> tuple[str, str]:
    """An address up to a pattern in it, and what follows a question mark."""
    if address.startswith(("http://", "https://")):
        return address, ""
    path, question, settings = address.partition("?")
    root = path
    while glob.has_magic(root):
        root = root.rpartition("/")[0]
    return root.rstrip("/"), question + settings


def _locate(path: str, place: str, root: str) -> str:
    """The address of a copy, of one file or of a file in a folder."""
    if not os.path.isdir(place):
        return root
    return f"{root}/{PurePath(os.path.relpath(path, place)).as_posix()}"


def _open(file: str, options: Options, copies: Copies) -> TableFile:
    format = options.format or find_format(file)
    if format in TEXTS:
        return CsvFile(
            file,
            options.delimiter,
            options.encoding,
            options.text,
            options.decimal,
            options.header,
        )
    if format in ARROWS:
        return open_arrow(file)
    if format == "npz":
        return open_npz(file, options.array)
    if format == "parquet":
        return ParquetFile(file)
    if format == "orc":
        from keras_tied.tables._orc import OrcFile

        return OrcFile(file)
    if format in (*JSON_LINES, *WORKBOOKS, *DATABASES):
        return _open_rows(file, str(format), options, copies)
    return ArrayFile(file)


def _open_rows(file: str, format: str, options: Options, copies: Copies) -> TableFile:
    from keras_tied.tables import _fetch, _rows

    if format in JSON_LINES:
        return _rows.open_json_lines(file)
    if format in WORKBOOKS:
        return _rows.open_excel(file, options.sheet, options.header)
    with report_read_errors(file, "a database"), open(file, "rb") as start:
        is_sqlite = start.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    if is_sqlite:
        return _rows.open_sqlite(file, options.query)
    return open_arrow(_fetch.copy_query(file, options.query, copies.folder))
