"""A last row that adds up all others."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from keras_tied.tables._source import Source

WORD = re.compile(
    r"(?i)(?:(?:grand|sub|overall)[- ]?)?totals?:?|sums?:?|gesamt|insgesamt|summe"
    "|totale|total général"
)
# Columns of which the last value is the sum of the others, about.
FEWEST_SUMS = 2
MOST_OFF = 1e-6


def describe_total(source: Source) -> str:
    """Warn of a last row that adds up the others; or return ""."""
    n = source.n_rows
    batch = next(source.batches(n))
    if batch.num_rows < n:  # as its rows are large
        return ""
    rows = pa.Table.from_batches([batch])
    (last,) = rows.slice(n - 1).to_pylist()
    others = rows.slice(0, n - 1)
    says, n_sums = "", 0
    for name, value in last.items():
        column = others.column(name)
        if isinstance(value, str) and WORD.fullmatch(value.strip()):
            is_usual = pc.any(pc.equal(column, value)).as_py()
            if not is_usual:
                says = f"says {value!r} in column {name!r}"
        elif type(value) in (int, float) and value:
            n_sums += _is_sum(value, column)
    if not says and n_sums >= FEWEST_SUMS:
        says = "holds the sums of the others"
    if not says:
        return ""
    return (
        f"row {n:,}, the last, {says}: if it adds up the others, take it out of the"
        " table."
    )


def _is_sum(value: float, column: pa.ChunkedArray) -> bool:
    """Whether a number is the sum of a column, about, and larger than each of it."""
    numbers = column.cast(pa.float64(), safe=False)
    total = pc.sum(numbers).as_py() or 0.0
    most = pc.max(pc.abs(numbers)).as_py() or 0.0
    return abs(total - value) <= MOST_OFF * abs(value) and abs(value) > most
