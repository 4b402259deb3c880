"""The rows of a table in the form that a model takes, for functions of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keras_tied.columns import Columns, MisreadValues
from keras_tied.tables._source import Source

BATCH_BYTES = 2**27  # of decoded rows, whatever the columns of a model hold
Reads = Literal[
    "used", "restored", "all"
]  # what is used, what `decode` restores too, all columns


class Batch(NamedTuple):
    """Consecutive rows of a table, and the same rows as a model takes them."""

    rows: pa.RecordBatch
    numbers: NDArray[np.float32]  # (n, features)


def ignore(n_rows: int) -> None:
    """Do nothing with a number of rows."""


@dataclass
class Scan:
    """The rows of a table as a model takes them, read anew by each loop."""

    source: Source
    columns: Columns  # that become numbers
    id: str | None = None  # a column that is read too
    label: str | None = None  # another
    reads: Reads = "used"  # which columns are read, beside those
    advance: Callable[[int], object] = (
        ignore  # is called with the rows of each batch after its use
    )
    unseen: MisreadValues = field(
        default_factory=MisreadValues
    )  # rare or new categories
    misread: MisreadValues = field(
        default_factory=MisreadValues
    )  # both are of the last loop
    empty: list[str] = field(
        default_factory=list
    )  # the columns in which it found no value

    def __iter__(self) -> Iterator[Batch]:
        for tally in (self.unseen, self.misread, self.empty):
            tally.clear()
        beside = [name for name in (self.id, self.label) if name is not None]
        given = self.source.schema.names
        if self.reads == "restored":
            beside += [of.name for of in self.columns.restored if of.name in given]
        names = list(dict.fromkeys([*self.columns.names, *beside]))
        names = given if self.reads == "all" else names
        n_rows = 0
        ends = np.cumsum([len(of.features) for of in self.columns.used], dtype=int)
        blank = np.arange(len(ends))
        most_rows = max(1, BATCH_BYTES // max(1, self.columns.row_bytes))
        for rows in self.source.batches(names=names, most_rows=most_rows):
            first_row = self.source.first_row + n_rows
            n_rows += rows.num_rows
            for name, is_other in self.columns.find_differences(rows).items():
                self.unseen.add(
                    name, rows.column(name), np.flatnonzero(is_other), first_row
                )
            numbers = self.columns.encode(rows, first_row, self.unseen, self.misread)
            blank = blank[np.isnan(numbers[:, ends[blank] - 1]).all(axis=0)]
            yield Batch(rows, numbers)
            self.advance(rows.num_rows)
        names = [self.columns.names[place] for place in blank]
        self.empty[:] = [name for name in names if name not in self.unseen.counts]

    def split(self) -> list[Scan]:
        """Return a scan of each part of the table; each can be sent to another process."""
        return [
            Scan(part, self.columns, self.id, self.label, self.reads)
            for part in self.source.split()
        ]
