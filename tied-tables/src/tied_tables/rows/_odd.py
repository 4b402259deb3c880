"""The oddest rows of a table, and values far outside its columns."""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tied_tables._reasons import ORDINARY, Cause, describe_reason
from tied_tables._types import Array
from tied_tables.columns import Columns, MisreadValues
from tied_tables.io import Source, TableError
from tied_tables.model.fences import fit_ends, fit_fences
from tied_tables.rows._scan import Batch, Doubts, Scan
from tied_tables.rows._transform import BatchTransform, format_likely, prepend_id


class Oddest(NamedTuple):
    """The oddest rows of a table, the oddest first.

    Attributes:
        rows: as they stand in the table.
        table: where they are, how odd they are, and the columns that make them so.
        causes, reasons: why they are, as values and as sentences.
        corrected: the scores with what is expected in the first column of the causes.
        all_scores: those of all rows of the table, in its order, `(n,)`.
    """

    rows: pa.RecordBatch
    table: pa.RecordBatch
    causes: list[list[Cause]]
    reasons: list[str]
    corrected: Array
    all_scores: Array


def find_oddest(
    batches: Iterable[Batch],
    transform: BatchTransform,
    top: int,
) -> Oddest:
    """Find the oddest rows, the oddest first, and say why they are.

    It holds one batch, the rows that it finds and all scores in memory.
    """
    fitted = transform.fitted
    best = []
    # of the best rows: scores, errors, places, numbers
    arrays: list[Array] = []
    all_scores = []
    first = 1
    for rows, numbers in batches:
        scores, errors = fitted.measure_rows(numbers)
        all_scores.append(scores)
        some = _find_largest(scores, top)
        new = [scores[some], errors[some], first + some, numbers[some]]
        if arrays:
            pairs = zip(arrays, new, strict=True)
            new = [np.concatenate(pair) for pair in pairs]
        order = _find_largest(new[0], top)
        arrays = [array[order] for array in new]
        best.append(rows.take(some))
        best = [pa.concat_batches(best).take(order)]
        first += rows.num_rows
    scores, errors, places, numbers = arrays
    (rows,) = best
    explanation = fitted.explain(numbers)
    causes = transform.find_causes(Batch(rows, numbers), explanation)
    names = transform.columns.names
    firsts = [names.index(some[0].column) if some else 0 for some in causes]
    every_row = np.arange(len(causes))
    corrected = explanation.scores[every_row, firsts]
    is_ordinary = fitted.find_rarity(corrected) < ORDINARY
    reasons = list(map(describe_reason, causes, is_ordinary.tolist()))
    rank = np.arange(1, len(places) + 1, dtype=np.int32)
    columns = {"row": places, "score": scores, "rank": rank}
    columns |= transform.describe_scores(scores, errors)
    columns |= transform.describe_causes(causes)
    table = prepend_id(transform.id, rows, columns)
    return Oddest(
        rows,
        table,
        causes,
        reasons,
        corrected,
        np.concatenate(all_scores),
    )


def _find_largest(scores: Array, n: int) -> Array:
    """Return the places of the n largest scores, the first of equal ones first."""
    order = np.argsort(-scores, kind="stable")
    return order[:n]


def find_far_values(
    source: Source,
    sample: pa.RecordBatch,
    columns: Columns,
) -> dict[str, str]:
    """Find values beyond the fences of the columns of a table, described."""
    far = MisreadValues()
    first_row = 0
    try:
        numbers = columns.encode(sample)
    except TableError:
        for _ in Scan(source, columns).read(Doubts()):
            pass  # up to the row of the table
        raise
    fences = fit_fences(numbers, fit_ends(numbers))
    is_beyond = fences.find(numbers).any(axis=0)
    places = np.unique(columns.layout.columns[is_beyond])
    used = [columns.used[place] for place in places]
    some = replace(columns, used=tuple(used))
    some_fences = fences.select(np.isin(columns.layout.columns, places))
    batches = Scan(source, some).read(Doubts())
    for rows, numbers in batches if used else ():
        beyond = some_fences.find(numbers)  # (n, features)
        for column, part in some.parts:
            odd = np.flatnonzero(beyond[:, part].any(axis=1))
            far.add(column.name, rows[column.name], odd, first_row)
        first_row += rows.num_rows
    typical = columns.decode(fences.middle[None])
    described = {}
    for column, part in columns.parts:
        name = column.name
        if name not in far.counts:
            continue
        number = fences.middle[part.start]
        middle = format_likely(column, number, typical[name], 0)
        described[name] = (
            f"holds {far.describe(name)}, far outside its other values (median"
            f" {middle}): correct what is wrong, or name it with --na; such rows come"
            " first in score"
        )
    return described
