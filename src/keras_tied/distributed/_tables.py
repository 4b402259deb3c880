"""Tables that are transformed and measured part by part, here or on workers."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from keras_tied._types import Array
from keras_tied.distributed._folder import OutputFolder, resume
from keras_tied.distributed._parts import (
    MeasuredPart,
    WrittenPart,
    compute_scores,
    measure_part,
    write_part,
)
from keras_tied.distributed._transform import BatchTransform
from keras_tied.estimator.internal import ranks
from keras_tied.tables import Columns, Misread, Source

if TYPE_CHECKING:
    from keras_tied.estimator.internal import Fences, Moments

Advance = Callable[[int], object]
"""Is called with the number of rows that are done since the last call."""


class Workers(Protocol):
    """What runs a function on several items."""

    def map(
        self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterable[tuple[int, Any]]:
        """Yield the index of each item and the result of the function, in any order."""


class Here:
    """Runs functions in this process, one after the other."""

    def map(
        self, function: Callable[..., Any], items: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Call a function with the arguments of each item; yield index and result."""
        for index, arguments in enumerate(items):
            yield index, function(*arguments)


def transform_table(
    workers: Workers,
    source: Source,
    transform: BatchTransform,
    folder: OutputFolder,
    advance: Advance = lambda rows: None,
) -> WrittenPart:
    """Transform a table into a folder with a file for each part of it, in order, and a manifest.

    Parts that an earlier run has finished are kept: after a failure, run the same again.

    Args:
        workers: what runs the work.
        source: the table.
        transform: the function of batches; scores get a column `rank`, 1 for the oddest row.
        folder: the output.
        advance: is called with the rows that are done.

    Returns:
        The rows of all parts, and the unseen and misread values of those that were written now.

    Raises:
        TableError: if the table cannot be used, or the folder holds something else.
        ClusterError: if workers are lost.
    """
    parts = source.split()
    names = [f"part-{index:05}.{folder.format}" for index in range(len(parts))]
    facts = _describe(parts, transform)
    rows = resume(folder, facts)
    left = [index for index, name in enumerate(names) if name not in rows]
    places: Sequence[Array | None] = [None] * len(parts)
    if transform.output == "scores" and left:
        places = _rank(workers, parts, transform)
    advance(sum(rows.values()))
    items = [(parts[index], places[index], transform, folder, names[index]) for index in left]
    unseen, misread = Counter[str](), Misread()
    for place, written in workers.map(write_part, items):
        rows[names[left[place]]] = written.n_rows
        unseen += written.unseen
        misread.update(written.misread)
        complete = len(rows) == len(parts)
        folder.write_manifest({"of": facts, "parts": rows, "complete": complete})
        advance(written.n_rows)
    return WrittenPart(sum(rows.values()), unseen, misread)


def measure_table(
    workers: Workers,
    source: Source,
    columns: Columns,
    n: int,
    seed: int,
    advance: Advance = lambda rows: None,
    fences: Fences | None = None,
) -> MeasuredPart:
    """Measure all rows of a table, and choose n of them at random.

    Args:
        workers: what runs the work.
        source: the table, of at least n rows.
        columns: the columns to use.
        n: the rows to choose.
        seed: of the choice.
        advance: is called with the rows that are done.
        fences: the rows beyond them are not measured, but may be chosen. Defaults to none.

    Returns:
        The moments of all rows, and the chosen rows in random order.
    """
    from keras_tied.estimator.internal import choose_places

    parts = source.split()
    places = choose_places([part.n_rows for part in parts], n, seed)
    items = [(part, chosen, columns, fences) for part, chosen in zip(parts, places, strict=True)]
    moments: Moments | None = None
    rows: list[Array] = []
    early: dict[int, MeasuredPart] = {}
    misread = Misread()
    for index, measured in workers.map(measure_part, items):
        advance(parts[index].n_rows)
        early[index] = measured
        while len(rows) in early:  # merged in order, whichever part comes first
            part = early.pop(len(rows))
            if part.moments is not None:
                moments = part.moments if moments is None else moments.merge(part.moments)
            rows.append(part.rows)
            misread.update(part.misread)
    assert moments is not None
    shuffled = np.random.default_rng(seed).permutation(np.concatenate(rows))
    return MeasuredPart(moments, shuffled, misread)


def _rank(workers: Workers, parts: Sequence[Source], transform: BatchTransform) -> list[Array]:
    """The ranks of the scores of all rows, by part."""
    ends = np.cumsum([part.n_rows for part in parts])
    scores = np.empty(ends[-1], np.float32)
    for index, of_part in workers.map(compute_scores, [(part, transform) for part in parts]):
        scores[ends[index] - len(of_part) : ends[index]] = of_part
    return np.split(ranks(scores), ends[:-1])


def _describe(parts: Sequence[Source], transform: BatchTransform) -> dict[str, Any]:
    """What the output depends on, in short."""
    digest = hashlib.sha256(pickle.dumps(transform))
    for part in parts:
        digest.update(f"{part.name}\0{part.first_row}\0{part.n_rows}\0".encode())
        if os.path.exists(part.name):
            digest.update(str(os.stat(part.name).st_mtime_ns).encode())
    n_rows = sum(part.n_rows for part in parts)
    return {"output": transform.output, "rows": n_rows, "digest": digest.hexdigest()}
