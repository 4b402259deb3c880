"""Relations between columns of numbers.

They are found on a sample of the rows and proved on all. A relation holds in a row if
the result, rounded as its column is, is what stands there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from typing import NamedTuple, TypeAlias

import numpy as np

from tied_tables._text import format_exceptions
from tied_tables._types import Array
from tied_tables.rules.numbers import Numbers

FIRST_ROWS = 8  # that products of columns are looked at in
SCREEN_ROWS = 200  # that are looked at first
RELATION_SAMPLE_ROWS = 2_000
LEAST_SHARE = 0.95  # of the rows in which a relation holds
LEAST_SCREEN_SHARE = 0.85  # the same of the few rows that are looked at first
LEAST_FIRST_SHARE = 0.7  # the same of the first
LEAST_EQUAL = 0.99  # the same of a multiple of one column
MOST_CHANCE = 0.3  # of the rows, if the results are in another order
ROUNDED = 3.0  # times the tolerance, up to which an error may be of rounding
SHARPER = 4.0  # times as much as the tolerance of a form that is clearly better
MOST_ROUNDED = 0.005  # of the rows that may have such errors by chance
MIN_RELATION_ROWS = 20  # in which a result differs from its terms
LEAST_INFORMATIVE = 0.05  # the same as a share


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
LINEAR = (0, 2)
SYMMETRIC = 2  # of the first operations the terms may change places
AFTER_PRODUCT = (0, 1, 2, 6, 7, 8, 9)
"""The operations whose first term may be a product of columns."""


SatisfiedRelation: TypeAlias = tuple[frozenset[str], Array]
"""The columns of a relation, and in which rows it holds, (rows,) bool."""


class Relation(NamedTuple):
    """A relation between a column and one or more others.

    Attributes:
        result: the name of the column that the others make.
        terms: the names of the others.
        operation: the place in `OPERATIONS`, for two terms, or for more, of which all
            but the last are multiplied first; None for a sum or a multiple of one.
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
        return f"{self.result} = {self.describe(self.terms)}"

    def describe(self, terms: Sequence[str]) -> str:
        """Return how the result is computed from terms with such names."""
        if len(terms) == 1:
            times = "" if self.factor == 1 else f"{self.factor:.12g} x "
            return f"{times}{terms[0]}"
        if self.operation is None:
            return " + ".join(terms)
        product = " x ".join(terms[:-1])
        return OPERATIONS[self.operation].words.format(product, terms[-1])

    def __str__(self) -> str:
        """The relation in words."""
        counts = format_exceptions(self.n_rows, self.n_exceptions)
        return f"{self.formula}: {counts}"

    @property
    def is_product(self) -> bool:
        """Whether columns are multiplied before the operation."""
        return self.operation is not None and len(self.terms) > 2

    @property
    def names(self) -> frozenset[str]:
        """The columns that stand in the relation."""
        return frozenset((self.result, *self.terms))

    def compute(self, values: Sequence[Array]) -> Array:
        """Return the result of the terms, (rows,)."""
        with np.errstate(all="ignore"):
            if len(values) == 1:
                return self.factor * values[0]
            if self.operation is None:
                total: Array = np.sum(values, axis=0)
                return total
            product = np.prod(values[:-1], axis=0)
            return OPERATIONS[self.operation].result(product, values[-1])

    def solve(self, name: str, columns: Mapping[str, Numbers]) -> Array:
        """Return what a column would be for the others to hold, (rows,)."""
        values = [columns[term].values for term in self.terms]
        if name == self.result:
            return self.compute(values)
        result = columns[self.result].values
        place = self.terms.index(name)
        with np.errstate(all="ignore"):
            if len(values) == 1:
                return result / self.factor
            if self.operation is None:
                for other in values[:place] + values[place + 1 :]:
                    result = result - other
                return result
            operation = OPERATIONS[self.operation]
            *factors, last = values
            if place == len(factors):
                return operation.second(result, np.prod(factors, axis=0))
            del factors[place]
            solved: Array = operation.first(result, last) / np.prod(factors, axis=0)
            return solved

    def check(self, columns: Mapping[str, Numbers]) -> tuple[Array, Array]:
        """Return in which rows the relation holds, and in which it does not."""
        errors = self._find_errors(columns)
        is_known = np.isfinite(errors)
        holds = is_known & (errors <= columns[self.result].tolerance)
        return holds, is_known & ~holds

    @property
    def is_linear(self) -> bool:
        """Whether it is a sum or a difference, which is as sharp in every form."""
        return self.operation in (None, *LINEAR) and not self.is_product

    def measure(self, columns: Mapping[str, Numbers]) -> tuple[int, float]:
        """Return how many rows miss it by a rounding, and its relative tolerance."""
        result = columns[self.result]
        errors = self._find_errors(columns)
        tolerance = result.tolerance
        is_near = (errors > tolerance) & (errors <= ROUNDED * tolerance)
        names = self.names if self.is_linear else {self.result}
        sizes = np.max([np.abs(columns[name].values) for name in names], axis=0)
        is_known = np.isfinite(errors) & (sizes > 0)
        width = np.median(tolerance[is_known] / sizes[is_known])
        return int(is_near.sum()), float(width)

    def _find_errors(self, columns: Mapping[str, Numbers]) -> Array:
        with np.errstate(invalid="ignore"):
            computed = self.solve(self.result, columns)
            errors: Array = np.abs(computed - columns[self.result].values)
        return errors


def find_relations(columns: Sequence[Numbers], seed: int = 0) -> list[Relation]:
    """Return the relations that hold in at least 95 % of all rows."""
    if len(columns) < 2:
        return []
    n_rows = len(columns[0].values)
    generator = np.random.default_rng(seed)
    order = generator.permutation(n_rows)[:RELATION_SAMPLE_ROWS]
    sample = [column.take(order) for column in columns]
    screen = [column.take(np.arange(min(n_rows, SCREEN_ROWS))) for column in sample]
    by_name = {column.name: column for column in columns}
    sample_by_name = {column.name: column for column in sample}
    # of each set of columns, and sums of many of each result
    forms: dict[frozenset[str], list[Relation]] = {}
    for candidate in _list_candidates(screen):
        if not _prove(candidate, sample_by_name):
            continue
        relation = _prove(candidate, by_name)
        is_sum = len(candidate.terms) > 2 and not candidate.is_product
        terms = () if is_sum else candidate.terms
        if relation is not None:
            names = frozenset((candidate.result, *terms))
            forms.setdefault(names, []).append(relation)
    best = [_choose_form(relations, by_name) for relations in forms.values()]
    return [each for each in best if not _has_better(each, best)]


def _choose_form(
    relations: Sequence[Relation], columns: Mapping[str, Numbers]
) -> Relation:
    """Return the form of a relation that shows the smallest errors.

    `net = price x quantity` does, to a cent; `quantity = net / price` to half a piece.
    A form that many rows miss by a rounding is none.
    """
    if len(relations) == 1:
        return relations[0]
    near, widths = zip(
        *(relation.measure(columns) for relation in relations), strict=True
    )
    most_near = max(min(near), MOST_ROUNDED * relations[0].n_rows)
    most_width = SHARPER * min(widths)
    keys = [
        (n_near > most_near, width > most_width, relation.n_exceptions)
        for n_near, width, relation in zip(near, widths, relations, strict=True)
    ]
    return relations[keys.index(min(keys))]


def _has_better(relation: Relation, others: Iterable[Relation]) -> bool:
    """Whether a relation has columns too many or too few.

    More columns are needed if there are less than half of the exceptions with them.
    """
    for other in others:
        short, long = sorted((relation, other), key=lambda each: len(each.terms))
        are_rivals = long.result in short.names < long.names
        if are_rivals and len(short.terms) > 1:
            is_long_better = 2 * long.n_exceptions < short.n_exceptions
            if relation is (short if is_long_better else long):
                return True
    return False


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
    for terms, place, c in _list_products(values, tolerances):
        yield Relation(names[c], tuple(names[term] for term in terms), place)
    for start in range(len(names) - 2):
        for end in range(start + 2, len(names)):
            total = values[start : end + 1].sum(axis=0)
            for c in _match(total, values, tolerances, set(range(start, end + 1))):
                yield Relation(names[c], tuple(names[start : end + 1]), None)


@np.errstate(all="ignore")
def _list_products(
    values: Array, tolerances: Array
) -> list[tuple[tuple[int, int, int], int, int]]:
    """Return terms, operation and result of what multiplies two columns first.

    A product with a column of its own gives no other.
    """
    found = []
    first_rows, first_tolerances = values[:, :FIRST_ROWS], tolerances[:, :FIRST_ROWS]
    expected = np.where(first_rows == 0, np.nan, first_rows)  # 0 is often equal
    for i, j in combinations(range(len(values)), 2):
        product = values[i] * values[j]
        own = _match(product, values, tolerances, {i, j})
        for place in AFTER_PRODUCT:
            apply = OPERATIONS[place].result
            results = apply(product[:FIRST_ROWS], first_rows)
            errors = np.abs(results[:, None] - expected)
            n_equal = (errors <= first_tolerances).sum(axis=2)
            least = LEAST_FIRST_SHARE * np.isfinite(errors).sum(axis=2)
            is_near = n_equal >= np.maximum(least, FIRST_ROWS / 2)
            for k in np.flatnonzero(is_near.any(axis=1)).tolist():
                result = apply(product, values[k])
                for c in _match(result, values, tolerances, {i, j, k}):
                    if k not in (i, j) and (not own or c in own):
                        found.append(((i, j, k), place, c))
    return found


def _match(
    result: Array, values: Array, tolerances: Array, excluded: set[int]
) -> list[int]:
    """Return the columns that are equal to a result in most rows."""
    with np.errstate(all="ignore"):
        errors = np.abs(values - result)
    is_known = ~np.isnan(errors)
    n_equal = (errors <= tolerances).sum(axis=1)
    n_known = is_known.sum(axis=1)
    is_match = (n_known >= MIN_RELATION_ROWS) & (
        n_equal >= LEAST_SCREEN_SHARE * n_known
    )
    return [c for c in np.flatnonzero(is_match).tolist() if c not in excluded]


def _find_factor(a: Array, column: Numbers) -> float | None:
    """Return by what to multiply a column to get another, with few digits, or None."""
    with np.errstate(all="ignore"):
        ratios = column.values / a
    ratios = ratios[np.isfinite(ratios) & (ratios != 0)]
    if len(ratios) < MIN_RELATION_ROWS:
        return None
    middle = float(np.median(ratios))
    n_known = (~np.isnan(a + column.values)).sum()
    for digits in range(1, 10):
        factor = float(f"{middle:.{digits}g}")
        errors = np.abs(factor * a - column.values)
        n_equal = (errors <= column.tolerance).sum()
        if n_equal >= LEAST_SCREEN_SHARE * n_known:
            return factor
    return None


@np.errstate(invalid="ignore")
def _prove(relation: Relation, columns: Mapping[str, Numbers]) -> Relation | None:
    """Count in how many rows a relation holds; None if in too few, or by chance."""
    result = columns[relation.result]
    terms = [columns[name].values for name in relation.terms]
    computed = relation.compute(terms)
    holds, is_broken = relation.check(columns)
    is_known = holds | is_broken
    # Rows are informative if the result is neither 0 nor one of the terms.
    is_informative = is_known & (result.values != 0)
    if len(terms) > 1:
        for term in terms:
            is_informative &= np.abs(computed - term) > result.tolerance
    if is_informative.sum() < LEAST_INFORMATIVE * is_known.sum():
        return None
    if relation.is_product:
        product = np.prod(terms[:-1], axis=0)
        is_informative &= np.abs(computed - product) > result.tolerance
    n_informative = int(is_informative.sum())
    if n_informative < MIN_RELATION_ROWS:
        return None
    least = LEAST_EQUAL if len(terms) == 1 else LEAST_SHARE
    if holds[is_informative].sum() < least * n_informative:
        return None
    if holds.sum() < LEAST_SHARE * is_known.sum():
        return None
    computed = computed[is_informative]
    if _measure_chance(computed, result.take(is_informative)) > MOST_CHANCE:
        return None
    n_exceptions = int(is_broken.sum())
    return relation._replace(n_rows=int(is_known.sum()), n_exceptions=n_exceptions)


def _measure_chance(computed: Array, result: Numbers) -> float:
    """Return the share of rows in which a relation holds with another row's result."""
    n = len(computed)
    shares = []
    for shift in (1, n // 3, n // 2):
        errors = np.abs(computed - np.roll(result.values, shift))
        shares.append(np.mean(errors <= result.tolerance))
    return float(np.mean(shares))
