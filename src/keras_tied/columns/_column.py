"""One column of a table, as numbers and back."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from keras_tied._text import format_value
from keras_tied._types import Array
from keras_tied.columns._durations import Durations
from keras_tied.columns._kinds import LONGEST_TEXT, Kind, find_kind
from keras_tied.columns._number_text import (
    DASHES,
    MISSING,
    NumberText,
    TruthText,
    drop_missing,
)
from keras_tied.columns._times import Cycle, Times, decode_days, encode_cycles

OTHER = (  # the name of all categories that were too rare to have a number of their own
    "(other)"
)
MOST_MISREAD = (
    0.05  # the largest share of values that are not of the kind, and count as missing
)
NO_ROWS = np.array([], np.int64)
PLAIN = (Kind.boolean, Kind.integer, Kind.number, Kind.text)

Form: TypeAlias = NumberText | TruthText | Times | Durations


class MisfitError(Exception):
    """A value of a column is not of the expected kind; holds the value and its row."""

    def __init__(self, row: int, value: object, what: str) -> None:
        super().__init__(row, value, what)
        self.row, self.value, self.what = row, value, what


@dataclass(frozen=True)
class Column:
    """A column that is used, and the kind of its values."""

    # its name in the table, and what its values are: booleans and numbers become one
    # number; a time days since the first, and the sine and cosine of each cycle; text a
    # number for each category
    name: str
    kind: Kind
    # of text, the categories that have a number of their own, sorted, and whether all
    # others have one together
    categories: tuple[str, ...] = ()
    other: bool = False
    # how numbers, truth values and times are written, or None if they are no text
    form: Form | None = None
    # whether the categories are whole numbers in the table, or all numbers whole, or
    # all times without hours
    whole: bool = False
    # of times, the days from 1970 to the first, and the parts that vary: hour, weekday,
    # month
    origin: float = 0.0
    cycles: tuple[Cycle, ...] = ()

    @property
    def features(self) -> list[str]:
        """The names of its numbers."""
        if self.kind is Kind.time:
            waves = [
                f"{cycle} {wave}" for cycle in self.cycles for wave in ("sin", "cos")
            ]
            return [f"{self.name}:{part}" for part in ("days", *waves)]
        if self.kind is not Kind.text:
            return [self.name]
        return [f"{self.name}={category}" for category in self._labels]

    @property
    def longest_text(self) -> int:
        """About how many characters the text of a value has at most, besides digits."""
        names = () if self.form is None else self.form.__struct_fields__
        texts = [
            text for name in names if isinstance(text := getattr(self.form, name), str)
        ]
        return max(map(len, [*self.categories, "".join(texts)]))

    @property
    def description(self) -> str:
        """What its values are, for people."""
        if self.form is not None:
            return self.form.description
        return "categories" if self.kind is Kind.text else f"{self.kind}s"

    @property
    def expectation(self) -> str:
        """What a value should be, for messages."""
        return "a date or time" if self.kind is Kind.time else "a number"

    @property
    def _labels(self) -> list[str]:
        return [*self.categories, *[OTHER] * self.other]

    def require_consistent(self) -> None:
        """Raise a `ValueError` if its attributes contradict one another."""
        is_text, is_time = self.kind is Kind.text, self.kind is Kind.time
        distinct, wholes = set(self.categories), re.compile(r"-?\d{1,18}")
        faults = {
            "a kind that is not used": self.kind not in (*PLAIN, Kind.time),
            "invalid categories": (
                is_text != bool(distinct) or len(distinct) < len(self.categories)
            ),
            "other categories and none": self.other and not is_text,
            "categories that are not whole numbers": (
                self.whole and not all(map(wholes.fullmatch, self.categories))
            ),
            "a form of another kind": is_time != isinstance(self.form, Times),
            "an invalid first time": not abs(self.origin) < 2**31,
            "text that is too long": self.longest_text > LONGEST_TEXT,
        }
        for fault in (what for what, is_so in faults.items() if is_so):
            raise ValueError(f"column {self.name!r} has {fault}")

    def encode(self, values: pa.Array) -> tuple[Array, Array]:
        """Return its numbers, (n, features) float32, and the rows without a known category."""
        if self.kind is Kind.time:
            days = self.parse(values)
            numbers = np.column_stack(
                [days - self.origin, *encode_cycles(days, self.cycles)]
            )
            return numbers.astype(np.float32), NO_ROWS
        if self.kind is not Kind.text:
            return self.parse(values)[:, None], NO_ROWS
        values = _require_kind(values, PLAIN, "text", pa.string())
        dictionary = values.dictionary_encode()
        texts = self.clean(dictionary.dictionary)
        index = pc.index_in(_fold(texts), _fold(pa.array(self.categories, pa.string())))
        # Two rows more stand for what has no number of its own, and for what is
        # missing.
        unseen, missing = len(self.categories), len(self.categories) + 1
        index = pc.if_else(texts.is_valid(), index.fill_null(unseen), missing)
        codes = np.zeros((missing + 1, len(self._labels)), np.float32)
        np.fill_diagonal(codes, 1.0)
        codes[missing - (not self.other) :] = np.nan
        rows = np.asarray(index.take(dictionary.indices).fill_null(missing))
        return codes[rows], np.flatnonzero(rows == unseen)

    def parse(self, values: pa.Array) -> Array:
        """Return numbers or days, (n,) with NaN for a value that is missing or not of its kind.

        A value that is infinite, or of a type that cannot be of its kind, is a
        `MisfitError`.
        """
        form, kind = self.form, find_kind(values.type)
        if self.kind is Kind.time:
            times = form if isinstance(form, Times) else Times()
            if kind in (Kind.text, Kind.integer) and times.format:
                return times.parse(self.clean(values))
            return times.parse(
                _require_kind(values, (Kind.time,), self.expectation, pa.date32())
            )
        if isinstance(form, Durations) and pa.types.is_duration(values.type):
            values = form.parse(values)
        values = _require_kind(values, PLAIN, self.expectation)
        if isinstance(form, TruthText) and kind is Kind.text:
            different = values.dictionary_encode()
            values = form.parse(self.clean(different.dictionary)).take(
                different.indices
            )
        elif kind is Kind.text:
            numeric = form if isinstance(form, NumberText | Durations) else NumberText()
            values = numeric.parse(self.clean(values))
        numbers: Array = values.cast(pa.float32(), safe=False).to_numpy(
            zero_copy_only=False
        )
        infinite = np.isinf(numbers)
        if infinite.any():
            row = int(infinite.argmax())
            raise MisfitError(row, get_value(values, row), "a number within ±3.4e38")
        return numbers

    def find_misread(self, values: pa.Array, numbers: Array) -> Array:
        """Return the rows of text that is no missing value, and was parsed as NaN."""
        if find_kind(values.type) is not Kind.text or self.kind is Kind.text:
            return NO_ROWS
        is_nan = np.isnan(numbers)
        if is_nan.any():
            is_nan &= self.clean(values).is_valid().to_numpy(zero_copy_only=False)
        return np.flatnonzero(is_nan)

    def clean(self, values: pa.Array) -> pa.Array:
        """Return values as text, null where missing; a `MisfitError` if they have no text."""
        values = _require_kind(values, PLAIN, "text")
        if self.whole and pa.types.is_floating(
            values.type
        ):  # as pandas has whole numbers and gaps
            values = values.cast(pa.int64(), safe=False)
        if find_kind(values.type) is Kind.boolean:
            values = pc.if_else(values, "true", "false")
        has_signs = "-" in self.categories or isinstance(self.form, TruthText)
        cells = drop_missing(values, MISSING if has_signs else (*MISSING, *DASHES))
        return (
            self.form.drop_missing(cells)
            if isinstance(self.form, NumberText)
            else cells
        )

    def decode(self, numbers: Array, named: bool = False) -> pa.Array:
        """Return the values for its numbers, (n, features); NaN is a missing value.

        With `named`, a category is one of those that have a name.
        """
        is_missing = np.isnan(numbers).any(axis=1)
        single = numbers[:, 0]
        if self.kind is Kind.text:
            present = np.where(np.isnan(numbers), -np.inf, numbers)
            labels = pa.array(self._labels, pa.string())
            if named:
                present = present[:, : len(self.categories)]
                labels = labels[: len(self.categories)]
            if self.whole and (named or not self.other):
                labels = labels.cast(pa.int64())
            return labels.take(pa.array(present.argmax(axis=1), mask=is_missing))
        if isinstance(self.form, Times):
            days = decode_days(numbers, self.cycles) + self.origin
            return self.form.format_days(np.rint(days) if self.whole else days)
        if isinstance(self.form, Durations):
            return self.form.format(np.rint(single) if self.whole else single)
        if isinstance(self.form, TruthText) or not (
            self.form is None or self.form.is_whole
        ):
            return self.form.format(single)
        if self.kind is Kind.boolean:
            return pa.array(single >= 0.5, mask=is_missing)
        if self.kind is Kind.integer:
            whole = np.where(is_missing, 0.0, single.astype(np.float64))
            within = np.clip(np.rint(whole), -(2.0**63), 2.0**63 - 1024)
            return pa.array(within.astype(np.int64), mask=is_missing)
        return pa.array(np.rint(single) if self.whole else single, mask=is_missing)


def _fold(texts: pa.Array) -> pa.Array:
    """Categories are the same whatever their case, as while they were learned."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(texts))


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


def _require_kind(
    values: pa.Array,
    kinds: Collection[Kind],
    what: str,
    dtype: pa.DataType | None = None,
) -> pa.Array:
    """Return the values if they are of some kind, or nulls if all are missing; else raise."""
    if find_kind(values.type) in kinds:
        return values
    row = pc.index(values.is_valid(), True).as_py()
    if row >= 0:
        raise MisfitError(row, get_value(values, row), what)
    return pa.nulls(len(values), dtype)
