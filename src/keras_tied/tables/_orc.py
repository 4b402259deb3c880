"""ORC files; their pieces are their stripes."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyarrow import orc

from keras_tied.tables._errors import open_source, validate

WHAT = "an ORC file"


class OrcFile:
    """An ORC file."""

    def __init__(self, name: str) -> None:
        self.name = name
        with open_source(name, WHAT) as source:
            file = orc.ORCFile(source)
            self.schema = file.schema
            first = self.schema.names[:1]
            self.rows = [
                file.read_stripe(stripe, columns=first).num_rows for stripe in range(file.nstripes)
            ]

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read some stripes; see `TableFile`."""
        with open_source(self.name, WHAT) as source:
            file = orc.ORCFile(source)
            for piece in pieces:
                batch = validate(file.read_stripe(piece, columns=list(names)))
                yield batch.select(list(names))
