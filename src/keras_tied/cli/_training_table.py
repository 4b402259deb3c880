"""The table that a model is trained on: its columns, and the rows that fit into memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_tied.cli._messages import UsageError
from keras_tied.cli._progress import show_activity
from keras_tied.cli._table import TableOptions

if TYPE_CHECKING:
    from keras_tied.tables import Columns, Source

MOST_ROWS, MOST_NUMBERS = 200_000, 2**24
"""A table with more rows or numbers is sampled."""
SMALLEST_SAMPLE = 1_000
"""Rows of the sample of a table with very many columns."""


@dataclass(frozen=True)
class Table:
    """A table, and the rows of it that are in memory.

    Attributes:
        source: all of it.
        columns: those that are used.
        rows: all rows, or some, `(n, features)` float32.
        whole: whether they are all.
    """

    source: Source
    columns: Columns
    rows: Any
    whole: bool


def learn(
    data: str,
    options: TableOptions,
    *,
    columns: str | None,
    exclude: list[str] | None,
    label: str | None,
    id: str | None,
    seed: int,
    quiet: bool,
) -> Table:
    """Open a table, decide which columns to use, and read the rows that fit into memory."""
    import numpy as np

    from keras_tied.tables import Columns, TableError

    source = options.open(data, [name for name in (label, id) if name is not None])
    if source.n_rows < 2:
        raise UsageError(f"{source.name!r} has one row, and training needs 2 at least; add rows.")
    most = max(SMALLEST_SAMPLE, min(MOST_ROWS, MOST_NUMBERS // max(1, len(source.schema))))
    with show_activity("reading", quiet):
        sample = source.sample(most, seed=seed)
        used = Columns.learn(
            sample,
            columns=None if columns is None else _split_names(columns),
            exclude=[name for text in exclude or [] for name in _split_names(text)],
            label=label,
            id=id,
        )
        whole = source.n_rows <= most
        try:
            if whole:
                rows = np.concatenate(list(_encode_in_order(source, used)))
            else:
                rows = used.encode(sample)
        except TableError:
            raise_first_misfit(source, used)
            raise
    return Table(source, used, rows, whole)


def raise_first_misfit(source: Source, columns: Columns) -> None:
    """Raise the error for the first value that is not of its kind, with its row in the table."""
    for _ in _encode_in_order(source, columns):
        pass


def _encode_in_order(source: Source, columns: Columns) -> Iterator[Any]:
    first = 0
    for batch in source.batches(names=columns.names):
        yield columns.encode(batch, first)
        first += batch.num_rows


def _split_names(text: str) -> list[str]:
    """Split names at commas, as in a line of CSV."""
    return [name.strip() for name in next(csv.reader([text]), []) if name.strip()]
