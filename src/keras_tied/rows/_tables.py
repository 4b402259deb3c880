"""Tables that are transformed and measured part by part, here or on workers."""

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from keras_tied._types import Array
from keras_tied.fitted.fences import Fences
from keras_tied.fitted.moments import Moments, measure_moments
from keras_tied.fitted.tail import ranks
from keras_tied.fitting.sample import choose_places
from keras_tied.rows._folder import OutputFolder, resume
from keras_tied.rows._transform import BatchTransform, measure_rows
from keras_tied.rows._workers import Workers, fold
from keras_tied.tables import Scan, Source


def transform_table(
    workers: Workers, rows: Scan, transform: BatchTransform, folder: OutputFolder
) -> int:
    """Transform a table into a folder with a file for each part of it, in order, and a manifest.

    Parts that an earlier run has finished are kept: after a failure, run the same
    again.

    Args:
        workers: what runs the work.
        rows: those of the table, as `BatchTransform.scan` gives them; they collect the
            unseen and misread values of the parts that are written now.
        transform: the function of batches; scores get a column `rank`, 1 for the oddest
            row.
        folder: the output.

    Returns:
        The number of rows of all parts.

    Raises:
        TableError: if the table cannot be used, or the folder holds something else.
        ClusterError: if workers are lost.
    """
    parts = rows.split()
    names = [f"part-{index:05}.{folder.format}" for index in range(len(parts))]
    facts = _describe([part.source for part in parts], transform)
    done = resume(folder, facts)
    left = [index for index, name in enumerate(names) if name not in done]
    places: Sequence[Array | None] = [None] * len(parts)
    if transform.output == "scores" and left:
        places = _rank(workers, Scan(rows.source, transform.columns), transform)
    rows.advance(sum(done.values()))
    items = [
        (parts[index], places[index], transform, folder, names[index]) for index in left
    ]
    for place, n_rows in fold(workers, rows, _write_part, items):
        done[names[left[place]]] = n_rows
        complete = len(done) == len(parts)
        folder.write_manifest({"of": facts, "parts": done, "complete": complete})
        rows.advance(n_rows)
    return sum(done.values())


def measure_table(
    workers: Workers, rows: Scan, n: int, seed: int, ends: Fences | None = None
) -> tuple[Moments, Array]:
    """Measure all rows of a table, and choose n of them at random.

    Args:
        workers: what runs the work.
        rows: those of the table, at least n; they collect misread values.
        n: the rows to choose.
        seed: of the choice.
        ends: medians are measured in place of values beyond them. Defaults to none.

    Returns:
        The moments of all rows, and the chosen rows in random order, `(n, features)`.
    """
    parts = rows.split()
    places = choose_places([part.source.n_rows for part in parts], n, seed)
    items = [(part, some, ends) for part, some in zip(parts, places, strict=True)]
    results = {}
    for index, result in fold(workers, rows, _measure_part, items):
        results[index] = result
        rows.advance(parts[index].source.n_rows)
    moments, chosen = zip(*(results[index] for index in range(len(parts))), strict=True)
    shuffled = np.random.default_rng(seed).permutation(np.concatenate(chosen))
    return reduce(Moments.merge, chain(*moments)), shuffled


def _write_part(
    part: Scan,
    ranks: Array | None,
    transform: BatchTransform,
    folder: OutputFolder,
    name: str,
) -> int:
    """Write the results of a part to a file of the folder, with the ranks of scores."""

    def batches() -> Iterator[pa.RecordBatch]:
        begin = 0
        for result in map(transform.apply, part):
            if ranks is not None:
                place = result.schema.get_field_index("score") + 1
                some = pa.array(ranks[begin : begin + result.num_rows])
                begin += result.num_rows
                result = result.add_column(place, "rank", some)
            yield result

    return folder.write_table(name, batches())


def _measure_part(
    part: Scan, places: Array, ends: Fences | None
) -> tuple[list[Moments], Array]:
    """Measure the rows of a part, and choose those at the places, ascending."""
    moments, chosen, begin = [], [], 0
    for _, numbers in part:
        if len(numbers):
            moments.append(
                measure_moments(numbers if ends is None else ends.trim(numbers))
            )
        first, last = np.searchsorted(places, [begin, begin + len(numbers)])
        chosen.append(numbers[places[first:last] - begin])
        begin += len(numbers)
    return [reduce(Moments.merge, moments)] if moments else [], np.concatenate(chosen)


def _rank(workers: Workers, rows: Scan, transform: BatchTransform) -> list[Array]:
    """Return the ranks of the scores of all rows, by part."""
    items = [(part, transform.fitted) for part in rows.split()]
    measured = dict(fold(workers, rows, measure_rows, items))
    scores = [measured[index][0] for index in range(len(items))]
    return np.split(
        ranks(np.concatenate(scores)), np.cumsum(list(map(len, scores)))[:-1]
    )


def _describe(parts: Sequence[Source], transform: BatchTransform) -> dict[str, Any]:
    """Return what the output depends on, in short."""
    digest = hashlib.sha256(pickle.dumps(transform))
    for part in parts:
        digest.update(f"{part.name}\0{part.first_row}\0{part.n_rows}\0".encode())
        if os.path.exists(part.name):
            digest.update(str(os.stat(part.name).st_mtime_ns).encode())
    n_rows = sum(part.n_rows for part in parts)
    return {"output": transform.output, "rows": n_rows, "digest": digest.hexdigest()}
