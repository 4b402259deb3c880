"""One column of a table, as numbers and back."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._types import Array
from keras_tied.tables._kinds import Kind, find_kind

OTHER = "(other)"
"""The name of all categories that were too rare to have a number of their own."""


class MisfitError(Exception):
    """A value of a column is not of the expected kind; holds the value and its row."""

    def __init__(self, row: int, value: object, what: str) -> None:
        super().__init__(row, value, what)
        self.row, self.value, self.what = row, value, what


@dataclass(frozen=True)
class Column:
    """A column that is used, and the kind of its values.

    Attributes:
        name: its name in the table.
        kind: boolean, integer or number: a single number. Text: a number for each category.
        categories: of text, those that have a number of their own, sorted.
        other: of text, whether all other categories have a number together.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    other: bool = False

    @property
    def features(self) -> list[str]:
        """The names of its numbers."""
        if self.kind is not Kind.text:
            return [self.name]
        return [f"{self.name}={category}" for category in self._labels]

    @property
    def _labels(self) -> list[str]:
        return [*self.categories, *[OTHER] * self.other]

    def encode(self, values: pa.Array) -> tuple[Array, int]:
        """Return its numbers, (n, features) float32, and how many values have no known category."""
        if self.kind is not Kind.text:
            return _to_numbers(values)[:, None], 0
        texts = _require_usable(values, "text").cast(pa.string())
        index = pc.index_in(texts, value_set=pa.array(self.categories, pa.string()))
        is_missing = texts.is_null().to_numpy(zero_copy_only=False)
        unseen = index.is_null().to_numpy(zero_copy_only=False) & ~is_missing
        index = index.fill_null(len(self.categories)).to_numpy(zero_copy_only=False)
        # A row more stands for what has no number at all.
        codes = np.zeros((len(self.categories) + 1, len(self._labels)), np.float32)
        np.fill_diagonal(codes, 1.0)
        numbers = codes[index]
        numbers[is_missing] = np.nan
        return numbers, int(unseen.sum())

    def decode(self, numbers: Array) -> pa.Array:
        """Return the values for its numbers, (n, features); NaN is a missing value."""
        is_missing = np.isnan(numbers).any(axis=1)
        single = numbers[:, 0]
        match self.kind:
            case Kind.text:
                present = np.where(np.isnan(numbers), -np.inf, numbers)
                labels = pa.array(self._labels, pa.string())
                return labels.take(pa.array(present.argmax(axis=1), mask=is_missing))
            case Kind.boolean:
                return pa.array(single >= 0.5, mask=is_missing)
            case Kind.integer:
                whole = np.where(is_missing, 0.0, single.astype(np.float64))
                within = np.clip(np.rint(whole), -(2.0**63), 2.0**63 - 1024)
                return pa.array(within.astype(np.int64), mask=is_missing)
        return pa.array(single, mask=is_missing)


def _to_numbers(values: pa.Array) -> Array:
    values = _require_usable(values, "a number")
    if find_kind(values.type) is Kind.text:
        values = _parse(values)
    numbers: Array = values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        raise MisfitError(row, values[row].as_py(), "a number within ±3.4e38")
    return numbers


def _require_usable(values: pa.Array, what: str) -> pa.Array:
    """Return the values if they are numbers or text, or all missing; else raise."""
    if find_kind(values.type) not in (Kind.time, Kind.other):
        return values
    row = pc.index(values.is_valid(), True).as_py()
    if row >= 0:
        raise MisfitError(row, values[row].as_py(), what)
    return pa.nulls(len(values))


def _parse(texts: pa.Array) -> pa.Array:
    """Parse text as numbers."""
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        for row, text in enumerate(texts):
            try:
                pc.cast(text, pa.float64())
            except pa.ArrowInvalid as error:
                raise MisfitError(row, text.as_py(), "a number") from error
        raise
