"""The interface of a file of any format."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa


class TableFile(Protocol):
    """A file of rows that can be read in pieces, each of them on its own.

    Attributes:
        name: as the user gave it.
        schema: the names and types of the columns.
        rows: the number of rows of each piece.
    """

    name: str
    schema: pa.Schema
    rows: list[int]

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some pieces, in the order given.

        Args:
            pieces: their indices.
            names: the columns to read; they may come in any order.
            n_rows: about how many rows to hold in memory at a time.
        """
        ...


class FilePart:
    """Consecutive pieces of a file, as a file of their own."""

    def __init__(self, file: TableFile, pieces: range) -> None:
        self.name, self.schema = file.name, file.schema
        self.rows = [file.rows[piece] for piece in pieces]
        self._file, self._pieces = file, pieces

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some pieces; see `TableFile`."""
        return self._file.read([self._pieces[piece] for piece in pieces], names, n_rows)
