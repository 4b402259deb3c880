"""A table as numbers, and numbers as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from keras_tied._types import Array
from keras_tied.tables import _learning
from keras_tied.tables._column import Column, MisfitError
from keras_tied.tables._errors import TableError, quote
from keras_tied.tables._kinds import Kind

VERSION = 1
USABLE = (Kind.boolean, Kind.integer, Kind.number, Kind.text)


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are used, and their encoding as numbers.

    Numbers and booleans are used as they are, booleans as 0 and 1. Text becomes a number for each
    category, 1 for the one that it is and 0 for the others. A missing value is NaN in all of the
    numbers of its column.

    Attributes:
        used: the columns that are used, in the order of their numbers.
        left_out: why each other column is not used, by name.
        label: the column of labels, which is never used, or None.
        id: the column that names rows and is never used, or None.

    Examples:
        >>> import pyarrow as pa
        >>> from keras_tied.tables import Columns
        >>> fruit = pa.record_batch({"kind": ["plum", "apple", "plum"], "weight": [31, 182, None]})
        >>> columns = Columns.learn(fruit)
        >>> columns.features
        ['kind=apple', 'kind=plum', 'weight']
        >>> columns.encode(fruit)
        array([[  0.,   1.,  31.],
               [  1.,   0., 182.],
               [  0.,   1.,  nan]], dtype=float32)
        >>> columns.decode([[0.2, 0.7, 40.4]]).to_pylist()
        [{'kind': 'plum', 'weight': 40}]
    """

    used: tuple[Column, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    id: str | None = None

    @classmethod
    def learn(
        cls,
        sample: pa.RecordBatch,
        *,
        columns: Sequence[str] | None = None,
        exclude: Collection[str] = (),
        label: str | None = None,
        id: str | None = None,
    ) -> Self:
        """Look at some rows, and decide which columns to use and how.

        Left out are dates and times, nested and binary values, columns without any value, and text
        that is no category: of which more than four in five values differ, or all are rarer than
        one in a hundred. Of categories, the 20 most frequent that are not rarer than that have a
        number each, and all others one together. A constant column is used: another row may differ.

        Args:
            sample: the rows, such as `Source.sample` gives.
            columns: the columns that may be used. Defaults to all.
            exclude: columns that are not used. Defaults to none.
            label: the column of labels. Defaults to none.
            id: the column that names rows. Defaults to none.

        Raises:
            TableError: if a column that is named is not in the table, or none can be used.
        """
        used, left_out = _learning.choose_columns(sample, columns, exclude, label, id)
        return cls(tuple(used), left_out, label, id)

    @property
    def names(self) -> list[str]:
        """The names of the columns that are used."""
        return [column.name for column in self.used]

    @property
    def text(self) -> list[str]:
        """The columns to read as text: categories, the label and the id."""
        categories = [column.name for column in self.used if column.kind is Kind.text]
        return [*categories, *[name for name in (self.label, self.id) if name is not None]]

    @property
    def features(self) -> list[str]:
        """The names of the numbers, such as `colour=red`."""
        return [name for column in self.used for name in column.features]

    @property
    def feature_columns(self) -> list[str]:
        """For each of the numbers, the name of its column."""
        return [column.name for column in self.used for _ in column.features]

    def match(self, names: Sequence[str]) -> list[str]:
        """Compare with the columns of another table, which may have them in any order.

        Args:
            names: of the columns of that table.

        Returns:
            Those that this one has never seen, which are ignored.

        Raises:
            TableError: if one that is used is not there. The message names all that are not.
        """
        there = set(names)
        if absent := [name for name in self.names if name not in there]:
            raise TableError(f"the table has no column {quote(absent)}, which the model uses.")
        known_names = {*self.names, *self.left_out, self.label, self.id}
        return [name for name in names if name not in known_names]

    def encode(
        self, batch: pa.RecordBatch, first_row: int = 0, unseen: Counter[str] | None = None
    ) -> NDArray[np.float32]:
        """Encode rows as numbers.

        Args:
            batch: the rows; columns that are not used are ignored, and may come in any order.
            first_row: how many rows came before, for the messages.
            unseen: where to count, by column, the values whose category has no number of its own:
                rare ones and new ones, which are all in `(other)`, or 0 in all numbers if there was
                nothing rare when the columns were learned. Defaults to nowhere.

        Returns:
            The numbers, `(rows, len(features))`, with NaN where one is missing.

        Raises:
            TableError: if a column is not there, or a value is infinite or not of its kind.
        """
        self.match(batch.schema.names)
        numbers = np.empty((batch.num_rows, len(self.features)), np.float32)
        begin = 0
        for column in self.used if batch.num_rows else ():
            try:
                block, new = column.encode(batch.column(column.name))
            except MisfitError as misfit:
                raise TableError(
                    f"column {column.name!r} holds {misfit.value!r} in row "
                    f"{first_row + misfit.row + 1}, where {misfit.what} was expected; correct it, "
                    "or leave it empty."
                ) from misfit
            numbers[:, begin : begin + block.shape[1]] = block
            begin += block.shape[1]
            if unseen is not None and new:
                unseen[column.name] += new
        return numbers

    def decode(self, numbers: ArrayLike) -> pa.RecordBatch:
        """Decode numbers to rows, with the columns that are used.

        Text is the category of the largest number; booleans are true from 0.5 on; a column of
        whole numbers is rounded; NaN is a missing value.

        Args:
            numbers: `(rows, len(features))`.

        Raises:
            TableError: if they have another shape.
        """
        rows: Array = np.asarray(numbers)
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise TableError(
                f"numbers of the shape {rows.shape} were given; give {len(self.features)} columns."
            )
        if rows.dtype.kind != "f":
            rows = rows.astype(np.float64)
        ends = np.cumsum([len(column.features) for column in self.used])
        blocks = np.split(rows, ends[:-1], axis=1)
        arrays = [column.decode(block) for column, block in zip(self.used, blocks, strict=True)]
        return pa.record_batch(arrays, names=self.names)

    def to_json(self) -> dict[str, Any]:
        """Return all of this as JSON: dicts, lists, text, booleans."""
        columns = [
            {
                "name": column.name,
                "kind": column.kind.value,
                "categories": list(column.categories),
                "other": column.other,
            }
            for column in self.used
        ]
        return {
            "version": VERSION,
            "columns": columns,
            "left_out": dict(self.left_out),
            "label": self.label,
            "id": self.id,
        }

    @classmethod
    def from_json(cls, json: Any) -> Self:
        """Check and read the result of `to_json`; it may come from an untrusted file.

        Raises:
            TableError: if it is not what `to_json` gives.
        """
        match json:
            case {
                "version": 1,
                "columns": [_, *_] as columns,
                "left_out": dict() as left_out,
                "label": str() | None as label,
                "id": str() | None as id,
            } if all(isinstance(text, str) for pair in left_out.items() for text in pair):
                used = tuple(_parse_column(entry) for entry in columns)
            case _:
                raise _damage_error("they are not those of this version")
        if len({column.name for column in used}) < len(used):
            raise _damage_error("two have one name")
        return cls(used, dict(left_out), label, id)


def _parse_column(entry: Any) -> Column:
    match entry:
        case {
            "name": str() as name,
            "kind": str() as kind,
            "categories": list() as categories,
            "other": bool() as other,
        } if kind in USABLE and all(isinstance(category, str) for category in categories):
            is_text = kind == Kind.text
            if is_text != bool(categories) or len(set(categories)) < len(categories):
                raise _damage_error(f"the categories of {name!r} are not")
            if other and not is_text:
                raise _damage_error(f"{name!r} has no categories")
            return Column(name, Kind(kind), tuple(categories), other)
    raise _damage_error("one of them is not a column")


def _damage_error(why: str) -> TableError:
    return TableError(
        f"the description of the columns in the model file is damaged ({why}); save the model anew."
    )
