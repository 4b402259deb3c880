"""The rows of a table in the form that a model takes, for functions of batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keras_tied.tables._columns import Columns, Misread
from keras_tied.tables._errors import TableError
from keras_tied.tables._source import Source

Result = TypeVar("Result")


class Batch(NamedTuple):
    """Consecutive rows of a table.

    Attributes:
        rows: the columns that are read.
        numbers: the same rows as a model takes them, `(n, features)` float32.
    """

    rows: pa.RecordBatch
    numbers: NDArray[np.float32]


def ignore(n_rows: int) -> None:
    """Do nothing with a number of rows."""


@dataclass
class Scan:
    """The rows of a table as a model takes them, read anew by each loop: `Scan(...).map(function)`.

    Attributes:
        source: the table.
        columns: the columns that become numbers.
        id: a column of names that is read too, or None.
        label: a column of labels that is read too, or None.
        advance: is called with the number of rows of each batch after its use.
        unseen: the number of values of rare or new categories in the last pass, by column.
        misread: the values of the last pass that were not of the kind of their column.
    """

    source: Source
    columns: Columns
    id: str | None = None
    label: str | None = None
    advance: Callable[[int], object] = ignore
    unseen: Counter[str] = field(default_factory=Counter)
    misread: Misread = field(default_factory=Misread)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the rows in order.

        Raises:
            TableError: if a value cannot be used, or the table has not as many rows as it promised.
        """
        for tally in (self.unseen, self.misread.counts, self.misread.examples):
            tally.clear()
        beside = [name for name in (self.id, self.label) if name is not None]
        names = list(dict.fromkeys([*self.columns.names, *beside]))
        n_rows, promised = 0, self.source.n_rows
        for rows in self.source.batches(names=names):
            first_row = self.source.first_row + n_rows
            n_rows += rows.num_rows
            if n_rows > promised:
                break
            yield Batch(rows, self.columns.encode(rows, first_row, self.unseen, self.misread))
            self.advance(rows.num_rows)
        if n_rows != promised:
            raise TableError(
                f"{self.source.name!r} had {promised:,} rows when it was opened, and has "
                f"{'more' if n_rows > promised else f'{n_rows:,}'} now; run the command again when "
                "nobody writes to it."
            )

    def map(self, function: Callable[[Batch], Result]) -> Iterator[Result]:
        """Yield the result of a function for each batch, in order."""
        return map(function, self)

    def split(self) -> list[Scan]:
        """Return a scan of each part of the table; each can be sent to another process."""
        return [Scan(part, self.columns, self.id, self.label) for part in self.source.split()]
