"""Relations between columns of numbers, and the cells that break them.

They are found on a sample of the rows and proved on all. A relation holds in a row if
the result, rounded as its column is, is what stands there.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import Kinds

SCREEN_ROWS, SAMPLE_ROWS = 200, 2_000
MOST_COLUMNS = 40
LEAST_SHARE = 0.97  # of the rows in which a relation holds
LEAST_SCREENED = 0.85  # the same of the few rows that are looked at first
LEAST_EQUAL = 0.99  # the same of a multiple of one column
MOST_CHANCE = 0.3  # of the rows, if the results are in another order
FEWEST_ROWS = 20  # in which a result differs from its terms
MOST_PLACES = 9
NEAR = 0.05  # of a value, in which others count for how usual it is
CLEAR = 1.0  # by how much the logarithm of a chance must differ


class Numbers(NamedTuple):
    """A column of numbers.

    Attributes:
        name: its name.
        values: (rows,) float64, finite, or NaN where there is none.
        places: how many decimals are written.
        decimal: the decimal mark, `"."` or `","`.
    """

    name: str
    values: Array
    places: int
    decimal: str = "."

    @property
    def tolerance(self) -> Array:
        """By how much a result may differ from each value, (rows,)."""
        rounding = 0.5 * 10.0**-self.places
        return rounding * (1 + 1e-6) + 1e-9 * np.abs(self.values)

    def take(self, rows: Array) -> "Numbers":
        """Return some of the rows."""
        return self._replace(values=self.values[rows])


class Operation(NamedTuple):
    """What makes a result of two terms, and each term of the result and the other."""

    words: str
    result: Callable[[Array, Array], Array]
    first: Callable[[Array, Array], Array]  # of the result and the second term
    second: Callable[[Array, Array], Array]  # of the result and the first term


OPERATIONS = (
    Operation("{} + {}", np.add, np.subtract, np.subtract),
    Operation("{} x {}", np.multiply, np.divide, np.divide),
    Operation("{} - {}", np.subtract, np.add, lambda c, a: a - c),
    Operation("{} / {}", np.divide, np.multiply, lambda c, a: a / c),
    Operation(
        "{} x {} / 100",
        lambda a, b: a * b / 100,
        lambda c, b: c / b * 100,
        lambda c, a: c / a * 100,
    ),
    Operation(
        "100 x {} / {}",
        lambda a, b: 100 * a / b,
        lambda c, b: c * b / 100,
        lambda c, a: 100 * a / c,
    ),
    Operation(
        "{} x (1 - {} / 100)",
        lambda a, b: a * (1 - b / 100),
        lambda c, b: c / (1 - b / 100),
        lambda c, a: 100 * (1 - c / a),
    ),
    Operation(
        "{} x (1 + {} / 100)",
        lambda a, b: a * (1 + b / 100),
        lambda c, b: c / (1 + b / 100),
        lambda c, a: 100 * (c / a - 1),
    ),
    Operation(
        "{} x (1 - {})",
        lambda a, b: a * (1 - b),
        lambda c, b: c / (1 - b),
        lambda c, a: 1 - c / a,
    ),
    Operation(
        "{} x (1 + {})",
        lambda a, b: a * (1 + b),
        lambda c, b: c / (1 + b),
        lambda c, a: c / a - 1,
    ),
)
SYMMETRIC = 2  # of the first operations the terms may change places


class Relation(NamedTuple):
    """A relation between a column and one or more others.

    Attributes:
        result: the name of the column that the others make.
        terms: the names of the others.
        operation: the place in `OPERATIONS`, for two terms; None for a sum of more or
            a multiple of one.
        factor: of one term; 1 for more.
        n_rows: the rows that have all of these values.
        n_exceptions: those in which the relation does not hold.
    """

    result: str
    terms: tuple[str, ...]
    operation: int | None
    factor: float = 1.0
    n_rows: int = 0
    n_exceptions: int = 0

    @property
    def formula(self) -> str:
        """The relation in words, without its counts."""
        if len(self.terms) == 1:
            times = "" if self.factor == 1 else f"{self.factor:.12g} x "
            return f"{self.result} = {times}{self.terms[0]}"
        if self.operation is None:
            return f"{self.result} = {' + '.join(self.terms)}"
        return f"{self.result} = {OPERATIONS[self.operation].words.format(*self.terms)}"

    def __str__(self) -> str:
        """The relation in words."""
        share = 100 * (1 - self.n_exceptions / self.n_rows)
        exceptions = "exception" if self.n_exceptions == 1 else "exceptions"
        return (
            f"{self.formula}: {share:.4g} % of {self.n_rows:,} rows,"
            f" {self.n_exceptions:,} {exceptions}"
        )

    def compute(self, values: Sequence[Array]) -> Array:
        """Return the result of the terms, (rows,)."""
        with np.errstate(all="ignore"):
            if len(values) == 1:
                return self.factor * values[0]
            if self.operation is None:
                total: Array = np.sum(values, axis=0)
                return total
            return OPERATIONS[self.operation].result(*values)

    def solve(self, place: int, result: Array, values: Sequence[Array]) -> Array:
        """Return the term at a place, of the result and all terms, (rows,)."""
        with np.errstate(all="ignore"):
            if len(values) == 1:
                return result / self.factor
            if self.operation is None:
                return result - self.compute(values) + values[place]
            operation = OPERATIONS[self.operation]
            if place == 0:
                return operation.first(result, values[1])
            return operation.second(result, values[0])


def find_numbers(columns: Sequence[Kinds]) -> list[Numbers]:
    """Return the columns of which at least 95 % of the texts are numbers."""
    found = []
    for column in columns:
        plain = pc.replace_substring_regex(column.texts, r"^\s*[$€£]?\s*|[\s%]+$", "")
        decimal = _find_decimal(plain)
        if decimal == ",":
            plain = pc.replace_substring(plain, ".", "")
            plain = pc.replace_substring(plain, ",", ".")
        else:
            plain = pc.replace_substring_regex(plain, r"(\d),(\d{3})", r"\1\2")
        is_number = pc.match_substring_regex(
            plain, r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
        )
        is_read = np.asarray(is_number)
        if column.counts[is_read].sum() < 0.95 * max(1, column.n_present):
            continue
        if is_read.sum() < 3:
            continue
        numbers = np.asarray(pc.if_else(is_number, plain, None).cast(pa.float64()))
        decimals = pc.replace_substring_regex(plain, r"^[^.]*\.?|[eE].*$", "")
        lengths = np.where(is_read, np.asarray(pc.utf8_length(decimals)), 0)
        cumulated = np.bincount(lengths, weights=column.counts).cumsum()
        places = int(np.searchsorted(cumulated, 0.99 * cumulated[-1]))
        finite = np.where(np.isinf(numbers), np.nan, numbers)
        values = np.append(finite, np.nan)[column.codes]
        n_places = min(places, MOST_PLACES)
        found.append(Numbers(column.name, values, n_places, decimal))
    return found[:MOST_COLUMNS]


def _find_decimal(texts: pa.Array) -> str:
    """Return the decimal mark of a column: a comma, if its texts are numbers only so.

    `1,234` may have a thousands' comma, `12,34` may not.
    """
    points = pc.match_substring_regex(texts, r"^[-+]?\d*\.\d+$|^[-+]?[\d,]+\.\d+$")
    commas = pc.match_substring_regex(texts, r"^[-+]?\d+(\.\d{3})*,(\d{1,2}|\d{4,})$")
    n_points, n_commas = (pc.sum(found).as_py() or 0 for found in (points, commas))
    return "," if n_commas > n_points else "."


def find_relations(columns: Sequence[Numbers], seed: int = 0) -> list[Relation]:
    """Return the relations that hold in at least 97 % of all rows."""
    if len(columns) < 2:
        return []
    n_rows = len(columns[0].values)
    generator = np.random.default_rng(seed)
    order = generator.permutation(n_rows)[:SAMPLE_ROWS]
    sample = [column.take(order) for column in columns]
    screen = [column.take(np.arange(min(n_rows, SCREEN_ROWS))) for column in sample]
    by_name = {column.name: column for column in columns}
    sample_by_name = {column.name: column for column in sample}
    # one for each set of columns, and one sum of many for each result
    best: dict[frozenset[str], Relation] = {}
    for candidate in _list_candidates(screen):
        if not _prove(candidate, sample_by_name):
            continue
        relation = _prove(candidate, by_name)
        is_sum = len(candidate.terms) > 2
        others = () if is_sum else candidate.terms
        names = frozenset((candidate.result, *others))
        if relation and (
            names not in best or relation.n_exceptions < best[names].n_exceptions
        ):
            best[names] = relation
    return list(best.values())


def _list_candidates(columns: Sequence[Numbers]) -> Iterator[Relation]:
    """Yield what holds in most of a few rows."""
    names = [column.name for column in columns]
    values = np.array([column.values for column in columns])
    tolerances = np.array([column.tolerance for column in columns])
    for i, name in enumerate(names):
        for j in range(len(names)):
            if i != j and (factor := _find_factor(values[i], columns[j])):
                yield Relation(names[j], (name,), None, factor)
    for i, j in permutations(range(len(names)), 2):
        for place, operation in enumerate(OPERATIONS):
            if place < SYMMETRIC and i > j:
                continue
            with np.errstate(all="ignore"):
                result = operation.result(values[i], values[j])
            for c in _match(result, values, tolerances, {i, j}):
                yield Relation(names[c], (names[i], names[j]), place)
    for start in range(len(names) - 2):
        for end in range(start + 2, len(names)):
            total = values[start : end + 1].sum(axis=0)
            for c in _match(total, values, tolerances, set(range(start, end + 1))):
                yield Relation(names[c], tuple(names[start : end + 1]), None)


def _match(
    result: Array, values: Array, tolerances: Array, excluded: set[int]
) -> list[int]:
    """Return the columns that are equal to a result in most rows."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(values - result)
    is_known = ~np.isnan(gaps)
    n_equal = (gaps <= tolerances).sum(axis=1)
    n_known = is_known.sum(axis=1)
    is_match = (n_known >= FEWEST_ROWS) & (n_equal >= LEAST_SCREENED * n_known)
    return [c for c in np.flatnonzero(is_match).tolist() if c not in excluded]


def _find_factor(a: Array, column: Numbers) -> float | None:
    """Return by what to multiply a column to get another, with few digits, or None."""
    with np.errstate(all="ignore"):
        ratios = column.values / a
    ratios = ratios[np.isfinite(ratios) & (ratios != 0)]
    if len(ratios) < FEWEST_ROWS:
        return None
    middle = float(np.median(ratios))
    for digits in range(1, 10):
        factor = float(f"{middle:.{digits}g}")
        gaps = np.abs(factor * a - column.values)
        gaps = gaps <= column.tolerance
        n_known = (~np.isnan(a + column.values)).sum()
        if gaps.sum() >= LEAST_SCREENED * n_known:
            return factor
    return None


@np.errstate(invalid="ignore")
def _prove(relation: Relation, columns: dict[str, Numbers]) -> Relation | None:
    """Count in how many rows a relation holds; None if in too few, or by chance."""
    result = columns[relation.result]
    terms = [columns[name].values for name in relation.terms]
    computed = relation.compute(terms)
    gaps = np.abs(computed - result.values)
    is_known = np.isfinite(gaps)
    holds = gaps <= result.tolerance
    # rows that tell: the result is neither 0 nor one of the terms
    is_telling = is_known & (result.values != 0)
    if len(terms) > 1:
        for term in terms:
            is_telling &= np.abs(computed - term) > result.tolerance
    n_telling = int(is_telling.sum())
    if n_telling < FEWEST_ROWS or n_telling < 0.05 * is_known.sum():
        return None
    least = LEAST_EQUAL if len(terms) == 1 else LEAST_SHARE
    if holds[is_telling].sum() < least * n_telling:
        return None
    results = result.values[is_telling]
    chance = np.mean(
        [
            np.mean(
                np.abs(computed[is_telling] - np.roll(results, shift))
                <= result.tolerance[is_telling]
            )
            for shift in (1, n_telling // 3, n_telling // 2)
        ]
    )
    if chance > MOST_CHANCE:
        return None
    n_exceptions = int((is_known & ~holds).sum())
    return relation._replace(n_rows=int(is_known.sum()), n_exceptions=n_exceptions)


def doubt_relations(
    relations: Sequence[Relation], columns: Sequence[Numbers]
) -> Iterator[Doubt]:
    """Doubt the cells that break a relation, one of each row."""
    by_name = {column.name: column for column in columns}
    usual = {column.name: np.sort(column.values) for column in columns}
    broken: dict[int, list[Relation]] = {}
    for relation in relations:
        terms = [by_name[name].values for name in relation.terms]
        result = by_name[relation.result]
        with np.errstate(invalid="ignore"):
            gaps = np.abs(relation.compute(terms) - result.values)
        rows = np.flatnonzero(np.isfinite(gaps) & (gaps > result.tolerance))
        for row in rows.tolist():
            broken.setdefault(row, []).append(relation)
    for row, own in broken.items():
        cells = {name: column.take(np.array([row])) for name, column in by_name.items()}
        if doubt := _judge_row(row, own, relations, cells, usual):
            yield doubt


class _Repair(NamedTuple):
    """A value that makes relations hold."""

    column: str
    value: float
    gain: int  # relations that hold then, less those that hold no more
    odds: float  # by how much the logarithm of the chance of the value grows


def _judge_row(
    row: int,
    broken: Sequence[Relation],
    relations: Sequence[Relation],
    cells: dict[str, Numbers],
    usual: dict[str, Array],
) -> Doubt | None:
    """Doubt the cell of a row whose repair makes most relations hold, if one does."""
    held = sum(_holds(relation, cells) for relation in relations)
    repairs = {}
    for relation in broken:
        values = [cells[name].values for name in relation.terms]
        result = cells[relation.result].values
        solutions = {relation.result: relation.compute(values)}
        for place, name in enumerate(relation.terms):
            solutions[name] = relation.solve(place, result, values)
        for name, solution in solutions.items():
            cell = cells[name]
            value = np.round(solution, cell.places) + 0.0
            changed = cells | {name: cell._replace(values=value)}
            if not np.isfinite(value[0]) or not _holds(relation, changed):
                continue
            gain = sum(_holds(each, changed) for each in relations) - held
            odds = _measure(usual[name], value[0]) - _measure(
                usual[name], cell.values[0]
            )
            repairs[name, float(value[0])] = _Repair(name, float(value[0]), gain, odds)
    useful = [repair for repair in repairs.values() if repair.gain > 0]
    if not useful:
        return None
    useful.sort(key=lambda repair: (-repair.gain, -repair.odds))
    best, *others = useful
    is_clear = all(
        best.gain > other.gain or best.odds > other.odds + CLEAR for other in others
    )
    relation = next(
        each for each in broken if best.column in (each.result, *each.terms)
    )
    names = (*relation.terms, relation.result)
    texts = [f"{name} {_format(cells[name], cells[name].values[0])}" for name in names]
    reason = f"{relation}, one of which is {', '.join(texts)}"
    if not is_clear:
        reason += "; one of these is wrong"
    cell = cells[best.column]
    suggestion = _format(cell, best.value) if is_clear else None
    text = _format(cell, cell.values[0])
    return Doubt(row, best.column, text, suggestion, reason, 5.0 + best.gain)


def _holds(relation: Relation, cells: dict[str, Numbers]) -> bool:
    result = cells[relation.result]
    computed = relation.compute([cells[name].values for name in relation.terms])
    return bool((np.abs(computed - result.values) <= result.tolerance)[0])


def _measure(usual: Array, value: float) -> float:
    """Return the logarithm of the share of values that are near to one."""
    width = NEAR * abs(value)
    first, last = np.searchsorted(usual, [value - width, value + width])
    return float(np.log(last - first + 0.5))


def _format(column: Numbers, value: float) -> str:
    """Return a number as its column writes it."""
    text = f"{value:.{column.places}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(".", column.decimal)
