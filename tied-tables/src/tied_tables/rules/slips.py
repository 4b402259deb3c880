"""The numbers that break a relation, and what they should be."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.numbers import Numbers
from tied_tables.rules.relations import Relation

NEAR = 0.05  # of a value, in which others count for how usual it is
CLEAR = 1.0  # by how much the logarithm of a chance must differ


class Repair(NamedTuple):
    """A value that makes relations hold.

    Attributes:
        column, value: what to write where.
        gain: how many more relations hold then.
        odds: by how much the logarithm of the chance of the value grows.
    """

    column: str
    value: float
    gain: int
    odds: float


def find_slips(
    relations: Sequence[Relation],
    columns: Mapping[str, Numbers],
    typical: Mapping[str, Numbers],
) -> Iterator[Doubt]:
    """Doubt the cells that break a relation, one of each row.

    `typical` are numbers of each column, ascending, which tell how usual one is.
    """
    broken: dict[int, list[Relation]] = {}
    for relation in relations:
        if relation.names <= columns.keys():
            _, is_broken = relation.check(columns)
            for row in np.flatnonzero(is_broken).tolist():
                broken.setdefault(row, []).append(relation)
    for row, own in broken.items():
        here = np.array([row])
        cells = {name: column.take(here) for name, column in columns.items()}
        repairs = _list_repairs(own, relations, cells, typical)
        if repairs:
            yield _describe(row + 1, own, cells, repairs)


def _list_repairs(
    broken: Sequence[Relation],
    relations: Sequence[Relation],
    cells: Mapping[str, Numbers],
    typical: Mapping[str, Numbers],
) -> list[Repair]:
    """List the values that make more relations hold in a row, the best first."""
    n_held = sum(_holds(relation, cells) for relation in relations)
    repairs = {}
    for relation in broken:
        for name in relation.names:
            cell = cells[name]
            solution = relation.solve(name, cells)[0]
            value = float(np.round(solution, cell.places)) + 0.0
            changed = {**cells, name: cell._replace(values=np.array([value]))}
            if not np.isfinite(value) or not _holds(relation, changed):
                continue
            gain = sum(_holds(each, changed) for each in relations) - n_held
            chance = _measure_chance(typical[name].values, value)
            odds = chance - _measure_chance(typical[name].values, cell.values[0])
            if gain > 0:
                repairs[name, value] = Repair(name, value, gain, odds)
    return sorted(repairs.values(), key=lambda repair: (-repair.gain, -repair.odds))


def _describe(
    row: int,
    broken: Sequence[Relation],
    cells: Mapping[str, Numbers],
    repairs: Sequence[Repair],
) -> Doubt:
    """Doubt the first cell of the repairs, with a suggestion if it is clearly best."""
    best, *others = repairs
    is_clear = all(
        best.gain > other.gain or best.odds > other.odds + CLEAR for other in others
    )
    relation = next(each for each in broken if best.column in each.names)
    texts = []
    for name in (*relation.terms, relation.result):
        texts.append(f"{name} {cells[name].format(cells[name].values[0])}")
    reason = f"{relation}, one of which is {', '.join(texts)}"
    if not is_clear:
        reason += "; one of these is wrong"
    cell = cells[best.column]
    suggestion = cell.format(best.value) if is_clear else None
    text = cell.format(cell.values[0])
    return Doubt(row, best.column, text, suggestion, reason)


def _holds(relation: Relation, cells: Mapping[str, Numbers]) -> bool:
    if not relation.names <= cells.keys():
        return False
    holds, _ = relation.check(cells)
    return bool(holds[0])


def _measure_chance(typical: Array, value: float) -> float:
    """Return the logarithm of how many typical values are near to one."""
    width = NEAR * abs(value)
    first, last = np.searchsorted(typical, [value - width, value + width])
    return float(np.log(last - first + 0.5))
