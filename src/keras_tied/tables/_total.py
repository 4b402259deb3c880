"""A last row that adds up all others."""

import re

import pyarrow as pa
import pyarrow.compute as pc

from keras_tied.tables._source import Source

_WORD = re.compile(
    r"(?i)(?:(?:grand|sub|overall)[-"
    r" ]?)?totals?:?|sums?:?|gesamt|insgesamt|summe|totale|"
    "total général"
)
_FEWEST_SUMS, _CLOSE = (
    2,
    1e-6,
)  # columns of which the last value is the sum of the others, about


def describe_total(source: Source) -> str:
    """Warn of a last row that adds up the others, as its numbers or a word tell; or return ""."""
    rows, n, sums = pa.Table.from_batches(list(source.batches())), source.n_rows, 0
    (last,), others = rows.slice(n - 1).to_pylist(), rows.slice(0, n - 1)
    says = ""
    for name, value in last.items():
        column = others.column(name)
        if isinstance(value, str) and _WORD.fullmatch(value.strip()):
            is_new = not pc.any(pc.equal(column, value)).as_py()
            says = f"says {value!r} in column {name!r}" if is_new else says
        elif type(value) in (int, float) and value:
            numbers = column.cast(pa.float64(), safe=False)
            total, most = (
                pc.sum(numbers).as_py() or 0.0,
                pc.max(pc.abs(numbers)).as_py() or 0.0,
            )
            sums += abs(total - value) <= _CLOSE * abs(value) and abs(value) > most
    if not says and sums >= _FEWEST_SUMS:
        says = "holds the sums of the others"
    what = "if it adds up the others, take it out of the table"
    return f"row {n:,}, the last, {says}: {what}." if says else ""
