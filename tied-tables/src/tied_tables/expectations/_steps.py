"""Validation steps: what the rows of a table should be.

They have the names and arguments of Pointblank's YAML.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.columns import NUMERIC_KINDS, Columns, Kind, drop_marks
from tied_tables.expectations._expressions import find_false, read_literals
from tied_tables.expectations._values import Value, align, read_numbers
from tied_tables.io import Source

PLAIN_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"


def find_missing(rows: pa.RecordBatch, columns: str) -> Array:
    """Return which cells of a column are missing."""
    return np.asarray(rows[columns].is_null())


def find_beyond(
    rows: pa.RecordBatch, columns: str, left: float, right: float, na_pass: bool
) -> Array:
    """Return which cells of a column are no numbers between two."""
    cells = rows[columns]
    numbers = read_numbers(cells)
    is_between = (numbers >= left) & (numbers <= right)
    return np.where(cells.is_null(), not na_pass, ~is_between)


def find_other(
    rows: pa.RecordBatch, columns: str, set: Sequence[Value | None]
) -> Array:
    """Return which cells are none of some values; None stands for a missing one."""
    cells = rows[columns]
    known, values = align([value for value in set if value is not None], cells)
    is_known = np.asarray(pc.is_in(values, known))
    return np.where(cells.is_null(), None not in set, ~is_known)


def find_unlike(
    rows: pa.RecordBatch, columns: str, pattern: str, na_pass: bool
) -> Array:
    """Return which cells of a column do not match a regular expression."""
    texts = rows[columns].cast(pa.string())
    is_match = pc.match_substring_regex(texts, pattern)
    return ~np.asarray(is_match.fill_null(na_pass))


CHECKS: dict[str, Callable[..., Array]] = {
    "col_vals_not_null": find_missing,
    "col_vals_between": find_beyond,
    "col_vals_in_set": find_other,
    "col_vals_regex": find_unlike,
    "col_vals_expr": find_false,
}
"""What finds the failing rows, (rows,) bool, by the method of Pointblank."""


class Step(NamedTuple):
    """What the rows of a table should be.

    Attributes:
        method: a key of `CHECKS`.
        arguments: what it takes beside the rows.
        brief: the step in words.
    """

    method: str
    arguments: dict[str, Any]
    brief: str

    @property
    def names(self) -> list[str]:
        """The columns that it needs."""
        if "columns" in self.arguments:
            return [self.arguments["columns"]]
        literals = read_literals(self.arguments["expr"])
        return [value for value in literals if isinstance(value, str)]

    def find_failing(self, rows: pa.RecordBatch) -> Array:
        """Return which rows fail, (rows,) bool."""
        return CHECKS[self.method](rows, **self.arguments)


def drop_marked_cells(rows: pa.RecordBatch, na: Collection[str]) -> pa.RecordBatch:
    """Return rows with a null for each cell that is a text of a missing value."""
    cells = [drop_marks(values, na) for values in rows.columns]
    return pa.RecordBatch.from_arrays(cells, rows.schema.names)


def read_kinds(
    source: Source, columns: Columns, na: Collection[str] = ()
) -> dict[str, Kind]:
    """Return the kind of each column of a file without the marks of missing values.

    A used column of numbers is text in the file where some value is none; it has
    numbers if that is one of `na`.
    """
    kinds = dict(source.kinds)
    names = [
        column.name
        for column in columns.used
        if column.kind in NUMERIC_KINDS and kinds[column.name] is Kind.text
    ]
    if not (names and na):
        return kinds
    for batch in source.batches(names=names):
        rows = drop_marked_cells(batch, na)
        names = [
            name for name in names if _are_plain_numbers(rows[name].cast(pa.string()))
        ]
    return kinds | dict.fromkeys(names, Kind.number)


def _are_plain_numbers(texts: pa.Array) -> bool:
    is_number = pc.match_substring_regex(texts, PLAIN_NUMBER)
    return bool(pc.all(is_number, min_count=0).as_py())


def list_failing(step: Step, source: Source, na: Collection[str] = ()) -> list[int]:
    """Return the numbers of the rows of a table that fail, counted from 1.

    `na` are texts of a missing value, beside those that always are.
    """
    numbers: list[int] = []
    begin = 1
    for batch in source.batches(names=step.names):
        rows = drop_marked_cells(batch, na)
        failing = begin + np.flatnonzero(step.find_failing(rows))
        numbers += failing.tolist()
        begin += rows.num_rows
    return numbers
