"""A table as numbers, and numbers as a table."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import ArrayLike, NDArray

from keras_tied._table_errors import TableError
from keras_tied._text import list_some, quote
from keras_tied._types import Array
from keras_tied.columns._adapting import adapt_column
from keras_tied.columns._column import (
    MOST_MISREAD,
    Column,
    MisfitError,
    format_cell,
    get_value,
)
from keras_tied.columns._facts import ColumnChoice, Fact, Restoration
from keras_tied.columns._frames import FrameSchema, find_library, make_alike, wrap
from keras_tied.columns._kinds import LONGEST_TEXT, Kind, find_kind
from keras_tied.columns._learning import choose_columns
from keras_tied.columns._number_text import decide_number_text, find_decimal, is_number
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.pca import TINY

MOST_EXAMPLES = 3
MOST_TEXTS = 100  # different values of a column that are noted
VERSION = 1
BASIC_KEYS = (
    "name",
    "kind",
    "categories",
    "other",
    "left_out",
    "label",
    "id",
)  # also if empty


@dataclass
class MisreadValues:
    """The values, by column, that are not what it holds: how many, and some of them."""

    counts: Counter[str] = field(default_factory=Counter)
    texts: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    """Of each column the first different ones, with their first rows, and how many they are."""

    def add(
        self, column: str, values: pa.Array, rows: NDArray[Any], first_row: int
    ) -> None:
        """Note the values of some rows of a column; `first_row` rows came before."""
        if not len(rows):
            return
        cells = values.take(pa.array(rows)).cast(pa.string(), safe=False)
        _, first, times = np.unique(
            cells.dictionary_encode().indices, return_index=True, return_counts=True
        )
        texts = {
            format_cell(values, row): (first_row + row + 1, n)
            for row, n in zip(
                rows[first[:MOST_TEXTS]].tolist(), times.tolist(), strict=False
            )
        }
        self.update(type(self)(Counter({column: len(rows)}), {column: texts}))

    def clear(self) -> None:
        """Forget all."""
        self.counts.clear()
        self.texts.clear()

    def update(self, other: Self) -> None:
        """Add those of rows that come later, or of another file."""
        self.counts.update(other.counts)
        for column, texts in other.texts.items():
            known = self.texts.setdefault(column, {})
            for text, (row, n) in texts.items():
                if text in known:
                    known[text] = (known[text][0], known[text][1] + n)
                elif len(known) < MOST_TEXTS:
                    known[text] = (row, n)

    def describe(self, column: str) -> str:
        """Describe those of a column, for a message: the most frequent ones."""
        texts = self.texts[column].items()
        some = sorted(texts, key=lambda item: -item[1][1])[:MOST_EXAMPLES]
        shown = [
            (
                f"{text!r} in row {row:,}"
                if n == 1
                else f"{text!r} {n:,} times, first in row {row:,}"
            )
            for text, (row, n) in some
        ]
        more = self.counts[column] - sum(n for _, (_, n) in some)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are used, and their encoding as numbers.

    Numbers and booleans are used as they are, booleans as 0 and 1, however they are
    written. A time becomes the days since the first, and the sine and cosine of the
    hour, weekday and month that vary. Text becomes a number for each category, 1 for
    the one that it is and 0 for the others. A missing value is NaN in all of the
    numbers of its column.

    Attributes:
        used: the columns that are used, in the order of their numbers.
        left_out: why each other column is not used, by name.
        label, id: the columns of labels and of the names of rows, which are never used,
            or None.
        restored: the columns that are left out but decoded again: without a value,
            always of one, or the same as another.
        order: the columns that are decoded, in the table's order, if some are restored.
        na: texts of a missing value, beside those that always are.
        frame: the frame or array that they are those of; None for those of a file.

    Examples:
        >>> import pyarrow as pa
        >>> from keras_tied.columns import Columns
        >>> fruit = pa.record_batch({"kind": ["plum", "apple", "plum"], "weight": [31, 182, None]})
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
    left_out: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    id: str | None = None
    restored: tuple[Restoration, ...] = ()
    order: tuple[str, ...] = ()
    na: tuple[str, ...] = ()
    frame: FrameSchema | None = None

    @classmethod
    def of_numbers(cls, names: Iterable[object]) -> Self:
        """Return columns of numbers, of these names."""
        return cls(tuple(Column(str(name), Kind.number) for name in names))

    @classmethod
    def survey(cls, sample: pa.RecordBatch, **choices: Any) -> tuple[Self, list[Fact]]:
        """Look at some rows, and return the columns to use, if any, and a fact for each column.

        Text reads as what at least 95 % of its values are: numbers with separators of
        thousands, a decimal comma, a unit, a percent sign or parentheses; dates and
        times; truth values. Text of which 75 % are numbers or times is refused, unless
        it has few categories. Other text is categories, with a number each; of more
        than 40, the most frequent 40 that are not rarer than one in a hundred have one
        each, and all others one together.

        Left out are nested and binary values; text that is no category: of which more
        than four in five values differ, all are rare, or a part are numbers; and
        columns without any value, with a single one, or with the same values as
        another, which `decode` restores.

        Args:
            sample: the rows, such as `Source.sample` gives.
            **choices: which columns may be used, and what they read as; see
                `ColumnChoice`.

        Raises:
            TableError: if a column that is named is not in the table.
        """
        choice = ColumnChoice(**choices)
        decisions = choose_columns(_drop_marks(sample, choice.na), choice)
        facts = [decision.fact for decision in decisions]
        kept = [decision.column for decision in decisions if decision.column]
        used = tuple(column for column in kept if isinstance(column, Column))
        restored = tuple(column for column in kept if isinstance(column, Restoration))
        order = tuple(column.name for column in kept) if restored else ()
        names = {column.name for column in used}
        others = [fact for fact in facts if fact.name not in names]
        left_out = {
            fact.name: fact.becomes.removeprefix("left out: ") for fact in others
        }
        columns = cls(
            used, left_out, choice.label, choice.id, restored, order, tuple(choice.na)
        )
        return columns, facts

    def require_usable(self, facts: Sequence[Fact]) -> None:
        """Raise a `TableError` with what to do if a column is refused, or none can be used."""
        if refused := [
            f"column {fact.name!r} {fact.warning}" for fact in facts if fact.refused
        ]:
            raise TableError(f"{list_some(refused, 3)}.")
        if not self.used:
            reasons = [
                f"{name!r} ({reason})"
                for name, reason in list(self.left_out.items())[:8]
            ]
            raise TableError(
                f"no column can be used: {', '.join(reasons)}; give one of numbers."
            )

    @property
    def names(self) -> list[str]:
        """The names of the columns that are used."""
        return [column.name for column in self.used]

    @property
    def text(self) -> list[str]:
        """The columns to read as text: what is written in a form, the label and the id."""
        names = [
            of.name for of in self.used if of.kind is Kind.text or of.form is not None
        ]
        for of in self.restored:  # digits of a constant such as 007 are kept
            if of.copy_of in names or (
                isinstance(of.value, str) and is_number(of.value)
            ):
                names.append(of.name)
        return [*names, *(name for name in (self.label, self.id) if name is not None)]

    @property
    def features(self) -> list[str]:
        """The names of the numbers, such as `colour=red`."""
        return [name for column in self.used for name in column.features]

    @property
    def layout(self) -> Layout:
        """Which of the numbers belong to which column, and what they hold."""
        kinds = {Kind.boolean: BOOLEAN, Kind.text: CATEGORY}
        of_columns = [kinds.get(column.kind, NUMBER) for column in self.used]
        return Layout(self.column_numbers, np.array(of_columns)[self.column_numbers])

    @property
    def column_numbers(self) -> NDArray[np.intp]:
        """For each of the numbers, the place of its column among those that are used."""
        return np.repeat(
            np.arange(len(self.used)), [len(column.features) for column in self.used]
        )

    def match(self, names: Sequence[str], remedy: str = "") -> list[str]:
        """Return the columns of another table that are unknown here; raise if it lacks some.

        `remedy` is what the message names besides adding the column.
        """
        given = set(names)
        if absent := [name for name in self.names if name not in given]:
            fault = f"the table has no column {quote(absent)}, which the model uses"
            raise TableError(f"{fault}; add it{remedy}.")
        known_names = {*self.names, *self.left_out, self.label, self.id}
        return [name for name in names if name not in known_names]

    def adapt(self, sample: pa.RecordBatch, decimal: str | None = None) -> Self:
        """Return these columns in the form in which another table is written.

        The form of numbers, times and truth values that do not read as learned is
        decided anew, as by `survey`; the order of dates that do not tell is the one
        learned.

        Args:
            sample: some rows of the table, or of some of its columns.
            decimal: the decimal mark, where the text does not tell. Defaults to that of
                most columns, or the one learned.

        Raises:
            TableError: if a column has another unit than the one learned.

        Examples:
            >>> import pyarrow as pa
            >>> from keras_tied.columns import Columns
            >>> columns, _ = Columns.survey(pa.record_batch({"weight": [31.5, 182.0]}))
            >>> other = pa.record_batch({"weight": ["31,5 g", "182 g"]})
            >>> columns.adapt(other).encode(other).tolist()
            [[31.5], [182.0]]
        """
        sample = _drop_marks(sample, self.na)
        texts = (
            values for values in sample.columns if find_kind(values.type) is Kind.text
        )
        decimal = decimal or find_decimal(texts)
        used = {of.name: of for of in self.used}
        for name in used.keys() & set(sample.schema.names):
            used[name] = adapt_column(used[name], sample.column(name), decimal)
        return replace(self, used=tuple(used.values()))

    def encode(
        self,
        batch: pa.RecordBatch,
        first_row: int = 0,
        unseen: MisreadValues | None = None,
        misread: MisreadValues | None = None,
    ) -> NDArray[np.float32]:
        """Encode rows as numbers, `(rows, len(features))`, with NaN where one is missing.

        Args:
            batch: the rows, with columns in any order; others are ignored.
            first_row: how many rows came before, for the messages.
            unseen: collects the values whose category has no number of its own, which
                are `(other)`, or missing if none was rare at first.
            misread: collects the values that are not of their column's kind, and count
                as missing.

        Raises:
            TableError: if a column is not there, a value is infinite or of a type that
                cannot be of its kind, or more than 5 % of the rows up to here are not
                of their kind.
        """
        self.match(batch.schema.names)
        batch = _drop_marks(batch, self.na)
        misread = MisreadValues() if misread is None else misread
        numbers = np.empty((batch.num_rows, len(self.features)), np.float32)
        begin = 0
        for column in self.used if batch.num_rows else ():
            values = batch.column(column.name)
            try:
                block, new = column.encode(values)
                rows = column.find_misread(values, block[:, 0])
                if len(rows) > MOST_MISREAD * max(
                    len(values) - values.null_count, first_row
                ):
                    row = int(rows[0])
                    raise MisfitError(row, get_value(values, row), column.expectation)
            except MisfitError as misfit:
                raise TableError(
                    f"column {column.name!r} holds {misfit.value!r} in row"
                    f" {first_row + misfit.row + 1}, where {misfit.what} was expected;"
                    " correct it, or leave it empty."
                ) from misfit
            misread.add(column.name, values, rows, first_row)
            numbers[:, begin : begin + block.shape[1]] = block
            begin += block.shape[1]
            if unseen is not None:
                unseen.add(column.name, values, new, first_row)
        return numbers

    def find_misread(
        self, batches: Iterable[pa.RecordBatch], names: Collection[str]
    ) -> MisreadValues:
        """Find the values of named columns that are not of their kind, however many there are."""
        misread, first_row = MisreadValues(), 0
        columns = [column for column in self.used if column.name in names]
        for batch in batches if columns else ():
            batch = _drop_marks(batch, self.na)
            for column in columns:
                values = batch.column(column.name)
                rows = column.find_misread(values, column.parse(values))
                misread.add(column.name, values, rows, first_row)
            first_row += batch.num_rows
        return misread

    def find_differences(self, rows: pa.RecordBatch) -> dict[str, Array]:
        """Which rows have another value than `decode` restores, by the column, if it is there."""
        changed = {}
        for lost in self.restored:
            if not {lost.name, lost.copy_of or lost.name} <= {*rows.schema.names}:
                continue
            values, copied = rows.column(lost.name), lost.copy_of is not None
            changed[lost.name] = np.zeros(len(values), bool)
            if values.null_count < len(values):
                others = (
                    rows.column(lost.copy_of) if copied else lost.repeat(len(values))
                )
                is_other = pc.not_equal(values, _cast(others, values.type)).fill_null(
                    lost.is_empty
                )
                is_given = pc.invert(values.is_null(nan_is_null=True))
                changed[lost.name] = pc.and_(is_given, is_other).to_numpy(
                    zero_copy_only=False
                )
        return changed

    @property
    def row_bytes(self) -> int:
        """About how many bytes a decoded row takes at most."""
        texts = [column.longest_text for column in self.used]
        texts += [lost.longest_text for lost in self.restored]
        return sum(8 + n_characters for n_characters in texts)

    def decode(
        self,
        numbers: ArrayLike,
        named: bool = False,
        rows: pa.RecordBatch | None = None,
    ) -> pa.RecordBatch:
        """Decode numbers to rows, with the columns that are used or restored.

        Text is the category of the largest number, with `named` of those that have a
        name; booleans are true from 0.5 on; a column of whole numbers is rounded; times
        are those of their days; NaN is a missing value. What was text is written as it
        was in the table. Where `rows` that the numbers stand for have another value in
        a column that is restored, it stays.

        Raises:
            TableError: if the numbers have not the shape `(rows, len(features))`.
        """
        block: Array = np.asarray(numbers)
        n = len(self.features)
        if block.ndim != 2 or block.shape[1] != n:
            raise TableError(
                f"numbers of the shape {block.shape} were given; give {n} columns."
            )
        if block.dtype.kind != "f":
            block = block.astype(np.float64)
        ends = np.cumsum([len(column.features) for column in self.used])
        blocks = np.split(block, ends[:-1], axis=1) if self.used else []
        pairs = zip(self.used, blocks, strict=True)
        arrays = [column.decode(block, named) for column, block in pairs]
        decoded = dict(zip(self.names, arrays, strict=True))
        for lost in self.restored:
            same = lost.copy_of
            decoded[lost.name] = (
                lost.repeat(len(block)) if same is None else decoded[same]
            )
        changed = {} if rows is None else self.find_differences(rows)
        for name, is_other in changed.items():
            if rows is not None and is_other.any():
                restored = _cast(decoded[name], rows.column(name).type)
                decoded[name] = pc.if_else(
                    pa.array(is_other), rows.column(name), restored
                )
        names = self.order or self.names
        return pa.record_batch([decoded[name] for name in names], names=list(names))

    def fill(self, rows: pa.RecordBatch, numbers: ArrayLike) -> pa.RecordBatch:
        """Fill the gaps of rows in the columns that are used, and leave all else as it is.

        What takes their place is what `decode` gives for the numbers, in the types of
            the rows: in
        text, it is written as the values of the column are.
        """
        values, given = self.decode(numbers, named=True), _drop_marks(rows, self.na)
        filled = dict(zip(rows.schema.names, rows.columns, strict=True))
        for column in self.used:
            cells, own = given.column(column.name), filled[column.name]
            is_text = find_kind(cells.type) is Kind.text
            gaps = (column.clean(cells) if is_text else cells).is_null(nan_is_null=True)
            if pc.any(gaps).as_py():
                new = values.column(column.name)
                if is_text and pa.types.is_floating(
                    new.type
                ):  # with as many decimals as others
                    form, _ = decide_number_text(
                        own.filter(pc.invert(gaps)).slice(0, 1000), "."
                    )
                    new = form.format(np.asarray(new))
                new = make_alike(new, own)
                filled[column.name] = pc.if_else(gaps, new, own)
        return pa.record_batch(filled)

    def join(
        self, numbers: ArrayLike, like: Any, given: pa.RecordBatch | None = None
    ) -> Any:
        """Decode numbers to the frame that was learned from, or one of the library of `like`.

        `given` are the rows that they stand for, as `decode` takes them.
        """
        rows = self.decode(numbers, named=True, rows=given)
        if self.frame is not None:
            return self.frame.join(rows, like)
        return wrap(find_library(like), pa.table(rows), rows.schema.names, like)

    def join_proba(self, numbers: Array, like: Any) -> Any:
        """The numbers of booleans and categories as shares that add up to 1 in each category."""
        layout = self.layout
        shares = np.clip(numbers, 0.0, 1.0)
        for part in layout.categories:
            total = shares[:, part].sum(axis=1, keepdims=True)
            shares[:, part] = np.where(
                total > 0, shares[:, part] / np.maximum(total, TINY), 1.0
            )
        names = [
            name for name, kind in zip(self.features, layout.kinds, strict=True) if kind
        ]
        library = find_library(like) if self.frame is None else self.frame.library
        table = pa.table([*shares[:, layout.kinds > 0].T], names=names)
        return wrap(library, table, names, like)

    def to_json(self) -> bytes:
        """Return all of this as JSON."""
        json = msgspec.to_builtins(self)
        columns = [_drop_empty(column) for column in json.pop("used")]
        return msgspec.json.encode(
            {"version": VERSION, "columns": columns} | _drop_empty(json)
        )

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read the result of `to_json`, or raise a `TableError`; the file may be untrusted."""
        try:
            json = msgspec.json.decode(text)
            if not isinstance(json, dict) or json.get("version") != VERSION:
                raise ValueError("they are not of this version")
            columns = msgspec.convert(json | {"used": json.get("columns")}, cls)
            columns._require_consistent()
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise TableError(
                "the description of the columns in the model file is damaged"
                f" ({error}); save the model anew."
            ) from error
        return columns

    def _require_consistent(self) -> None:
        """Raise a `ValueError` if parts of this contradict one another."""
        for column in self.used:
            column.require_consistent()
        names, others = set(self.names), {lost.name for lost in self.restored}
        if not self.used or len(names) < len(self.used):
            raise ValueError("it has no columns, or two of one name")
        for lost in self.restored:
            lost.repeat(0)  # raises if the value is not of its type
            if lost.longest_text > LONGEST_TEXT:
                raise ValueError(f"column {lost.name!r} has text that is too long")
        if self.frame is not None:
            self.frame.require_consistent()
        if names & others or not names.issuperset(
            lost.copy_of for lost in self.restored if lost.copy_of is not None
        ):
            raise ValueError("the restored columns are invalid")
        if self.order and sorted(self.order) != sorted([*names, *others]):
            raise ValueError("the column order lists names that are not in the model")


def _cast(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values in a type, or nulls in it if it has no such values."""
    try:
        return values.cast(dtype, safe=False)
    except pa.ArrowException:
        return pa.nulls(len(values), dtype)


def _drop_empty(json: dict[str, Any]) -> dict[str, Any]:
    """Return JSON without what is empty, 0 or false, as most of it is in a table of numbers."""
    return {name: value for name, value in json.items() if value or name in BASIC_KEYS}


def _drop_marks(batch: pa.RecordBatch, na: Collection[str]) -> pa.RecordBatch:
    """Return the rows with a null for each value that is one of the marks."""
    if not na:
        return batch
    texts = pa.array(list(na), pa.string())
    numbers = pa.array([float(mark) for mark in na if is_number(mark)], pa.float64())
    columns = []
    for values in batch.columns:
        kind = find_kind(values.type)
        if kind is Kind.text:
            is_mark = pc.is_in(pc.utf8_trim_whitespace(values.cast(pa.string())), texts)
        elif kind in (Kind.integer, Kind.number):
            is_mark = pc.is_in(values.cast(pa.float64(), safe=False), numbers)
        else:
            is_mark = pa.repeat(False, len(values))
        columns.append(pc.if_else(is_mark, pa.scalar(None, values.type), values))
    return pa.record_batch(columns, names=batch.schema.names)
