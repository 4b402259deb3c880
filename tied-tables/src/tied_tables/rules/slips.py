"""The numbers that break a relation, and what they should be."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.gaps import solve_gaps
from tied_tables.rules.kinds import MIN_GROUP_ROWS, TextCodes
from tied_tables.rules.numbers import SHIFTS, Numbers
from tied_tables.rules.relations import Relation

NEARBY_WIDTH = 0.05  # of a value, in which others count for how usual it is
CLEAR_ODDS = 1.0  # by how much the logarithm of a chance must differ


class Repair(NamedTuple):
    """A value that makes relations hold.

    Attributes:
        column, value: what to write where.
        n_repaired: how many more relations hold then.
        odds: by how much the logarithm of the chance of the value grows, with that of a
            slip of the keyboard.
    """

    column: str
    value: float
    n_repaired: int
    odds: float


def find_relation_errors(
    relations: Sequence[Relation],
    columns: Mapping[str, Numbers],
    texts: Mapping[str, TextCodes],
    typical: Mapping[str, Numbers],
) -> Iterator[Doubt]:
    """Doubt the cells that break a relation, one of each row.

    `texts` are the same columns as they are written, `typical` numbers of each,
    ascending, to measure how usual one is.
    """
    broken_by_row: dict[int, list[Relation]] = {}
    for relation in relations:
        if relation.names <= columns.keys():
            _, is_broken = relation.check(columns)
            for row in np.flatnonzero(is_broken).tolist():
                broken_by_row.setdefault(row, []).append(relation)
    for row, broken in broken_by_row.items():
        row_index = np.array([row])
        cells = {name: column.take(row_index) for name, column in columns.items()}
        repairs = _list_repairs(broken, relations, cells, typical)
        if repairs:
            given = {name: str(texts[name].get_text(row)) for name in cells}
            yield _describe(row + 1, broken, cells, given, repairs)


def _list_repairs(
    broken: Sequence[Relation],
    relations: Sequence[Relation],
    cells: Mapping[str, Numbers],
    typical: Mapping[str, Numbers],
) -> list[Repair]:
    """List the values that make more relations hold in a row, the best first."""
    n_satisfied = sum(_holds(relation, cells) for relation in relations)
    repairs = {}
    for relation in broken:
        for name in (relation.result, *relation.terms):
            value = _solve(relation, name, cells)
            if value is None:
                continue
            cell = cells[name]
            changed = _replace(cells, name, value)
            n_changed = sum(_holds(other, changed) for other in relations)
            n_repaired = n_changed - n_satisfied
            if n_repaired <= 0:
                continue
            values = typical[name].values
            chance = _measure_chance(values, value)
            odds = chance - _measure_chance(values, cell.values[0])
            odds += _weigh_slip(cell.values[0], value)
            repairs[name, value] = Repair(name, value, n_repaired, odds)
    return sorted(
        repairs.values(), key=lambda repair: (-repair.n_repaired, -repair.odds)
    )


def _solve(relation: Relation, name: str, cells: Mapping[str, Numbers]) -> float | None:
    """Return the value of a cell with which a relation holds, or None.

    That is its value with the decimal mark elsewhere, if one of these is right.
    """
    cell = cells[name]
    solution = relation.solve(name, cells)[0]
    for value in (*(cell.values[0] * SHIFTS), solution):
        rounded = float(np.round(value, cell.places)) + 0.0
        is_new = np.isfinite(rounded) and rounded != cell.values[0]
        if is_new and _holds(relation, _replace(cells, name, rounded)):
            return rounded
    return None


def _weigh_slip(value: float, other: float) -> float:
    """Return the log-odds that a number is a slip of the keyboard for another one.

    That is one key added, left out, or another one, or two that change places. A number
    of n digits that has nothing to do with the other is such by chance with about
    20 n / 10^n.
    """
    from rapidfuzz.distance import OSA

    text = f"{value:.15g}"
    if OSA.distance(text, f"{other:.15g}", score_cutoff=1) > 1:
        return 0.0
    n_digits = sum(map(str.isdigit, text))
    return max(0.0, float(n_digits * np.log(10) - np.log(20 * n_digits)))


def _replace(
    cells: Mapping[str, Numbers], name: str, value: float
) -> dict[str, Numbers]:
    changed = cells[name]._replace(values=np.array([value]))
    return {**cells, name: changed}


def _describe(
    row: int,
    broken: Sequence[Relation],
    cells: Mapping[str, Numbers],
    given: Mapping[str, str],
    repairs: Sequence[Repair],
) -> Doubt:
    """Doubt the first cell of the repairs, with a suggestion if it is clearly best.

    `given` are the texts of the cells.
    """
    best, *others = repairs
    is_clear = all(
        best.n_repaired > other.n_repaired or best.odds > other.odds + CLEAR_ODDS
        for other in others
    )
    relation = next(relation for relation in broken if best.column in relation.names)
    texts = [f"{name} {given[name]}" for name in (*relation.terms, relation.result)]
    suggestion = cells[best.column].format(best.value) if is_clear else None
    ending = "one of these is wrong"
    if is_clear:
        ending = f"with {best.column} {suggestion} it is satisfied"
    reason = f"{relation}; this row has {', '.join(texts)}; {ending}"
    return Doubt(row, best.column, given[best.column], suggestion, reason)


def find_misread_numbers(
    relations: Sequence[Relation],
    columns: Mapping[str, Numbers],
    texts: Mapping[str, TextCodes],
    marks: Mapping[str, Collection[str]],
) -> Iterator[Doubt]:
    """Doubt texts that are no numbers where a relation gives one.

    A text that comes again may mean a missing value, and `marks` do.
    """
    misread = {}
    for name, numbers in columns.items():
        column = texts[name]
        is_rare = np.append(column.counts < MIN_GROUP_ROWS, False)
        misread[name] = np.isnan(numbers.values) & is_rare[column.codes]
    for name, solved in solve_gaps(columns, relations, misread).items():
        for row in np.flatnonzero(solved != None).tolist():  # noqa: E711
            text, suggestion = texts[name].get_text(row), solved[row]
            reason = f"{name} {text} is no number; with the other columns it is"
            if text not in marks.get(name, ()):
                yield Doubt(row + 1, name, text, suggestion, f"{reason} {suggestion}")


def _holds(relation: Relation, cells: Mapping[str, Numbers]) -> bool:
    if not relation.names <= cells.keys():
        return False
    holds, _ = relation.check(cells)
    return bool(holds[0])


def _measure_chance(typical: Array, value: float) -> float:
    """Return the logarithm of how many typical values are near to one."""
    width = NEARBY_WIDTH * abs(value)
    first = np.searchsorted(typical, value - width)
    last = np.searchsorted(typical, value + width, side="right")
    return float(np.log(last - first + 0.5))
