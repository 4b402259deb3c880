"""A last row that adds up the others."""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables.columns import NUMERIC_KINDS, Kind, find_kind
from tied_tables.io._source import Source

TOTAL_WORD = re.compile(
    r"(?i)(?:(?:grand|sub|overall)[- ]?)?totals?:?|sums?:?|gesamt|insgesamt|summe"
    "|totale|total général"
)
# Columns of which the last value is the sum of the others, about.
FEWEST_SUMS = 2
MOST_OFF = 1e-6
MOST_ROWS_WITH_TOTAL = 1_000  # a longer table comes from no spreadsheet
MIN_ROWS_ADDED_UP = 2  # others, which are trained on


class Total(NamedTuple):
    """A row that adds up the others, the last but empty ones.

    Attributes:
        row: its number, counted from 1.
        reason: what tells, such as "says 'Total' in column 'region'".
    """

    row: int
    reason: str

    def __str__(self) -> str:
        return (
            f"row {self.row:,}, the last, {self.reason}; it is treated as a total and"
            " left out: remove it from the table."
        )


def find_total(source: Source) -> Total | None:
    """Find a row that adds up the others, if a table has one."""
    if source.n_rows > MOST_ROWS_WITH_TOTAL:
        return None
    rows = next(source.batches(source.n_rows))
    if len(rows) < source.n_rows:  # as they are large
        return None
    while len(rows) > 1 and all(values.null_count for values in rows[-1:].columns):
        rows = rows[:-1]
    if len(rows) <= MIN_ROWS_ADDED_UP:
        return None
    says = ""
    n_sums = 0
    for name in rows.column_names:
        values = rows[name]
        kind = find_kind(values.type)
        value, other_values = values[-1], values[:-1]
        if kind is Kind.text and TOTAL_WORD.fullmatch(str(value).strip()):
            if not pc.any(pc.equal(other_values, value)).as_py():
                says = f"says {value.as_py()!r} in column {name!r}"
        elif kind in NUMERIC_KINDS and value.is_valid:
            n_sums += _is_sum(float(value.as_py()), other_values)
    if n_sums >= FEWEST_SUMS:
        says = says or "holds the sums of the others"
    return Total(len(rows), says) if says else None


def _is_sum(value: float, other_values: pa.Array) -> bool:
    """Whether a number is the sum of others, about, and larger than each of them."""
    numbers = np.asarray(other_values.drop_null(), np.float64)
    is_near = np.isclose(numbers.sum(), value, rtol=MOST_OFF, atol=0.0)
    return bool(is_near) and abs(value) > np.abs(numbers).max(initial=0.0)
