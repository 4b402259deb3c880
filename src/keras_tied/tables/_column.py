"""One column of a table, as numbers and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._text import format_value
from keras_tied._types import Array
from keras_tied.tables._kinds import Kind, find_kind
from keras_tied.tables._number_text import DASHES, MISSING, NumberText, TruthText, drop_missing
from keras_tied.tables._times import Times, decode_days, encode_cycles

OTHER = "(other)"
"""The name of all categories that were too rare to have a number of their own."""
MOST_MISREAD = 0.05
"""The largest share of values that are not of the column's kind and count as missing."""

Form: TypeAlias = NumberText | TruthText | Times


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
        kind: boolean, integer or number: a single number. Time: days since the first, and the sine
            and cosine of each cycle. Text: a number for each category.
        categories: of text, those that have a number of their own, sorted.
        other: of text, whether all other categories have a number together.
        form: how numbers, truth values and times are written, or None if they are no text.
        folded: of text, whether upper and lower case are the same.
        whole: of text, whether its categories are whole numbers in the table.
        origin: of times, the days from 1970 to the first.
        cycles: of times, the parts that vary: hour, weekday, month.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    other: bool = False
    form: Form | None = None
    folded: bool = False
    whole: bool = False
    origin: float = 0.0
    cycles: tuple[str, ...] = ()

    @property
    def features(self) -> list[str]:
        """The names of its numbers."""
        if self.kind is Kind.time:
            waves = [f"{self.name}:{cycle} {wave}" for cycle in self.cycles for wave in _WAVES]
            return [f"{self.name}:days", *waves]
        if self.kind is not Kind.text:
            return [self.name]
        return [f"{self.name}={category}" for category in self._labels]

    @property
    def description(self) -> str:
        """What its values are, for people."""
        if self.form is not None:
            return self.form.description
        return "categories" if self.kind is Kind.text else f"{self.kind}s"

    @property
    def _labels(self) -> list[str]:
        return [*self.categories, *[OTHER] * self.other]

    def encode(self, values: pa.Array) -> tuple[Array, int]:
        """Return its numbers, (n, features) float32, and how many values have no known category."""
        if self.kind is not Kind.text:
            return self._to_features(self.parse(values)), 0
        different, places = _find_different(_require_usable(values, "text"))
        texts = self.clean(different)
        index = pc.index_in(self._fold(texts), self._fold(pa.array(self.categories, pa.string())))
        # Two rows more stand for what has no number at all, and for what is missing.
        unseen, missing = len(self.categories), len(self.categories) + 1
        index = pc.if_else(texts.is_valid(), index.fill_null(unseen), missing)
        codes = np.zeros((missing + 1, len(self._labels)), np.float32)
        np.fill_diagonal(codes, 1.0)
        codes[missing] = np.nan
        rows = np.asarray(index.take(places).fill_null(missing))
        return codes[rows], int(np.count_nonzero(rows == unseen))

    def parse(self, values: pa.Array) -> Array:
        """Return numbers or days, (n,) with NaN for a value that is missing or not of its kind.

        Raises:
            MisfitError: if a value is infinite, or of a type that cannot be of its kind.
        """
        if self.kind is Kind.time:
            return self._parse_times(values)
        values = _require_usable(values, "a number")
        if find_kind(values.type) is Kind.text:
            if isinstance(self.form, TruthText):
                different, places = _find_different(values)
                values = self.form.parse(self.clean(different)).take(places)
            else:
                form = self.form if isinstance(self.form, NumberText) else NumberText()
                values = form.parse(self.clean(values))
        numbers: Array = values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
        infinite = np.isinf(numbers)
        if infinite.any():
            row = int(infinite.argmax())
            raise MisfitError(row, get_value(values, row), "a number within ±3.4e38")
        return numbers

    def find_misread(self, values: pa.Array, numbers: Array) -> Array:
        """Return the rows of text that is no missing value, and was parsed as NaN."""
        if find_kind(values.type) is not Kind.text or self.kind is Kind.text:
            return np.array([], np.int64)
        is_nan = np.isnan(numbers)
        if is_nan.any():
            is_nan &= self.clean(values).is_valid().to_numpy(zero_copy_only=False)
        return np.flatnonzero(is_nan)

    @property
    def expectation(self) -> str:
        """What a value should be, for messages."""
        return "a date or time" if self.kind is Kind.time else "a number"

    def clean(self, values: pa.Array) -> pa.Array:
        """Return values as text, with a null for each that is missing.

        Raises:
            MisfitError: if they are of a type that has no text.
        """
        values = _require_usable(values, "text")
        if find_kind(values.type) is Kind.boolean:
            values = pc.if_else(values, "true", "false")
        signs = isinstance(self.form, TruthText) or (
            self.kind is Kind.text and "-" in self.categories
        )
        cells = drop_missing(values, MISSING if signs else (*MISSING, *DASHES))
        return self.form.drop_missing(cells) if isinstance(self.form, NumberText) else cells

    def _fold(self, texts: pa.Array) -> pa.Array:
        trimmed = pc.utf8_trim_whitespace(texts)
        return pc.utf8_lower(trimmed) if self.folded else trimmed

    def _parse_times(self, values: pa.Array) -> Array:
        times = self.form if isinstance(self.form, Times) else Times()
        kind = find_kind(values.type)
        if kind in (Kind.text, Kind.integer) and times.format:
            return times.parse(self.clean(values))
        if kind not in (Kind.time, Kind.empty):
            row = pc.index(values.is_valid(), True).as_py()
            if row >= 0:
                raise MisfitError(row, get_value(values, row), "a date or time")
            values = pa.nulls(len(values))
        return times.parse(values if kind is Kind.time else pa.nulls(len(values), pa.date32()))

    def _to_features(self, values: Array) -> Array:
        if self.kind is not Kind.time:
            return values[:, None]
        waves = encode_cycles(values, self.cycles)
        return np.column_stack([values - self.origin, *waves]).astype(np.float32)

    def decode(self, numbers: Array) -> pa.Array:
        """Return the values for its numbers, (n, features); NaN is a missing value."""
        is_missing = np.isnan(numbers).any(axis=1)
        single = numbers[:, 0]
        if self.kind is Kind.text:
            present = np.where(np.isnan(numbers), -np.inf, numbers)
            labels = pa.array(self._labels, pa.string())
            if self.whole and not self.other:
                labels = labels.cast(pa.int64())
            return labels.take(pa.array(present.argmax(axis=1), mask=is_missing))
        if isinstance(self.form, Times):
            return self.form.format_days(decode_days(numbers, self.cycles) + self.origin)
        if isinstance(self.form, TruthText) or not (self.form is None or self.form.is_whole):
            return self.form.format(single)
        if self.kind is Kind.boolean:
            return pa.array(single >= 0.5, mask=is_missing)
        if self.kind is Kind.integer:
            whole = np.where(is_missing, 0.0, single.astype(np.float64))
            within = np.clip(np.rint(whole), -(2.0**63), 2.0**63 - 1024)
            return pa.array(within.astype(np.int64), mask=is_missing)
        return pa.array(single, mask=is_missing)


def _find_different(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the different values, and the place of each value among them, or a null."""
    if pa.types.is_null(values.type):
        values = values.cast(pa.string())
    dictionary = values.dictionary_encode()
    return dictionary.dictionary, dictionary.indices


_WAVES = ("sin", "cos")


def get_value(values: pa.Array, row: int) -> object:
    """Return a value, or what it is if Python has no such date or time zone."""
    try:
        return values[row].as_py()
    except (OverflowError, ValueError, KeyError):
        return f"a {values.type} out of range"


def format_cell(values: pa.Array, row: int) -> str:
    """Format a value as it stands in a table, so that --na recognises it."""
    value = get_value(values, row)
    return format_value(f"{value:.15g}" if isinstance(value, float) else value)


def _require_usable(values: pa.Array, what: str) -> pa.Array:
    """Return the values if they are numbers or text, or all missing; else raise."""
    if find_kind(values.type) not in (Kind.time, Kind.other):
        return values
    row = pc.index(values.is_valid(), True).as_py()
    if row >= 0:
        raise MisfitError(row, get_value(values, row), what)
    return pa.nulls(len(values))
