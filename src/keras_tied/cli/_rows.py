"""The rows of a table for a model, and a sample of them to show, with their ids and labels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_tied._text import quote
from keras_tied.cli._lazy import Array, drawing, np, pa, pipeline, table_columns, tables
from keras_tied.cli._messages import say
from keras_tied.cli._options import option
from keras_tied.cli._progress import show_rows
from keras_tied.cli._table import TableOptions, require_column, say_notes

if TYPE_CHECKING:
    from keras_tied.cli._model import Model

# Of the sample of a long table: its rows, its numbers where columns are many, and its
# fewest rows.
MOST_ROWS, MOST_NUMBERS, SMALLEST_SAMPLE = 20_000, 2**22, 100
ROWS_TO_ADAPT = 1_000  # which tell the form in which a later table is written

Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="COLUMN",
        help="The column to colour by, instead of that given to fit.",
    ),
]


@dataclass(frozen=True)
class RowOptions(TableOptions):
    """The options of how to read a table for a model."""

    impute_absent: bool = option(
        "Impute what DATA lacks.", "--impute-absent", default=False
    )


def open_rows(
    model: Model,
    data: str,
    options: TableOptions,
    id: str | None,
    quiet: bool,
    output: str = "",
    label: str | None = None,
    as_text: bool = False,
) -> pipeline.Scan:
    """Open a table for a model, with the id column if the output can hold it."""
    of_model = model.columns
    text = [*(of_model.text if of_model else []), *([id] if id else [])]
    known = of_model.names if of_model else model.fitted_value.feature_names
    source = options.open(data, None if as_text else text, known or ())
    say_notes(source, quiet)
    output_id = choose_id(source, id, of_model.id if of_model else None, output)
    columns = model.columns_of(source)
    named = replace(columns, id=output_id or columns.id, label=label or columns.label)
    if unknown := named.match(
        source.schema.names, ", or have it imputed with --impute-absent"
    ):
        ignored = f"ignored the column {quote(unknown)} of {data!r}"
        say(f"{ignored}, which the model has never seen.", quiet=quiet)
    kinds, kind, used = source.kinds, table_columns.Kind, columns.used
    written = [of.name for of in used if kinds[of.name] in (kind.text, kind.integer)]
    if written:
        columns = columns.adapt(
            next(source.batches(ROWS_TO_ADAPT, written)), options.decimal
        )
    for old, new in zip(used, columns.used, strict=True):
        if old != new and old.kind is not kind.boolean and not as_text:
            what = (
                f"holds {new.description} in {data!r}, beside {old.description} in"
                " training"
            )
            say(
                f"column {old.name!r} {what}, and is read in the form of the file.",
                quiet=quiet,
            )
    return pipeline.Scan(source, columns, output_id)


def choose_id(
    source: tables.Source, id: str | None, noted_id: str | None, output: str
) -> str | None:
    """Return the column of ids for the output, if the table has one and the output can hold it."""
    require_column(source, id, "--id")
    is_array = output.lower().endswith((".npy", ".npz"))
    if id is None and (is_array or noted_id not in source.schema.names):
        return None
    return id or noted_id


@dataclass(frozen=True)
class Sample:
    """Some rows of a table, in its order."""

    numbers: Array  # (n, features) float32
    places: Array  # (n,) in the table, counted from 0
    ids: Array | None  # (n,) text
    labels: Array | None  # (n,)


def open_with_label(
    model: Model,
    data: str,
    options: TableOptions,
    id: str | None,
    label: str | None,
    quiet: bool,
) -> pipeline.Scan:
    """Open a table of rows to show, with a column of labels."""
    rows = open_rows(model, data, options, id, quiet, label=label)
    require_column(rows.source, label, "--label")
    if label is None and rows.columns.label in rows.source.schema.names:
        label = rows.columns.label
    return replace(rows, label=label)


def choose_places(n_rows: int, most: int, seed: int = 0) -> Array:
    """Return the places of all rows, or of some at random, in their order."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, most, replace=False))


def take(
    rows: pipeline.Scan,
    quiet: bool,
    places: Array | None = None,
    doing: str = "reading",
    use: Callable[[Array], None] | None = None,
) -> tuple[Sample, pipeline.Doubts]:
    """Read the rows at some places or a sample, and tell what is doubtful in all rows.

    `use` is called with the numbers of each batch.
    """
    if places is None:
        most = min(MOST_ROWS, MOST_NUMBERS // len(rows.columns.features))
        places = choose_places(rows.source.n_rows, max(SMALLEST_SAMPLE, most))
    numbers: list[Array] = []
    ids: list[Any] = []
    labels: list[Any] = []
    first, doubts = 0, pipeline.Doubts()
    with show_rows(doing, rows, quiet) as shown_rows:
        for batch in shown_rows.read(doubts):
            if use is not None:
                use(batch.numbers)
            begin, end = np.searchsorted(places, [first, first + len(batch.numbers)])
            here = places[begin:end] - first
            numbers.append(batch.numbers[here])
            some = batch.rows.take(pa.array(here))
            ids += some.column(rows.id).to_pylist() if rows.id else []
            labels += some.column(rows.label).to_pylist() if rows.label else []
            first += len(batch.numbers)
    names = np.array([_to_text(value) for value in ids]) if rows.id else None
    shown_labels = _to_labels(labels) if rows.label else None
    return Sample(np.concatenate(numbers), places, names, shown_labels), doubts


def _to_text(value: Any) -> str:
    return "" if value is None else str(value)


def _to_labels(values: list[Any]) -> Array:
    """Turn labels into numbers if all are: a column of CSV was read as text."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.array(
            values
            if None not in values
            else [np.nan if v is None else v for v in values]
        )
    texts = [_to_text(value) for value in values]
    if len(set(texts)) > drawing.MOST_COLOURS:
        with suppress(ValueError):
            return np.array([float(text) if text else np.nan for text in texts])
    return np.array(texts)
