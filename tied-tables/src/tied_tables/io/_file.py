"""What a file of any format is to the others, how it is read, and where it is found."""

import glob
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tied_tables._table_errors import TableError
from tied_tables._text import hide_secrets, quote
from tied_tables.columns import is_number
from tied_tables.io._copy import Copy
from tied_tables.io._errors import report_read_errors
from tied_tables.io._patch import Patch

LARGEST_CELL = 2**24  # bytes of a value of a database, and of a line of text
BATCH_BYTES = 2**26  # about the most of a batch
BATCH_ROWS = 2**10  # where the bytes of a batch are known only once it is read
TEXTS = {"csv": ",", "tsv": "\t"}  # the formats that are text, and their delimiters
COMPRESSIONS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd"}  # as Arrow calls them
ARROWS = ("feather", "arrow")
JSON = ("json", "jsonl", "ndjson")
WORKBOOKS = ("xlsx", "xlsm", "xlsb", "xls", "ods")
DATABASES = ("duckdb", "ddb", "sqlite", "sqlite3", "db")
WRITTEN = (*TEXTS, "parquet", *ARROWS, "npy")
TABLE_FORMATS = (*WRITTEN, "npz", *JSON, "orc", *WORKBOOKS, *DATABASES)
ENDINGS = (
    *TABLE_FORMATS,
    *(f"{name}.{ending}" for name in (*TEXTS, *JSON) for ending in COMPRESSIONS),
)
# Arrow fails at bzip2 on a full disk, which is why it is only read.
OUTPUT_ENDINGS = (
    *WRITTEN,
    *(f"{name}.{ending}" for name in TEXTS for ending in ("gz", "zst")),
)
SHOWN_ENDINGS = ", ".join(f".{ending}" for ending in TABLE_FORMATS)
FEWEST_IN_ORDER = 4  # numbers of a row that are so by chance in few tables


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        delimiter: between the cells of CSV, one character. Defaults to what the first
            lines tell, or else a comma, or a tab for TSV.
        encoding: of CSV. Defaults to UTF-8, UTF-16 if the file is marked as such, or
            else Windows-1252 if most characters are ASCII.
        text: columns of CSV to take for text, though they look like numbers; all, if it
            is `None`. Defaults to none.
        array: the name of the array in an `.npz` file, where there are several.
        decimal: the decimal mark of CSV, `"."` or `","`. Defaults to that of most
            columns.
        header: whether the first line of CSV, or of a sheet, holds the names of the
            columns, which else are x0, x1 and so on.
        format: what the files are, such as `"csv"`, where their endings do not tell.
        sheet: the name of the sheet of a workbook. Defaults to the first.
        query: the rows of a database to read, in SQL. Defaults to its only table.
        skip: how many lines of CSV, or of a sheet, stand before the names. Defaults to
            0.
        comment: how lines of CSV begin that are passed over, such as `"#"`. Defaults to
            none.
        absent: columns that are missing in each row of a file that lacks them. Defaults
            to none.
        max_columns: how many columns a file may have, whatever it says: a small file
            can name more than memory holds. Defaults to 50,000.
        max_copy: how many bytes may be copied to the temporary folder of what cannot be
            read in place. The rows of CSV are kept there in a file without a name, if
            there is room; else they are parsed again. Defaults to 16 GiB.

    Raises:
        TableError: if there is no such format or decimal mark.
    """

    delimiter: str | None = None
    encoding: str | None = None
    text: Collection[str] | None = ()
    array: str | None = None
    decimal: str | None = None
    header: bool = True
    format: str | None = None
    sheet: str | None = None
    query: str | None = None
    skip: int = 0
    comment: str | None = None
    absent: Collection[str] = ()
    max_columns: int = 50_000
    max_copy: int = 2**34

    def __post_init__(self) -> None:
        if self.format not in (None, *TABLE_FORMATS):
            known = ", ".join(TABLE_FORMATS)
            raise TableError(f"unknown format {self.format!r}; use one of {known}.")
        if self.decimal not in (None, ".", ","):
            raise TableError(
                f"unknown decimal mark {self.decimal!r}; use a point or a comma."
            )


def check_width(name: str, n_columns: int, options: ReadOptions) -> None:
    """Raise if a file has more columns than may be read."""
    if n_columns > options.max_columns:
        raise TableError(
            f"{name!r} has {n_columns:,} columns, more than {options.max_columns:,};"
            " raise the limit with `max_columns=...`."
        )


def check_names(
    name: str,
    lines: Sequence[Sequence[Any]],
    options: ReadOptions,
) -> None:
    """Raise if a first line is a row or a title.

    Most cells of a row are numbers, and not in order, as years are. A title is text in
    its first cell alone.
    """
    if not options.header:
        return
    first, *next_lines = (
        [str("" if c is None else c).strip() for c in line] for line in lines[:2]
    )
    numbers = [float(cell) for cell in first if is_number(cell)]
    if len(numbers) > max(1, len(first) / 2) and not _are_names(numbers, first):
        raise TableError(
            f"{name!r} begins with a line of numbers ({len(numbers)} of {len(first)}"
            " cells); put a line with the names of the columns before it, or use"
            " `header=False`."
        )
    is_title = len(first) > 2 and bool(first[0]) and not any(first[1:])
    if is_title and next_lines and not options.skip:
        second = next_lines[0]
        n_filled = len(list(filter(None, second)))
        if 2 * n_filled > len(second) or n_filled == 0:
            n = 1 if any(second) else 2
            raise TableError(
                f"{name!r} has {len(first)} columns, but text in only one cell of its"
                f" first line; use `skip={n}` if that is a title, or name the other"
                " columns."
            )


def _are_names(numbers: Sequence[float], cells: Sequence[str]) -> bool:
    """Whether numbers among cells are in order, as years and doses are."""
    if len(numbers) == len(cells) and not all(map(float.is_integer, numbers)):
        return False
    steps = np.diff(numbers)
    in_order = bool(np.all(steps > 0) or np.all(steps < 0))
    is_even = len(set(steps)) == 1 and (len(steps) > 1 or abs(steps[0]) == 1)
    return in_order and (is_even or len(numbers) >= FEWEST_IN_ORDER)


@dataclass(frozen=True)
class Request:
    """Which pieces and columns of a file to read."""

    pieces: Sequence[int]
    names: list[str]


Batches: TypeAlias = Iterator[pa.RecordBatch]


@dataclass(frozen=True, eq=False)
class TableFile:
    """A file of rows that can be read in pieces, each of them on its own."""

    path: str  # of the file, or of a copy
    schema: pa.Schema
    rows: Sequence[int]  # of each piece
    read: Callable[[Request], Batches]
    notes: Sequence[str] = ()  # what was detected, for the user
    decimal: str | None = None  # the decimal mark, if the file tells
    patch: Patch | None = None  # writes a copy with new cells, if there is a way
    # columns of the schema that are not in the file, of one value each
    constants: Mapping[str, pa.Scalar] = field(default_factory=dict)
    # what the file calls columns of the schema whose names end in blanks there
    stored_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path or the address as the user knows it."""
        path = self.path
        return hide_secrets(path.origin if isinstance(path, Copy) else path)


Stamp: TypeAlias = tuple[int, ...]


def find_stamp(name: str) -> Stamp:
    """Return what tells a file from another, and from itself before a change."""
    with report_read_errors(name):
        status = os.stat(name)
    # Not its device, whose number differs between the machines of a cluster.
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@contextmanager
def forbid_changes(name: str, stamp: Stamp) -> Iterator[Callable[[], None]]:
    """Raise at the end if a file has another stamp; yield what looks before.

    An error while a changed file is read is due to that.
    """

    def check() -> None:
        if find_stamp(name) != stamp:
            raise TableError(
                f"{name!r} was changed or replaced while it was read; run the command"
                " again when nobody writes to it."
            )

    try:
        yield check
    except Exception:
        check()
        raise
    check()


def find_format(path: str, format: str | None = None) -> str | None:
    """Return the format that is given, or that of the ending of a file, or None."""
    if format is None:
        name = Path(path).name.lower()
        for ending in ENDINGS:
            if name.endswith(f".{ending}"):
                return ending.partition(".")[0]
    return format


def find_root(path: str) -> str:
    """Return a path up to its first folder that is a pattern."""
    while glob.has_magic(path) and not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def find_files(path: str, format: str | None = None) -> list[str]:
    """Return the files of a path, a folder or a pattern; see `choose_files`.

    Folders in a folder count if they are called `name=value`.
    """
    with report_read_errors(path):
        if os.path.isdir(path):
            paths = list(_walk(path))
        elif os.path.exists(path) or not glob.has_magic(path):
            mode = os.stat(path).st_mode  # says why it cannot be read
            if not stat.S_ISREG(mode):
                raise TableError(
                    f"{path!r} is a device or a socket; give a file or a pipe."
                )
            return [path]
        else:
            paths = glob.glob(path, recursive=True)
    return choose_files(path, filter(os.path.isfile, paths), format)


def choose_files(path: str, files: Iterable[str], format: str | None) -> list[str]:
    """Return those of some files that have one of our endings, sorted.

    Any ending will do if a format is given. A name that begins with a dot or an
    underscore will not.
    """
    chosen = {}
    for file in sorted(files):
        if not Path(file).name.startswith((".", "_")) and find_format(file, format):
            chosen[file] = find_format(file, format)
    if not chosen and "*" in path:
        raise TableError(f"no table matches {path!r}; correct the path.")
    if not chosen:
        raise TableError(
            f"{path!r} has no file with a supported extension ({SHOWN_ENDINGS}); choose"
            " another."
        )
    examples = {dtype_of_file: file for file, dtype_of_file in reversed(chosen.items())}
    if len(examples) > 1:
        two = quote(sorted(examples.values())[:2])
        raise TableError(
            f"{path!r} has files of several formats, such as {two}; choose those of"
            " one, for example with '*.csv'."
        )
    return list(chosen)


def _walk(folder: str) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir() and "=" in entry.name:
            yield from _walk(entry.path)
        else:
            yield entry.path
