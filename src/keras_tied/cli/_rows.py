"""Open a table for a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keras_tied._text import list_some
from keras_tied.cli._messages import say
from keras_tied.cli._table import TableOptions, require_column, say_notes

if TYPE_CHECKING:
    from keras_tied.cli._model import Model
    from keras_tied.tables import Scan, Source


def open_rows(
    model: Model,
    data: str,
    options: TableOptions,
    id: str | None,
    quiet: bool,
    output: str = "",
    label: str | None = None,
) -> Scan:
    """Open a table for a model, with the id column if the output can hold it."""
    from keras_tied.tables import Scan

    of_model = model.columns
    text = [*(of_model.text if of_model else []), *([id] if id else [])]
    source = options.open(data, text)
    say_notes(source, quiet)
    output_id = choose_id(source, id, of_model.id if of_model else None, output)
    columns = model.columns_of(source)
    named = replace(columns, id=output_id or columns.id, label=label or columns.label)
    unknown = named.match(source.schema.names)
    if unknown and not quiet:
        some = list_some(list(map(repr, unknown)))
        say(f"ignored the column {some} of {data!r}, which the model has never seen.")
    return Scan(source, columns, output_id)


def choose_id(source: Source, id: str | None, noted_id: str | None, output: str) -> str | None:
    """Return the column of ids for the output, if the table has one and the output can hold it."""
    require_column(source, id, "--id")
    is_array = output.lower().endswith((".npy", ".npz"))
    if id is None and (is_array or noted_id not in source.schema.names):
        return None
    return id or noted_id
