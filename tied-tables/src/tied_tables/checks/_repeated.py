"""Duplicate rows of a table: one by one, in blocks, or by their ids."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tied_tables.columns import list_values
from tied_tables.rows import Batch
from tied_tables.rules import Doubt

FEWEST_IN_BLOCK, CHANCE_BLOCKS = 3, 0.05
"""A block has so many rows at least, and more in a table of which so many blocks repeat
others by chance."""
FEW_REPEATS, FEW_REPEATS_SHARE = 10, 0.01
"""More single repeats, and a larger share of the rows, are part of the table."""
LARGEST_SHARE = 0.999  # of equal pairs: in a table of one kind of row nothing repeats
HASH_FACTOR = np.int64(31)
CELL_SEPARATOR, NULL_TEXT = "\x1f", "\0"  # in the text of a row

Hashes: TypeAlias = NDArray[np.int64]
Places: TypeAlias = NDArray[np.intp]


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
        content_names = [name for name in rows.column_names if name not in self.ids]
        contents = _hash(rows.select(content_names))
        hashes = [contents]
        for name in self.ids:
            id_hashes = _hash(rows.select([name]))
            # A row without an id is identified by its content, which is no id.
            hashes.append(np.where(rows[name].is_null(), ~contents, id_hashes))
        self._hashes.append(hashes)

    def find(self) -> list[Doubt]:
        """The blocks, then the duplicate ids and single rows."""
        batches = zip(*self._hashes, strict=True)
        contents, *ids = map(np.concatenate, batches)
        doubts, is_in_block = _find_blocks(contents)
        row_hashes = contents
        for name, keys in zip(self.ids, ids, strict=True):
            row_hashes = row_hashes * HASH_FACTOR ^ keys
            rows, firsts = _find_equal(keys)
            is_other = contents[rows] != contents[firsts]
            is_other &= ~is_in_block[rows]
            doubts += _list_few(rows, firsts, is_other, len(keys), name)
        rows, firsts = _find_equal(row_hashes)
        is_single = ~is_in_block[rows]
        return doubts + _list_few(rows, firsts, is_single, len(row_hashes))


def _hash(rows: pa.RecordBatch) -> Hashes:
    """One number for each row, `(n,)`, of which equal ones have the same."""
    texts = [pa.repeat("", rows.num_rows), *map(_write, rows.columns)]
    lines = pc.binary_join_element_wise(
        *texts, CELL_SEPARATOR, null_handling="replace", null_replacement=NULL_TEXT
    )
    return np.array([hash(line) for line in lines.to_pylist()], np.int64)


def _write(values: pa.Array) -> pa.Array:
    """Each value as text, of which equal ones have the same."""
    try:
        if pa.types.is_floating(values.type):
            numbers = np.asarray(pc.add(values, 0.0))  # without -0
            # Their bits are written faster.
            values = pa.array(numbers, from_pandas=True).view(pa.int64())
        return values.cast(pa.string())
    except pa.ArrowException:
        return pa.array([repr(value) for value in list_values(values)])


def _find_equal(hashes: Hashes) -> tuple[Places, Places]:
    """The places that repeat an earlier one, and the first place of each, `(m,)`."""
    _, firsts, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    first_places = firsts[inverse]
    rows = np.flatnonzero(first_places != np.arange(len(hashes)))
    return rows, first_places[rows]


def _find_blocks(hashes: Hashes) -> tuple[list[Doubt], NDArray[np.bool_]]:
    """The blocks of rows that repeat others in their order, and which rows they are."""
    n = len(hashes)
    _, counts = np.unique(hashes, return_counts=True)
    share = np.square(counts / n).sum()  # of pairs of rows that are equal
    # n blocks begin alike, and each next row is equal to its own by this chance.
    longest = math.log(CHANCE_BLOCKS / n) / math.log(min(share, LARGEST_SHARE))
    fewest = max(FEWEST_IN_BLOCK, 1 + math.ceil(longest))
    rows, firsts = _find_equal(hashes)
    is_next = (np.diff(rows) == 1) & (np.diff(firsts) == 1)
    begins = np.flatnonzero(~is_next) + 1
    is_in_block = np.zeros(n, bool)
    blocks = []
    for part in np.split(np.arange(len(rows)), begins):
        if len(part) >= fewest:
            is_in_block[rows[part]] = True
            row, first = rows[part[0]] + 1, firsts[part[0]] + 1
            blocks.append(_describe_block(int(row), int(first), len(part)))
    return blocks, is_in_block


def _describe_block(row: int, first: int, n_rows: int) -> Doubt:
    """Doubt rows, counted from 1, which repeat as many that begin with the first."""
    last_row = row + n_rows - 1
    last_first = first + n_rows - 1
    repeats = f"rows {row:,} to {last_row:,} repeat rows {first:,} to {last_first:,}"
    return Doubt(row, reason=repeats)


def _list_few(
    rows: Places,
    firsts: Places,
    is_listed: NDArray[np.bool_],
    n: int,
    id: str | None = None,
) -> list[Doubt]:
    """Some repeats of rows or of an id; none if they are part of the table."""
    if np.count_nonzero(is_listed) > max(FEW_REPEATS, FEW_REPEATS_SHARE * n):
        return []
    verb = "repeats" if id is None else f"has the {id} of"
    pairs = np.column_stack([rows, firsts]) + 1
    return [
        Doubt(row, id, reason=f"row {row:,} {verb} row {first:,}")
        for row, first in pairs[is_listed].tolist()
    ]
