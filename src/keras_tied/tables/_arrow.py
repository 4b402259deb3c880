"""Arrow IPC files, which Feather files are, too; their pieces are their record batches."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyarrow import ipc

from keras_tied.tables._errors import open_source, report_read_errors, validate

WHAT = "an Arrow or Feather (version 2) file"


class ArrowFile:
    """An Arrow IPC file in the file format."""

    def __init__(self, name: str) -> None:
        self.name = name
        with open_source(name, WHAT) as source:
            self.schema = ipc.open_file(source).schema
            # One column is enough to learn how many rows there are.
            file = ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=[0]))
            batches = range(file.num_record_batches if len(self.schema) else 0)
            self.rows = [file.get_batch(index).num_rows for index in batches]

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some record batches; see `TableFile`."""
        fields = sorted(map(self.schema.get_field_index, names))
        with open_source(self.name, WHAT) as source:
            options = ipc.IpcReadOptions(included_fields=fields)
            file = ipc.open_file(source, options=options)
            for piece in pieces:
                yield validate(file.get_batch(piece))


class ArrowStream:
    """An Arrow IPC file in the stream format, which is a single piece."""

    def __init__(self, name: str) -> None:
        self.name = name
        with open_source(name, WHAT) as source:
            stream = ipc.open_stream(source)
            self.schema = stream.schema
            self.rows = [sum(batch.num_rows for batch in stream)]

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read all record batches; see `TableFile`."""
        for _ in pieces:
            with open_source(self.name, WHAT) as source:
                for batch in ipc.open_stream(source):
                    yield validate(batch).select(list(names))


def open_arrow(name: str) -> ArrowFile | ArrowStream:
    """Open an Arrow IPC file of either format."""
    with report_read_errors(name, WHAT), open(name, "rb") as file:
        start = file.read(8)
    # The stream format begins with a continuation marker, and has no magic of its own.
    return ArrowStream(name) if start[:4] == b"\xff\xff\xff\xff" else ArrowFile(name)
