"""What a worker does with a part of a table; pure but for the files that are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from keras_tied._types import Array
from keras_tied.distributed._folder import OutputFolder
from keras_tied.distributed._transform import BatchTransform
from keras_tied.tables import Columns, Source, TableError

if TYPE_CHECKING:
    from keras_tied.estimator.internal import Moments


@dataclass(frozen=True)
class WrittenPart:
    """What has become of a part: its rows, and the number of unseen values by column."""

    n_rows: int
    unseen: Counter[str]


@dataclass(frozen=True)
class MeasuredPart:
    """The moments of a part, and the rows that are chosen from it, `(n, d)` float32."""

    moments: Moments
    rows: Array


def write_part(
    part: Source,
    ranks: Array | None,
    transform: BatchTransform,
    folder: OutputFolder,
    name: str,
) -> WrittenPart:
    """Transform the rows of a part, and write them to a file of the folder.

    Args:
        part: the rows.
        ranks: those of the errors, `(n,)`, to write beside them, or None.
        transform: the function of batches.
        folder: where to write.
        name: of the file.
    """
    unseen: Counter[str] = Counter()

    def batches() -> Iterator[pa.RecordBatch]:
        begin = 0
        for batch in part.batches(names=transform.names):
            result = transform(batch, part.first_row + begin, unseen)
            if ranks is not None:
                place = result.schema.get_field_index("error") + 1
                of_batch = pa.array(ranks[begin : begin + batch.num_rows])
                result = result.add_column(place, "rank", of_batch)
            begin += batch.num_rows
            yield result

    with _name_file(part):
        return WrittenPart(folder.write_table(name, batches()), unseen)


def compute_errors(part: Source, transform: BatchTransform) -> Array:
    """The reconstruction error of each row of a part, `(n,)` float32."""
    with _name_file(part):
        return np.concatenate(
            [transform.compute_errors(numbers) for numbers in _encode(part, transform.columns)]
        )


def measure_part(part: Source, places: Array, columns: Columns) -> MeasuredPart:
    """Measure the rows of a part, and choose some.

    Args:
        part: the rows.
        places: of the rows to choose, ascending.
        columns: the columns to use.
    """
    from keras_tied.estimator.internal import measure_moments

    moments, chosen, begin = [], [], 0
    with _name_file(part):
        for numbers in _encode(part, columns):
            moments.append(measure_moments(numbers))
            first, last = np.searchsorted(places, [begin, begin + len(numbers)])
            chosen.append(numbers[places[first:last] - begin])
            begin += len(numbers)
    return MeasuredPart(reduce(lambda a, b: a.merge(b), moments), np.concatenate(chosen))


def _encode(part: Source, columns: Columns) -> Iterator[Array]:
    first = part.first_row
    for batch in part.batches(names=columns.names):
        yield columns.encode(batch, first)
        first += batch.num_rows


@contextmanager
def _name_file(part: Source) -> Iterator[None]:
    """Name the file in an error of its rows."""
    try:
        yield
    except TableError as error:
        message = str(error)
        raise TableError(
            message if repr(part.name) in message else f"{part.name!r}: {message}"
        ) from error
