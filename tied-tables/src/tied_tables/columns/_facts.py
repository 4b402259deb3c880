"""What is learned of the columns of a table, and what is decided about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
from pyarrow import types

from tied_tables._text import format_value
from tied_tables.columns._column import Column, get_value, list_values
from tied_tables.columns._kinds import find_kind
from tied_tables.columns._missing import MOST_MISREAD
from tied_tables.columns._remarks import DATE, Remark, Role, Topic

ROWS_TO_COUNT = 20_000  # the most rows of which different numbers are counted
EXAMPLES = 3


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
        determinants: the columns that determine a column, by its name: where categories
            make too many numbers, it is not used beside one of these. Defaults to none.
        most_categories: the most categories of a column that have a number of their
            own. Defaults to all that are not rare.
        first_rows: those in the table's order: if they are given, names and order
            tell which whole numbers are row numbers, ids or categories. By default,
            types do.
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
    determinants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    most_categories: int | None = None
    first_rows: pa.RecordBatch | None = None

    def by_name(self, name: str) -> bool:
        """Whether the name of a column tells what its whole numbers are."""
        return self.first_rows is not None and name not in self.numeric

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
        column: how its values become numbers; None if it is not used.
        reason: why it is not used; None if it is.
        missing: how many values are missing.
        misread: how many values are not what the column holds, treated as missing.
        distinct: how many values differ in the first 20,000 rows of the sample, or in
            all of text.
        remarks: what its values may be instead, and what else to look at.
    """

    name: str
    reads_as: str
    column: Column | None = None
    reason: Remark | None = None
    missing: int = 0
    misread: int = 0
    distinct: int = 0
    examples: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def role(self) -> Role:
        """What becomes of the column."""
        return Role.used if self.reason is None else self.reason.role

    @property
    def is_refused(self) -> bool:
        """Whether the column cannot be used before someone says what it is."""
        return self.reason is not None and self.reason.topic is Topic.mixed


def leave_out(
    name: str,
    values: pa.Array,
    reason: Remark,
    reads_as: str | None = None,
) -> Fact:
    """Return the fact of a column that is not examined."""
    return Fact(
        name,
        reads_as or str(find_kind(values.type)),
        reason=reason,
        missing=values.null_count,
        examples=list_examples(values),
    )


def leave_out_constant(fact: Fact, present: pa.Array) -> Fact:
    """Return the fact of a column whose values, without the missing ones, are equal."""
    remarks = fact.remarks
    value = get_value(present, 0)
    if fact.missing > MOST_MISREAD * (fact.missing + len(present)):
        remarks = (Remark(Topic.partly_missing, format_value(value)),)
    if not isinstance(value, str | int | float | bool):
        value = str(value)
    text = DATE if types.is_date(present.type) else ""
    reason = Remark(Topic.constant, value, text)
    return replace(fact, column=None, reason=reason, distinct=1, remarks=remarks)


def list_examples(values: pa.Array) -> tuple[str, ...]:
    """Return the first different values, as text."""
    first = values[:100].drop_null()
    examples = dict.fromkeys(map(format_value, list_values(first)))
    return tuple(examples)[:EXAMPLES]
