"""A table on disk, read in batches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
from pyarrow import types

from keras_tied._table_errors import TableError
from keras_tied._text import quote
from keras_tied.columns import Kind, find_kind, merge_types, simplify_type
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import (
    BATCH_BYTES,
    Batches,
    Request,
    TableFile,
    find_format,
)
from keras_tied.tables._patch import Patch

BATCH_CELLS = 2**20  # about how many numbers a batch has
SMALLEST_BATCH, LARGEST_BATCH = 2**7, 2**16  # in rows
SAMPLE_PIECES = 64
PART_ROWS = 2**20
SAMPLE_BYTES = 2**27


@dataclass(eq=False)
class Source:
    """The rows of one or several files, read anew by each method, a batch at a time.

    Attributes:
        name: the path as it was given.
        files: those that have the rows.
        schema: the names and Arrow types of the columns.
        first_row: how many rows of its file come before those of a part that `split`
            gives.
    """

    name: str
    files: Sequence[TableFile]
    schema: pa.Schema
    first_row: int = 0

    def __post_init__(self) -> None:
        if not self.n_rows:
            raise TableError(f"{self.name!r} has columns and no rows; give it rows.")

    @cached_property
    def n_rows(self) -> int:
        """How many rows there are."""
        return sum(sum(file.rows) for file in self.files)

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

        There is none for several files, and for an output of another format.
        """
        first, *others = self.files
        format = find_format(output) or "csv"  # of the standard output
        return None if others or format != find_format(first.name) else first.patch

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column, by name."""
        return {field.name: find_kind(field.type) for field in self.schema}

    @property
    def categorical(self) -> list[str]:
        """The columns whose type in the file is categories of text or whole numbers."""
        schema = self.files[0].schema
        names = {f.name for f in schema if types.is_dictionary(f.type)}
        with suppress(ValueError, TypeError, AttributeError, KeyError):
            # whatever a file may note
            for note in schema.pandas_metadata["columns"]:
                if note["pandas_type"] == "categorical":
                    names.add(note["field_name"])
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
        pieces = [(file, range(len(file.rows))) for file in self.files]
        first, *others = self.files
        schema = first.schema if as_stored and not others else self.schema
        yield from resize_batches(self._read(pieces, names, schema), size)

    def sample(self, n: int, *, seed: int) -> pa.RecordBatch:
        """Sample at most n rows from all over the table, in a random order.

        They come from 64 pieces of the files, or more if these have fewer rows, at
        random places.
        """
        random = np.random.default_rng(seed)
        pieces, available = self._choose_pieces(n, random)
        n, names = min(n, available), self.schema.names
        parts, end, n_bytes = [], 0, 0
        for batch in self._read(pieces, names, self.schema):
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
        whole = _concatenate(parts)
        return whole.take(random.permutation(whole.num_rows))

    def _choose_pieces(
        self, n: int, random: np.random.Generator
    ) -> tuple[list[tuple[TableFile, list[int]]], int]:
        """Choose random pieces with n rows or more; count their rows, too."""
        sizes = np.concatenate([file.rows for file in self.files])
        order = random.permutation(len(sizes))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), n)) + 1
        chosen = np.sort(order[: max(enough, SAMPLE_PIECES)])
        parts, first = [], 0
        for file in self.files:
            last = first + len(file.rows)
            own = chosen[(first <= chosen) & (chosen < last)] - first
            if len(own):
                parts.append((file, own.tolist()))
            first = last
        return parts, int(sizes[chosen].sum())

    def split(self, n_rows: int = PART_ROWS) -> list["Source"]:
        """Split the table into parts of files, which other processes can read.

        A part has about `n_rows` rows: fewer at the end of a file, and more where a
        file cannot be read in smaller pieces, as CSV.
        """
        parts = []
        for file in self.files:
            ends = np.cumsum(file.rows)
            begin = 0
            while begin < len(ends):
                first_row = int(ends[begin] - file.rows[begin])
                end = int(np.searchsorted(ends, first_row + n_rows, side="right"))
                end = max(begin + 1, end)
                read = partial(_read_part, file, begin)
                part = replace(file, rows=file.rows[begin:end], read=read)
                if sum(part.rows):
                    parts.append(Source(file.name, [part], self.schema, first_row))
                begin = end
        return parts

    def _read(
        self,
        pieces: Iterable[tuple[TableFile, Sequence[int]]],
        names: list[str],
        schema: pa.Schema,
    ) -> Batches:
        """Yield the rows of pieces of files, as many as these had when opened."""
        schema = pa.schema([schema.field(name) for name in names])
        for file, indices in pieces:
            n_expected = sum(file.rows[index] for index in indices)
            n_read = 0
            for whole in file.read(Request(indices, names)):
                n_read += whole.num_rows
                if n_read > n_expected:
                    break
                for batch in _split_bytes(whole):
                    if not batch.schema.equals(schema):
                        batch = batch.select(names).cast(schema)
                    yield batch
            if n_read != n_expected:
                raise TableError(
                    f"{file.name!r} has not the {n_expected:,} rows that it names;"
                    " write it anew."
                )


def _read_part(file: TableFile, begin: int, request: Request) -> Batches:
    pieces = [begin + piece for piece in request.pieces]
    return file.read(replace(request, pieces=pieces))


def _check_schema(file: TableFile) -> None:
    """Raise if two columns have one name, or a name or a zone is no text."""
    with report_read_errors(file.name, "a table"):
        counts = Counter(file.schema.names)
        if twice := [name for name in counts if counts[name] > 1]:
            raise TableError(
                f"{file.name!r} has several columns of the name {quote(twice)}; rename"
                " them."
            )
        for dtype in file.schema.types:
            getattr(dtype, "tz", None)


def find_clashes(files: Sequence[TableFile]) -> list[str]:
    """Return the columns that are of several kinds in some files."""
    dtypes: dict[str, pa.DataType] = {}
    clashes = []
    for file in files:
        for field in file.schema:
            before = dtypes.get(field.name, pa.null())
            merged = merge_types(before, field.type)
            if merged is None:
                clashes.append(field.name)
            dtypes[field.name] = merged or before
    return clashes


def merge_schemas(files: Sequence[TableFile]) -> pa.Schema:
    """Return the columns of all files, in the order of the first."""
    for file in files:
        _check_schema(file)
    first, *others = files
    dtypes = _list_types(first)
    for file in others:
        own_dtypes = _list_types(file)
        mismatch = _find_mismatch(dtypes, own_dtypes, first.name)
        if mismatch:
            raise TableError(
                f"{file.name!r} {mismatch}; give files with the same columns."
            )
        for name, dtype in own_dtypes.items():
            dtypes[name] = merge_types(dtypes[name], dtype)
    return pa.schema(dtypes)


def _find_mismatch(
    dtypes: dict[str, pa.DataType],
    own_dtypes: dict[str, pa.DataType],
    other: str,
) -> str:
    """Return how the types of a file differ from those of another, or ""."""
    if absent := [name for name in dtypes if name not in own_dtypes]:
        return f"has no column {quote(absent)}, which {other!r} has"
    if extra := [name for name in own_dtypes if name not in dtypes]:
        return f"has the column {quote(extra)}, which {other!r} has not"
    for name, dtype in own_dtypes.items():
        if merge_types(dtypes[name], dtype) is None:
            kind = find_kind(dtypes[name])
            return (
                f"has {find_kind(dtype)} in column {name!r}, where {other!r} has {kind}"
            )
    return ""


def _list_types(file: TableFile) -> dict[str, pa.DataType]:
    return {field.name: simplify_type(field.type) for field in file.schema}


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
            whole = _concatenate(parts)
            step = min(size, n_rows)
            n_rows %= step
            end = whole.num_rows - n_rows
            for begin in range(0, end, step):
                yield whole.slice(begin, step)
            rest = whole[end:]
            parts, n_bytes = [rest], rest.nbytes
    if n_rows:
        yield _concatenate(parts)


def _concatenate(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of batches in one, without a copy of a single one."""
    filled = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(filled).combine_chunks().to_batches()[0]
