"""Rules between columns, found by counting, and the cells that break them.

Of two columns A and B, `agree` is the chance that two rows with the same a have the
same b, and `base` that any two rows have. `tau`, (agree - base) / (1 - base), is 0 for
columns that are independent and 1 for a rule without exceptions. The chance of b in a
row with a is the mean of a Dirichlet posterior, whose prior is the shares of all rows
and weighs 1 / tau - 1 rows: where a rule has few exceptions, few rows prove it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import FEWEST_ROWS, Kinds, drop_suspects

SAMPLE_ROWS = 20_000  # on which rules are chosen
LARGEST_GROUP = 1_000  # rows of a group that are in the sample, about
FEWEST_REPEATED = 20  # rows in such groups, for a rule
FEWEST_TELLING = 0.3
MOST_RULES = 4  # that judge a column
LEAST_TAU = 0.8
MOST_EXCEPTIONS = 0.1  # of the rows in groups
LEAST_LONELY = 0.7  # of the exceptions of a rule, that are few in their group
MOST_MIXED = 0.25  # of the other rows of a group, that are not its majority
MOST_COMMON = 0.001  # of a group, that has the same exception
PRIOR_GROUPS = 2  # the prior weighs more where groups are few
LEAST_EVIDENCE = 2.6  # a logarithm of odds
MOST_DOUBTED = 0.1  # the share of a column; if more is doubted, none is


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

    def count_rows(self, a: Array, b: Array) -> Array:
        """Return how many rows have each pair."""
        if not len(self.keys):
            return np.zeros(len(a), np.int64)
        keys = a.astype(np.int64) * self.n_b + b
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.counts[places], 0)


class Rule(NamedTuple):
    """A rule with its counts in all rows.

    Attributes:
        dependency: the columns, and how well it holds.
        determinant: the column that tells, without likely misspellings.
        groups: the counts.
        prior: the rows that the prior of a group weighs.
        lonely: the share of the exceptions that are few in their group. Where it is
            small, most groups with exceptions are mixed, and no exception is an error.
    """

    dependency: Dependency
    determinant: Kinds
    groups: Groups
    prior: float
    lonely: float

    @property
    def is_trusted(self) -> bool:
        """Whether its exceptions may be errors."""
        n_exceptions, n_rows = self.dependency.n_exceptions, self.dependency.n_rows
        return (
            self.dependency.tau >= LEAST_TAU
            and n_exceptions <= MOST_EXCEPTIONS * n_rows
            and self.lonely >= LEAST_LONELY
        )


def count_pairs(
    a: NDArray[np.int32], b: NDArray[np.int32], n_a: int, n_b: int
) -> Groups:
    """Count the pairs of two columns of codes, without rows in which one is missing."""
    is_present = (a >= 0) & (b >= 0)
    keys = a[is_present] * np.int64(n_b) + b[is_present]
    keys, counts = np.unique(keys, return_counts=True)
    owners = keys // n_b
    sizes = np.bincount(owners, weights=counts, minlength=n_a).astype(np.int64)
    # the last of the pairs of each a, by their counts
    order = np.lexsort([counts, owners])
    majority = np.full(n_a, -1)
    majority[owners[order]] = keys[order] % n_b
    tops = np.zeros(n_a, np.int64)
    tops[owners[order]] = counts[order]
    return Groups(keys, counts, sizes, majority, tops, n_b)


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


def find_rules(columns: Sequence[Kinds], seed: int = 0) -> list[list[Rule]]:
    """Return the most telling rules for each column, the most telling first.

    They are chosen on a sample for each determinant, in which its groups are whole, and
    counted in all rows.
    """
    generator = np.random.default_rng(seed)
    clean = drop_suspects(columns)
    telling = np.zeros((len(columns), len(columns)))  # [determinant, dependent]
    for i, a in enumerate(clean):
        rows, weights = _sample_groups(a, generator)
        if len(rows) < FEWEST_REPEATED:
            continue
        codes = a.codes[rows]
        for j, b in enumerate(clean):
            if j != i and len(b.counts) > 1:
                groups = count_pairs(codes, b.codes[rows], len(a.counts), len(b.counts))
                tau, told = measure_rule(groups, b.counts, weights)
                telling[i, j] = told if tau >= LEAST_TAU else 0.0
    found = []
    for j, b in enumerate(columns):
        order = np.argsort(-telling[:, j], kind="stable")[:MOST_RULES].tolist()
        best = [i for i in order if telling[i, j] >= FEWEST_TELLING]
        rules = [prove_rule(clean[i], clean[j], b) for i in best]
        found.append([rule for rule in rules if rule.is_trusted])
    return found


def prove_rule(a: Kinds, b: Kinds, raw: Kinds) -> Rule:
    """Count a rule in all rows.

    `a` and `b` are without likely misspellings; exceptions are counted in `raw`, which
    is b with them.
    """
    groups = count_pairs(a.codes, b.codes, len(a.counts), len(b.counts))
    tau, telling = measure_rule(groups, b.counts, np.ones(len(a.counts)))
    is_counted = (a.codes >= 0) & (raw.codes >= 0)
    is_counted &= groups.sizes[a.codes] >= FEWEST_ROWS
    n_exceptions = int((is_counted & (groups.majority[a.codes] != raw.codes)).sum())
    dependency = Dependency(
        a.name, b.name, tau, telling, int(is_counted.sum()), n_exceptions
    )
    is_repeated = groups.sizes >= FEWEST_ROWS
    sizes = groups.sizes[is_repeated]
    exceptions = sizes - groups.tops[is_repeated]
    is_few = exceptions <= np.maximum(1, MOST_MIXED * (sizes - 1))
    lonely = exceptions[is_few].sum() / exceptions.sum() if exceptions.any() else 1.0
    prior = 1 / tau - 1 + PRIOR_GROUPS / len(sizes) if tau > 0 else np.inf
    return Rule(dependency, a, groups, prior, float(lonely))


class Judgement(NamedTuple):
    """The doubtful cells of a column.

    Attributes:
        rows: their places, (doubts,).
        suggestions: the codes of what may be right, (doubts,).
        evidence: the logarithm of the odds of these, (doubts,).
        rules: the place of the rule that speaks most against each, (doubts,).
    """

    rows: Array
    suggestions: Array
    evidence: Array
    rules: Array

    def take(self, is_kept: Array) -> Self:
        """Return some of the doubts."""
        return type(self)(*(values[is_kept] for values in self))


def judge_column(
    b: Kinds, rules: Sequence[Rule], unheard: Sequence[Array] | None = None
) -> Judgement:
    """Compare each cell of a column with what its rules suggest.

    `unheard` are, for each rule, the rows in which it has no word, (rows,) bool.
    """
    is_open = np.zeros(len(b.codes), bool)
    for rule in rules:
        a = rule.determinant.codes
        differs = (rule.groups.majority[a] != b.codes) & (a >= 0)
        is_open |= differs & (rule.groups.sizes[a] >= FEWEST_ROWS)
    rows = np.flatnonzero(is_open & (b.codes >= 0))
    best = np.full(len(rows), -np.inf)
    suggestions = np.full(len(rows), -1)
    strongest = np.zeros(len(rows), int)
    for rule in rules:
        codes = rule.determinant.codes[rows]
        candidates = np.where(codes >= 0, rule.groups.majority[codes], -1)
        is_candidate = (candidates >= 0) & (candidates != b.codes[rows])
        is_candidate &= rule.groups.sizes[codes] >= FEWEST_ROWS
        some = np.flatnonzero(is_candidate)
        evidence, speaker = _weigh(b, rules, rows[some], candidates[some], unheard)
        is_better = evidence > best[some]
        better = some[is_better]
        best[better] = evidence[is_better]
        suggestions[better] = candidates[better]
        strongest[better] = speaker[is_better]
    judgement = Judgement(rows, suggestions, best, strongest)
    return judgement.take(best >= LEAST_EVIDENCE)


def _weigh(
    b: Kinds,
    rules: Sequence[Rule],
    rows: Array,
    suggestions: Array,
    unheard: Sequence[Array] | None,
) -> tuple[Array, Array]:
    """Return the evidence for each suggestion, and the rule that speaks most for it."""
    values = b.codes[rows]
    shares = b.shares()
    shape = (len(rules), len(rows))
    ratios = np.zeros(shape)
    weights = np.zeros(shape)
    is_silent = np.zeros(shape, bool)
    taus = np.array([rule.dependency.tau for rule in rules])[:, None]
    for place, rule in enumerate(rules):
        groups = rule.groups
        a = rule.determinant.codes[rows]
        is_heard = a >= 0
        if unheard is not None:
            is_heard &= ~unheard[place][rows]
        sizes = groups.sizes[a]
        speaks = is_heard & (sizes >= FEWEST_ROWS)
        is_silent[place] = is_heard & ~speaks
        n_value = np.maximum(groups.count_rows(a, values) - 1, 0)
        n_suggestion = groups.count_rows(a, suggestions)
        for_value = n_value + rule.prior * shares[values]
        for_suggestion = n_suggestion + rule.prior * shares[suggestions]
        ratio = np.log(for_suggestion / for_value)
        is_mixed = groups.tops[a] < (1 - MOST_MIXED) * (sizes - 1)
        is_common = n_value > MOST_COMMON * sizes
        ratio = np.where(is_mixed | is_common, np.minimum(ratio, 0), ratio)
        ratios[place] = np.where(speaks, ratio, 0.0)
        weights[place] = np.where(speaks, taus[place], 0.0)
    # A surer rule with a new value: the row is of a new thing, maybe an exception.
    surest = weights.max(axis=0)
    weights += is_silent * (taus > surest) * taus
    total = (weights * ratios).sum(axis=0)
    evidence = total / np.maximum(weights.sum(axis=0), 1e-12)
    # An error is as rare as its value.
    return evidence + np.log(shares[values]), ratios.argmax(axis=0)


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


def doubt_dependencies(
    columns: Sequence[Kinds], rules: Sequence[Sequence[Rule]]
) -> list[Doubt]:
    """Return the cells that break the rules of their column, the most certain first.

    `rules` are those of each column. A determinant that is itself the worst cell of a
    row has no word about the others.
    """
    n_rows = len(columns[0].codes) if columns else 0
    worst = np.full(n_rows, -np.inf)
    worst_column = np.full(n_rows, -1)
    for place, (b, own) in enumerate(zip(columns, rules, strict=True)):
        judgement = judge_column(b, own)
        is_worse = judgement.evidence > worst[judgement.rows]
        rows = judgement.rows[is_worse]
        worst[rows] = judgement.evidence[is_worse]
        worst_column[rows] = place
    places = {column.name: place for place, column in enumerate(columns)}
    judgements = []
    for b, own in zip(columns, rules, strict=True):
        unheard = [worst_column == places[rule.determinant.name] for rule in own]
        judgement = judge_column(b, own, unheard)
        judgement = judgement.take(~_is_subgroup(b, judgement, columns))
        is_believed = len(judgement.rows) <= MOST_DOUBTED * b.n_present
        judgements.append(judgement.take(np.full(len(judgement.rows), is_believed)))
    judgements = _excuse_strangers(judgements, rules, n_rows)
    doubts = [
        doubt
        for b, own, judgement in zip(columns, rules, judgements, strict=True)
        for doubt in _describe(b, own, judgement)
    ]
    return sorted(doubts, key=lambda doubt: -doubt.strength)


def _describe(b: Kinds, rules: Sequence[Rule], judgement: Judgement) -> Iterator[Doubt]:
    """Yield doubts in words."""
    for row, suggestion, evidence, place in zip(*judgement, strict=True):
        rule = rules[place]
        determinant, groups = rule.determinant, rule.groups
        code = determinant.codes[row]
        n_suggestion = groups.count_rows(code[None], suggestion[None])[0]
        n_rows = max(groups.sizes[code], n_suggestion + 1)  # the doubtful one, too
        text = b.texts[int(suggestion)].as_py()
        reason = (
            f"{b.name} is {text} in {n_suggestion:,} of {n_rows:,} rows with"
            f" {determinant.name} {determinant.texts[int(code)].as_py()}"
        )
        value = b.texts[int(b.codes[row])].as_py()
        yield Doubt(int(row), b.name, value, text, reason, float(evidence))


def _is_subgroup(b: Kinds, doubted: Judgement, kinds: Sequence[Kinds]) -> Array:
    """Whether at least half of the rows with the same text of a column are doubted."""
    is_excused = np.zeros(len(doubted.rows), bool)
    for a in kinds:
        if a is not b and len(doubted.rows):
            codes = a.codes[doubted.rows]
            doubts = np.bincount(codes + 1, minlength=len(a.counts) + 1)[1:]
            has_many = (doubts >= FEWEST_ROWS) & (2 * doubts >= a.counts)
            is_excused |= np.append(has_many, False)[codes]
    return is_excused


def _excuse_strangers(
    judgements: Sequence[Judgement], rules: Sequence[Sequence[Rule]], n_rows: int
) -> list[Judgement]:
    """Leave out cells of rows that break most rules of each of their determinants.

    They are of another thing with the same name.
    """
    told: dict[str, list[int]] = {}
    for place, own in enumerate(rules):
        for rule in own:
            told.setdefault(rule.dependency.determinant, []).append(place)
    is_excused = [np.ones(len(judgement.rows), bool) for judgement in judgements]
    for places in told.values():
        rows = np.concatenate([judgements[place].rows for place in places])
        counts = np.bincount(rows, minlength=n_rows)
        is_stranger = (counts >= 2) & (2 * counts > len(places))
        for place in places:
            is_excused[place] &= is_stranger[judgements[place].rows]
    return [
        judgement.take(~excused)
        for judgement, excused in zip(judgements, is_excused, strict=True)
    ]
