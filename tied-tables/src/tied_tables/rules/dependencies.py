"""Which column determines which: rules between columns, found by counting.

Of two columns A and B, `agree` is the chance that two rows with the same a have the
same b, and `base` that any two rows have. `tau`, (agree - base) / (1 - base), is 0 for
columns that are independent and 1 for a rule without exceptions. The chance of b in a
row with a is the mean of a Dirichlet posterior, whose prior is the shares of all rows
and weighs 1 / tau - 1 rows: where a rule has few exceptions, few rows prove it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules.kinds import FEWEST_ROWS, Kinds, drop_suspects

SAMPLE_ROWS = 20_000  # on which rules are chosen
LARGEST_GROUP = 1_000  # rows of a group that are in the sample, about
FEWEST_REPEATED = 20  # rows in such groups, for a rule
FEWEST_TELLING = 0.3
MOST_RULES = 4  # that judge a column
LEAST_TAU = 0.8
MOST_PAIRS = 2**18  # of texts, that all rules keep
SCREEN_PAIRS, LEAST_SCREENED = 1_000, 0.7  # of rows, by which rules are chosen first
MOST_EXCEPTIONS = 0.1  # of the rows in groups
LEAST_LONELY = 0.7  # of the exceptions of a rule, that are few in their group
MOST_MIXED = 0.25  # of the other rows of a group, that are not its majority
PRIOR_GROUPS = 2  # the prior weighs more where groups are few


class Dependency(NamedTuple):
    """A rule: the value of one column tells that of another.

    Attributes:
        determinant: the column that tells.
        dependent: the column that is told.
        tau: 1 without exceptions, 0 if the columns are independent.
        telling: how much of the surprise in the dependent is gone, from 0 to 1.
        n_rows: the rows in groups of at least three with the same determinant.
        n_exceptions: those that differ from the majority of their group.
    """

    determinant: str
    dependent: str
    tau: float
    telling: float
    n_rows: int
    n_exceptions: int

    def __str__(self) -> str:
        """The rule in words."""
        share = 1 - self.n_exceptions / self.n_rows
        exceptions = "exception" if self.n_exceptions == 1 else "exceptions"
        return (
            f"{self.determinant} determines {self.dependent}: {100 * share:.4g} % of"
            f" {self.n_rows:,} rows, {self.n_exceptions:,} {exceptions}"
        )


class Groups(NamedTuple):
    """How often each text of one column is in the rows with each of another.

    Attributes:
        keys: the pairs that are there, a * n_b + b, ascending, (pairs,) int64.
        counts: the rows with each pair, (pairs,).
        sizes: the rows with each a, (kinds of a,).
        majority: the most frequent b of each a, (kinds of a,); -1 without rows.
        tops: how many rows have that, (kinds of a,).
        n_b: the number of kinds of b.
    """

    keys: Array
    counts: Array
    sizes: Array
    majority: Array
    tops: Array
    n_b: int

    @classmethod
    def of_pairs(cls, keys: Array, counts: Array, n_a: int, n_b: int) -> Self:
        """Add up pairs."""
        owners = keys // n_b
        sizes = np.bincount(owners, weights=counts, minlength=n_a).astype(np.int64)
        # the last of the pairs of each a, by their counts
        order = np.lexsort([counts, owners])
        majority = np.full(n_a, -1)
        majority[owners[order]] = keys[order] % n_b
        tops = np.zeros(n_a, np.int64)
        tops[owners[order]] = counts[order]
        return cls(keys, counts, sizes, majority, tops, n_b)

    def count_rows(self, a: Array, b: Array) -> Array:
        """Return how many rows have each pair; none has one with a new text."""
        if not len(self.keys):
            return np.zeros(len(a), np.int64)
        keys = a.astype(np.int64) * self.n_b + b
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        is_there = (self.keys[places] == keys) & (b < self.n_b)
        return np.where(is_there, self.counts[places], 0)

    def recode(self, kept_a: Array, kept_b: Array) -> Self:
        """Return the groups with some of the texts, given by their codes, ascending."""
        a, b = np.divmod(self.keys, self.n_b)
        is_kept = np.isin(a, kept_a) & np.isin(b, kept_b)
        new_a = np.searchsorted(kept_a, a[is_kept])
        new_b = np.searchsorted(kept_b, b[is_kept])
        n_b = len(kept_b)
        keys = new_a * n_b + new_b
        return self.of_pairs(keys, self.counts[is_kept], len(kept_a), n_b)

    def widen(self, n_a: int) -> Self:
        """Return groups with room for new texts of a, which have no rows."""
        more = (0, n_a - len(self.sizes))
        return self._replace(
            sizes=np.pad(self.sizes, more),
            majority=np.pad(self.majority, more, constant_values=-1),
            tops=np.pad(self.tops, more),
        )


class Rule(NamedTuple):
    """A dependency with its counts in all rows.

    Attributes:
        dependency: the columns, and how well it holds.
        groups: the counts, without texts that are likely misspellings.
        prior: the rows that the prior of a group weighs.
    """

    dependency: Dependency
    groups: Groups
    prior: float


def count_pairs(
    a: NDArray[np.int32], b: NDArray[np.int32], n_a: int, n_b: int
) -> Groups:
    """Count the pairs of two columns of codes, without rows in which one is missing."""
    is_present = (a >= 0) & (b >= 0)
    keys = a[is_present] * np.int64(n_b) + b[is_present]
    keys, counts = np.unique(keys, return_counts=True)
    return Groups.of_pairs(keys, counts, n_a, n_b)


def measure_rule(
    groups: Groups, b_counts: Array, weights: Array
) -> tuple[float, float]:
    """Return tau and how telling a rule is; 0 of both if too few rows repeat.

    `weights` are how many rows each row of a group of a stands for, (kinds of a,).
    """
    owners = groups.keys // groups.n_b
    sizes = groups.sizes[owners]
    is_repeated = sizes >= FEWEST_ROWS
    counts, sizes = groups.counts[is_repeated], sizes[is_repeated]
    if counts.sum() < FEWEST_REPEATED:
        return 0.0, 0.0
    rows = counts * weights[owners[is_repeated]]
    totals = b_counts[groups.keys[is_repeated] % groups.n_b]
    agree = np.average((counts - 1) / (sizes - 1), weights=rows)
    base = np.average(totals - 1, weights=rows) / (b_counts.sum() - 1)
    if not 0 < base < agree:
        return 0.0, 0.0
    telling = np.log(agree / base) / -np.log(base)
    return float((agree - base) / (1 - base)), float(telling)


def find_rules(columns: Sequence[Kinds], seed: int = 0) -> list[Rule]:
    """Return the most telling rules for each column in turn, the most telling first.

    They are chosen on a sample for each determinant, in which its groups are whole, and
    counted in all rows.
    """
    generator = np.random.default_rng(seed)
    clean = drop_suspects(columns)
    table = np.array([column.codes for column in clean])  # (columns, rows)
    bases = np.array([np.square(column.shares()).sum() for column in clean])
    telling = np.zeros((len(columns), len(columns)))  # [determinant, dependent]
    for i, a in enumerate(clean):
        rows, weights = _sample_groups(a, generator)
        if len(rows) < FEWEST_REPEATED:
            continue
        codes = a.codes[rows]
        pairs = _draw_pairs(codes, weights, generator)
        first, second = (table[:, rows[places]] for places in pairs)
        for j in _screen(first, second, bases).tolist():
            b = clean[j]
            if j != i:
                groups = count_pairs(codes, b.codes[rows], len(a.counts), len(b.counts))
                tau, told = measure_rule(groups, b.counts, weights)
                telling[i, j] = told if tau >= LEAST_TAU else 0.0
    found = []
    for j, b in enumerate(columns):
        order = np.argsort(-telling[:, j], kind="stable")[:MOST_RULES].tolist()
        for i in order:
            if telling[i, j] >= FEWEST_TELLING:
                found.append(prove_rule(clean[i], clean[j], b))
    return [rule for rule in found if rule is not None]


def _draw_pairs(
    codes: Array, weights: Array, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Draw pairs of rows with the same text: their places among some rows.

    `weights` are how many rows each row of a text stands for.
    """
    order = np.argsort(codes, kind="stable")
    texts, starts, sizes = np.unique(
        codes[order], return_index=True, return_counts=True
    )
    is_group = sizes > 1
    starts, sizes = starts[is_group], sizes[is_group]
    chances = sizes * weights[texts[is_group]]
    groups = generator.choice(len(sizes), SCREEN_PAIRS, p=chances / chances.sum())
    first = generator.integers(sizes[groups])
    distance = generator.integers(1, sizes[groups])
    second = (first + distance) % sizes[groups]
    return order[starts[groups] + first], order[starts[groups] + second]


def _screen(first: Array, second: Array, bases: Array) -> Array:
    """Return the columns that are maybe equal in pairs of rows, beyond chance.

    The codes of the rows are (columns, pairs), the chances of equal ones (columns,).
    """
    is_present = (first >= 0) & (second >= 0)
    n_present = is_present.sum(axis=1)
    agree = ((first == second) & is_present).sum(axis=1) / np.maximum(n_present, 1)
    return np.flatnonzero((bases < 1) & (agree - bases >= LEAST_SCREENED * (1 - bases)))


def prove_rule(a: Kinds, b: Kinds, raw: Kinds) -> Rule | None:
    """Count a rule in all rows; None if its exceptions are no errors.

    `a` and `b` are without likely misspellings; exceptions are counted in `raw`, which
    is b with them.
    """
    groups = count_pairs(a.codes, b.codes, len(a.counts), len(b.counts))
    tau, telling = measure_rule(groups, b.counts, np.ones(len(a.counts)))
    is_counted = (a.codes >= 0) & (raw.codes >= 0)
    is_counted &= groups.sizes[a.codes] >= FEWEST_ROWS
    n_rows = int(is_counted.sum())
    n_exceptions = int((is_counted & (groups.majority[a.codes] != raw.codes)).sum())
    if tau < LEAST_TAU or n_exceptions > MOST_EXCEPTIONS * n_rows:
        return None
    # Where most groups with exceptions are mixed, no exception is an error.
    is_repeated = groups.sizes >= FEWEST_ROWS
    sizes = groups.sizes[is_repeated]
    others = sizes - groups.tops[is_repeated]
    is_few = others <= np.maximum(1, MOST_MIXED * (sizes - 1))
    if others[is_few].sum() < LEAST_LONELY * others.sum():
        return None
    prior = 1 / tau - 1 + PRIOR_GROUPS / len(sizes)
    dependency = Dependency(a.name, b.name, tau, telling, n_rows, n_exceptions)
    return Rule(dependency, groups, float(prior))


def keep_rules(
    columns: Sequence[Kinds], rules: Sequence[Rule]
) -> tuple[list[Kinds], list[Rule]]:
    """Return rules without what they do not need, and the texts that they do.

    Texts of determinants that are in few rows are not needed. Rules are left out once
    all have so many pairs.
    """
    places = {column.name: place for place, column in enumerate(columns)}
    needed = [np.zeros(len(column.counts), bool) for column in columns]
    kept = []
    n_pairs = 0
    for rule in rules:
        groups = rule.groups
        a, b = np.divmod(groups.keys, groups.n_b)
        is_group = groups.sizes[a] >= FEWEST_ROWS
        n_pairs += int(is_group.sum())
        if n_pairs > MOST_PAIRS:
            break
        kept.append(rule)
        determinant, dependent = (places[name] for name in rule.dependency[:2])
        needed[determinant][a[is_group]] = True
        needed[dependent][b[is_group]] = True
    codes = [np.flatnonzero(is_needed) for is_needed in needed]
    recoded = []
    for rule in kept:
        determinant, dependent = (places[name] for name in rule.dependency[:2])
        groups = rule.groups.recode(codes[determinant], codes[dependent])
        recoded.append(rule._replace(groups=groups))
    pairs = zip(columns, codes, strict=True)
    return [column.keep(own) for column, own in pairs if len(own)], recoded


def _sample_groups(a: Kinds, generator: np.random.Generator) -> tuple[Array, Array]:
    """Choose whole groups of rows with the same text, thinned where they are large.

    Returns the places of the rows, and how many rows each row of a group stands for.
    """
    kept = np.minimum(1, LARGEST_GROUP / np.maximum(1, a.counts))
    expected = a.counts * kept * (a.counts >= FEWEST_ROWS)
    order = generator.permutation(len(a.counts))
    reached = np.cumsum(expected[order])
    kept[order[reached > max(SAMPLE_ROWS, expected[order[:1]].sum())]] = 0
    kept[a.counts < FEWEST_ROWS] = 0
    chances = np.append(kept, 0.0)[a.codes]  # a code of -1 is the last
    rows = np.flatnonzero(generator.random(len(a.codes), np.float32) < chances)
    return rows, 1 / np.maximum(kept, 1e-12)
