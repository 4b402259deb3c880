"""The oddest rows of a table, and values far outside its columns."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from keras_tied._reasons import ORDINARY, describe_reason, format_suggestion
from keras_tied._types import Array
from keras_tied.columns import Columns, MisreadValues, get_value
from keras_tied.fitted.fences import Fences, fit_ends, fit_fences, keep_all
from keras_tied.rows._scan import Batch, Doubts, Scan
from keras_tied.rows._transform import BatchTransform, prepend_id
from keras_tied.tables import Source, TableError


def find_oddest(
    batches: Iterable[Batch], transform: BatchTransform, top: int
) -> tuple[pa.RecordBatch, list[str]]:
    """Find the oddest rows, the oddest first, and say why they are.

    It holds one batch and the rows that it finds in memory.
    """
    fitted = transform.fitted
    kept: list[pa.RecordBatch] = []
    # of the rows that are kept: scores, errors, places, numbers
    arrays: list[Array] = []
    first = 1
    for rows, numbers in batches:
        scores, errors = fitted.measure_rows(numbers)
        some = np.argsort(-scores, kind="stable")[:top]
        new = [scores[some], errors[some], first + some, numbers[some]]
        if arrays:
            new = [np.concatenate(pair) for pair in zip(arrays, new, strict=True)]
        order = np.argsort(-new[0], kind="stable")[:top]
        arrays = [array[order] for array in new]
        table = pa.Table.from_batches([*kept, rows.take(pa.array(some))])
        kept = table.take(pa.array(order)).combine_chunks().to_batches()
        first += rows.num_rows
    scores, errors, places, numbers = arrays
    explanation = fitted.explain(numbers)
    causes = transform.find_causes(Batch(kept[0], numbers), explanation)
    # The score of each row with its oddest column as the others make likely, (n, 1).
    oddest = explanation.shares.argmax(axis=1)[:, None]
    mended = np.take_along_axis(explanation.scores, oddest, axis=1)
    is_ordinary = fitted.find_rarity(mended[:, 0]) < ORDINARY
    reasons = list(map(describe_reason, causes, is_ordinary.tolist()))
    ranks = np.arange(1, len(places) + 1, dtype=np.int32)
    facts: dict[str, Any] = {"row": places, "score": scores, "rank": ranks}
    facts |= transform.describe_scores(scores, errors)
    facts |= transform.describe_causes(causes)
    return prepend_id(transform.id, kept[0], facts), reasons


def find_far_values(
    source: Source, sample: pa.RecordBatch, columns: Columns
) -> tuple[Fences, dict[str, str]]:
    """Find the ends of the columns of a table, and values beyond fences, described."""
    far = MisreadValues()
    first_row = 0
    try:
        numbers = columns.encode(sample)
        ends = fit_ends(numbers)
        fences = fit_fences(numbers, ends)
        is_beyond = fences.find(numbers).any(axis=0)
        places = np.unique(columns.column_numbers[is_beyond]).tolist()
        some = replace(columns, used=tuple(columns.used[place] for place in places))
        some_fences = fences.select(np.isin(columns.column_numbers, places))
        for rows, numbers in Scan(source, some).read(Doubts()) if places else ():
            beyond = some_fences.find(numbers)  # (n, features)
            for number, name in enumerate(some.names):
                is_own = some.column_numbers == number
                odd = np.flatnonzero(beyond[:, is_own].any(axis=1))
                far.add(name, rows.column(name), odd, first_row)
            first_row += rows.num_rows
    except TableError:  # which the next pass over the rows raises again
        return keep_all(len(columns.features)), {}
    typical = columns.decode(fences.middle[None])
    described = {}
    for name in far.counts:
        middle = format_suggestion(get_value(typical.column(name), 0))
        described[name] = (
            f"holds {far.describe(name)}, far outside its other values (median"
            f" {middle}): correct them, or name them with --na; their rows come first"
            " in score"
        )
    return ends, described
