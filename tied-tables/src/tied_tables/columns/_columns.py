"""A table as numbers, and numbers as a table."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike
from pyarrow import types

from tied_tables._layout import BOOLEAN, CATEGORY, NUMBER, Layout
from tied_tables._table_errors import TableError
from tied_tables._text import quote
from tied_tables._types import Array
from tied_tables.columns._adapting import adapt_column
from tied_tables.columns._column import Column, MisfitError, drop_marks, get_value, snap
from tied_tables.columns._facts import ColumnChoice, Fact
from tied_tables.columns._frames import (
    Frame,
    FrameSchema,
    PandasNotes,
    find_library,
    replace_values,
    wrap,
)
from tied_tables.columns._kinds import (
    LONGEST_TEXT,
    NUMERIC_KINDS,
    Kind,
    find_kind,
    trim_names,
)
from tied_tables.columns._learning import decide_columns
from tied_tables.columns._missing import MOST_MISREAD, drop_missing
from tied_tables.columns._noted import Doubts, NotedValues
from tied_tables.columns._number_text import (
    find_decimal,
    is_number,
)
from tied_tables.columns._remarks import DATE, ROLES, Remark, Role, Topic
from tied_tables.columns._times import encode_cycles

VERSION = 1
LEAST_TOTAL = 1e-12  # a smaller sum of shares is that of none
# These are written to JSON also if they are empty.
BASIC_KEYS = "name kind categories other left_out label id".split()


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are used, and their encoding as numbers.

    Numbers and booleans are used as they are, booleans as 0 and 1, however they are
    written. A time becomes the days since the first, and the sine and cosine of the
    hour, weekday and month that vary. Text becomes a number for each category, 1 for
    the one that it is and 0 for the others. A missing value is NaN in all of the
    numbers of its column, and a text that may be a misspelling of a category counts as
    that category. Times that follow those of another column, as a delivery follows an
    order, become the days since these, too.

    Attributes:
        used: the columns that are used, in the order of their numbers.
        left_out: why each other column is not used, by name.
        label, id: the columns of labels and of the names of rows, which are never used,
            or None.
        order: the columns that are decoded, in the table's order, if there are others
            than those that are used: constants.
        frame: the frame or array that they are those of; None for those of a file.

    Examples:
        >>> import pyarrow as pa
        >>> from tied_tables.columns import Columns
        >>> kinds, weights = ["plum", "apple", "plum"], [31, 182, None]
        >>> fruit = pa.record_batch({"kind": kinds, "weight": weights})
        >>> columns, facts = Columns.survey(fruit)
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
    left_out: Mapping[str, Remark] = field(default_factory=dict)
    label: str | None = None
    id: str | None = None
    order: tuple[str, ...] = ()
    frame: FrameSchema | None = None

    @classmethod
    def of_numbers(cls, names: Iterable[object]) -> Self:
        """Return columns of numbers, of these names without blanks at their ends."""
        texts = trim_names(list(map(str, names)))
        return cls(tuple(Column(name, Kind.number) for name in texts))

    @classmethod
    def survey(cls, sample: pa.RecordBatch, **choices: Any) -> tuple[Self, list[Fact]]:
        """Look at some rows; return the columns to use, and a fact for each column.

        Text reads as what at least 95 % of its values are: numbers with separators of
        thousands, a decimal comma, a unit, a percent sign or parentheses; dates and
        times; truth values. Text of which 75 % are numbers or times is refused, unless
        it has few categories. Other text is categories, with a number each; of more
        than 40, those that are not rarer than one in a hundred have one each, and all
        others one together. If those of all columns are more than 128 numbers, columns
        that others determine are left out; then the columns with most categories keep
        the most frequent ones, 8 at least.

        Left out are nested and binary values; text that is no category: of which more
        than four in five values differ, all are rare, or a part are numbers; and
        columns with the same values as another, without any value, or with a single
        one. `decode` gives the last two again.

        Args:
            sample: the rows, such as `Source.sample` gives.
            **choices: which columns may be used, and what they read as; see
                `ColumnChoice`.

        Raises:
            TableError: if a column that is named is not in the table.
        """
        choice = ColumnChoice(**choices)
        facts = decide_columns(sample, choice)
        columns = cls(
            used=tuple(fact.column for fact in facts if fact.column),
            left_out={fact.name: fact.reason for fact in facts if fact.reason},
            label=choice.label,
            id=choice.id,
        )
        if columns.constants:
            decoded = {*columns.names, *columns.constants}
            order = tuple(name for name in sample.column_names if name in decoded)
            columns = replace(columns, order=order)
        return columns, facts

    @classmethod
    def survey_frame(
        cls, frame: Frame, categorical: Sequence[str] | None = None
    ) -> tuple[Self, list[Fact]]:
        """Look at a frame as `survey` does at rows, and keep its dtypes.

        Args:
            frame: the frame.
            categorical: columns whose numbers or text are names. Defaults to None:
                those whose dtype is categories.
        """
        schema, by_dtype = FrameSchema.learn(frame)
        names = by_dtype if categorical is None else categorical
        columns, facts = cls.survey(frame.rows, categorical=names)
        return replace(columns, frame=schema), facts

    @property
    def names(self) -> list[str]:
        """The names of the columns that are used."""
        return [column.name for column in self.used]

    @property
    def constants(self) -> list[str]:
        """The columns without a value, or with a single one, that are decoded too."""
        return [
            name
            for name, reason in self.left_out.items()
            if reason.topic in (Topic.constant, Topic.empty)
        ]

    @property
    def determined(self) -> list[str]:
        """The columns that others determine, whose gaps are filled by rules."""
        return [
            name
            for name, reason in self.left_out.items()
            if reason.role is Role.determined
        ]

    @property
    def rare_texts(self) -> list[str]:
        """The columns of text of too many categories, which rules may know, too."""
        return [
            name
            for name, reason in self.left_out.items()
            if reason.topic in (Topic.all_rare, Topic.long_text)
        ]

    @property
    def ids(self) -> list[str]:
        """The columns that name rows."""
        roles = (Role.id, Role.row_number)
        return [name for name in self.left_out if self.left_out[name].role in roles]

    @property
    def text(self) -> list[str]:
        """The columns to read as text: those in a form, and the id."""
        names = [
            column.name
            for column in self.used
            if column.kind is Kind.text or column.form is not None
        ]
        for name in self.constants:
            value = self.left_out[name].value
            if isinstance(value, str) and is_number(value):  # such as 007
                names.append(name)
        return names if self.id is None else [*names, self.id]

    @property
    def features(self) -> list[str]:
        """The names of the numbers, such as `colour=red`."""
        return [name for column in self.used for name in column.features]

    @property
    def layout(self) -> Layout:
        """Which of the numbers belong to which column, and what they hold."""
        kinds = {Kind.boolean: BOOLEAN, Kind.text: CATEGORY}
        column_kinds = [kinds.get(column.kind, NUMBER) for column in self.used]
        sizes = [len(column.features) for column in self.used]
        numbers = np.repeat(np.arange(len(sizes)), sizes)
        return Layout(numbers, np.repeat(column_kinds, sizes))

    @property
    def influences(self) -> Array:
        """Which of the numbers change with which column, `(columns, features)` bool.

        They are its own, and the days from its times to those of others.
        """
        layout = self.layout
        influences = np.arange(len(self.used))[:, None] == layout.columns
        for column, part in self.parts:
            if column.since:
                influences[self.names.index(column.since), part.stop - 1] = True
        return influences

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """That of the numbers: single precision, unless a column needs double."""
        needs_double = any(column.double for column in self.used)
        return np.float64 if needs_double else np.float32

    @property
    def parts(self) -> Iterator[tuple[Column, slice]]:
        """Each column that is used, and which of the numbers are its own."""
        return zip(self.used, self.layout.parts, strict=True)

    def match(self, names: Sequence[str], remedy: str = "") -> list[str]:
        """Return the columns of another table that are unknown; raise if it lacks some.

        `remedy` is what the message names besides adding the column.
        """
        name_counts = Counter(names)
        if twice := [name for name in self.names if name_counts[name] > 1]:
            raise TableError(
                f"the table has duplicate column names: {quote(twice)}; rename or drop"
                " all but one."
            )
        if absent := [name for name in self.names if name not in name_counts]:
            raise TableError(
                f"the table lacks columns of the model: {quote(absent)}; add"
                f" them{remedy}."
            )
        known = {*self.names, *self.left_out, self.label, self.id}
        return [name for name in names if name not in known]

    def read_frame(self, X: Any) -> pa.RecordBatch:
        """Return the rows of a frame; raise if a name repeats more than in training."""
        frame = Frame.read(X)
        learned = self.names if self.frame is None else self.frame.names
        learned_counts = Counter(map(str, learned))
        frame_counts = Counter(map(str, frame.names))
        for name, times in frame_counts.items():
            if times > max(1, learned_counts[name]):
                raise TableError(
                    f"X has {times} columns named {name!r}, but the model was fitted"
                    f" with {learned_counts[name]}; rename or drop the others."
                )
        return frame.rows

    def adapt(self, sample: pa.RecordBatch, decimal: str | None = None) -> Self:
        """Return these columns in the form in which another table is written.

        The form of numbers, times and truth values that do not read as learned is
        decided again, as by `survey`; the order of dates that do not tell is the one
        learned.

        Args:
            sample: some rows of the table, or of some of its columns.
            decimal: the decimal mark, where the text does not tell. Defaults to that of
                most columns, or the one learned.

        Raises:
            TableError: if a column has another unit than the one learned.

        Examples:
            >>> import pyarrow as pa
            >>> from tied_tables.columns import Columns
            >>> columns, _ = Columns.survey(pa.record_batch({"weight": [31.5, 182.0]}))
            >>> other = pa.record_batch({"weight": ["31,5 g", "182 g"]})
            >>> columns.adapt(other).encode(other).tolist()
            [[31.5], [182.0]]
        """
        decimal = decimal or find_decimal(sample.columns)
        used = []
        sample_names = set(sample.column_names)
        for column in self.used:
            if column.name in sample_names:
                values = sample[column.name]
                column = adapt_column(column, values, decimal)
            used.append(column)
        return replace(self, used=tuple(used))

    def encode(
        self,
        batch: pa.RecordBatch,
        first_row: int = 0,
        doubts: Doubts | None = None,
    ) -> Array:
        """Encode rows as numbers, `(rows, len(features))`, NaN where one is missing.

        Args:
            batch: the rows, with columns in any order; others are ignored.
            first_row: how many rows came before, for the messages.
            doubts: collects the values whose category has no number of its own, which
                are `(other)`, or missing if none was rare at first; those that may be
                misspellings of one; and those that are not of their column's kind,
                treated as missing.

        Raises:
            TableError: if a column is not there, a value is of a type that cannot be of
                its kind, or more than 5 % of the rows up to here are not of their kind.
        """
        self.match(batch.column_names)
        numbers = np.empty((batch.num_rows, len(self.features)), self.dtype)
        earlier = {column.since for column in self.used}
        days: dict[str, Array] = {}
        for column, part in self.parts:
            values = batch[column.name]
            n_present = len(values) - values.null_count
            try:
                encoded = column.encode(values, days)
                if column.name in earlier:
                    days[column.name] = column.parse(values)
                rows = column.find_misread(values, encoded.numbers[:, 0])
                if len(rows) > MOST_MISREAD * max(n_present, first_row):
                    row = int(rows[0])
                    raise MisfitError(row, get_value(values, row), column.expectation)
            except MisfitError as misfit:
                raise TableError(
                    f"column {column.name!r} has {misfit.value!r} in row"
                    f" {first_row + misfit.row + 1} instead of {misfit.what}; correct"
                    " it, or leave it empty."
                ) from misfit
            numbers[:, part] = encoded.numbers
            if doubts is not None:
                name = column.name
                doubts.misread.add(name, values, rows, first_row)
                doubts.unseen.add(name, values, encoded.unseen, first_row)
                doubts.misspelt.add(name, values, encoded.misspelt, first_row)
        return numbers

    def find_misread(
        self, batches: Iterable[pa.RecordBatch], names: Collection[str]
    ) -> NotedValues:
        """Find the values of named columns that are not of their kind, however many."""
        misread, first_row = NotedValues(), 0
        columns = [column for column in self.used if column.name in names]
        for batch in batches if columns else ():
            for column in columns:
                values = batch[column.name]
                rows = column.find_misread(values, column.parse(values))
                misread.add(column.name, values, rows, first_row)
            first_row += batch.num_rows
        return misread

    def find_differences(self, rows: pa.RecordBatch) -> dict[str, Array]:
        """Which rows have another value than a constant column, by its name."""
        differences = {}
        for name in self.constants:
            if name not in rows.column_names:
                continue
            values = rows[name]
            if find_kind(values.type) is Kind.text:
                values = drop_missing(values)
            if values.null_count == len(values):
                continue
            constant = _cast(self._repeat(name, len(values)), values.type)
            is_empty = self.left_out[name].value is None
            is_other = pc.not_equal(values, constant).fill_null(is_empty)
            is_missing = values.is_null(nan_is_null=True)
            is_other = pc.and_not(is_other, is_missing)
            differences[name] = np.asarray(is_other)
        return differences

    def _repeat(self, name: str, n_rows: int) -> pa.Array:
        """The value of a constant column in so many rows."""
        reason = self.left_out[name]
        value = pa.array([reason.value])
        if reason.text == DATE:
            value = value.cast(pa.date32())
        return pa.repeat(value[0], n_rows)

    @property
    def row_bytes(self) -> int:
        """About how many bytes a decoded row takes at most."""
        texts = [column.longest_text for column in self.used]
        texts += [len(str(self.left_out[name].value)) for name in self.constants]
        return sum(8 + n_characters for n_characters in texts)

    def decode(
        self,
        numbers: ArrayLike,
        named: bool = False,
        rows: pa.RecordBatch | None = None,
    ) -> pa.RecordBatch:
        """Decode numbers to rows, with the columns that are used or constant.

        Text is the category of the largest number, with `named` of those that have a
        name, and a time that follows another is as far from it as its own number says.
        Booleans are true from 0.5 on; a column of whole numbers is rounded; times
        are those of their days; NaN is a missing value. What was text is written as it
        was in the table. Where `rows` that the numbers stand for have another value in
        a constant column, it stays. No other column that is left out is among them.

        Raises:
            TableError: if the numbers have not the shape `(rows, len(features))`.
        """
        block = np.asarray(numbers)
        n = len(self.features)
        if block.ndim != 2 or block.shape[1] != n:
            raise TableError(
                f"expected {n} columns of numbers; got the shape {block.shape}."
            )
        if block.dtype.kind != "f":
            block = block.astype(np.float64)
        arrays = {}
        days: dict[str, Array] = {}
        for column, part in self.parts:
            part_block = block[:, part]
            arrays[column.name] = column.decode(part_block, named, days)
            if named and column.kind is Kind.time:
                days[column.name] = column.find_days(part_block, days)
        for name in self.constants:
            arrays[name] = self._repeat(name, len(block))
        if rows is not None:
            for name, is_other in self.find_differences(rows).items():
                if is_other.any():
                    values = rows[name]
                    restored = _cast(arrays[name], values.type)
                    arrays[name] = pc.if_else(is_other, values, restored)
        return pa.record_batch(
            {name: arrays[name] for name in self.order or self.names}
        )

    def snap(self, numbers: Array) -> Array:
        """Numbers, (rows, features), as the nearest that their columns can hold."""
        snapped = numbers.astype(np.float64)
        for column, part in self.parts:
            first = snapped[:, part.start]
            snapped[:, part.start] = snap(first, column.step, column.origin)
        return snapped

    @property
    def dates(self) -> list[int]:
        """The places of the columns of times other than those of day."""
        return [
            place
            for place, column in enumerate(self.used)
            if column.kind is Kind.time and not column.is_clock
        ]

    def renew_times(self, numbers: Array, place: int) -> None:
        """Compute all numbers of a column of times, and to others, from its days.

        `numbers`, (rows, features), are changed in place.
        """
        column, part = self.used[place], self.layout.parts[place]
        days = {
            other.name: numbers[:, other_part.start] + other.origin
            for other, other_part in self.parts
        }
        waves = encode_cycles(days[column.name], column.cycles)
        for offset, wave in enumerate(waves, 1):
            numbers[:, part.start + offset] = wave
        for other, other_part in self.parts:
            if other.since and column.name in (other.name, other.since):
                distance = days[other.name] - days[other.since]
                numbers[:, other_part.stop - 1] = distance

    def fill(self, rows: pa.RecordBatch, numbers: ArrayLike) -> pa.RecordBatch:
        """Fill the gaps of rows in the columns that are used, and leave all else.

        What takes their place is what `decode` gives for the numbers, in the types of
        the rows: in text, it is written as the values of the column are.
        """
        used = [column.write_as(rows[column.name].type) for column in self.used]
        columns = replace(self, used=tuple(used))
        reconstruction = columns.decode(self.snap(np.asarray(numbers)), named=True)
        gaps = self.find_gaps(rows)
        for column in used:
            name = column.name
            if name not in gaps:
                continue
            is_gap = gaps[name]
            values = rows[name]
            new = reconstruction[name].filter(is_gap)
            if types.is_floating(new.type) and not types.is_null(values.type):
                form = column.find_form(values.filter(~is_gap))
                new = form.write(np.asarray(new, self.dtype))
            filled = replace_values(values, is_gap, new)
            place = rows.schema.get_field_index(name)
            field = rows.schema.field(place).with_type(filled.type)
            rows = rows.set_column(place, field, filled)
        return rows

    def find_gaps(self, rows: pa.RecordBatch) -> dict[str, Array]:
        """Return where values are missing, for each column with such a one.

        It is one that is used, or that another one determines or may determine.
        """
        by_rules = [*self.determined, *self.rare_texts]
        names = [name for name in by_rules if name in rows.column_names]
        columns = [*self.used, *(Column(name, Kind.text) for name in names)]
        gaps = {}
        for column in columns:
            values = rows[column.name]
            if find_kind(values.type) is Kind.text:
                cells = column.clean(values)
            else:
                cells = drop_marks(values, column.marks)
            is_gap = np.asarray(cells.is_null(nan_is_null=True))
            if is_gap.any():
                gaps[column.name] = is_gap
        return gaps

    def write_texts(
        self, rows: pa.RecordBatch, texts: Mapping[str, Array]
    ) -> pa.RecordBatch:
        """Return rows with texts in the types of their columns, where there are some.

        A text that is not of the type of its column is left out.
        """
        for name, column in texts.items():
            values = rows[name]
            new = pa.array(column, pa.string())
            if find_kind(values.type) is Kind.text:
                new = self._write_numbers(name, new, values)
            try:
                cells = new if types.is_null(values.type) else new.cast(values.type)
            except pa.ArrowException:
                continue
            place = rows.schema.get_field_index(name)
            field = rows.schema.field(place).with_type(cells.type)
            filled = pc.if_else(cells.is_valid(), cells, values)
            rows = rows.set_column(place, field, filled)
        return rows

    def _write_numbers(self, name: str, texts: pa.Array, values: pa.Array) -> pa.Array:
        """Return texts that are numbers in the form of the values of their column."""
        for column in self.used:
            if column.name == name and column.kind in NUMERIC_KINDS:
                numbers = replace(column, double=True).parse(texts)
                form = column.form or column.find_form(column.clean(values))
                written = form.write(numbers).cast(pa.string())
                return pc.coalesce(written, texts)
        return texts

    def join(
        self,
        numbers: ArrayLike,
        like: Any,
        original_rows: pa.RecordBatch | None = None,
    ) -> Any:
        """Decode numbers to the frame that was learned from, or one like `like`.

        `original_rows` are those that they stand for, as `decode` takes them.
        """
        rows = self.decode(numbers, named=True, rows=original_rows)
        if self.frame is not None:
            return self.frame.join(rows, like)
        return wrap(find_library(like), pa.table(rows), rows.column_names, like)

    def join_proba(self, numbers: Array, like: Any) -> Any:
        """Booleans and categories as shares, which add up to 1 in a category."""
        layout = self.layout
        shares = np.clip(numbers, 0.0, 1.0)
        for part in layout.categories:
            block = shares[:, part]
            total = block.sum(axis=1, keepdims=True)  # (n, 1)
            normal = block / np.maximum(total, LEAST_TOTAL)
            shares[:, part] = np.where(total > 0, normal, 1 / block.shape[1])
        columns = {}
        for place, name in enumerate(self.features):
            if layout.kinds[place] != NUMBER:
                columns[name] = shares[:, place]
        library = self.frame.library if self.frame else find_library(like)
        return wrap(library, pa.table(columns), list(columns), like)

    def to_json(self) -> bytes:
        """Return all of this as JSON."""
        json = msgspec.to_builtins(self)
        columns = map(_drop_empty, json.pop("used"))
        head = {"version": VERSION, "columns": list(columns)}
        return msgspec.json.encode(head | _drop_empty(json))

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what `to_json` gives, maybe untrusted, or raise a `TableError`."""
        try:
            json = msgspec.json.decode(text)
            if not isinstance(json, dict) or json.get("version") != VERSION:
                raise ValueError("they are of another version")
            json["used"] = json.pop("columns", None)
            columns = msgspec.convert(json, cls)
            columns._require_consistent()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise TableError(
                "the description of the columns in the model file is damaged"
                f" ({error}); save the model again."
            ) from error
        return columns

    def _require_consistent(self) -> None:
        """Raise a `ValueError` if parts of this contradict one another."""
        for column in self.used:
            column.require_consistent()
        names = set(self.names)
        constants = self.constants
        is_consistent = [
            bool(self.used),
            len(names) == len(self.used),
            names.isdisjoint(self.left_out),
            all(reason.topic in ROLES for reason in self.left_out.values()),
            not self.order or {*self.order} == names.union(constants),
        ]
        for name in constants:
            self._repeat(name, 0)  # raises if the value is not of its type
            is_consistent.append(len(str(self.left_out[name].value)) <= LONGEST_TEXT)
        if self.frame is not None:
            rows = self.frame.without_rows
            frame_names = rows.column_names
            notes = rows.schema.pandas_metadata  # raises if it is no JSON
            msgspec.convert(notes, PandasNotes | None)
            is_consistent += [
                len(frame_names) == len(self.frame.names),
                {*(self.order or self.names)} <= {*frame_names},
            ]
        if not all(is_consistent):
            raise ValueError("its columns contradict one another")


def _cast(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values in a type, or nulls in it if it has no such values."""
    try:
        return values.cast(dtype, safe=False)
    except pa.ArrowException:
        return pa.nulls(len(values), dtype)


def _drop_empty(json: dict[str, Any]) -> dict[str, Any]:
    """Return JSON without what is empty, 0 or false, as most of it is."""
    return {name: json[name] for name in json if json[name] or name in BASIC_KEYS}
