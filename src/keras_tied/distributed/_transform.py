"""The fitted value as a function of Arrow batches, for any engine that has rows in batches."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from keras_tied._types import Array
from keras_tied.estimator.internal import Fitted, largest_shares, read
from keras_tied.tables import Column, Columns, Kind, Misread, TableError

Output = Literal["codes", "reconstructions", "scores"]
MOST_COLUMNS = 3
"""Columns that scores name for each row."""


@dataclass(frozen=True)
class BatchTransform:
    """A pure function from Arrow batches to Arrow batches.

    It is small, can be pickled, and imports neither Keras nor JAX unless the model has an encoder
    or an activation of the user's own: send it to the workers of Dask, Ray or Spark.

    Attributes:
        fitted: the fitted value.
        columns: the columns that it takes.
        output: `"codes"` for `code0`, `code1` and so on, float32; `"reconstructions"` for the
            columns that the model uses, in their types; `"scores"` for the reconstruction error
            `error`, and the columns `column1` to `column3` that contribute most to it with their
            shares `share1` to `share3`.
        id: a column that is kept before these, or None.
    """

    fitted: Fitted
    columns: Columns
    output: Output
    id: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns to read; others are ignored."""
        return list(dict.fromkeys([*self.columns.names, *([self.id] if self.id else [])]))

    def __call__(
        self,
        batch: pa.RecordBatch,
        first_row: int = 0,
        unseen: Counter[str] | None = None,
        misread: Misread | None = None,
    ) -> pa.RecordBatch:
        """Transform a batch of rows.

        Args:
            batch: the rows, with the columns of `names` at least, in any order.
            first_row: how many rows came before, for the messages.
            unseen: where to count values of new categories; see `Columns.encode`.
            misread: where to note values that count as missing, since they are not of their kind.

        Returns:
            As many rows, in the same order.

        Raises:
            TableError: if a column is not there, or a value cannot be used.
        """
        numbers = self.columns.encode(batch, first_row, unseen, misread)
        return prepend_id(self.id, batch, self.compute(numbers))

    def compute(self, numbers: Array) -> dict[str, Any]:
        """The columns of the output by name, for rows as numbers, `(n, d)`."""
        if self.output == "codes":
            codes = self.fitted.transform(numbers).T
            return dict(zip(code_names(len(codes)), codes, strict=True))
        if self.output == "reconstructions":
            rows = self.columns.decode(self.fitted.reconstruct(numbers))
            return dict(zip(rows.schema.names, rows.columns, strict=True))
        return {"error": self.compute_errors(numbers)} | self.attribute(numbers)

    def compute_errors(self, numbers: Array) -> Array:
        """The reconstruction error of each row, `(n,)` float32."""
        return self.fitted.reconstruction_error(numbers).astype(np.float32)

    def attribute(self, numbers: Array) -> dict[str, Any]:
        """The columns that contribute most to each row's error, and their shares."""
        errors = self.fitted.reconstruction_error(numbers, per_feature=True)
        names, order, shares = largest_shares(errors, self.columns.feature_columns, MOST_COLUMNS)
        labels = pa.array(names, pa.string())
        facts: dict[str, Any] = {}
        for place in range(order.shape[1]):
            facts[f"column{place + 1}"] = labels.take(pa.array(order[:, place]))
            facts[f"share{place + 1}"] = shares[:, place].astype(np.float32)
        return facts


def load_transform(
    path: str | os.PathLike[str], output: Output = "codes", *, id: str | None = None
) -> BatchTransform:
    """Read a model file as a function of Arrow batches.

    Args:
        path: a file that `keras-tied fit` has written, or `TiedAutoencoder.save` after a fit to a
            table with names.
        output: `"codes"`, `"reconstructions"` or `"scores"`; see `BatchTransform`. Defaults to
            `"codes"`.
        id: a column to keep. Defaults to none.

    Returns:
        The function.

    Raises:
        ValueError: if it is another file, or knows no names of columns.

    Examples:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from sklearn.datasets import load_iris
        >>> from keras_tied import TiedAutoencoder
        >>> from keras_tied.distributed import load_transform
        >>> iris = load_iris(as_frame=True).data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     TiedAutoencoder(1, max_iter=5).fit(iris).save(f"{folder}/iris.keras")
        ...     encode = load_transform(f"{folder}/iris.keras")
        >>> encode(pa.RecordBatch.from_pandas(iris)).schema.names
        ['code0']
    """
    contents = read(path)
    notes = contents.notes if isinstance(contents.notes, dict) else {}
    names = contents.fitted.feature_names
    if "columns" in notes:
        columns = Columns.from_json(notes["columns"])
    elif names is not None:
        columns = Columns(tuple(Column(name, Kind.number) for name in names))
    else:
        raise ValueError(
            f"{os.fspath(path)!r} knows no names of columns: fit to a table that has some."
        )
    return BatchTransform(contents.fitted, columns, output, id)


def prepend_id(id: str | None, batch: pa.RecordBatch, columns: dict[str, Any]) -> pa.RecordBatch:
    """Put the id column of a batch, if there is one, before results for its rows."""
    if id is None:
        return pa.record_batch(columns)
    if id in columns:
        raise TableError(f"the id column {id!r} has the name of a column of the result; rename it.")
    return pa.record_batch({id: batch.column(id)} | columns)


def code_names(n_components: int) -> list[str]:
    """The names of the components of a code."""
    return [f"code{index}" for index in range(n_components)]
