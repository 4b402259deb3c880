"""Columns of numbers, as they are written in a table."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.columns import NumberText, decide_number_text
from tied_tables.rules.kinds import TextCodes

MOST_NUMBER_COLUMNS = 40
LEAST_READ = 0.95  # of the texts of a column of numbers
LEAST_AT_FIRST = 0.5  # of the first texts
FEWEST_DISTINCT = 3  # numbers of a column
LEAST_EXACT = 0.99  # of the numbers, that have no more decimals than their column
MOST_WRITTEN_PLACES = 9
MOST_TYPICAL = 500  # quantiles of a column
TEXTS_TO_DECIDE = 200  # how the numbers of a column are written
SHIFTS = np.array([10, 0.1, 100, 0.01, 1000, 0.001])  # of a decimal mark


class Numbers(NamedTuple):
    """A column of numbers.

    Attributes:
        name: its name.
        values: (rows,) float64, finite, or NaN where there is none.
        places: how many decimals are written.
        form: how they are written, with which decimal mark and unit.
    """

    name: str
    values: Array
    places: int
    form: NumberText = NumberText()

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
        return self.form.write_short(round(value, self.places)) or ""


def find_numbers(columns: Sequence[TextCodes]) -> list[Numbers]:
    """Return the columns of which at least 95 % of the texts are numbers."""
    found = map(read_numbers, columns)
    return [column for column in found if column is not None]


def read_numbers(
    column: TextCodes, fewest: int = FEWEST_DISTINCT, usual: str | None = None
) -> Numbers | None:
    """Read a column as numbers; None if few texts, or fewer than some, are such.

    Numbers have one unit, or none. `usual` is the decimal mark that they had elsewhere,
    for texts with either reading.
    """
    first_texts = column.texts[:TEXTS_TO_DECIDE]
    form, _ = decide_number_text(first_texts, usual)
    n_read = np.count_nonzero(~np.isnan(form.parse(first_texts)))
    if n_read < LEAST_AT_FIRST * len(first_texts):
        return None
    numbers = form.parse(column.texts)
    is_read = ~np.isnan(numbers)
    n_read = column.counts[is_read].sum()
    if is_read.sum() < fewest or n_read < LEAST_READ * column.n_present:
        return None
    decimals = pc.extract_regex(column.texts, rf"[{form.decimal}](?P<decimals>\d+)")
    lengths = pc.utf8_length(pc.struct_field(decimals, "decimals")).fill_null(0)
    lengths = np.where(is_read, np.asarray(lengths), 0)
    n_shorter = np.bincount(lengths, weights=column.counts).cumsum()
    places = int(np.searchsorted(n_shorter, LEAST_EXACT * n_shorter[-1]))
    finite = np.where(np.isinf(numbers), np.nan, numbers)
    values = np.append(finite, np.nan)[column.codes]
    return Numbers(column.name, values, min(places, MOST_WRITTEN_PLACES), form)
