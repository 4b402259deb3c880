"""A table on disk, read in batches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby

import numpy as np
import pyarrow as pa

from keras_tied._table_errors import TableError
from keras_tied._text import quote
from keras_tied.columns import Kind, find_kind, merge_types, simplify_type
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import Batches, Request, TableFile

BATCH_CELLS = 2**20  # about how many numbers a batch has
SMALLEST_BATCH, LARGEST_BATCH = 2**7, 2**16  # in rows
SAMPLE_PIECES = 64
PART_ROWS = 2**20


class Source:
    """The rows of one or several files, read anew by each method, a batch at a time.

    Attributes:
        name, n_rows: the path as it was given, and how many rows there are.
        schema: the names and Arrow types of the columns.
        notes: what was detected when the files were opened, such as a delimiter.
        decimal, delimiter: the marks of the files, or None if they do not tell, differ,
            or, of a delimiter, have the usual one.
        first_row: how many rows of its file come before those of a part that `split`
            gives.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[TableFile],
        schema: pa.Schema | None = None,
        first_row: int = 0,
    ) -> None:
        self.name: str = name
        self.first_row: int = first_row
        self._files = files
        for file in files if schema is None else ():
            with report_read_errors(
                file.name, "a table"
            ):  # a name or a zone may be no text
                if twice := [
                    of for of, times in Counter(file.schema.names).items() if times > 1
                ]:
                    fault = (
                        f"has several columns of the name {quote(twice)}; rename them"
                    )
                    raise TableError(f"{file.name!r} {fault}.")
                _ = [getattr(dtype, "tz", None) for dtype in file.schema.types]
        self.schema: pa.Schema = _merge_schemas(files) if schema is None else schema
        self.n_rows: int = sum(sum(file.rows) for file in files)
        self.notes: list[str] = list(
            dict.fromkeys(note for file in files for note in file.notes)
        )
        decimals, delimiters = {f.decimal for f in files}, {f.delimiter for f in files}
        self.decimal: str | None = decimals.pop() if len(decimals) == 1 else None
        self.delimiter: str | None = delimiters.pop() if len(delimiters) == 1 else None
        if not self.n_rows:
            raise TableError(f"{name!r} has columns and no rows; give it rows.")

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each column, by name."""
        return {field.name: find_kind(field.type) for field in self.schema}

    @property
    def categorical(self) -> list[str]:
        """The columns whose type in the file is categories of text or of whole numbers."""
        schema, noted = self._files[0].schema, set[str]()
        with suppress(
            ValueError, TypeError, AttributeError, KeyError
        ):  # whatever a file may note
            columns = (schema.pandas_metadata or {})["columns"]
            noted = {
                of["field_name"] for of in columns if of["pandas_type"] == "categorical"
            }
        return [
            of.name
            for of in schema
            if (of.name in noted or pa.types.is_dictionary(of.type))
            and find_kind(of.type) in (Kind.text, Kind.integer)
        ]

    def batches(
        self,
        n_rows: int | None = None,
        names: Sequence[str] | None = None,
        most_rows: int = LARGEST_BATCH,
    ) -> Batches:
        """Yield all rows in order, of named columns or all.

        A batch has `n_rows` rows, the last maybe fewer; by default about a million
        numbers, and at most `most_rows`.
        """
        known = dict.fromkeys(self.schema.names)
        names = list(known if names is None else names)
        if absent := [name for name in names if name not in known]:
            raise TableError(f"{self.name!r} has no column {quote(absent)}.")
        size = n_rows or min(most_rows, _choose_batch_size(names))
        whole = ((file, range(len(file.rows))) for file in self._files)
        yield from _resize_batches(self._read(whole, names, size), size)

    def sample(self, n: int, *, seed: int) -> pa.RecordBatch:
        """Sample at most n rows from all over the table, in a random order.

        They come from 64 pieces of the files, or more if these have fewer rows, at
        random places.
        """
        random = np.random.default_rng(seed)
        pieces, available = self._choose_pieces(n, random)
        n, names = min(n, available), self.schema.names
        parts, end = [], 0
        for batch in self._read(pieces, names, _choose_batch_size(names)):
            # In proportion, so that every part of the table has its share.
            begin, end = end, end + batch.num_rows
            if share := n * end // available - n * begin // available:
                rows = random.choice(
                    batch.num_rows, share, replace=False, shuffle=False
                )
                parts.append(batch.take(np.sort(rows)))
        if not parts:
            return self.schema.empty_table().to_batches()[0]
        whole = _concatenate(parts)
        return whole.take(random.permutation(whole.num_rows))

    def split(self, n_rows: int = PART_ROWS) -> list["Source"]:
        """Split the table into parts of files, in order, which other processes can read.

        A part has about `n_rows` rows: fewer at the end of a file, and more where a
            file cannot be
        read in smaller pieces, as CSV.
        """
        parts = []
        for file in self._files:
            ends = np.cumsum(file.rows)
            begin = 0
            while begin < len(ends):
                before = int(ends[begin] - file.rows[begin])
                end = max(
                    begin + 1, int(np.searchsorted(ends, before + n_rows, side="right"))
                )
                read = partial(_read_part, file, begin)
                part = replace(file, rows=file.rows[begin:end], read=read)
                if sum(part.rows):
                    parts.append(Source(file.name, [part], self.schema, before))
                begin = end
        return parts

    def _choose_pieces(
        self, n: int, random: np.random.Generator
    ) -> tuple[list[tuple[TableFile, list[int]]], int]:
        """Choose random pieces with n rows or more, if there are; return their rows' number too."""
        pieces = [
            (file, piece) for file in self._files for piece in range(len(file.rows))
        ]
        sizes = np.array([file.rows[piece] for file, piece in pieces])
        order = random.permutation(len(pieces))
        enough = int(np.searchsorted(np.cumsum(sizes[order]), n)) + 1
        chosen = sorted(order[: max(enough, SAMPLE_PIECES)])
        groups = groupby((pieces[index] for index in chosen), key=lambda pair: pair[0])
        parts = [(file, [piece for _, piece in group]) for file, group in groups]
        return parts, int(sizes[chosen].sum())

    def _read(
        self,
        pieces: Iterable[tuple[TableFile, Sequence[int]]],
        names: list[str],
        n_rows: int,
    ) -> Batches:
        schema = pa.schema([self.schema.field(name) for name in names])
        for file, indices in pieces:
            awaited, read = sum(file.rows[index] for index in indices), 0
            for batch in file.read(Request(indices, names, n_rows)):
                read += batch.num_rows
                if read > awaited:
                    break
                selected = batch if batch.schema.names == names else batch.select(names)
                yield (
                    selected
                    if selected.schema.equals(schema)
                    else selected.cast(schema)
                )
            if read != awaited:
                raise TableError(
                    f"{file.name!r} had {awaited:,} rows when it was opened, and has"
                    f" {'more' if read > awaited else f'{read:,}'} now; run the command"
                    " again when nobody writes to it."
                )


def _read_part(file: TableFile, begin: int, request: Request) -> Batches:
    return file.read(
        replace(request, pieces=[begin + piece for piece in request.pieces])
    )


def find_clashes(files: Sequence[TableFile]) -> list[str]:
    """Return the columns that are of several kinds in some files."""
    types: dict[str, pa.DataType] = {}
    clashes = []
    for field in (field for file in files for field in file.schema):
        merged = merge_types(types.get(field.name, pa.null()), field.type)
        clashes += [field.name] * (merged is None)
        types[field.name] = merged or types[field.name]
    return clashes


def _merge_schemas(files: Sequence[TableFile]) -> pa.Schema:
    """Return the columns of all files, in the order of the first."""
    first = files[0]
    types = {field.name: simplify_type(field.type) for field in first.schema}
    for file in files[1:]:
        others = {field.name: simplify_type(field.type) for field in file.schema}
        if absent := [name for name in types if name not in others]:
            raise _mismatch(
                file, f"has no column {quote(absent)}, which {first.name!r} has"
            )
        if extra := [name for name in others if name not in types]:
            raise _mismatch(
                file, f"has the column {quote(extra)}, which {first.name!r} has not"
            )
        for name, other in others.items():
            dtype = merge_types(types[name], other)
            if dtype is None:
                kind = f"where {first.name!r} has {find_kind(types[name])}"
                raise _mismatch(
                    file, f"has {find_kind(other)} in column {name!r}, {kind}"
                )
            types[name] = dtype
    return pa.schema(list(types.items()))


def _mismatch(file: TableFile, what: str) -> TableError:
    return TableError(f"{file.name!r} {what}; give files with the same columns.")


def _choose_batch_size(names: Sequence[str]) -> int:
    return min(LARGEST_BATCH, max(SMALLEST_BATCH, BATCH_CELLS // max(1, len(names))))


def _resize_batches(batches: Iterable[pa.RecordBatch], size: int) -> Batches:
    """Yield the same rows in batches of one size; the last may have fewer."""
    parts: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        parts.append(batch)
        n_rows += batch.num_rows
        if n_rows >= size:
            whole = _concatenate(parts)
            rest = n_rows % size
            for begin in range(0, n_rows - rest, size):
                yield whole.slice(begin, size)
            parts, n_rows = [whole.slice(n_rows - rest)], rest
    if n_rows:
        yield _concatenate(parts)


def _concatenate(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of batches in one, without a copy of a single one that has rows."""
    filled = [batch for batch in batches if batch.num_rows]
    return pa.Table.from_batches(filled).combine_chunks().to_batches()[0]
