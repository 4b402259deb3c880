"""What is found in the columns of a table, and what is decided about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import pyarrow as pa

from keras_tied.tables._column import Column
from keras_tied.tables._errors import TableError

ROWS_TO_COUNT = 20_000
"""The most rows of which different numbers are counted."""


@dataclass(frozen=True)
class Fact:
    """What was found in a column, and what becomes of it.

    Attributes:
        name: of the column.
        reads_as: what its values are, for people.
        becomes: the numbers that it becomes, or why it is left out.
        missing: how many values are missing.
        misread: how many values are not what the column holds, and count as missing.
        distinct: how many different values the first 20,000 rows of the sample have, or all if
            they are text.
        examples: some values.
        warning: what else to look at, as one clause about the column; empty if there is nothing.
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

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"examples": list(self.examples)}

    @classmethod
    def from_json(cls, json: Any) -> Self:
        """Read the result of `to_json`; it may come from an untrusted file.

        Raises:
            TableError: if it is not what `to_json` gives.
        """
        match json:
            case {
                "name": str(),
                "reads_as": str(),
                "becomes": str(),
                "missing": int(),
                "misread": int(),
                "distinct": int(),
                "examples": list() as examples,
                "warning": str(),
                "refused": bool(),
            } if len(json) == len(fields(cls)) and all(isinstance(e, str) for e in examples):
                return cls(**json | {"examples": tuple(examples)})
        raise TableError("the facts of the columns in the model file are damaged; fit it anew.")


@dataclass(frozen=True)
class Restored:
    """A column that is left out, and restored when rows are decoded.

    Attributes:
        name: of the column.
        copy_of: the column that it equals, or None.
        value: the value that it always has, or None if it has none.
        is_date: whether the value is a date, which is text here.
    """

    name: str
    copy_of: str | None = None
    value: str | int | float | bool | None = None
    is_date: bool = False

    def repeat(self, n_rows: int) -> pa.Array:
        """Return its value in so many rows."""
        value = pa.array([self.value])
        if self.is_date:
            value = value.cast(pa.date32())
        return value.take(pa.array([0] * n_rows, pa.int32()))


@dataclass(frozen=True)
class Policy:
    """How text reads where it does not tell.

    Attributes:
        decimal: the decimal mark, or None.
        dates: `"auto"`, `"off"`, `"dmy"` or `"mdy"`.
        categorical: the columns of names.
    """

    decimal: str | None = None
    dates: str = "auto"
    categorical: frozenset[str] = frozenset()

    @property
    def day_first(self) -> bool | None:
        """Whether the day stands before the month, or None if nobody has said so."""
        if self.dates in ("dmy", "mdy"):
            return self.dates == "dmy"
        return True if self.decimal == "," else None


@dataclass(frozen=True)
class Decision:
    """A fact, and the column that is used or restored, or None."""

    fact: Fact
    column: Column | Restored | None = None
