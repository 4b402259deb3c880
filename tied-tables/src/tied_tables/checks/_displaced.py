"""Rows whose cells are displaced by one, from some column on."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from tied_tables._reasons import ORDINARY
from tied_tables.checks._odd import RARE, Oddest, round_rarity
from tied_tables.columns import MisfitError, format_cell
from tied_tables.rows import BatchTransform
from tied_tables.rules import Doubt

MOST_MOVED_CELLS = 2**17  # when each row is moved from each column
FEWEST_MOVED = 3
"""Cells: to move fewer is hardly more than to leave an odd one out."""


def find_displaced(
    oddest: Oddest, transform: BatchTransform, misread: Collection[int] = ()
) -> list[Doubt]:
    """Doubt rare rows which no suggestion cures, and which moved cells do.

    In the rows `misread`, several cells are not of their columns: a suggestion for
    another one is no cure.
    """
    rows = oddest.rows
    most = MOST_MOVED_CELLS // (2 * rows.num_columns**2)
    is_misread = np.isin(oddest.row_numbers, list(misread))
    is_candidate = (oddest.rarities >= RARE) & ~oddest.are_fixed_by_suggestion
    is_candidate |= is_misread
    doubts = []
    for place in np.flatnonzero(is_candidate)[:most].tolist():
        if not oddest.causes[place]:
            continue
        if displacement := _find_displacement(rows, place, transform):
            name, rarity = displacement
            doubt = Doubt(
                oddest.row_numbers[place],
                name,
                format_cell(rows[name], place),
                reason=f"the cells from {name} on are shifted by one",
                strength=round_rarity(oddest.rarities[place]),
                strength_corrected=round_rarity(rarity),
            )
            doubts.append(doubt)
    return doubts


def _find_displacement(
    rows: pa.RecordBatch,
    place: int,
    transform: BatchTransform,
) -> tuple[str, float] | None:
    """Move the cells of a row back by one, from each column on, to either side.

    Returns the column that they are displaced from, and the rarity of the row without.
    Of what comes out, that counts whose cells are all like others of their columns, and
    which is ordinary; if several are, one with the fewest gaps, the likeliest.
    """
    cells = [
        format_cell(values, place) if values[place].is_valid else None
        for values in rows.columns
    ]
    if len(cells) < FEWEST_MOVED:
        return None
    starts = []
    candidates = []
    for start in range(len(cells) - FEWEST_MOVED + 1):
        before, moved = cells[:start], cells[start:]
        if sum(cell is not None for cell in moved) < FEWEST_MOVED - 1:
            break
        # Only a gap is taken out: else a value would be lost.
        if moved[0] is None:
            starts.append(start)
            candidates.append([*before, *moved[1:], None])
        if moved[-1] is None:
            starts.append(start)
            candidates.append([*before, None, *moved[:-1]])
    if not candidates:
        return None
    columns = zip(rows.column_names, zip(*candidates, strict=True), strict=True)
    texts = {name: pa.array(values, pa.string()) for name, values in columns}
    numbers = []
    gaps: Any = 0  # of each candidate
    is_likely = np.ones(len(candidates), bool)
    for column in transform.columns.used:
        values = texts[column.name]
        try:
            encoded = column.encode(values, {})
        except MisfitError:
            return None
        is_missing = np.asarray(column.clean(values).is_null())
        is_likely &= is_missing | ~np.isnan(encoded.numbers[:, 0])
        is_likely[encoded.unseen] = False
        gaps += is_missing
        numbers.append(encoded.numbers)
    scores, _ = transform.fitted.measure_rows(np.hstack(numbers))
    rarities = transform.fitted.find_rarity(scores)
    is_likely &= rarities < ORDINARY
    if not is_likely.any():
        return None
    order = np.lexsort([scores, gaps, ~is_likely])
    best = int(order[0])
    return rows.column_names[starts[best]], float(rarities[best])
