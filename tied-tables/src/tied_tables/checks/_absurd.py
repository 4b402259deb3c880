"""Values far outside the others of their column, by its fences."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from tied_tables.columns import Columns, Doubts, NotedValues, Remark, Topic
from tied_tables.io import Source, TableError
from tied_tables.model.causes import format_likely
from tied_tables.model.fences import fit_absurd_limits, fit_fences
from tied_tables.rows import Scan


def find_far_values(
    source: Source,
    sample: pa.RecordBatch,
    columns: Columns,
) -> dict[str, Remark]:
    """Find values beyond the fences of the columns of a table, by column."""
    far = NotedValues()
    first_row = 0
    try:
        numbers = columns.encode(sample)
    except TableError:
        for _ in Scan(source, columns).read(Doubts()):
            pass  # up to the row of the table
        raise
    fences = fit_fences(numbers, fit_absurd_limits(numbers))
    is_own = columns.influences.sum(axis=0) == 1  # not the days since another date
    is_beyond = fences.find(numbers).any(axis=0) & is_own
    places = np.unique(columns.layout.columns[is_beyond])
    used = [columns.used[place] for place in places]
    far_columns = replace(columns, used=tuple(used))
    is_used = np.isin(columns.layout.columns, places)
    far_fences = fences.select(is_used)
    batches = Scan(source, far_columns).read(Doubts())
    for rows, numbers in batches if used else ():
        beyond = far_fences.find(numbers) & is_own[is_used]  # (n, features)
        for column, part in far_columns.parts:
            odd = np.flatnonzero(beyond[:, part].any(axis=1))
            far.add(column.name, rows[column.name], odd, first_row)
        first_row += rows.num_rows
    typical = columns.decode(fences.middle[None])
    found = {}
    for column, part in columns.parts:
        name = column.name
        if name not in far.counts:
            continue
        number = fences.middle[part.start]
        middle = format_likely(column, number, typical[name], 0)
        found[name] = Remark(Topic.far, middle, far.describe(name))
    return found
