"""The rows of a table for a model, and a sample of them with ids and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tied_tables._text import quote
from tied_tables.cli._messages import name_options, remark
from tied_tables.cli._options import read_option
from tied_tables.cli._progress import show_rows
from tied_tables.cli._table import (
    TableOptions,
    remark_notes,
    require_column,
)

if TYPE_CHECKING:
    from tied_tables._types import Array
    from tied_tables.cli._model import Model
    from tied_tables.columns import Columns, Doubts
    from tied_tables.io import Source
    from tied_tables.rows import Batch, Scan

# Of the sample of a long table: its rows, its numbers where columns are many, and its
# fewest rows.
DISPLAY_SAMPLE_ROWS, DISPLAY_SAMPLE_NUMBERS, FEWEST_DISPLAYED_ROWS = 20_000, 2**22, 100
ROWS_TO_ADAPT = 1_000  # which tell the form in which a later table is written


@dataclass(frozen=True)
class RowOptions(TableOptions):
    """The options of how to read a table for a model."""

    impute_absent: bool = read_option(
        "Impute columns that DATA lacks.", "--impute-absent", default=False
    )


def open_rows(
    model: Model,
    data: str,
    options: TableOptions,
    id: str | None = None,
    output: str = "",
    label: str | None = None,
    as_text: bool = False,
    source: Source | None = None,
) -> Scan:
    """Open a table for a model, with its label and its id if the output can hold it.

    `source` is the open table that the model was fitted to, if it is one; it is opened
    again where what has to be read as text is not.
    """
    from tied_tables.columns import Columns, Kind
    from tied_tables.rows import Scan

    known = model.columns or Columns(())
    text_columns = known.text + ([] if id is None else [id])
    kinds = source.kinds if source is not None else {}
    names = kinds if as_text else text_columns
    is_text = all(kinds.get(name) == Kind.text for name in names)
    is_learned = source is not None and is_text
    if source is None or not is_text:
        source = options.open(data, None if as_text else text_columns, known.names)
    noted: list[str] = model.find_note(
        [], "table", "notes"
    )  # which the fit has printed
    notes = [note for note in source.notes if name_options(note) not in noted]
    remark_notes(source.name, notes)
    output_id = choose_id(source, id, known.id, output)
    require_column(source, label, "--label")
    columns = model.columns_of(source)
    if label is None and columns.label in source.schema.names:
        label = columns.label
    named = replace(columns, id=output_id or columns.id, label=label)
    remedy = ", or impute with --impute-absent"
    if unknown := named.match(source.schema.names, remedy):
        ignored = f"ignored the column {quote(unknown)} of {data!r}"
        remark(f"{ignored}, which the model was not fitted with.")
    file_columns = columns if is_learned else _adapt(columns, source, options)
    for old, new in zip(columns.used, file_columns.used, strict=True):
        if old != new and old.kind is not Kind.boolean and not as_text:
            remark(
                f"column {old.name!r} has another format in {data!r}"
                f" ({new.description}) than in training ({old.description}), and is"
                " read as in the file."
            )
    return Scan(source, file_columns, output_id, label)


def _adapt(columns: Columns, source: Source, options: TableOptions) -> Columns:
    """Return columns in the form in which a table is written."""
    from tied_tables.columns import Kind, find_decimal

    kinds = source.kinds
    texts = Kind.text, Kind.integer
    names = [name for name in columns.names if kinds[name] in texts]
    if not names:
        return columns
    batch = next(source.batches(ROWS_TO_ADAPT, names))
    mark = options.decimal or find_decimal(batch.columns) or source.decimal
    return columns.adapt(batch, mark)


def choose_id(
    source: Source, id: str | None, noted_id: str | None, output: str
) -> str | None:
    """Return the column of ids, if there is one and the output can hold it."""
    require_column(source, id, "--id")
    is_array = output.lower().endswith(".npy")
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


def take(
    rows: Scan,
    places: Array | None = None,
    doing: str = "reading",
    use: Callable[[Batch], None] | None = None,
) -> tuple[Sample, Doubts]:
    """Read the rows at some places or a sample, and tell what is doubtful in all rows.

    `use` is called with each batch.
    """
    import numpy as np
    import pyarrow as pa

    from tied_tables.columns import Doubts, list_values
    from tied_tables.fit.sample import choose_places

    if places is None:
        usual = DISPLAY_SAMPLE_NUMBERS // len(rows.columns.features)
        most = max(FEWEST_DISPLAYED_ROWS, min(DISPLAY_SAMPLE_ROWS, usual))
        [places] = choose_places([rows.source.n_rows], most, seed=0)
    numbers, cells = [], []
    first, doubts = 0, Doubts()
    with show_rows(doing, rows) as shown_rows:
        for batch in shown_rows.read(doubts):
            if use is not None:
                use(batch)
            last = first + len(batch.numbers)
            begin, end = np.searchsorted(places, [first, last])
            batch_places = places[begin:end] - first
            numbers.append(batch.numbers[batch_places])
            cells.append(batch.rows.take(batch_places))
            first = last
    chosen, ids, labels = pa.concat_batches(cells), None, None
    if rows.id is not None:
        ids = np.array(list(map(to_text, list_values(chosen[rows.id]))))
    if rows.label is not None:
        labels = _to_labels(list_values(chosen[rows.label]))
    return Sample(np.concatenate(numbers), places, ids, labels), doubts


def to_text(value: Any) -> str:
    """Return the text of an id or a label."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _to_labels(values: list[Any]) -> Array:
    """Return labels, of which those that are not all numbers are text."""
    import numpy as np

    if {*map(type, values)} <= {int, float, type(None)}:
        return np.array(values, float if None in values else None)
    return np.array(list(map(to_text, values)))
