"""A table as numbers, and numbers as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from keras_tied._text import list_some
from keras_tied._types import Array
from keras_tied.tables import _learning
from keras_tied.tables._column import MOST_MISREAD, Column, MisfitError, format_cell, get_value
from keras_tied.tables._errors import TableError, quote
from keras_tied.tables._facts import Fact, Policy, Restored
from keras_tied.tables._kinds import Kind, find_kind
from keras_tied.tables._notes import (
    OLD_KEYS,
    damage_error,
    describe_column,
    parse_column,
    parse_restoration,
)

MOST_EXAMPLES = 3


@dataclass
class Misread:
    """The values that were not what their column holds, and count as missing.

    Attributes:
        counts: how many, by column.
        examples: the first of each column, with their rows, counted from 1.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, column: str, values: pa.Array, rows: NDArray[Any], first_row: int) -> None:
        """Note the values of some rows of a column; `first_row` rows came before."""
        if not len(rows):
            return
        self.counts[column] += len(rows)
        examples = self.examples.setdefault(column, [])
        for row in rows[: MOST_EXAMPLES - len(examples)].tolist():
            examples.append((first_row + row + 1, format_cell(values, row)))

    def update(self, other: Misread) -> None:
        """Add those of rows that come later, or of another file."""
        self.counts.update(other.counts)
        for column, others in other.examples.items():
            examples = self.examples.setdefault(column, [])
            examples += others[: MOST_EXAMPLES - len(examples)]

    def describe(self, column: str) -> str:
        """Describe those of a column, for a message."""
        examples = [f"{text!r} in row {row:,}" for row, text in self.examples[column]]
        more = self.counts[column] - len(examples)
        return ", ".join(examples) + (f" and {more:,} more" if more else "")


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are used, and their encoding as numbers.

    Numbers and booleans are used as they are, booleans as 0 and 1, however they are written. A time
    becomes the days since the first, and the sine and cosine of the hour, weekday and month that
    vary. Text becomes a number for each category, 1 for the one that it is and 0 for the others. A
    missing value is NaN in all of the numbers of its column.

    Attributes:
        used: the columns that are used, in the order of their numbers.
        left_out: why each other column is not used, by name.
        label: the column of labels, which is never used, or None.
        id: the column that names rows and is never used, or None.
        restored: the columns that are left out, and are there again when numbers are decoded:
            without a value, always of one, or the same as another.
        order: the names of the columns that are decoded, in the order of the table, if some are
            restored.
        na: texts of a missing value, beside those that always are.

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
    restored: tuple[Restored, ...] = ()
    order: tuple[str, ...] = ()
    na: tuple[str, ...] = ()

    @classmethod
    def learn(
        cls,
        sample: pa.RecordBatch,
        *,
        columns: Sequence[str] | None = None,
        exclude: Collection[str] = (),
        label: str | None = None,
        id: str | None = None,
        categorical: Collection[str] = (),
        decimal: str | None = None,
        dates: str = "auto",
        na: Collection[str] = (),
    ) -> Self:
        """Look at some rows, and decide which columns to use and how; see `survey`.

        Raises:
            TableError: if none can be used, or a column is nearly one of numbers or times.
        """
        found, facts = cls.survey(
            sample,
            columns=columns,
            exclude=exclude,
            label=label,
            id=id,
            categorical=categorical,
            decimal=decimal,
            dates=dates,
            na=na,
        )
        found.require_usable(facts)
        return found

    @classmethod
    def survey(
        cls,
        sample: pa.RecordBatch,
        *,
        columns: Sequence[str] | None = None,
        exclude: Collection[str] = (),
        label: str | None = None,
        id: str | None = None,
        categorical: Collection[str] = (),
        decimal: str | None = None,
        dates: str = "auto",
        na: Collection[str] = (),
    ) -> tuple[Self, list[Fact]]:
        """Look at some rows, decide which columns to use and how, and tell what was found.

        Text reads as what at least 95 % of its values are: numbers with separators of thousands, a
        decimal comma, a unit, a percent sign or parentheses; dates and times; truth values. Text of
        which 75 % are numbers or times is refused, unless it has few categories. Other text is
        categories, of which the 20 most frequent that are not rarer than one in a hundred have a
        number each, and all others one together.

        Left out are nested and binary values; text that is no category: of which more than four in
        five values differ, all are rare, or a part are numbers; and columns without any value, with
        a single one, or with the same values as another, which `decode` restores.

        Args:
            sample: the rows, such as `Source.sample` gives.
            columns: the columns that may be used. Defaults to all.
            exclude: columns that are not used. Defaults to none.
            label: the column of labels. Defaults to none.
            id: the column that names rows. Defaults to none.
            categorical: columns whose numbers or text are names. Defaults to none.
            decimal: the decimal mark, where the text does not tell. Defaults to that of most
                columns that do.
            dates: `"dmy"` or `"mdy"`, where the text does not tell; `"off"` to leave times out.
                Defaults to `"auto"`.
            na: texts or numbers of a missing value. Defaults to none.

        Returns:
            The columns, of which none may be used, and a fact for each column of the table.

        Raises:
            TableError: if a column that is named is not in the table.
        """
        policy = Policy(decimal, dates, frozenset(categorical))
        sample = _drop_marks(sample, na)
        decisions = _learning.choose_columns(sample, columns, exclude, label, id, policy)
        facts = [decision.fact for decision in decisions]
        chosen = [decision.column for decision in decisions if decision.column is not None]
        used = tuple(column for column in chosen if isinstance(column, Column))
        restored = tuple(column for column in chosen if isinstance(column, Restored))
        names = {column.name for column in used}
        left_out = {
            fact.name: fact.becomes.removeprefix("left out: ")
            for fact in facts
            if fact.name not in names
        }
        order = tuple(column.name for column in chosen) if restored else ()
        return cls(used, left_out, label, id, restored, order, tuple(na)), facts

    def require_usable(self, facts: Sequence[Fact]) -> None:
        """Raise if a column is refused, or none can be used.

        Raises:
            TableError: it says which, why, and what to do.
        """
        if refused := [f"column {fact.name!r} {fact.warning}" for fact in facts if fact.refused]:
            raise TableError(f"{list_some(refused, 3)}.")
        if not self.used:
            reasons = [f"{name!r} ({reason})" for name, reason in list(self.left_out.items())[:8]]
            raise TableError(f"no column can be used: {', '.join(reasons)}; give one of numbers.")

    @property
    def names(self) -> list[str]:
        """The names of the columns that are used."""
        return [column.name for column in self.used]

    @property
    def text(self) -> list[str]:
        """The columns to read as text: what is written in a form, the label and the id."""
        written = [
            column.name
            for column in self.used
            if column.kind is Kind.text or column.form is not None
        ]
        return [*written, *[name for name in (self.label, self.id) if name is not None]]

    @property
    def features(self) -> list[str]:
        """The names of the numbers, such as `colour=red`."""
        return [name for column in self.used for name in column.features]

    @property
    def feature_columns(self) -> list[str]:
        """For each of the numbers, the name of its column."""
        return [column.name for column in self.used for _ in column.features]

    @property
    def column_numbers(self) -> NDArray[np.intp]:
        """For each of the numbers, the place of its column among those that are used."""
        return np.repeat(np.arange(len(self.used)), [len(column.features) for column in self.used])

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
        self,
        batch: pa.RecordBatch,
        first_row: int = 0,
        unseen: Counter[str] | None = None,
        misread: Misread | None = None,
    ) -> NDArray[np.float32]:
        """Encode rows as numbers.

        Args:
            batch: the rows; columns that are not used are ignored, and may come in any order.
            first_row: how many rows came before, for the messages.
            unseen: where to count, by column, the values whose category has no number of its own:
                rare ones and new ones, which are all in `(other)`, or 0 in all numbers if there was
                nothing rare when the columns were learned. Defaults to nowhere.
            misread: where to note the values that are not of their column's kind, and count as
                missing. Defaults to nowhere.

        Returns:
            The numbers, `(rows, len(features))`, with NaN where one is missing.

        Raises:
            TableError: if a column is not there, a value is infinite or of a type that cannot be of
                its kind, or more than 5 % of the rows up to here are not of their kind.
        """
        self.match(batch.schema.names)
        batch = _drop_marks(batch, self.na)
        misread = Misread() if misread is None else misread
        numbers = np.empty((batch.num_rows, len(self.features)), np.float32)
        begin = 0
        for column in self.used if batch.num_rows else ():
            try:
                values = batch.column(column.name)
                block, new = column.encode(values)
                _note_misread(misread, column, values, block[:, 0], first_row)
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

    def encode_batches(
        self, batches: Iterable[pa.RecordBatch], first_row: int = 0, misread: Misread | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Encode the rows of batches that follow one another; see `encode`."""
        for batch in batches:
            yield self.encode(batch, first_row, misread=misread)
            first_row += batch.num_rows

    def find_misread(self, batches: Iterable[pa.RecordBatch], names: Collection[str]) -> Misread:
        """Find the values that are not of their column's kind, however many there are.

        Args:
            batches: all rows, with the columns that are named.
            names: the columns to look at.
        """
        misread, first_row = Misread(), 0
        columns = [column for column in self.used if column.name in names]
        for batch in batches if columns else ():
            batch = _drop_marks(batch, self.na)
            for column in columns:
                values = batch.column(column.name)
                rows = column.find_misread(values, column.parse(values))
                misread.add(column.name, values, rows, first_row)
            first_row += batch.num_rows
        return misread

    def decode(self, numbers: ArrayLike) -> pa.RecordBatch:
        """Decode numbers to rows, with the columns that are used or restored.

        Text is the category of the largest number; booleans are true from 0.5 on; a column of
        whole numbers is rounded; times are those of their days; NaN is a missing value. What was
        text is written as it was in the table.

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
        blocks = np.split(rows, ends[:-1], axis=1) if self.used else []
        arrays = [column.decode(block) for column, block in zip(self.used, blocks, strict=True)]
        found = dict(zip(self.names, arrays, strict=True))
        for each in self.restored:
            if each.copy_of is not None:
                found[each.name] = found[each.copy_of]
            else:
                found[each.name] = each.repeat(len(rows))
        names = self.order or self.names
        return pa.record_batch([found[name] for name in names], names=list(names))

    def to_json(self) -> dict[str, Any]:
        """Return all of this as JSON: dicts, lists, text, booleans."""
        columns = [describe_column(column) for column in self.used]
        newer = {
            "restored": [asdict(each) for each in self.restored],
            "order": list(self.order) if self.restored else [],
            "na": list(self.na),
        }
        # An older version reads what it knows, and loses nothing but what would be restored.
        is_old = not self.na and all(set(column) == OLD_KEYS for column in columns)
        return {
            "version": 1 if is_old and Kind.time not in {c.kind for c in self.used} else 2,
            "columns": columns,
            "left_out": dict(self.left_out),
            "label": self.label,
            "id": self.id,
            **{name: value for name, value in newer.items() if value},
        }

    @classmethod
    def from_json(cls, json: Any) -> Self:
        """Check and read the result of `to_json`; it may come from an untrusted file.

        Raises:
            TableError: if it is not what `to_json` gives, in this version or the first.
        """
        match json:
            case {
                "version": 1 | 2,
                "columns": [_, *_] as columns,
                "left_out": dict() as left_out,
                "label": str() | None as label,
                "id": str() | None as id,
            } if all(isinstance(text, str) for pair in left_out.items() for text in pair):
                used = tuple(parse_column(entry) for entry in columns)
            case _:
                raise damage_error("they are not those of this version")
        names = {column.name for column in used}
        if len(names) < len(used):
            raise damage_error("two have one name")
        match {"restored": [], "order": [], "na": []} | json:
            case {
                "restored": list() as entries,
                "order": list() as order,
                "na": list() as na,
            } if all(isinstance(text, str) for text in (*order, *na)):
                restored = tuple(parse_restoration(entry, names) for entry in entries)
            case _:
                raise damage_error("what is restored is not told")
        if order and sorted(order) != sorted([*names, *(each.name for each in restored)]):
            raise damage_error("their order is not theirs")
        return cls(used, dict(left_out), label, id, restored, tuple(order), tuple(na))


def _note_misread(
    misread: Misread, column: Column, values: pa.Array, numbers: Array, first_row: int
) -> None:
    rows = column.find_misread(values, numbers)
    if len(rows) > MOST_MISREAD * max(len(values) - values.null_count, first_row):
        raise MisfitError(int(rows[0]), get_value(values, int(rows[0])), column.expectation)
    misread.add(column.name, values, rows, first_row)


def _drop_marks(batch: pa.RecordBatch, na: Collection[str]) -> pa.RecordBatch:
    """Return the rows with a null for each value that is one of the marks."""
    if not na:
        return batch
    texts = pa.array(list(na), pa.string())
    numbers = pa.array([float(mark) for mark in na if _is_number(mark)], pa.float64())
    columns = []
    for values in batch.columns:
        kind = find_kind(values.type)
        if kind is Kind.text:
            is_mark = pc.is_in(pc.utf8_trim_whitespace(values.cast(pa.string())), texts)
        elif kind in (Kind.integer, Kind.number):
            is_mark = pc.is_in(values.cast(pa.float64(), safe=False), numbers)
        else:
            is_mark = pa.array([False]).take(pa.array([0] * len(values), pa.int32()))
        columns.append(pc.if_else(is_mark, pa.scalar(None, values.type), values))
    return pa.record_batch(columns, names=batch.schema.names)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
