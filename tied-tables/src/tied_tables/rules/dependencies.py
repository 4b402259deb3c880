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

from tied_tables._text import format_exceptions
from tied_tables._types import Array
from tied_tables.rules.kinds import MIN_GROUP_ROWS, TextCodes, drop_suspects

RULE_SAMPLE_ROWS = 20_000  # on which rules are chosen
LARGEST_GROUP = 1_000  # rows of a group that are in the sample, about
FEWEST_REPEATED = 20  # rows in such groups, for a rule
MIN_INFORMATION = 0.3
MOST_RULES_OF_COLUMN = 4
LEAST_TAU = 0.8
MOST_STORED_PAIRS = 2**18  # of texts, that all rules keep
SCREEN_PAIRS = 1_000  # of rows, by which rules are chosen first
LEAST_SCREEN_TAU = 0.7
MOST_EXCEPTIONS = 0.1  # of the rows in groups
MOST_MIXED_SHARE = 0.3  # of the exceptions of a rule, that are many in their group
FEWEST_MIXED = 5  # of these; fewer may be errors about one thing
MOST_MIXED = 0.25  # of the other rows of a group, that are not its majority
PRIOR_GROUPS = 2  # the prior weighs more where groups are few


class Dependency(NamedTuple):
    """A rule: the value of one column tells that of another.

    Attributes:
        determinant: the column that tells.
        dependent: the column that is determined.
        tau: 1 without exceptions, 0 if the columns are independent.
        information: how much of the surprise in the dependent is gone, from 0 to 1.
        n_rows: the rows in groups of at least three with the same determinant.
        n_exceptions: those that differ from the majority of their group.
    """

    determinant: str
    dependent: str
    tau: float
    information: float
    n_rows: int
    n_exceptions: int

    def __str__(self) -> str:
        """The rule in words."""
        counts = format_exceptions(self.n_rows, self.n_exceptions)
        return f"{self.determinant} determines {self.dependent}: {counts}"


class Groups(NamedTuple):
    """How often each text of one column is in the rows with each of another.

    Attributes:
        keys: the pairs that are there, a * n_b + b, ascending, (pairs,) int64.
        counts: the rows with each pair, (pairs,).
        sizes: the rows with each a, (texts of a,).
        majority: the most frequent b of each a, (texts of a,); -1 without rows.
        tops: how many rows have that, (texts of a,).
        n_b: the number of texts of b.
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
        a, b = np.divmod(keys, n_b)
        sizes = np.bincount(a, weights=counts, minlength=n_a)
        sizes = sizes.astype(np.int64)
        # the last of the pairs of each a, by their counts
        order = np.lexsort([counts, a])
        ordered_a = a[order]
        majority = np.full(n_a, -1)
        majority[ordered_a] = b[order]
        tops = np.zeros(n_a, np.int64)
        tops[ordered_a] = counts[order]
        return cls(keys, counts, sizes, majority, tops, n_b)

    def count_rows(self, a: Array, b: Array) -> Array:
        """Return how many rows have each pair; none has one with a new text."""
        if not len(self.keys):
            return np.zeros(len(a), np.int64)
        keys = a.astype(np.int64) * self.n_b + b
        last = len(self.keys) - 1
        places = np.minimum(np.searchsorted(self.keys, keys), last)
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


class DependencyRule(NamedTuple):
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
    """Return tau and the information of a rule; 0 of both if too few rows repeat.

    `weights` are how many rows each row of a group of a stands for, (texts of a,).
    """
    owners = groups.keys // groups.n_b
    sizes = groups.sizes[owners]
    is_repeated = sizes >= MIN_GROUP_ROWS
    sizes = sizes[is_repeated]
    counts = groups.counts[is_repeated]
    if counts.sum() < FEWEST_REPEATED:
        return 0.0, 0.0
    rows = counts * weights[owners[is_repeated]]
    totals = b_counts[groups.keys[is_repeated] % groups.n_b]
    agree = np.average((counts - 1) / (sizes - 1), weights=rows)
    base = np.average(totals - 1, weights=rows) / (b_counts.sum() - 1)
    if not 0 < base < agree:
        return 0.0, 0.0
    tau = (agree - base) / (1 - base)
    information = np.log(agree / base) / -np.log(base)
    return float(tau), float(information)


def find_rules(columns: Sequence[TextCodes], seed: int = 0) -> list[DependencyRule]:
    """Return the most telling rules for each column in turn, the most telling first.

    They are chosen on a sample for each determinant, in which its groups are whole, and
    counted in all rows.
    """
    clean = drop_suspects(columns)
    information = _estimate_information(clean, np.random.default_rng(seed))
    found = []
    for j, b in enumerate(columns):
        order = np.argsort(-information[:, j], kind="stable")
        for i in order[:MOST_RULES_OF_COLUMN].tolist():
            if information[i, j] >= MIN_INFORMATION:
                found.append(prove_rule(clean[i], clean[j], b))
    return [rule for rule in found if rule is not None]


def _estimate_information(
    columns: Sequence[TextCodes], generator: np.random.Generator
) -> Array:
    """Return the information of each rule in a sample, (determinants, dependents).

    It is 0 of a rule with too many exceptions. Measurements determine nothing: rows in
    which they are equal by chance are no exceptions that are wrong.
    """
    table = np.array([column.codes for column in columns])  # (columns, rows)
    bases = np.array([np.square(column.shares()).sum() for column in columns])
    information = np.zeros((len(columns), len(columns)))
    for i, a in enumerate(columns):
        if a.is_measured:
            continue
        rows, weights = _sample_groups(a, generator)
        if len(rows) < FEWEST_REPEATED:
            continue
        a_codes = a.codes[rows]
        first, second = _draw_pairs(a_codes, weights, generator)
        screened = _screen(table[:, rows[first]], table[:, rows[second]], bases)
        for j in screened.tolist():
            if j == i:
                continue
            b = columns[j]
            groups = count_pairs(a_codes, b.codes[rows], len(a.counts), len(b.counts))
            tau, rule_information = measure_rule(groups, b.counts, weights)
            if tau >= LEAST_TAU:
                information[i, j] = rule_information
    return information


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
    starts, sizes = starts[groups], sizes[groups]  # of each pair
    first = generator.integers(sizes)
    distance = generator.integers(1, sizes)
    second = (first + distance) % sizes
    return order[starts + first], order[starts + second]


def _screen(first: Array, second: Array, bases: Array) -> Array:
    """Return the columns that are maybe equal in pairs of rows, beyond chance.

    The codes of the rows are (columns, pairs), the chances of equal ones (columns,).
    """
    is_present = (first >= 0) & (second >= 0)
    n_present = is_present.sum(axis=1)
    n_equal = ((first == second) & is_present).sum(axis=1)
    agree = n_equal / np.maximum(n_present, 1)
    least = LEAST_SCREEN_TAU * (1 - bases)
    return np.flatnonzero((bases < 1) & (agree - bases >= least))


def prove_rule(a: TextCodes, b: TextCodes, raw: TextCodes) -> DependencyRule | None:
    """Count a rule in all rows; None if its exceptions are no errors.

    `a` and `b` are without likely misspellings; exceptions are counted in `raw`, which
    is b with them.
    """
    groups = count_pairs(a.codes, b.codes, len(a.counts), len(b.counts))
    tau, information = measure_rule(groups, b.counts, np.ones(len(a.counts)))
    is_counted = (a.codes >= 0) & (raw.codes >= 0)
    is_counted &= groups.sizes[a.codes] >= MIN_GROUP_ROWS
    is_exception = is_counted & (groups.majority[a.codes] != raw.codes)
    n_rows = int(is_counted.sum())
    n_exceptions = int(is_exception.sum())
    if tau < LEAST_TAU or n_exceptions > MOST_EXCEPTIONS * n_rows:
        return None
    # Where most groups with exceptions are mixed, no exception is an error.
    is_repeated = groups.sizes >= MIN_GROUP_ROWS
    sizes = groups.sizes[is_repeated]
    minorities = sizes - groups.tops[is_repeated]
    is_mixed = minorities > np.maximum(1, MOST_MIXED * (sizes - 1))
    n_mixed = minorities[is_mixed].sum()
    if n_mixed >= FEWEST_MIXED and n_mixed > MOST_MIXED_SHARE * minorities.sum():
        return None
    prior = 1 / tau - 1 + PRIOR_GROUPS / len(sizes)
    dependency = Dependency(a.name, b.name, tau, information, n_rows, n_exceptions)
    return DependencyRule(dependency, groups, float(prior))


def keep_rules(
    columns: Sequence[TextCodes], rules: Sequence[DependencyRule]
) -> tuple[list[TextCodes], list[DependencyRule]]:
    """Return rules without what they do not need, and the texts that they do.

    Texts of determinants that are in few rows are not needed. Rules are left out once
    all have so many pairs.
    """
    by_name = {column.name: column for column in columns}
    needed = {name: np.zeros(len(b.counts), bool) for name, b in by_name.items()}
    kept_rules = []
    n_pairs = 0
    for rule in rules:
        groups = rule.groups
        a, b = np.divmod(groups.keys, groups.n_b)
        is_group = groups.sizes[a] >= MIN_GROUP_ROWS
        n_pairs += int(is_group.sum())
        if n_pairs > MOST_STORED_PAIRS:
            break
        kept_rules.append(rule)
        determinant, dependent = rule.dependency[:2]
        needed[determinant][a[is_group]] = True
        needed[dependent][b[is_group]] = True
    codes = {name: np.flatnonzero(is_needed) for name, is_needed in needed.items()}
    recoded_rules = []
    for rule in kept_rules:
        determinant, dependent = rule.dependency[:2]
        groups = rule.groups.recode(codes[determinant], codes[dependent])
        recoded_rules.append(rule._replace(groups=groups))
    kept_columns = []
    for name, kept_codes in codes.items():
        if len(kept_codes):
            kept_columns.append(by_name[name].keep(kept_codes))
    return kept_columns, recoded_rules


def _sample_groups(a: TextCodes, generator: np.random.Generator) -> tuple[Array, Array]:
    """Choose whole groups of rows with the same text, thinned where they are large.

    Returns the places of the rows, and how many rows each row of a group stands for.
    """
    is_group = a.counts >= MIN_GROUP_ROWS
    kept = np.minimum(1, LARGEST_GROUP / np.maximum(1, a.counts))  # share of a group
    expected = a.counts * kept * is_group
    order = generator.permutation(len(a.counts))
    n_first = expected[order[:1]].sum()  # one group is kept, however large
    is_full = np.cumsum(expected[order]) > max(RULE_SAMPLE_ROWS, n_first)
    kept[order[is_full]] = 0
    kept[~is_group] = 0
    chances = np.append(kept, 0.0)[a.codes]  # a code of -1 is the last
    rows = np.flatnonzero(generator.random(len(a.codes), np.float32) < chances)
    return rows, 1 / np.maximum(kept, 1e-12)
