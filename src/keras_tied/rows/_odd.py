"""The oddest rows of a table, and values far outside its columns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from keras_tied._reasons import ORDINARY, describe_reason, format_suggestion
from keras_tied._types import Array
from keras_tied.fitted.fences import Fences, fit_ends, fit_fences, keep_all
from keras_tied.rows._transform import BatchTransform, prepend_id
from keras_tied.tables import (
    Batch,
    Columns,
    MisreadValues,
    Scan,
    Source,
    TableError,
    get_value,
)


def find_oddest(
    transform: BatchTransform, rows: Scan, top: int
) -> tuple[pa.RecordBatch, list[str]]:
    """Find the oddest rows, the oddest first, and say why they are; holds few rows and a batch."""
    fitted = transform.fitted
    kept: list[pa.RecordBatch] = []
    arrays: list[
        Array
    ] = []  # of the rows that are kept: scores, errors, places, numbers
    first = 1
    for batch in rows:
        scores, errors = fitted.measure_rows(batch.numbers)
        some = np.argsort(-scores, kind="stable")[:top]
        more = [scores[some], errors[some], first + some, batch.numbers[some]]
        pairs = zip(arrays, more, strict=True) if arrays else ([part] for part in more)
        arrays = [np.concatenate(pair) for pair in pairs]
        order = np.argsort(-arrays[0], kind="stable")[:top]
        arrays = [array[order] for array in arrays]
        table = pa.Table.from_batches([*kept, batch.rows.take(pa.array(some))])
        kept = table.take(pa.array(order)).combine_chunks().to_batches()
        first += batch.rows.num_rows
    scores, errors, places, numbers = arrays
    facts: dict[str, Any] = {"row": places, "score": scores}
    facts["rank"] = np.arange(1, len(places) + 1, dtype=np.int32)
    facts |= transform.describe_scores(scores, errors)
    explanation = fitted.explain(numbers)
    causes = transform.find_causes(Batch(kept[0], numbers), explanation)
    mended = np.take_along_axis(
        explanation.scores, explanation.shares.argmax(axis=1)[:, None], axis=1
    )
    ordinary = fitted.find_rarity(mended[:, 0]) < ORDINARY
    reasons = list(map(describe_reason, causes, ordinary.tolist()))
    return (
        prepend_id(rows.id, kept[0], facts | transform.describe_causes(causes)),
        reasons,
    )


def find_far_values(
    source: Source, sample: pa.RecordBatch, columns: Columns
) -> tuple[Fences, dict[str, str]]:
    """Find the ends of the columns of a table, and values beyond fences, described by column."""
    far, first_row = MisreadValues(), 0
    try:
        numbers = columns.encode(sample)
        ends = fit_ends(numbers)
        fences = fit_fences(numbers, ends)
        places = np.unique(
            columns.column_numbers[fences.find(numbers).any(axis=0)]
        ).tolist()
        some = replace(columns, used=tuple(columns.used[place] for place in places))
        of_some = fences.select(np.isin(columns.column_numbers, places))
        for rows, numbers in Scan(source, some) if places else ():
            beyond = of_some.find(numbers)
            for number, column in enumerate(some.names):
                odd = np.flatnonzero(
                    beyond[:, some.column_numbers == number].any(axis=1)
                )
                far.add(column, rows.column(column), odd, first_row)
            first_row += rows.num_rows
    except TableError:  # which the next pass over the rows raises again
        return keep_all(len(columns.features)), {}
    typical = columns.decode(fences.middle[None])
    middle = {name: get_value(typical.column(name), 0) for name in far.counts}
    return ends, {
        name: (
            f"holds {far.describe(name)}, far outside its other values (median "
            f"{format_suggestion(middle[name])}): correct them, or name them "
            "with --na; their rows come first in score"
        )
        for name in far.counts
    }
