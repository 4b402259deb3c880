"""Columns of numbers, as they are written in a table."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.rules.kinds import TextCodes

MOST_NUMBER_COLUMNS = 40
LEAST_READ = 0.95  # of the texts of a column of numbers
FEWEST_DISTINCT = 3  # numbers of a column
LEAST_EXACT = 0.99  # of the numbers, that have no more decimals than their column
MOST_WRITTEN_PLACES = 9
MOST_TYPICAL = 500  # quantiles of a column
POINT_THOUSANDS = r"^[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?$"  # with points between
CURRENCY_AND_UNIT = r"^\s*[$€£]?\s*|[\s%]+$"
SHIFTS = np.array([10, 0.1, 100, 0.01, 1000, 0.001])  # of a decimal mark
PLAIN_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"


class Numbers(NamedTuple):
    """A column of numbers.

    Attributes:
        name: its name.
        values: (rows,) float64, finite, or NaN where there is none.
        places: how many decimals are written.
        decimal: the decimal mark, `"."` or `","`.
    """

    name: str
    values: Array
    places: int
    decimal: str = "."

    @property
    def tolerance(self) -> Array:
        """By how much a result may differ from each value, (rows,)."""
        rounding = 0.5 * 10.0**-self.places
        return rounding * (1 + 1e-6) + 1e-9 * np.abs(self.values)

    def take(self, rows: Array) -> Self:
        """Return some of the rows."""
        return self._replace(values=self.values[rows])

    def summarize(self) -> Self:
        """Return the values that are there, ascending, or quantiles of many."""
        present = np.sort(self.values[~np.isnan(self.values)])
        n_kept = min(len(present), MOST_TYPICAL)
        places = np.linspace(0, len(present) - 1, n_kept)
        return self._replace(values=present[np.rint(places).astype(int)])

    def format(self, value: float) -> str:
        """Return a number as the column writes it."""
        text = f"{value:.{self.places}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", self.decimal)


def find_numbers(columns: Sequence[TextCodes]) -> list[Numbers]:
    """Return the columns of which at least 95 % of the texts are numbers."""
    found = map(read_numbers, columns)
    return [column for column in found if column is not None]


def read_numbers(
    column: TextCodes, fewest: int = FEWEST_DISTINCT, usual: str | None = None
) -> Numbers | None:
    """Read a column as numbers; None if few texts, or fewer than some, are such.

    `usual` is the decimal mark that it had elsewhere, for texts with either reading.
    """
    plain = pc.replace_substring_regex(column.texts, CURRENCY_AND_UNIT, "")
    decimal = _find_decimal(plain, usual)
    if decimal == ",":
        plain = pc.replace_substring(plain, ".", "")
        plain = pc.replace_substring(plain, ",", ".")
    else:
        plain = pc.replace_substring_regex(plain, r"(\d),(\d{3})", r"\1\2")
    is_number = pc.match_substring_regex(plain, PLAIN_NUMBER)
    is_read = np.asarray(is_number)
    n_read = column.counts[is_read].sum()
    if is_read.sum() < fewest or n_read < LEAST_READ * column.n_present:
        return None
    numerals = pc.if_else(is_number, plain, None)
    numbers = np.asarray(numerals.cast(pa.float64()))
    decimals = pc.replace_substring_regex(plain, r"^[^.]*\.?|[eE].*$", "")
    lengths = np.where(is_read, np.asarray(pc.utf8_length(decimals)), 0)
    n_shorter = np.bincount(lengths, weights=column.counts).cumsum()
    places = int(np.searchsorted(n_shorter, LEAST_EXACT * n_shorter[-1]))
    finite = np.where(np.isinf(numbers), np.nan, numbers)
    values = np.append(finite, np.nan)[column.codes]
    return Numbers(column.name, values, min(places, MOST_WRITTEN_PLACES), decimal)


def _find_decimal(texts: pa.Array, usual: str | None) -> str:
    """Return the decimal mark of a column: a comma, if its texts are numbers only so.

    `1,234` may have a thousands' comma, `12,34` may not. A point is read as the mark,
    unless a comma was usual and all points can be between thousands.
    """
    if usual == "," and _count(texts, r"\.") == _count(texts, POINT_THOUSANDS):
        return ","
    n_commas = _count(texts, r"^[-+]?\d+(\.\d{3})*,(\d{1,2}|\d{4,})$")
    n_points = _count(texts, r"^[-+]?[\d,]*\.\d+$")
    return "," if n_commas > n_points else "."


def _count(texts: pa.Array, pattern: str) -> int:
    return pc.sum(pc.match_substring_regex(texts, pattern)).as_py() or 0
