"""What is learned of the columns of a table, and what is decided about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import msgspec
import pyarrow as pa

from tied_tables._table_errors import TableError
from tied_tables.columns._column import Column

ROWS_TO_COUNT = 20_000  # the most rows of which different numbers are counted


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns may be used, and what they read as where they do not tell.

    Attributes:
        columns, exclude: the columns that may be used, and that are not. Default to all
            and none.
        label, id: the columns of labels, and of the names of rows. Default to none.
        categorical: columns whose numbers or text are names. Defaults to none.
        decimal: the decimal mark, where the text does not tell. Defaults to that of
            most columns.
        dates: `"dmy"` or `"mdy"`, where the text does not tell; `"off"` to leave times
            out. Defaults to `"auto"`.
        na: texts or numbers of a missing value. Defaults to none.
        numeric: columns whose whole numbers are quantities, whatever their names.
            Defaults to none.
        begin: the first rows, in the table's order: if they are given, names and order
            tell which whole numbers are row numbers, ids or categories. By default,
            types do.
        remedy: what to do about values that are not of the kind of most of their
            column, for the message, with {column} and {value} for its name and one.
    """

    columns: Sequence[str] | None = None
    exclude: Collection[str] = ()
    label: str | None = None
    id: str | None = None
    categorical: Collection[str] = ()
    decimal: str | None = None
    dates: str = "auto"
    na: Collection[str] = ()
    numeric: Collection[str] = ()
    begin: pa.RecordBatch | None = None
    remedy: str = "correct them"

    def by_name(self, name: str) -> bool:
        """Whether the name of a column tells what its whole numbers are."""
        return self.begin is not None and name not in self.numeric

    @property
    def day_first(self) -> bool | None:
        """Whether the day stands before the month, or None if nobody has said so."""
        if self.dates in ("dmy", "mdy"):
            return self.dates == "dmy"
        return True if self.decimal == "," else None


@dataclass(frozen=True)
class Fact:
    """What is known of a column, and what becomes of it.

    Attributes:
        name, reads_as, examples: of the column, what its values are, and some of them.
        becomes: the numbers that it becomes, or why it is left out.
        missing: how many values are missing.
        misread: how many values are not what the column holds, and count as missing.
        distinct: how many values differ in the first 20,000 rows of the sample, or in
            all of text.
        warning: what else to look at, as one clause about the column; empty if there is
            nothing.
        refused: whether the column cannot be used before someone says what it is.
    """

    name: str
    reads_as: str
    becomes: str
    missing: int = 0
    misread: int = 0
    distinct: int = 0
    examples: tuple[str, ...] = ()
    warning: str = ""
    refused: bool = False

    @classmethod
    def from_json(cls, json: Any) -> Self:
        """Read one from a model file, maybe untrusted, or raise a `TableError`."""
        try:
            return msgspec.convert(json, cls)
        except msgspec.ValidationError as error:
            raise TableError(
                f"the facts of the columns in the model file are damaged ({error}); fit"
                " it anew."
            ) from error


@dataclass(frozen=True)
class Restoration:
    """A column that is left out, and comes back when rows are decoded.

    Attributes:
        name: of the column.
        copy_of: the column that it is a copy of, or None if it is a constant.
        value: the constant; None if the column had no value.
        is_date: whether the value is the text of a date.
    """

    name: str
    copy_of: str | None = None
    value: str | int | float | bool | None = None
    is_date: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the column had no value."""
        return self.copy_of is None and self.value is None

    @property
    def longest_text(self) -> int:
        """How many characters its value has."""
        return len(str(self.value))

    def restore(self, columns: Mapping[str, pa.Array], n_rows: int) -> pa.Array:
        """Return the column that it is a copy of, or its value in so many rows."""
        if self.copy_of is not None:
            return columns[self.copy_of]
        value = pa.array([self.value])
        if self.is_date:
            value = value.cast(pa.date32())
        return pa.repeat(value[0], n_rows)


# A fact, and the column that is used or restored, or None.
Decision: TypeAlias = tuple[Fact, Column | Restoration | None]
