"""Parquet files; their pieces are their row groups."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from keras_tied.tables._errors import open_source, validate

WHAT = "a Parquet file"
BUFFER = 2**20
"""Bytes to read ahead of each column; without it a row group is read whole, however large."""


class ParquetFile:
    """A Parquet file."""

    def __init__(self, name: str) -> None:
        self.name = name
        with open_source(name, WHAT) as source, pq.ParquetFile(source) as file:
            self._metadata = file.metadata
            self.schema = file.schema_arrow
        groups = range(self._metadata.num_row_groups)
        self.rows = [self._metadata.row_group(group).num_rows for group in groups]

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some row groups; see `TableFile`."""
        with (
            open_source(self.name, WHAT) as source,
            pq.ParquetFile(
                source, metadata=self._metadata, buffer_size=BUFFER, pre_buffer=False
            ) as file,
        ):
            for batch in file.iter_batches(n_rows, list(pieces), list(names)):
                yield validate(batch)
