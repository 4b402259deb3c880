"""Rows that speak of one thing, of which a minority contradicts the others."""

import numpy as np
import pyarrow as pa

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import MISSING_CODE, TextCodes, find_kinds

LEAST_AGREEMENT = 0.5  # of the rows of a column, or they do not speak of one thing


def find_minorities(table: pa.Table, same: str) -> list[Doubt]:
    """Doubt the values that differ from what most rows with the same thing have.

    Args:
        table: n rows, best with their texts as they are in the file.
        same: the column that names the thing, such as a flight of which several
            sources tell the time.

    Returns:
        The values of each column for which one text is more frequent in its group than
        any other, where they are another text; those of the clearest groups first. A
        column is left out if fewer than half of its rows agree with their group.

    Examples:
        >>> import pyarrow as pa
        >>> from tied_tables.rules import find_minorities
        >>> flights = ["A1", "A1", "A1", "B2", "B2"]
        >>> times = ["7:10", "7:10", "9:45", "8:00", "8:00"]
        >>> rows = pa.table({"flight": flights, "time": times})
        >>> [doubt] = find_minorities(rows, "flight")
        >>> doubt.row, doubt.suggestion, doubt.reason
        (3, '7:10', 'time 9:45; it is 7:10 in 2 of 3 rows with flight A1')
    """
    columns = {column.name: column for column in find_kinds(table)}
    groups = columns.pop(same, None)
    if groups is None:
        return []
    found = []
    for column in columns.values():
        modes, counts, totals = _find_modes(groups, column)
        is_known = (groups.codes != MISSING_CODE) & (column.codes != MISSING_CODE)
        rows = np.flatnonzero(is_known)
        expected = modes[groups.codes[rows]]
        is_expected = expected == column.codes[rows]
        if is_expected.sum() < LEAST_AGREEMENT * len(rows):
            continue
        is_doubtful = ~is_expected & (expected != MISSING_CODE)
        for row in rows[is_doubtful].tolist():
            group = groups.codes[row]
            share = f"{counts[group]:,} of {totals[group]:,} rows"
            thing = groups.texts[group].as_py()
            mode = column.texts[modes[group]].as_py()
            value = column.texts[column.codes[row]].as_py()
            doubt = Doubt(
                row + 1,
                column.name,
                value,
                mode,
                f"{column.name} {value}; it is {mode} in {share} with {same} {thing}",
            )
            found.append((-counts[group] / totals[group], doubt))
    return [doubt for _, doubt in sorted(found)]


def _find_modes(groups: TextCodes, column: TextCodes) -> tuple[Array, Array, Array]:
    """The most frequent text of each group, and how many rows have it, and have any.

    The code of a text is -1 in a group where several are as frequent, or none is there.
    """
    is_known = (groups.codes != MISSING_CODE) & (column.codes != MISSING_CODE)
    n_groups = len(groups.texts)
    n_texts = max(1, len(column.texts))
    known_groups = groups.codes[is_known].astype(np.int64)
    pairs = known_groups * n_texts + column.codes[is_known]
    pairs, counts = np.unique(pairs, return_counts=True)
    group_of, text_of = np.divmod(pairs, n_texts)
    largest = np.zeros(n_groups, np.int64)
    np.maximum.at(largest, group_of, counts)
    is_largest = counts == largest[group_of]
    n_largest = np.bincount(group_of[is_largest], minlength=n_groups)
    modes = np.full(n_groups, MISSING_CODE)
    modes[group_of[is_largest]] = text_of[is_largest]
    modes[n_largest != 1] = MISSING_CODE
    totals = np.bincount(group_of, counts, minlength=n_groups).astype(np.int64)
    return modes, largest, totals
