"""A model file, and how a table becomes what its model takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tied.cli._keras import import_keras_alone, require_backend
from keras_tied.cli._messages import UsageError
from keras_tied.cli._table import Reading, say_ignored

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from keras_tied.estimator.internal import Contents, Fitted
    from keras_tied.tables import Columns, Source


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes:
        path: the file.
        contents: what was saved.
        notes: what `keras-tied fit` has noted; nothing, where the file comes from Python.
        columns: those that it was fitted to, where they are noted.
    """

    path: Path
    contents: Contents
    notes: dict[str, Any]
    columns: Columns | None

    @property
    def fitted_value(self) -> Fitted:
        """What encodes, decodes and scores rows."""
        return self.contents.fitted

    def columns_of(self, source: Source) -> Columns:
        """The columns of a table that the model takes."""
        if self.columns is not None:
            return self.columns
        from keras_tied.tables import Column as TableColumn
        from keras_tied.tables import Columns, Kind

        names: Sequence[str] | None = self.fitted_value.feature_names
        if names is None:
            numbers = Kind.boolean, Kind.integer, Kind.number
            names = [name for name, kind in source.kinds.items() if kind in numbers]
            if len(names) != self.fitted_value.n_features:
                raise UsageError(
                    f"{source.name!r} has {len(names)} columns of numbers, and "
                    f"{str(self.path)!r}, which knows no names, takes "
                    f"{self.fitted_value.n_features}; give a table of these."
                )
        return Columns(tuple(TableColumn(str(name), Kind.number) for name in names))


@dataclass
class Rows:
    """The rows of a table, as a model takes them.

    Attributes:
        source: the table.
        columns: those that the model takes.
        id: the column that is kept, if there is one.
        label: the column that tells rows apart in pictures, where one is made.
        unseen: how many values are of rare or new categories, by column.
    """

    source: Source
    columns: Columns
    id: str | None
    label: str | None = None
    unseen: Counter[str] = field(default_factory=Counter)

    def batches(self) -> Iterator[tuple[pa.RecordBatch, NDArray[np.float32]]]:
        """The rows as they are, and as numbers; in order."""
        self.unseen.clear()
        beside = [name for name in (self.id, self.label) if name is not None]
        names = list(dict.fromkeys([*self.columns.names, *beside]))
        first = 0
        for batch in self.source.batches(names=names):
            yield batch, self.columns.encode(batch, first, self.unseen)
            first += batch.num_rows

    def add_id(self, batch: pa.RecordBatch, columns: dict[str, Any]) -> pa.RecordBatch:
        """Columns that were made of a batch, after its id."""
        import pyarrow as pa

        kept = {self.id: batch.column(self.id)} if self.id else {}
        if self.id in columns:
            raise UsageError(
                f"the id column {self.id!r} has the name of a column of the result; rename it."
            )
        return pa.record_batch(kept | columns)


def load(path: Path) -> Model:
    """Read a model file; Keras is imported only for an encoder or activation of the user's own."""
    if not path.is_file():
        raise UsageError(
            f"there is no file {str(path)!r}; name one that keras-tied fit has written."
        )
    from keras_tied.estimator.internal import read
    from keras_tied.tables import Columns

    try:
        contents = read(path, _import_keras)
        notes = contents.notes if isinstance(contents.notes, dict) else {}
        columns = Columns.from_json(notes["columns"]) if "columns" in notes else None
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(error).rstrip('.')}; name a whole model file.") from error
    if columns is not None and len(columns.features) != contents.fitted.n_features:
        raise UsageError(
            f"{str(path)!r} was noted to take {len(columns.features)} numbers, and takes "
            f"{contents.fitted.n_features}; fit the model anew."
        )
    return Model(path, contents, notes, columns)


def _import_keras() -> None:
    require_backend()
    import_keras_alone()


def open_rows(
    model: Model,
    data: str,
    reading: Reading,
    id: str | None,
    quiet: bool,
    output: str = "",
    label: str | None = None,
) -> Rows:
    """Open a table whose rows a model is to take; their id goes to the output if it can."""
    noted = model.columns
    text = [*(noted.text if noted else []), *([id] if id else [])]
    source = reading.open(data, text)
    there = source.schema.names
    if id is not None and id not in there:
        raise UsageError(f"{data!r} has no column {id!r}; name another as --id.")
    columns = model.columns_of(source)
    kept = id or columns.id
    arrays = output.lower().endswith((".npy", ".npz"))
    if kept not in there or (arrays and id is None):
        kept = None
    ignored = replace(columns, id=kept or columns.id, label=label or columns.label).match(there)
    say_ignored(ignored, data, quiet)
    return Rows(source, columns, kept)


def code_names(width: int) -> Sequence[str]:
    """The names of the numbers of a code."""
    return [f"code{index}" for index in range(width)]
