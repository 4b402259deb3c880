"""The rows of a table that are shown, all of them or some, with what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from keras_tied._text import count
from keras_tied.cli._messages import UsageError
from keras_tied.cli._model import Model, Rows, open_rows
from keras_tied.cli._progress import rows_bar
from keras_tied.cli._table import Reading, say_unseen

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
        ids: (n,) what the rows are called: their id, or their number, counted from 1.
        labels: (n,) their labels, or None.
        label_name: the column that these come from, or None.
        note: what was left out, or None.
    """

    numbers: Any
    ids: Any
    labels: Any
    label_name: str | None
    note: str | None


def open_labelled(
    model: Model, data: str, reading: Reading, id: str | None, label: str | None, quiet: bool
) -> Rows:
    """Open a table whose rows are to be shown."""
    rows = open_rows(model, data, reading, id, quiet, label=label)
    there = rows.source.schema.names
    if label is not None and label not in there:
        raise UsageError(f"{data!r} has no column {label!r}; name another as --label.")
    noted = rows.columns.label
    rows.label = label or (noted if noted in there else None)
    return rows


def take(rows: Rows, quiet: bool) -> Sample:
    """Read the rows to show: all, or as many of them as fit, at random."""
    import numpy as np
    import pyarrow as pa

    n_rows, width = rows.source.n_rows, len(rows.columns.features)
    most = max(SMALLEST_SAMPLE, min(MOST_ROWS, MOST_NUMBERS // width))
    chosen = np.arange(n_rows)
    if n_rows > most:
        chosen = np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))
    numbers: list[Any] = []
    ids: list[Any] = []
    labels: list[Any] = []
    first = 0
    with rows_bar("reading", n_rows, quiet) as advance:
        for batch, of_batch in rows.batches():
            begin, end = np.searchsorted(chosen, [first, first + batch.num_rows])
            here = chosen[begin:end] - first
            numbers.append(of_batch[here])
            some = batch.take(pa.array(here))
            ids += some.column(rows.id).to_pylist() if rows.id else []
            labels += some.column(rows.label).to_pylist() if rows.label else []
            first += batch.num_rows
            advance(batch.num_rows)
    say_unseen(rows.unseen, quiet)
    places = (chosen + 1).tolist()
    return Sample(
        np.concatenate(numbers),
        np.array([_text(name) for name in ids] if rows.id else [count(place) for place in places]),
        _labels(labels) if rows.label else None,
        rows.label,
        f"The table has {count(n_rows)} rows; here are {count(most)} of them, chosen at random."
        if n_rows > most
        else None,
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _labels(values: list[Any]) -> Any:
    """Labels as numbers where they are: a column of CSV was read as text."""
    import numpy as np

    from keras_tied._labels import MOST_GROUPS

    if all(value is None or isinstance(value, int | float) for value in values):
        present = [value for value in values if value is not None]
        whole = len(present) == len(values)
        return np.array(values if whole else [np.nan if v is None else v for v in values])
    texts = [_text(value) for value in values]
    if len(set(texts)) > MOST_GROUPS:
        try:
            return np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            pass
    return np.array(texts)
