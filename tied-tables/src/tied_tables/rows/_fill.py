"""The cells that are filled, and how sure their values are."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.model.pca import TINY
from tied_tables.rows._scan import Batch
from tied_tables.rows._transform import BatchTransform

Cells: TypeAlias = dict[str, Any]  # the values of a row, by column
SCHEMA = pa.schema(
    {
        "row": pa.int64(),
        "column": pa.string(),
        "value": pa.string(),
        "sure": pa.float32(),
    }
)
ROWS_TO_MEASURE = 1_000


def fill_rows(
    transform: BatchTransform,
    batch: Batch,
    total: int | None = None,
) -> tuple[pa.RecordBatch, list[Cells]]:
    """Fill the gaps of rows; return these, and the new cells of each by column.

    `total` is the place of a row that adds up the others. Its gaps are kept.
    """
    filled = transform.apply(batch)
    is_total = np.arange(filled.num_rows) == total
    cells = [Cells() for _ in range(filled.num_rows)]
    for name, is_gap in transform.columns.find_gaps(batch.rows).items():
        if (is_gap & is_total).any():
            kept = pc.if_else(pa.array(is_total), None, filled[name])
            place = filled.schema.get_field_index(name)
            filled = filled.set_column(place, filled.schema.field(place), kept)
            is_gap = is_gap & ~is_total
        places = np.flatnonzero(is_gap)
        values = filled[name].take(places).to_pylist()
        for place, value in zip(places, values, strict=True):
            if value is not None:  # else no rule knows it
                cells[place][name] = value
    return filled, cells


def list_new_cells(
    transform: BatchTransform,
    batches: Iterable[Batch],
    total: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield a row for each cell that is filled: where it is, with what, how sure.

    `total` is the place in the table of a row that adds up the others, which is kept.

    `sure` is, for a column, the share of the variance that is found where the known
    values of the first rows are hidden and filled: 1 if all are right, 0 if a mean
    would do as well.
    """
    sure: dict[str, float] = {}
    first = 1
    for batch in batches:
        sure = sure or _measure(transform, batch.numbers[:ROWS_TO_MEASURE])
        place = None if total is None else total - (first - 1)
        _, cells = fill_rows(transform, batch, place)
        rows = []
        for number, new in enumerate(cells, first):
            for name, value in new.items():
                row = {
                    "row": number,
                    "column": name,
                    "value": str(value),
                    "sure": sure.get(name),
                }
                rows.append(row)
        yield pa.RecordBatch.from_pylist(rows, SCHEMA)
        first += len(cells)


def _measure(transform: BatchTransform, numbers: Array) -> dict[str, float]:
    """Hide the known values of each column, if any, and measure how they are filled."""
    columns, fitted = transform.columns, transform.fitted
    is_far = fitted.find_far_values(numbers).any(axis=1)
    numbers = numbers[~is_far]
    sure = {}
    for column, part in columns.parts:
        known = numbers[~np.isnan(numbers[:, part.start])]
        if len(known):
            hidden = known.copy()
            hidden[:, part] = np.nan
            errors = fitted.impute(hidden) - known
            error = np.nanmean(np.square(errors[:, part]))
            variances = np.nanvar(known[:, part], axis=0)
            share = 1 - error / max(variances.mean(), TINY)
            sure[column.name] = max(share, 0.0)
    return sure
