"""The fitted value as a function of Arrow batches, for any engine that has some."""

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tied_tables._reasons import Cause
from tied_tables._types import Array, StrPath
from tied_tables.columns import Columns, rename_rows, simplify_rows, trim_names
from tied_tables.io import Source, TableError
from tied_tables.model.causes import MOST_CAUSES, find_causes, keep_orders, list_causes
from tied_tables.model.explanation import Attribution
from tied_tables.model.file import read
from tied_tables.model.value import TableModel
from tied_tables.rows._scan import Batch, Reads, Scan

Output = Literal["codes", "reconstructions", "scores", "filled"]


@dataclass(frozen=True)
class BatchTransform:
    """A pure function from Arrow batches to Arrow batches.

    It is small, can be pickled, and imports no Keras: send it to the workers of Dask,
    Ray or Spark.

    Attributes:
        fitted: the fitted value.
        columns: the columns that it takes.
        output: `"codes"` for `code0`, `code1` and so on, float32; `"reconstructions"`
            for the columns that the model uses, in their types; `"filled"` for all
            columns of the rows, with the gaps of those that the model uses filled in;
            `"scores"` for the outlier score `score`, `one_in`, one row in how many is
            as odd, and the reconstruction error `error`.
        id: a column that is kept before these, or None.
        explain: whether scores come with the columns that make the row odd: `column1`
            to `column3`, their shares of the score, `share1` to `share3`, and
            `expected1` to `expected3`, what the other columns suggest, as text. It
            takes as long as to score a row for each column.
    """

    fitted: TableModel
    columns: Columns
    output: Output
    id: str | None = None
    explain: bool = False

    def scan(self, source: Source) -> Scan:
        """Return the rows of a table, with the columns that are read for it."""
        more: dict[Output, Reads] = {"reconstructions": "constant", "filled": "stored"}
        reads = more.get(self.output, "used")
        return Scan(source, self.columns, self.id, reads=reads)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Transform a batch of rows.

        Args:
            batch: the rows, with these columns at least, in any order.

        Returns:
            As many rows, in the same order.

        Raises:
            TableError: if a column is not there, or a value cannot be used.
        """
        names = trim_names(batch.column_names)
        ids = dict(zip(batch.column_names, names, strict=True))
        transform = replace(self, id=ids.get(self.id, self.id))
        rows = rename_rows(batch, names)
        result = transform.apply(Batch(rows, self.columns.encode(rows)))
        is_copy = self.output == "filled"
        return rename_rows(result, batch.column_names) if is_copy else result

    def apply(self, batch: Batch) -> pa.RecordBatch:
        """Transform rows that are numbers already."""
        rows, numbers = batch
        if self.output == "filled":
            return self._fill(batch)
        if self.output == "codes":
            codes = self.fitted.transform(numbers).T  # (components, n)
            names = code_names(len(codes))
            result = dict(zip(names, codes, strict=True))
        elif self.output == "reconstructions":
            reconstructed = self.fitted.reconstruct(numbers)
            result = to_dict(self.columns.decode(reconstructed, rows=rows))
        else:
            scores, errors = self.fitted.measure_rows(numbers)
            result = self.describe_scores(scores, errors)
            if self.explain:
                result |= self.describe_causes(self.find_causes(batch))
        return prepend_id(self.id, rows, result)

    def _fill(self, batch: Batch) -> pa.RecordBatch:
        """Fill gaps by rules where these are sure, the others by the fitted value."""
        rows, numbers = batch
        gaps = self.columns.find_gaps(rows)
        if self.fitted.rules is not None and gaps:
            rule_values = self.fitted.rules.fill(rows, gaps, self.columns.determined)
            rows = self.columns.write_texts(rows, rule_values)
            numbers = self.columns.encode(simplify_rows(rows))
        imputed = self.columns.snap(self.fitted.impute(numbers))
        keep_orders(self.columns, self.fitted.orders, numbers, imputed)
        imputed = np.where(np.isnan(numbers), imputed, numbers)
        return self.columns.fill(rows, imputed)

    def describe_scores(self, scores: Array, errors: Array) -> dict[str, Any]:
        """Return the columns of scores, `(n,)`, and errors, `(n,)`."""
        one_in = self.fitted.find_rarity(scores)
        return {
            "score": scores,
            "one_in": one_in.astype(np.float32),
            "error": errors,
        }

    def describe_causes(self, causes: list[list[Cause]]) -> dict[str, Any]:
        """Return the columns that name why rows are odd."""
        return list_causes(causes, min(MOST_CAUSES, len(self.columns.names)))

    def find_causes(
        self, batch: Batch, attribution: Attribution | None = None
    ) -> list[list[Cause]]:
        """Return the columns that make each row odd, the oddest first."""
        attribution = attribution or self.fitted.explain(batch.numbers)
        orders = self.fitted.orders
        return find_causes(self.columns, batch.rows, batch.numbers, attribution, orders)


def load_transform(
    path: StrPath,
    output: Output = "codes",
    *,
    id: str | None = None,
    explain: bool = False,
) -> BatchTransform:
    """Read a model file as a function of Arrow batches.

    Args:
        path: a file that `tied-tables fit` has written, or `TiedAutoencoder.save` after
            a fit to a table with names.
        output: `"codes"`, `"reconstructions"`, `"filled"` or `"scores"`; see
            `BatchTransform`. Defaults to `"codes"`.
        id: a column to keep. Defaults to none.
        explain: whether scores name the columns that make rows odd. Defaults to
            `False`.

    Returns:
        The function.

    Raises:
        ValueError: if it is another file, or was fitted without column names.

    Examples:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from sklearn.datasets import load_iris
        >>> from tied_tables import TiedAutoencoder
        >>> from tied_tables.rows import load_transform
        >>> iris = load_iris(as_frame=True).data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/iris.safetensors"
        ...     TiedAutoencoder(1, max_iter=5).fit(iris).save(path)
        ...     encode = load_transform(path)
        >>> encode(pa.RecordBatch.from_pandas(iris)).schema.names
        ['code0']
    """
    contents = read(path)
    columns = find_columns(contents.model)
    if columns is None:
        raise ValueError(
            f"{os.fspath(path)!r} was fitted without column names: fit to a table that"
            " has them."
        )
    return BatchTransform(
        contents.model,
        columns,
        output,
        id,
        explain,
    )


def find_columns(fitted: TableModel) -> Columns | None:
    """Return the columns that a fitted value takes, or None if it has no names."""
    if fitted.columns is not None:
        return fitted.columns
    names = fitted.feature_names
    return None if names is None else Columns.of_numbers(names)


def to_dict(rows: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return the columns of rows by name."""
    return {name: rows[name] for name in rows.column_names}


def prepend_id(
    id: str | None,
    rows: pa.RecordBatch,
    columns: dict[str, Any],
) -> pa.RecordBatch:
    """Put the id column of rows, if any, before the columns of their results."""
    if id is None:
        return pa.record_batch(columns)
    if id in columns:
        raise TableError(
            f"the id column {id!r} has the name of a column of the result; rename it."
        )
    ids = {id: rows[id]}
    return pa.record_batch(ids | columns)


def code_names(n_components: int) -> list[str]:
    """Return the names of the components of a code."""
    return [f"code{index}" for index in range(n_components)]
