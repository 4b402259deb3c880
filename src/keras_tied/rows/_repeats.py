"""Rows that are in a table twice: one by one, in blocks, or by their ids."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from keras_tied.columns import Kind, find_kind, list_values
from keras_tied.rows._scan import Batch

FEWEST_IN_BLOCK, CHANCE = 3, 0.05
"""A block has so many rows at least, and more in a table of which so many blocks repeat
others by chance."""
FEW, FEW_SHARE = 10, 0.01
"""More single repeats, and a larger share of the rows, are part of the table."""
LARGEST_SHARE = 0.999  # of equal pairs: in a table of one kind of row nothing repeats
MISSING = 1 - 2**63  # what a missing whole number or time is hashed as
WHOLE = (Kind.boolean, Kind.integer, Kind.time)
FACTOR = np.uint64(0x9E3779B97F4A7C15)
HALF = np.uint64(32)

Hashes: TypeAlias = NDArray[np.uint64]
Places: TypeAlias = NDArray[np.intp]


class Repeat(NamedTuple):
    """Rows that repeat earlier ones, counted from 1; or an id that does."""

    row: int
    first: int
    n_rows: int = 1
    id: str = ""  # the column of ids, where that alone is repeated

    @property
    def sentence(self) -> str:
        """What is repeated where."""
        if self.id:
            return f"row {self.row:,} has the {self.id} of row {self.first:,}"
        if self.n_rows == 1:
            return f"row {self.row:,} repeats row {self.first:,}"
        last_row = self.row + self.n_rows - 1
        last_first = self.first + self.n_rows - 1
        return (
            f"rows {self.row:,} to {last_row:,} repeat rows {self.first:,} to"
            f" {last_first:,}"
        )


@dataclass
class RepeatFinder:
    """Collects rows, and finds those that repeat others.

    Args:
        ids: the columns that name rows. A block of rows is the same whatever they are.
    """

    ids: Sequence[str]
    # of each batch: those of its rows without ids, and those of each id
    _hashes: list[list[Hashes]] = field(default_factory=list, init=False)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches, and collect their rows."""
        for batch in batches:
            self.add(batch.rows)
            yield batch

    def add(self, rows: pa.RecordBatch) -> None:
        """Collect some more rows."""
        contents = np.zeros(rows.num_rows, np.uint64)
        for name in rows.column_names:
            if name not in self.ids:
                contents = _mix(contents, rows[name])
        hashes = [contents]
        for name in self.ids:
            values = rows[name]
            own = _mix(np.full_like(contents, FACTOR), values)
            # A row without an id is told by its content.
            hashes.append(np.where(values.is_null(), contents, own))
        self._hashes.append(hashes)

    def find(self) -> list[Repeat]:
        """The blocks, then the ids and the single rows that are there twice."""
        batches = zip(*self._hashes, strict=True)
        contents, *ids = map(np.concatenate, batches)
        repeats, is_in_block = _find_blocks(contents)
        whole = contents
        for name, keys in zip(self.ids, ids, strict=True):
            whole = whole * FACTOR ^ keys
            rows, firsts = _find_equal(keys)
            is_other = contents[rows] != contents[firsts]
            is_other &= ~is_in_block[rows]
            repeats += _list_few(rows, firsts, is_other, len(keys), name)
        rows, firsts = _find_equal(whole)
        is_single = ~is_in_block[rows]
        return repeats + _list_few(rows, firsts, is_single, len(whole))


def _mix(hashes: Hashes, values: pa.Array) -> Hashes:
    """Hashes of rows, `(n,)`, with another column of theirs."""
    mixed = (hashes ^ _hash(values)) * FACTOR
    return mixed ^ (mixed >> HALF)


def _hash(values: pa.Array) -> Hashes:
    """One number for each value, `(n,)`, of which equal ones have the same."""
    kind = find_kind(values.type)
    if kind is Kind.text:
        encoded = values.dictionary_encode()
        words = encoded.dictionary.to_pylist()
        places = np.asarray(encoded.indices.fill_null(-1))
        return np.take(_hash_objects([*words, None]), places)
    if pa.types.is_floating(values.type):
        numbers = np.asarray(values.cast(pa.float64()))
        numbers = numbers + 0.0  # without -0
        numbers[np.isnan(numbers)] = np.nan  # of one kind
    elif kind in WHOLE:
        if kind is Kind.time and values.type.bit_width == 32:
            values = values.cast(pa.int32())
        numbers = values.cast(pa.int64(), safe=False)
        numbers = np.asarray(numbers.fill_null(MISSING))
    else:  # a decimal may have more digits than a double
        return _hash_objects(list_values(values))
    return numbers.view(np.uint64)


def _hash_objects(values: list[object]) -> Hashes:
    """One number for each object, `(n,)`, of what it is written as."""
    hashes = [hash(repr(value)) for value in values]
    return np.array(hashes, np.int64).view(np.uint64)


def _find_equal(hashes: Hashes) -> tuple[Places, Places]:
    """The places that repeat an earlier one, and the first place of each, `(m,)`."""
    _, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    first_places = firsts[inverse]
    rows = np.flatnonzero(first_places != np.arange(len(hashes)))
    return rows, first_places[rows]


def _find_blocks(hashes: Hashes) -> tuple[list[Repeat], NDArray[np.bool_]]:
    """The blocks of rows that repeat others in their order, and which rows they are."""
    n = len(hashes)
    _, counts = np.unique(hashes, return_counts=True)
    share = np.square(counts / n).sum()  # of pairs of rows that are equal
    # n blocks begin alike, and each next row is equal to its own by this chance.
    longest = math.log(CHANCE / n) / math.log(min(share, LARGEST_SHARE))
    fewest = max(FEWEST_IN_BLOCK, 1 + math.ceil(longest))
    rows, firsts = _find_equal(hashes)
    is_next = (np.diff(rows) == 1) & (np.diff(firsts) == 1)
    begins = np.flatnonzero(~is_next) + 1
    is_in_block = np.zeros(n, bool)
    blocks = []
    for part in np.split(np.arange(len(rows)), begins):
        if len(part) >= fewest:
            is_in_block[rows[part]] = True
            row, first = int(rows[part[0]]), int(firsts[part[0]])
            blocks.append(Repeat(row + 1, first + 1, len(part)))
    return blocks, is_in_block


def _list_few(
    rows: Places,
    firsts: Places,
    is_listed: NDArray[np.bool_],
    n: int,
    id: str = "",
) -> list[Repeat]:
    """Some repeats of rows or of an id; none if they are part of the table."""
    if np.count_nonzero(is_listed) > max(FEW, FEW_SHARE * n):
        return []
    pairs = np.column_stack([rows, firsts]) + 1
    return [Repeat(row, first, id=id) for row, first in pairs[is_listed].tolist()]
