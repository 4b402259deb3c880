"""A last row that adds up the others."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied.columns import NUMBERS, Kind, find_kind
from keras_tied.tables._source import Source

WORD = re.compile(
    r"(?i)(?:(?:grand|sub|overall)[- ]?)?totals?:?|sums?:?|gesamt|insgesamt|summe"
    "|totale|total général"
)
# Columns of which the last value is the sum of the others, about.
FEWEST_SUMS = 2
MOST_OFF = 1e-6


def describe_total(source: Source) -> str:
    """Warn of a row that adds up the others, the last but empty ones, or return ""."""
    rows = next(source.batches(source.n_rows))
    if len(rows) < source.n_rows:  # as they are large
        return ""
    while len(rows) > 1 and all(values.null_count for values in rows[-1:].columns):
        rows = rows[:-1]
    says = ""
    n_sums = 0
    for name in rows.column_names:
        values = rows[name]
        kind = find_kind(values.type)
        value, others = values[-1], values[:-1]
        if kind is Kind.text and WORD.fullmatch(str(value).strip()):
            if not pc.any(pc.equal(others, value)).as_py():
                says = f"says {value.as_py()!r} in column {name!r}"
        elif kind in NUMBERS and value.is_valid:
            n_sums += _is_sum(float(value.as_py()), others)
    if n_sums >= FEWEST_SUMS:
        says = says or "holds the sums of the others"
    return says and (
        f"row {len(rows):,}, the last, {says}: if it adds up the others, take it out of"
        " the table."
    )


def _is_sum(value: float, others: pa.Array) -> bool:
    """Whether a number is the sum of others, about, and larger than each of them."""
    numbers = np.asarray(others.drop_null(), np.float64)
    is_near = np.isclose(numbers.sum(), value, rtol=MOST_OFF, atol=0.0)
    return bool(is_near) and abs(value) > np.abs(numbers).max(initial=0.0)
