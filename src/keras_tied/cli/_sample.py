"""The rows of a table to show, all or a sample, with their ids and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from keras_tied.cli._model import Model, Rows, open_rows
from keras_tied.cli._progress import show_rows
from keras_tied.cli._table import TableOptions, require_column, say_misread, say_unseen

MOST_ROWS, MOST_NUMBERS = 20_000, 2**22
"""Rows of the sample of a long table, and its numbers for one with many columns."""
SMALLEST_SAMPLE = 100
"""Rows of the sample of a table with very many columns."""

Label = Annotated[
    str | None,
    typer.Option(
        "--label", metavar="COLUMN", help="The column to colour by, instead of that given to fit."
    ),
]


@dataclass(frozen=True)
class Sample:
    """Some rows of a table, in its order.

    Attributes:
        numbers: (n, features) float32, as the model takes them.
        places: (n,) their numbers in the table, counted from 0.
        ids: (n,) their ids, or else their numbers, counted from 1.
        labels: (n,) their labels, or None.
        label_name: the column of the labels, or None.
        note: a sentence on the rows that were left out, or None.
    """

    numbers: Any
    places: Any
    ids: Any
    labels: Any
    label_name: str | None
    note: str | None


def open_with_label(
    model: Model, data: str, options: TableOptions, id: str | None, label: str | None, quiet: bool
) -> Rows:
    """Open a table of rows to show, with a column of labels."""
    rows = open_rows(model, data, options, id, quiet, label=label)
    require_column(rows.source, label, "--label")
    if label is None and rows.columns.label in rows.source.schema.names:
        label = rows.columns.label
    rows.label = label
    return rows


def say_found(rows: Rows, quiet: bool) -> None:
    """Print which values were new, or not of the kind of their column."""
    say_unseen(rows.unseen, quiet)
    say_misread(rows.misread, quiet)


def choose_places(n_rows: int, n_features: int) -> Any:
    """Choose the rows to show: all, or a random sample of a large table."""
    import numpy as np

    most = max(SMALLEST_SAMPLE, min(MOST_ROWS, MOST_NUMBERS // n_features))
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def take(
    rows: Rows,
    quiet: bool,
    places: Any = None,
    doing: str = "reading",
    use: Callable[[Any], None] | None = None,
) -> Sample:
    """Read some rows, those of `choose_places` if no places are given.

    `use` is called with the numbers of all rows, batch by batch.
    """
    import numpy as np
    import pyarrow as pa

    n_rows = rows.source.n_rows
    if places is None:
        places = choose_places(n_rows, len(rows.columns.features))
    numbers: list[Any] = []
    ids: list[Any] = []
    labels: list[Any] = []
    first = 0
    with show_rows(doing, n_rows, quiet) as advance:
        for batch, of_batch in rows.batches():
            if use is not None:
                use(of_batch)
            begin, end = np.searchsorted(places, [first, first + batch.num_rows])
            here = places[begin:end] - first
            numbers.append(of_batch[here])
            some = batch.take(pa.array(here))
            ids += some.column(rows.id).to_pylist() if rows.id else []
            labels += some.column(rows.label).to_pylist() if rows.label else []
            first += batch.num_rows
            advance(batch.num_rows)
    return Sample(
        np.concatenate(numbers),
        places,
        np.array([_to_text(name) for name in ids])
        if rows.id
        else np.array([f"{place:,}" for place in (places + 1).tolist()]),
        _to_labels(labels) if rows.label else None,
        rows.label,
        f"The table has {n_rows:,} rows; here are {len(places):,} of them, chosen at random."
        if n_rows > len(places)
        else None,
    )


def _to_text(value: Any) -> str:
    return "" if value is None else str(value)


def _to_labels(values: list[Any]) -> Any:
    """Turn labels into numbers if all are: a column of CSV was read as text."""
    import numpy as np

    from keras_tied.drawing import MOST_COLOURS

    if all(value is None or isinstance(value, int | float) for value in values):
        present = [value for value in values if value is not None]
        whole = len(present) == len(values)
        return np.array(values if whole else [np.nan if v is None else v for v in values])
    texts = [_to_text(value) for value in values]
    if len(set(texts)) > MOST_COLOURS:
        try:
            return np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            pass
    return np.array(texts)
