"""What a file of any format is to the others, and how it is read."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from keras_tied.tables._errors import TableError
from keras_tied.tables._paths import FORMATS


@dataclass(frozen=True)
class ReadOptions:
    """How files are read.

    Attributes:
        delimiter: between the cells of CSV, one character. Detected from the first lines by
            default; a comma, or a tab for TSV, where they do not tell.
        encoding: of CSV. Defaults to UTF-8, UTF-16 if the file is marked as such, or else
            Windows-1252 if most characters are ASCII.
        text: columns of CSV to take for text, though they look like numbers. Defaults to none.
        array: the name of the array in an `.npz` file, where there are several.
        decimal: the decimal mark of CSV, `"."` or `","`. Defaults to that of most columns.
        header: whether the first line of CSV, or of a sheet, holds the names of the columns, which
            else are x0, x1 and so on.
        format: what the files are, such as `"csv"`, where their endings do not tell.
        sheet: the name of the sheet of a workbook. Defaults to the first.
        query: the rows of a database to read, in SQL. Defaults to its only table.

    Raises:
        TableError: if there is no such format or decimal mark.
    """

    delimiter: str | None = None
    encoding: str | None = None
    text: Collection[str] = ()
    array: str | None = None
    decimal: str | None = None
    header: bool = True
    format: str | None = None
    sheet: str | None = None
    query: str | None = None

    def __post_init__(self) -> None:
        if self.format not in (None, *FORMATS):
            known = ", ".join(FORMATS)
            raise TableError(f"there is no format {self.format!r}; name one of {known}.")
        if self.decimal not in (None, ".", ","):
            raise TableError(f"the decimal mark is {self.decimal!r}; give a point or a comma.")


@dataclass(frozen=True)
class Request:
    """Which pieces of a file to read, which columns, and about how many rows at a time."""

    pieces: Sequence[int]
    names: Sequence[str]
    n_rows: int


Batches: TypeAlias = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class TableFile:
    """A file of rows that can be read in pieces, each of them on its own."""

    name: str
    schema: pa.Schema
    rows: Sequence[int]  # of each piece
    read: Callable[[Request], Batches]
    notes: Sequence[str] = ()  # what was detected, for the user
    decimal: str | None = None  # the decimal mark, if the file tells
