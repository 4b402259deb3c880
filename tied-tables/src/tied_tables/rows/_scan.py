"""The rows of a table in the form that a model takes, and what is doubtful in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tied_tables.columns import Columns, Doubts, simplify_rows
from tied_tables.io import Source

DECODED_BATCH_BYTES = 2**27  # of decoded rows, whatever the columns of a model hold
# What is read: the columns that are used, the constant ones too, or all, maybe in the
# types of their file.
Reads = Literal["used", "constant", "all", "stored"]
Result = TypeVar("Result")


class Batch(NamedTuple):
    """Consecutive rows of a table, and the same rows as a model takes them."""

    rows: pa.RecordBatch
    numbers: NDArray[np.float32]  # (n, features)


def ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Scan:
    """The rows of a table as a model takes them, read again by each loop."""

    source: Source
    columns: Columns  # that become numbers
    id: str | None = None  # a column that is read too
    label: str | None = None  # another
    reads: Reads = "used"  # which columns are read, beside those
    # is called with the number of rows of each batch after its use
    advance: Callable[[int], object] = ignore

    def read(self, doubts: Doubts) -> Iterator[Batch]:
        """Yield the rows in batches, and add to the doubts what is doubtful in them."""
        columns = self.columns
        most_rows = max(1, DECODED_BATCH_BYTES // max(1, columns.row_bytes))
        batches = self.source.batches(
            names=self._list_names(),
            most_rows=most_rows,
            as_stored=self.reads == "stored",
        )
        first_row = self.source.first_row
        has_value = np.zeros(len(columns.features), bool)
        for rows in batches:
            simple = simplify_rows(rows)
            for name, is_other in columns.find_differences(simple).items():
                places = np.flatnonzero(is_other)
                doubts.unseen.add(name, simple[name], places, first_row)
            numbers = columns.encode(simple, first_row, doubts)
            has_value |= ~np.isnan(numbers).all(axis=0)
            first_row += rows.num_rows
            yield Batch(rows, numbers)
            self.advance(rows.num_rows)
        # A column without a value has none in any of its numbers.
        blank = np.unique(columns.layout.columns[~has_value])
        for name in np.array(columns.names, object)[blank]:
            if name not in doubts.unseen.counts:
                doubts.empty.append(name)

    @property
    def ids(self) -> list[str]:
        """The columns of the table that name its rows, in its order."""
        id_names = {self.id, *self.columns.ids}
        return [name for name in self.source.schema.names if name in id_names]

    def _list_names(self) -> list[str] | None:
        """List the columns that are read, or return None for all."""
        if self.reads in ("all", "stored"):
            return None
        more = list(filter(None, (self.id, self.label)))
        if self.reads == "constant":
            names = self.columns.constants
            more += [name for name in names if name in self.source.schema.names]
        return list(dict.fromkeys(self.columns.names + more))

    def split(self) -> list[Scan]:
        """Return a scan of each part of the table, for another process."""
        parts = self.source.split()
        return [replace(self, source=part, advance=ignore) for part in parts]


def fold(
    rows: Scan, function: Callable[[Iterator[Batch]], Result]
) -> tuple[Result, Doubts]:
    """Call a function with the batches of a table; tell what is doubtful, too."""
    doubts = Doubts()
    return function(rows.read(doubts)), doubts
