"""Rows that are no data: a second line of names, names again, nothing, totals."""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from keras_tied._text import format_quantity, quote
from keras_tied.columns import NUMBERS, Kind, find_kind
from keras_tied.tables._source import Source

WORD = re.compile(
    r"(?i)(?:(?:grand|sub|overall)[- ]?)?totals?:?|sums?:?|gesamt|insgesamt|summe"
    "|totale|total général"
)
# Columns of which the last value is the sum of the others, about.
FEWEST_SUMS = 2
MOST_OFF = 1e-6
# A second line of names stands above so many columns, of which so many have digits.
FEWEST_HEADS, FEWEST_DIGITS = 2, 0.9


def describe_stray_rows(source: Source) -> Iterator[str]:
    """Warn of rows that are no data."""
    rows = next(source.batches(source.n_rows))
    n = len(rows)
    if n < source.n_rows:  # as its rows are large
        return
    heads = _find_heads(rows)
    if len(heads) >= FEWEST_HEADS:
        yield (
            f"row 1 holds {quote(heads[:3])} above numbers, as a second line of names"
            " does: say --skip 1 to pass over the first, or take this one out of the"
            " table."
        )
    if all(map(types.is_string, rows.schema.types)):
        again = rows
        for name in rows.column_names:
            again = again.filter(pc.equal(again[name], name))
        if len(again):
            n_rows = format_quantity(len(again), "row")
            yield f"the names of the columns are also in {n_rows}: take them out."
    while n > 1 and all(values.null_count for values in rows.slice(n - 1, 1).columns):
        n -= 1
    if n < len(rows) and rows.num_columns > 1:
        yield f"the table is empty from row {n + 1:,} on: take these rows out of it."
    if says := _describe_total(rows[:n]):
        yield (
            f"row {n:,}, the last, {says}: if it adds up the others, take it out of the"
            " table."
        )


def _find_heads(rows: pa.RecordBatch) -> list[str]:
    """Return the first values of columns that hold numbers, and begin with text."""
    heads = []
    for values in rows.columns:
        if not values[0].is_valid:
            continue
        if not types.is_string(values.type):
            return []
        has_digit = pc.match_substring_regex(values, r"\d")
        share = pc.mean(has_digit[1:]).as_py() or 0.0
        if share >= FEWEST_DIGITS and not has_digit[0].as_py():
            heads.append(values[0].as_py())
    return heads


def _describe_total(rows: pa.RecordBatch) -> str:
    """Tell that the last row adds up the others; or return ""."""
    n_sums = 0
    for name in rows.column_names:
        values = rows[name]
        if find_kind(values.type) not in (Kind.text, *NUMBERS):
            continue
        value, others = values[-1].as_py(), values[:-1]
        if isinstance(value, str):
            is_total = WORD.fullmatch(value.strip()) is not None
            if is_total and not pc.any(pc.equal(others, value)).as_py():
                return f"says {value!r} in column {name!r}"
        elif value:
            n_sums += _is_sum(float(value), others)
    return "holds the sums of the others" if n_sums >= FEWEST_SUMS else ""


def _is_sum(value: float, others: pa.Array) -> bool:
    """Whether a number is the sum of others, about, and larger than each of them."""
    numbers = np.asarray(others.drop_null(), np.float64)
    is_near = np.isclose(numbers.sum(), value, rtol=MOST_OFF, atol=0.0)
    return bool(is_near) and abs(value) > np.abs(numbers).max(initial=0.0)
