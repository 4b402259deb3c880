"""A model file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tied_tables.cli._messages import UsageError
from tied_tables.cli._table import import_arrow

if TYPE_CHECKING:
    from tied_tables._column_words import FactText
    from tied_tables.columns import Columns
    from tied_tables.io import Source
    from tied_tables.model.file.contents import Contents
    from tied_tables.model.value import TableModel

Note = TypeVar("Note")


@dataclass(frozen=True)
class Model:
    """What a model file holds."""

    path: Path
    contents: Contents
    notes: dict[str, Any]  # of `tied-tables fit`; empty if Python wrote the file
    columns: Columns | None  # that it takes; None if it has no names

    @property
    def fitted_value(self) -> TableModel:
        """The value that encodes, decodes and scores rows."""
        return self.contents.model

    def find_note(self, default: Note, *keys: str) -> Note:
        """Return a note, or the default where it is not there or of another type."""
        note: Any = self.notes
        for key in keys:
            note = note.get(key) if isinstance(note, dict) else None
        return note if isinstance(note, type(default)) else default

    def find_facts(self) -> list[FactText]:
        """Return what the columns of the table were that it was fitted to, if noted."""
        from tied_tables._column_words import FactText

        return list(map(FactText.from_json, self.find_note([], "table", "columns")))

    def list_rules(self) -> list[str]:
        """Return the rules of the table that it was fitted to, in words."""
        rules = self.fitted_value.rules
        return [] if rules is None else rules.list_words()

    def columns_of(self, source: Source) -> Columns:
        """Return the columns of a table that the model takes."""
        from tied_tables.columns import NUMERIC_KINDS, Columns, Kind

        if self.columns is not None:
            return self.columns
        numbers = Kind.boolean, *NUMERIC_KINDS
        n_features = self.fitted_value.n_features
        names = [name for name, kind in source.kinds.items() if kind in numbers]
        if len(names) != n_features:
            raise UsageError(
                f"{source.name!r} has {len(names)} numeric columns, but"
                f" {str(self.path)!r}, fitted without column names, expects"
                f" {n_features}; give a table with these."
            )
        return Columns.of_numbers(names)


def load(name: str | Path) -> Model:
    """Read a model file."""
    path = Path(name)
    if not os.path.isfile(path):
        raise UsageError(
            f"model {str(path)!r} does not exist; tied-tables fit rows.csv -o"
            " model.safetensors writes one."
        )

    import_arrow()
    from tied_tables.model.file import read
    from tied_tables.rows import find_columns

    try:
        contents = read(path)
        notes = contents.notes if isinstance(contents.notes, dict) else {}
        columns = find_columns(contents.model)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{str(error).rstrip('.')}; give a complete model file."
        ) from error
    return Model(path, contents, notes, columns)
