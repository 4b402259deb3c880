"""One column of a table, as numbers and back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs
from pyarrow import types

from tied_tables._text import OTHER, format_value
from tied_tables._types import Array
from tied_tables.columns._arrow import to_floats, to_integers, to_text
from tied_tables.columns._durations import Durations
from tied_tables.columns._kinds import LONGEST_TEXT, NUMERIC_KINDS, Kind, find_kind
from tied_tables.columns._missing import drop_missing
from tied_tables.columns._number_text import (
    MOST_PLACES,
    ROWS_TO_DECIDE,
    NumberText,
    decide_number_text,
    is_number,
)
from tied_tables.columns._spelling import find_similar
from tied_tables.columns._times import (
    DAY_SECONDS,
    MONTH,
    Cycle,
    Times,
    are_monthly,
    decode_days,
    encode_cycles,
    snap_to_months,
)
from tied_tables.columns._truth_text import TruthText

FEWEST_MULTIPLES = 5  # different numbers that tell what all are multiples of
EARLIEST = -0.25  # that one time of day is before another that it follows, in days
NO_DECIMALS = r"^\s*([-+]?\d+)\.0+\s*$"  # the text of a whole number as a decimal
SNAPPED_PLACES = 9  # decimals of these: of days, a ten-thousandth of a second
NO_ROWS = np.array([], np.int64)
CELL_KINDS = (Kind.boolean, *NUMERIC_KINDS, Kind.text)

AnyForm: TypeAlias = NumberText | TruthText | Times | Durations  # of a model's file


@dataclass(eq=False)
class MisfitError(Exception):
    """A value of a column is not of the expected kind; holds the value and its row."""

    row: int
    value: object
    what: str


class Encoded(NamedTuple):
    """Values as numbers, `(n, features)`, NaN where one is missing.

    `unseen` are the rows without a known category, `misspelt` those that count as the
    category of which theirs may be a misspelling.
    """

    numbers: Array
    unseen: Array = NO_ROWS
    misspelt: Array = NO_ROWS


@dataclass(frozen=True)
class Column:
    """A column that is used, and the kind of its values.

    Attributes:
        name: in the table.
        kind: what its values are. Booleans and numbers become one number; a time the
            days since the first, and the sine and cosine of each cycle; text a number
            for each category.
        categories: of text, those that have a number of their own, sorted.
        other: whether all other categories have a number together.
        form: how numbers, truth values and times are written; None if they are plain.
        whole: whether the categories are whole numbers in the table, or all numbers
            whole.
        exact: whether categories are taken as they are: none is another one in another
            case, a misspelling, or the mark of a missing value.
        double: whether its numbers are in double precision: single would lose what
            they differ by, or all of them.
        step: what all numbers are multiples of, such as 0.01 or 5; 0 for nothing. Of
            times, the same of the days since the origin; `MONTH` where they are the
            same day of their months, or the last.
        origin: of times, the days from 1970 to the first; of times of day, when their
            day begins.
        cycles: of times, the parts that vary.
        since: of times, another column of times; the days from its times to these are
            one number more.
        marks: texts of a missing value, beside those that always are.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    other: bool = False
    form: AnyForm | None = None
    whole: bool = False
    exact: bool = False
    double: bool = False
    step: float = 0.0
    origin: float = 0.0
    cycles: tuple[Cycle, ...] = ()
    since: str = ""
    marks: tuple[str, ...] = ()

    @property
    def features(self) -> list[str]:
        """The names of its numbers."""
        if self.kind not in (Kind.text, Kind.time):
            return [self.name]
        mark = "=" if self.kind is Kind.text else ":"
        return [f"{self.name}{mark}{part}" for part in self.labels]

    @property
    def labels(self) -> list[str]:
        """What its numbers stand for, if it is text or times."""
        if self.kind is Kind.text:
            return [*self.categories, *[OTHER] * self.other]
        if self.kind is not Kind.time:
            return []
        parts = ["days"]
        for cycle in self.cycles:
            parts += [f"{cycle} sin", f"{cycle} cos"]
        if self.since:
            parts.append(f"days since {self.since}")
        return parts

    @property
    def longest_text(self) -> int:
        """About how many characters the text of a value has at most, besides digits."""
        return max(map(len, (str(self.form), *self.categories)))

    @property
    def description(self) -> str:
        """What its values are, for people."""
        if self.form is not None:
            return self.form.description
        return "categories" if self.kind is Kind.text else f"{self.kind}s"

    @property
    def text_form(self) -> AnyForm:
        """How its values are read from text that is not of categories."""
        if self.kind is Kind.boolean:
            return self.form or TruthText("true", "false")
        return self.form or NumberText()

    @property
    def expectation(self) -> str:
        """What a value should be, for messages."""
        if self.kind is Kind.boolean:
            return self.text_form.description
        return "a date or time" if self.kind is Kind.time else "a number"

    def require_consistent(self) -> None:
        """Raise an error of Python's or Arrow's if its attributes are no column's."""
        is_text = self.kind is Kind.text
        are_times = isinstance(self.form, Times)
        categories = self.categories
        are_distinct = len(set(categories)) == len(categories)
        if self.whole:
            _to_whole(categories)  # raises for words
        is_consistent = (
            self.kind in (*CELL_KINDS, Kind.time),
            is_text == bool(categories) and are_distinct,
            is_text or not self.other,
            are_times == (self.kind is Kind.time),
            0 <= self.step < 2**31,
            abs(self.origin) < 2**31,
            are_times or not self.since,
            self.longest_text <= LONGEST_TEXT,
        )
        if not all(is_consistent):
            raise ValueError(f"the attributes of column {self.name!r} are no column's")

    def encode(self, values: pa.Array, days: Mapping[str, Array]) -> Encoded:
        """Encode values as numbers.

        `days` are those of other columns of times, by name; the numbers that need
        one that is not there are NaN.
        """
        if self.kind is Kind.text:
            return self._encode_categories(values)
        numbers = self.parse(values)
        waves = encode_cycles(numbers, self.cycles)
        columns = [self.wrap(numbers - self.origin), *waves]
        if self.since:
            previous_days = days.get(self.since, np.nan)
            columns.append(self.wrap(numbers - previous_days, EARLIEST))
        return Encoded(np.column_stack(columns))

    @property
    def is_clock(self) -> bool:
        """Whether the values are times of day."""
        return isinstance(self.form, Times) and self.form.is_clock

    def wrap(self, days: Array, least: float = 0.0) -> Array:
        """Times of day, or between these, in the day from `least` on; else the same."""
        if not self.is_clock:
            return days
        since_least = np.round(days - least, SNAPPED_PLACES)
        return since_least % 1.0 + least

    def _encode_categories(self, values: pa.Array) -> Encoded:
        values = _require_kind(values, CELL_KINDS, "text")
        dictionary = values.dictionary_encode()
        texts = self.clean(dictionary.dictionary)
        known = pa.array(self.categories)
        folded = texts, known
        if not self.exact:
            folded = pc.utf8_lower(texts), pc.utf8_lower(known)
        places = pc.index_in(*folded)
        # More codes are of what has no number of its own, and of what is missing.
        unseen = len(known)
        missing = unseen + 1
        places = places.fill_null(unseen)
        places = pc.if_else(texts.is_valid(), places, missing)
        n_labels = len(self.labels)
        codes = np.eye(missing + 1, n_labels, dtype=np.float32)
        codes[n_labels:] = np.nan
        places = np.append(places, missing)  # of a cell without a text
        new = np.flatnonzero(places == unseen)
        is_misspelt = np.zeros(len(places), bool)
        for place, known_place in self.find_meanings(texts.take(new).to_pylist()):
            places[new[place]] = known_place
            is_misspelt[new[place]] = True
        rows = np.asarray(dictionary.indices.fill_null(len(texts)))
        cells = places[rows]
        return Encoded(
            codes[cells],
            np.flatnonzero(cells == unseen),
            np.flatnonzero(is_misspelt[rows]),
        )

    def find_meanings(self, texts: Sequence[str]) -> list[tuple[int, int]]:
        """The places of texts, and of categories that they may be misspellings of."""
        return [] if self.exact else find_similar(texts, self.categories)

    def parse(self, values: pa.Array) -> Array:
        """Return numbers or days, (n,), NaN for what is missing or not of its kind.

        Nor are numbers out of range. A value of a type that cannot be of its kind is a
        `MisfitError`.
        """
        kind = find_kind(values.type)
        form = self.text_form
        are_times = isinstance(form, Times)
        if kind is Kind.text or (are_times and kind in NUMERIC_KINDS):
            parsed = form.parse(self.clean(values))
        elif type(form) is type(find_form(values.type)):
            parsed = form.parse(values)
        else:
            kinds = () if are_times else CELL_KINDS
            values = _require_kind(values, kinds, self.expectation)
            parsed = to_floats(drop_marks(values, self.marks))
        if are_times:
            return parsed
        if self.kind is Kind.boolean:
            is_truth = (parsed == 0) | (parsed == 1)
            parsed = np.where(is_truth, parsed, np.nan)
        dtype = np.float64 if self.double else np.float32
        with np.errstate(over="ignore"):  # which is infinite then
            numbers: Array = parsed.astype(dtype, copy=False)
        is_infinite = np.isinf(numbers)
        return np.where(is_infinite, dtype(np.nan), numbers)

    def find_misread(self, values: pa.Array, numbers: Array) -> Array:
        """Return the rows of what is no missing value, and was parsed as NaN."""
        if self.kind is Kind.text or find_kind(values.type) not in CELL_KINDS:
            return NO_ROWS
        is_misread = np.isnan(numbers)
        if is_misread.any():
            cells = self.clean(values)
            is_misread &= np.asarray(cells.is_valid())
        return np.flatnonzero(is_misread)

    def clean(self, values: pa.Array) -> pa.Array:
        """Return values as text, null where missing.

        Values that have no text are a `MisfitError`.
        """
        values = drop_marks(_require_kind(values, CELL_KINDS, "text"), self.marks)
        # As pandas has, and writes, whole numbers and gaps.
        if self.whole and find_kind(values.type) is Kind.text:
            values = pc.replace_substring_regex(values, NO_DECIMALS, r"\1")
        elif self.whole and find_kind(values.type) is Kind.number:
            numbers = to_floats(values)
            is_whole = numbers == np.rint(numbers)
            values = pc.if_else(is_whole, values.cast(pa.int64(), safe=False), None)
        if self.exact:
            return values.cast(pa.string())
        form = self.form
        has_signs = isinstance(form, TruthText) and form.has_signs
        return drop_missing(values, has_signs)

    def write_as(self, dtype: pa.DataType) -> Self:
        """The column in the form of values of a type, where that is no text."""
        form = find_form(dtype)
        are_texts = find_kind(dtype) in (Kind.text, Kind.empty)
        if are_texts or (form is None and self.kind is Kind.time):  # or are digits
            return self
        return replace(self, form=form)

    def find_form(self, values: pa.Array) -> NumberText:
        """Return how to write numbers: with as many decimals as values have.

        Where these have exponents, with as many as single precision has.
        """
        form, _ = decide_number_text(to_text(values.drop_null()[:ROWS_TO_DECIDE]), ".")
        if form.places is None:
            return form
        return structs.replace(form, places=self._find_places(form.places))

    def _find_places(self, places: int) -> int | None:
        """The decimals to write, where some values have so many; None for all."""
        if not self.step:
            return places or (0 if self.whole else None)
        _, _, decimals = f"{self.step:.9f}".rstrip("0").partition(".")
        return max(places, len(decimals))

    def find_days(self, numbers: Array, known: Mapping[str, Array]) -> Array:
        """Return the days, (n,), of a time for its numbers, (n, features).

        Where those of the column that it follows are known, it is as far from these as
        its last number says.
        """
        days = decode_days(numbers, self.cycles, self.origin, self.is_clock)
        if self.since in known:
            after = known[self.since] + numbers[:, -1]
            days = np.where(np.isnan(after), days, after)
        snapped = snap(days - self.origin, self.step, self.origin)
        return self.wrap(snapped + self.origin)

    def decode(
        self,
        numbers: Array,
        named: bool,
        days: Mapping[str, Array],
    ) -> pa.Array:
        """Return the values for its numbers, (n, features); NaN is a missing value.

        With `named`, a category is one of those that have a name. `days` are those of
        other columns of times, by name.
        """
        if self.kind is Kind.text:
            return self._decode_categories(numbers, named)
        single = numbers[:, 0]
        if self.kind is Kind.time:
            single = self.find_days(numbers, days)
        if self.whole:
            single = np.rint(single)
        if self.form is not None:
            return self.form.write(single)
        if self.kind is Kind.integer:
            return to_integers(single, pa.int64())
        values = single
        if self.kind is Kind.boolean:
            values = single >= 0.5
        return pa.array(values, mask=np.isnan(single))

    def _decode_categories(self, numbers: Array, named: bool) -> pa.Array:
        is_missing = np.isnan(numbers)  # (n, features)
        labels = self.categories if named else self.labels
        shares = np.where(is_missing, -np.inf, numbers)
        shares = shares[:, : len(labels)]
        best = shares.argmax(axis=1)  # (n,)
        places = pa.array(best, mask=is_missing.any(axis=1))
        is_whole = self.whole and OTHER not in labels
        values = _to_whole(labels) if is_whole else pa.array(labels)
        return values.take(places)


def _to_whole(texts: Sequence[str]) -> pa.Array:
    """Return whole numbers, without a sign if one of them is too large for that."""
    values = pa.array(texts, pa.string())
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        return values.cast(pa.uint64())


def find_form(dtype: pa.DataType) -> AnyForm | None:
    """The form of times and durations of a type; None of others."""
    if types.is_duration(dtype):
        return Durations(is_text=False)
    if types.is_timestamp(dtype):
        return Times(dtype="timestamp", zone=dtype.tz or "")
    if find_kind(dtype) is Kind.time:
        return Times(dtype="date" if types.is_date(dtype) else "time")
    return None


def drop_marks(values: pa.Array, marks: Collection[str]) -> pa.Array:
    """Return values with a null for each that is one of the marks."""
    kind = find_kind(values.type)
    if not marks or kind not in (*NUMERIC_KINDS, Kind.text):
        return values
    if kind is Kind.text:
        is_mark = pc.is_in(to_text(values), pa.array(marks))
    else:
        numbers = np.array([float(mark) for mark in marks if is_number(mark)])
        both = np.append(numbers, numbers.astype(np.float32))  # as a column may have it
        is_mark = np.isin(to_floats(values), both)
    return pc.if_else(is_mark, None, values)


def snap(numbers: Array, step: float, origin: float = 0.0) -> Array:
    """The nearest multiples of a step, and the numbers themselves if it is 0.

    If it is `MONTH`, these are days since the origin.
    """
    if not step:
        return numbers
    if step == MONTH:
        return snap_to_months(numbers + origin, origin) - origin
    multiples = np.rint(numbers.astype(np.float64) / step)
    return np.round(multiples * step, SNAPPED_PLACES) + 0.0  # without -0


def find_step(numbers: Array) -> float:
    """The largest number that different ones are multiples of, 0 for none."""
    doubles = numbers.astype(np.float64)
    for places in range(MOST_PLACES + 1):
        power = 10**places
        multiples = np.rint(doubles * power)
        if np.abs(multiples).max() >= 2**31:
            break
        rounded = (multiples / power).astype(numbers.dtype)
        if not np.array_equal(rounded, numbers):
            continue
        divisor = np.gcd.reduce(multiples.astype(np.int64))
        return float(divisor) / power
    return 0.0


def find_step_of_days(days: Array, origin: float) -> float:
    """The same of different days since the origin: a day at most where they are few."""
    if len(days) >= FEWEST_MULTIPLES and are_monthly(days + origin):
        return MONTH
    exact = days * DAY_SECONDS
    seconds = np.rint(exact)
    if np.abs(seconds - exact).max() > DAY_SECONDS / 10**SNAPPED_PLACES:
        return 0.0
    divisor = np.gcd.reduce(seconds.astype(np.int64))
    if len(days) < FEWEST_MULTIPLES:
        divisor = np.gcd(divisor, DAY_SECONDS)
    return float(divisor) / DAY_SECONDS


def get_value(values: pa.Array, row: int) -> object:
    """Return a value, or its text if Python has no such time or time zone."""
    try:
        return values[row].as_py()
    except (OverflowError, ValueError, KeyError):
        single = values.slice(row, 1)
        if types.is_nested(single.type):  # NumPy's are objects of Python, too
            return str(single)
        return str(np.asarray(single)[0])


def list_values(values: pa.Array) -> list[object]:
    """Return all values as `get_value` does."""
    return [get_value(values, row) for row in range(len(values))]


def format_cell(values: pa.Array, row: int) -> str:
    """Format a value as it stands in a table, so that it can be a mark."""
    value = get_value(values, row)
    if isinstance(value, float):
        value = f"{value:.15g}"
    return "" if value is None else format_value(value)


def _require_kind(
    values: pa.Array,
    kinds: Collection[Kind],
    what: str,
) -> pa.Array:
    """Return the values if they are of some kind, or nulls if all are missing."""
    if find_kind(values.type) in kinds:
        return values
    first = pc.index(values.is_valid(), True)
    row = first.as_py()
    if row >= 0:
        raise MisfitError(row, get_value(values, row), what)
    return pa.nulls(len(values))
