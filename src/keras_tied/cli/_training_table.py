"""The table that a model is trained on: its columns, and the rows that fit into memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_tied.cli._messages import UsageError
from keras_tied.cli._progress import show_activity, show_rows
from keras_tied.cli._table import TableOptions

if TYPE_CHECKING:
    from keras_tied.distributed import Workers
    from keras_tied.estimator.internal import Moments
    from keras_tied.tables import Columns, Source


@dataclass(frozen=True)
class Table:
    """A table, and the rows of it that are in memory.

    Attributes:
        source: all of it.
        columns: those that are used.
        rows: all rows, or some in random order, `(n, features)` float32.
        moments: of all rows, if these are some; else None.
    """

    source: Source
    columns: Columns
    rows: Any
    moments: Moments | None = None

    @property
    def whole(self) -> bool:
        """Whether all rows are in memory."""
        return self.moments is None


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
    workers: Workers | None = None,
) -> Table:
    """Open a table, decide which columns to use, and read the rows that fit into memory.

    A larger table is measured as a whole, by `workers` if they are given.
    """
    import numpy as np

    from keras_tied.distributed import Here, measure_table
    from keras_tied.estimator.internal import choose_sample_size
    from keras_tied.tables import Columns

    source = options.open(data, [name for name in (label, id) if name is not None])
    if source.n_rows < 2:
        raise UsageError(f"{source.name!r} has one row, and training needs 2 at least; add rows.")
    most = choose_sample_size(len(source.schema))
    with show_activity("reading", quiet):
        sample = source.sample(most, seed=seed)
        used = Columns.learn(
            sample,
            columns=None if columns is None else _split_names(columns),
            exclude=[name for text in exclude or [] for name in _split_names(text)],
            label=label,
            id=id,
        )
        if source.n_rows <= most:
            return Table(source, used, np.concatenate(list(_encode_in_order(source, used))))
    with show_rows("measuring", source.n_rows, quiet) as advance:
        measured = measure_table(workers or Here(), source, used, most, seed, advance)
    return Table(source, used, measured.rows, measured.moments)


def _encode_in_order(source: Source, columns: Columns) -> Iterator[Any]:
    first = 0
    for batch in source.batches(names=columns.names):
        yield columns.encode(batch, first)
        first += batch.num_rows


def _split_names(text: str) -> list[str]:
    """Split names at commas, as in a line of CSV."""
    return [name.strip() for name in next(csv.reader([text]), []) if name.strip()]
