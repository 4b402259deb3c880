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
from keras_tied.tables import Columns, Misread, Source, TableError

if TYPE_CHECKING:
    from keras_tied.estimator.internal import Fences, Moments


@dataclass(frozen=True)
class WrittenPart:
    """What has become of a part: its rows, unseen values by column, and what was misread."""

    n_rows: int
    unseen: Counter[str]
    misread: Misread


@dataclass(frozen=True)
class MeasuredPart:
    """The moments of a part, the rows chosen from it, `(n, d)` float32, and what was misread.

    The moments are None if no row of it is within the fences.
    """

    moments: Moments | None
    rows: Array
    misread: Misread


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
        ranks: those of the scores, `(n,)`, to write beside them, or None.
        transform: the function of batches.
        folder: where to write.
        name: of the file.
    """
    unseen, misread = Counter[str](), Misread()

    def batches() -> Iterator[pa.RecordBatch]:
        begin = 0
        for batch in part.batches(names=transform.names):
            result = transform(batch, part.first_row + begin, unseen, misread)
            if ranks is not None:
                place = result.schema.get_field_index("score") + 1
                of_batch = pa.array(ranks[begin : begin + batch.num_rows])
                result = result.add_column(place, "rank", of_batch)
            begin += batch.num_rows
            yield result

    with _name_file(part):
        return WrittenPart(folder.write_table(name, batches()), unseen, misread)


def compute_scores(part: Source, transform: BatchTransform) -> Array:
    """The outlier score of each row of a part, `(n,)` float32."""
    with _name_file(part):
        return np.concatenate(
            [
                transform.fitted.measure_rows(numbers)[0]
                for numbers in transform.columns.encode_batches(
                    part.batches(names=transform.columns.names), part.first_row, Misread()
                )
            ]
        )


def measure_part(part: Source, places: Array, columns: Columns, fences: Fences) -> MeasuredPart:
    """Measure the rows of a part, and choose some.

    Args:
        part: the rows.
        places: of the rows to choose, ascending.
        columns: the columns to use.
        fences: the rows beyond them are not measured, if there are any.
    """
    from keras_tied.estimator.internal import measure_moments

    moments, chosen, begin, misread = [], [], 0, Misread()
    batches = part.batches(names=columns.names)
    with _name_file(part):
        for numbers in columns.encode_batches(batches, part.first_row, misread):
            within = numbers if fences is None else numbers[~fences.find_rows(numbers)]
            if len(within):
                moments.append(measure_moments(within))
            first, last = np.searchsorted(places, [begin, begin + len(numbers)])
            chosen.append(numbers[places[first:last] - begin])
            begin += len(numbers)
    of_all = reduce(lambda a, b: a.merge(b), moments) if moments else None
    return MeasuredPart(of_all, np.concatenate(chosen), misread)


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
