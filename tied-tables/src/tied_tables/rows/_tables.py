"""Tables that are transformed and measured part by part, here or on workers."""

import hashlib
import os
import pickle
from collections.abc import Iterator, Sequence

import numpy as np

from tied_tables._types import Array
from tied_tables.columns import Doubts
from tied_tables.fit.sample import choose_places
from tied_tables.io import Source
from tied_tables.rows._folder import OutputFolder, resume
from tied_tables.rows._scan import Batch, Scan
from tied_tables.rows._transform import BatchTransform
from tied_tables.rows._workers import Workers, fold_parts


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
        transform: the function of batches.
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
    names = [f"part-{index:05}.parquet" for index in range(len(parts))]
    items, n_done = [], 0
    for part, name in zip(parts, names, strict=True):
        items.append((part, transform, folder, name, checksums.get(name)))

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
    transform: BatchTransform,
    folder: OutputFolder,
    name: str,
    checksum: str | None,
) -> str:
    """Write the results of a part; return its checksum.

    A part that has the checksum already is left as it is.
    """
    if checksum and folder.is_whole(name, checksum):
        return checksum
    return folder.write_table(name, map(transform.apply, batches))


def _choose_rows(batches: Iterator[Batch], places: Array) -> Array:
    """The rows of a part at some places, ascending."""
    chosen = []
    begin = 0
    for _, numbers in batches:
        end = begin + len(numbers)
        first, last = np.searchsorted(places, [begin, end])
        part_places = places[first:last] - begin
        chosen.append(numbers[part_places])
        begin = end
    return np.concatenate(chosen)


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
