"""A table on disk, read in batches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import types

from tied_tables._table_errors import TableError
from tied_tables._text import quote
from tied_tables.columns import Kind, find_kind, merge_types, simplify_type
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    BATCH_BYTES,
    Batches,
    Request,
    TableFile,
    find_format,
)
from tied_tables.io._patch import Patch

BATCH_CELLS = 2**20  # about how many numbers a batch has
SMALLEST_BATCH, LARGEST_BATCH = 2**7, 2**16  # in rows
SAMPLE_PIECES = 64
PART_ROWS = 2**20
SAMPLE_BYTES = 2**27


class Piece(NamedTuple):
    """Rows of a file that can be read on their own."""

    file: TableFile
    place: int

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.file.rows[self.place]


@dataclass(eq=False)
class Source:
    """The rows of one or several files, read again by each method, a batch at a time.

    Attributes:
        name: the path as it was given.
        pieces: those of the files that have the rows.
        schema: the names and Arrow types of the columns.
        first_row: how many rows of its file come before those of a part that `split`
            gives.
    """

    name: str
    pieces: Sequence[Piece]
    schema: pa.Schema
    first_row: int = 0

    def __post_init__(self) -> None:
        if not self.n_rows:
            raise TableError(f"{self.name!r} has columns but no rows; add rows.")

    @cached_property
    def n_rows(self) -> int:
        """How many rows there are."""
        return sum(piece.n_rows for piece in self.pieces)

    @property
    def files(self) -> list[TableFile]:
        """The files that have the rows."""
        return list(dict.fromkeys(piece.file for piece in self.pieces))

    @property
    def notes(self) -> list[str]:
        """What was detected when the files were opened, such as a delimiter."""
        return list(dict.fromkeys(note for file in self.files for note in file.notes))

    @property
    def decimal(self) -> str | None:
        """The decimal mark of the files, or None if they do not tell, or differ."""
        marks = {file.decimal for file in self.files}
        return marks.pop() if len(marks) == 1 else None

    def find_patch(self, output: str) -> Patch | None:
        """Return what writes a copy of the file with new cells, or None.

        There is none for several files, for columns that the file lacks, and for an
        output of another format.
        """
        first, *other_files = self.files
        format = find_format(output) or "csv"  # of the standard output
        is_copy = format == find_format(first.path) and not first.constants
        return first.patch if is_copy and not other_files else None

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column, by name."""
        return {field.name: find_kind(field.type) for field in self.schema}

    @property
    def stored_names(self) -> list[str]:
        """What the first file calls its columns, maybe with blanks at the ends."""
        first = self.files[0]
        return [first.stored_names.get(name, name) for name in first.schema.names]

    @property
    def categorical(self) -> list[str]:
        """The columns whose type in the file is categories of text or whole numbers."""
        schema = self.files[0].schema
        stored = dict(zip(self.stored_names, schema.names, strict=True))
        names = {f.name for f in schema if types.is_dictionary(f.type)}
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            # whatever a file may note
            for note in schema.pandas_metadata["columns"]:
                if note["pandas_type"] == "categorical":
                    names.add(stored[note["field_name"]])
        kinds = self.kinds
        words = Kind.text, Kind.integer
        return [name for name in schema.names if name in names and kinds[name] in words]

    def batches(
        self,
        n_rows: int | None = None,
        names: Sequence[str] | None = None,
        most_rows: int = LARGEST_BATCH,
        as_stored: bool = False,
    ) -> Batches:
        """Yield all rows in order, of named columns or all.

        A batch has `n_rows` rows, the last maybe fewer; by default about a million
        numbers, and at most `most_rows`. It has fewer rows if these take over 64 MiB.
        With `as_stored`, the rows of a single file have its own types.
        """
        known = dict.fromkeys(self.schema.names)
        names = list(known if names is None else names)
        if absent := [name for name in names if name not in known]:
            raise TableError(f"{self.name!r} has no column {quote(absent)}.")
        usual = max(SMALLEST_BATCH, BATCH_CELLS // max(1, len(names)))
        size = n_rows or min(usual, LARGEST_BATCH, most_rows)
        first, *other_files = self.files
        schema = first.schema if as_stored and not other_files else self.schema
        yield from resize_batches(_read(self.pieces, names, schema), size)

    def sample(self, n: int, *, seed: int) -> pa.RecordBatch:
        """Sample at most n rows from all over the table, in a random order.

        They come from 64 pieces of the files, or more if these have fewer rows, at
        random places.
        """
        random = np.random.default_rng(seed)
        sizes = np.array([piece.n_rows for piece in self.pieces])
        order = random.permutation(len(sizes))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), n)) + 1
        chosen = np.sort(order[: max(enough, SAMPLE_PIECES)])
        available = int(sizes[chosen].sum())
        pieces = [self.pieces[place] for place in chosen]
        n = min(n, available)
        parts, end, n_bytes = [], 0, 0
        for batch in _read(pieces, self.schema.names, self.schema):
            # In proportion, so that every part of the table has its share.
            begin, end = end, end + batch.num_rows
            share = n * end // available - n * begin // available
            room = SAMPLE_BYTES * end // available - n_bytes
            share = min(share, room * batch.num_rows // max(1, batch.nbytes))
            if share > 0:
                rows = random.choice(
                    batch.num_rows, share, replace=False, shuffle=False
                )
                parts.append(batch.take(np.sort(rows)))
                n_bytes += parts[-1].nbytes
        if not parts:
            return self.schema.empty_table().to_batches()[0]
        joined = _concatenate(parts)
        return joined.take(random.permutation(joined.num_rows))

    def head(self, n_rows: int) -> "Source":
        """Return the first rows; they are there as long as the whole table is."""
        pieces = []
        for piece in self.pieces:
            n_kept = min(piece.n_rows, n_rows)
            n_rows -= n_kept
            if 0 < n_kept < piece.n_rows:
                file = piece.file
                rows = list(file.rows)
                rows[piece.place] = n_kept
                read = partial(_read_first, file, n_kept)
                piece = Piece(replace(file, rows=rows, read=read), piece.place)
            if n_kept:
                pieces.append(piece)
        return replace(self, pieces=pieces)

    def split(self, n_rows: int = PART_ROWS) -> list["Source"]:
        """Split the table into parts of files, which other processes can read.

        A part has about `n_rows` rows: fewer at the end of a file, and more where a
        file cannot be read in smaller pieces, as CSV.
        """
        parts = []
        for file, pieces in groupby(self.pieces, attrgetter("file")):
            first_row = 0
            part_pieces: list[Piece] = []
            n_part_rows = 0
            for piece in pieces:
                if n_part_rows and n_part_rows + piece.n_rows > n_rows:
                    parts.append(Source(file.name, part_pieces, self.schema, first_row))
                    first_row += n_part_rows
                    part_pieces, n_part_rows = [], 0
                part_pieces.append(piece)
                n_part_rows += piece.n_rows
            if n_part_rows:
                parts.append(Source(file.name, part_pieces, self.schema, first_row))
        return parts


def hold_rows(rows: pa.RecordBatch, name: str = "X") -> Source:
    """Return rows in memory as a table that is read in batches."""

    def read(request: Request) -> Batches:
        yield rows.select(request.names)

    file = TableFile(name, rows.schema, [rows.num_rows], read)
    return Source(name, [Piece(file, 0)], rows.schema)


def _read(pieces: Iterable[Piece], names: list[str], schema: pa.Schema) -> Batches:
    """Yield the rows of pieces of files, as many as these had when opened."""
    schema = pa.schema([schema.field(name) for name in names])
    for file, group in groupby(pieces, attrgetter("file")):
        file_pieces = list(group)
        n_expected = sum(piece.n_rows for piece in file_pieces)
        n_read = 0
        constants = file.constants
        stored = [name for name in names if name not in constants]
        # A column tells how many rows there are.
        stored = stored or file.schema.names[:1]
        for stored_batch in file.read(
            Request([piece.place for piece in file_pieces], stored)
        ):
            n_read += stored_batch.num_rows
            if n_read > n_expected:
                break
            for batch in _split_bytes(stored_batch):
                if constants:
                    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
                    for name, value in constants.items():
                        columns[name] = pa.repeat(value, batch.num_rows)
                    batch = pa.record_batch(columns)
                if not batch.schema.equals(schema):
                    batch = batch.select(names).cast(schema)
                yield batch
        if n_read != n_expected:
            raise TableError(
                f"{file.name!r} does not have the {n_expected:,} rows that it declares;"
                " write it again."
            )


def _read_first(file: TableFile, n_rows: int, request: Request) -> Batches:
    """Read a piece of a file, and yield its first rows."""
    for batch in file.read(request):
        yield batch[:n_rows]
        n_rows = max(0, n_rows - batch.num_rows)


def _check_schema(file: TableFile) -> None:
    """Raise if two columns have one name, or a name or a zone is no text."""
    with report_read_errors(file.name):
        counts = Counter(file.schema.names)
        if twice := [name for name in counts if counts[name] > 1]:
            raise TableError(
                f"{file.name!r} has duplicate column names: {quote(twice)}; rename"
                " them."
            )
        for dtype in file.schema.types:
            getattr(dtype, "tz", None)


def merge_columns(
    files: Sequence[TableFile],
) -> tuple[dict[str, pa.DataType], dict[str, TableFile]]:
    """Return the types of the columns of files, and where some are of another kind."""
    dtypes: dict[str, pa.DataType] = {}
    clashes: dict[str, TableFile] = {}
    for file in files:
        for field in file.schema:
            before = dtypes.get(field.name, pa.null())
            merged = merge_types(before, simplify_type(field.type))
            if merged is None:
                clashes.setdefault(field.name, file)
            dtypes[field.name] = merged or before
    return dtypes, clashes


def merge_schemas(files: Sequence[TableFile]) -> pa.Schema:
    """Return the columns of all files, in the order of the first."""
    for file in files:
        _check_schema(file)
    first = files[0]
    names = dict.fromkeys(first.schema.names)
    for file in files:
        own_names = dict.fromkeys(file.schema.names)
        mismatch = ""
        if absent := [name for name in names if name not in own_names]:
            mismatch = f"has no column {quote(absent)}, which {first.name!r} has"
        elif extra := [name for name in own_names if name not in names]:
            mismatch = (
                f"has the column {quote(extra)}, which {first.name!r} does not have"
            )
        if mismatch:
            raise TableError(
                f"{file.name!r} {mismatch}; give files with the same columns."
            )
    dtypes, clashes = merge_columns(files)
    for name, file in clashes.items():
        own, other = (find_kind(each.schema.field(name).type) for each in (file, first))
        raise TableError(
            f"{file.name!r} has {own} in column {name!r}, but {first.name!r} has"
            f" {other}; give files with the same columns."
        )
    return pa.schema(dtypes)


def _split_bytes(batch: pa.RecordBatch) -> Batches:
    """Yield the same rows in batches of about as many bytes as one may have."""
    n_bytes = sum(map(_measure, batch.columns))
    size = max(1, batch.num_rows * BATCH_BYTES // max(1, n_bytes))
    yield from pa.Table.from_batches([batch]).to_batches(max_chunksize=size)


def _measure(column: pa.Array) -> int:
    """Return about how many bytes a column takes, or may take as text."""
    n_bytes = int(column.nbytes)
    if types.is_dictionary(column.type):
        longest = n_bytes // max(1, len(column.dictionary))
        n_bytes = len(column) * longest
    return n_bytes


def resize_batches(batches: Iterable[pa.RecordBatch], size: int) -> Batches:
    """Yield the same rows in batches of one size; the last may have fewer.

    So may those that take many bytes.
    """
    parts = []
    n_rows, n_bytes = 0, 0
    for batch in batches:
        parts.append(batch)
        n_rows += batch.num_rows
        n_bytes += batch.nbytes
        if n_rows >= size or n_bytes >= BATCH_BYTES:
            joined = _concatenate(parts)
            step = min(size, n_rows)
            n_rows %= step
            end = joined.num_rows - n_rows
            for begin in range(0, end, step):
                yield joined.slice(begin, step)
            remaining = joined[end:]
            parts, n_bytes = [remaining], remaining.nbytes
    if n_rows:
        yield _concatenate(parts)


def _concatenate(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of batches in one, without a copy of a single one."""
    filled = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(filled).combine_chunks().to_batches()[0]
