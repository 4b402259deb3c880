"""Tables that are transformed and measured part by part, here or on workers."""

import hashlib
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from keras_tied._types import Array
from keras_tied.fitted.tail import ranks
from keras_tied.fitting.sample import choose_places
from keras_tied.rows._folder import OutputFolder, resume
from keras_tied.rows._scan import Batch, Doubts, Scan
from keras_tied.rows._transform import BatchTransform, measure_rows
from keras_tied.rows._workers import Workers, fold_parts
from keras_tied.tables import Source


def transform_table(
    workers: Workers,
    rows: Scan,
    transform: BatchTransform,
    folder: OutputFolder,
) -> tuple[int, Doubts]:
    """Transform a table into a folder with a file for each part, and a manifest.

    Parts that an earlier run has finished are kept: after a failure, run the same
    again.

    Args:
        workers: what runs the work.
        rows: those of the table, as `BatchTransform.scan` gives them.
        transform: the function of batches; scores get a column `rank`, 1 for the oddest
            row.
        folder: the output.

    Returns:
        The number of rows of all parts, and what is doubtful in those that are written
        now.

    Raises:
        TableError: if the table cannot be used, or the folder holds something else.
        ClusterError: if workers are lost.
    """
    parts = rows.split()
    digest = _digest([part.source for part in parts], transform)
    checksums = resume(folder, digest)
    part_ranks: Sequence[Array | None] = [None] * len(parts)
    if transform.output == "scores":
        part_ranks = _rank(workers, parts, transform)
    names = [f"part-{index:05}.parquet" for index in range(len(parts))]
    items, n_done = [], 0
    for part, own_ranks, name in zip(parts, part_ranks, names, strict=True):
        checksum = checksums.get(name)
        items.append((part, own_ranks, transform, folder, name, checksum))

    def note(index: int, checksum: str) -> None:
        nonlocal n_done
        n_done += 1
        checksums[names[index]] = checksum
        complete = n_done == len(parts)
        folder.write_manifest({"of": digest, "parts": checksums, "complete": complete})
        rows.advance(parts[index].source.n_rows)

    _, doubts = fold_parts(workers, _write_part, items, note)
    return rows.source.n_rows, doubts


def sample_table(
    workers: Workers,
    rows: Scan,
    n: int,
    seed: int,
) -> tuple[Array, Doubts]:
    """Read all rows of a table, and choose n of them at random.

    Args:
        workers: what runs the work.
        rows: those of the table, at least n.
        n: the rows to choose.
        seed: of the choice.

    Returns:
        The chosen rows in random order, `(n, features)`, and what is doubtful in all
        rows.
    """
    parts = rows.split()
    sizes = [part.source.n_rows for part in parts]
    places = choose_places(sizes, n, seed)
    items = list(zip(parts, places, strict=True))

    def note(index: int, _: object) -> None:
        rows.advance(sizes[index])

    chosen, doubts = fold_parts(workers, _choose_rows, items, note)
    random = np.random.default_rng(seed)
    return random.permutation(np.concatenate(chosen)), doubts


def _write_part(
    batches: Iterator[Batch],
    ranks: Array | None,
    transform: BatchTransform,
    folder: OutputFolder,
    name: str,
    checksum: str | None,
) -> str:
    """Write the results of a part, with the ranks of scores; return its checksum.

    A part that has the checksum already is left as it is.
    """
    if checksum and folder.is_whole(name, checksum):
        return checksum
    results = map(transform.apply, batches)
    if ranks is None:
        return folder.write_table(name, results)
    return folder.write_table(name, _add_ranks(results, ranks))


def _add_ranks(
    results: Iterable[pa.RecordBatch], ranks: Array
) -> Iterator[pa.RecordBatch]:
    """Put the column of ranks behind that of scores."""
    begin = 0
    for result in results:
        end = begin + result.num_rows
        place = result.schema.get_field_index("score") + 1
        some = pa.array(ranks[begin:end])
        yield result.add_column(place, "rank", some)
        begin = end


def _choose_rows(batches: Iterator[Batch], places: Array) -> Array:
    """The rows of a part at some places, ascending."""
    chosen = []
    begin = 0
    for _, numbers in batches:
        end = begin + len(numbers)
        first, last = np.searchsorted(places, [begin, end])
        own = places[first:last] - begin
        chosen.append(numbers[own])
        begin = end
    return np.concatenate(chosen)


def _rank(
    workers: Workers,
    parts: Sequence[Scan],
    transform: BatchTransform,
) -> list[Array]:
    """Return the ranks of the scores of all rows, by part."""
    items = [(replace(part, id=None), transform.fitted) for part in parts]
    measured, _ = fold_parts(workers, measure_rows, items)
    scores = np.concatenate([part_scores for part_scores, _ in measured])
    ends = np.cumsum([part.source.n_rows for part in parts])
    return np.split(ranks(scores), ends[:-1])


def _digest(parts: Sequence[Source], transform: BatchTransform) -> str:
    """Return a checksum of what the output depends on."""
    digest = hashlib.sha256(pickle.dumps(transform))
    for part in parts:
        digest.update(f"{part.name}\0{part.first_row}\0{part.n_rows}\0".encode())
        # The other is the log of a database of SQLite.
        for path in filter(os.path.exists, (part.name, f"{part.name}-wal")):
            changed = os.stat(path).st_mtime_ns
            digest.update(str(changed).encode())
    return digest.hexdigest()
