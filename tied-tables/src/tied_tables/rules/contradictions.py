"""The cells that contradict what other cells of their row determine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.dependencies import MOST_MIXED, DependencyRule, Groups
from tied_tables.rules.kinds import MIN_GROUP_ROWS, TextCodes, drop_suspects

MOST_COMMON = 0.001  # of a group, that has the same exception
LEAST_EVIDENCE = 2.6  # a logarithm of odds
MOST_DOUBTED = 0.1  # the share of a column; if more is doubted, none is


class AppliedRule(NamedTuple):
    """A rule on the rows of a table.

    Attributes:
        determinant: the column that tells, without likely misspellings.
        groups: the counts of the rule.
        tau, prior: of the rule.
        applies: the rows in which it has a word, (rows,) bool.
    """

    determinant: TextCodes
    groups: Groups
    tau: float
    prior: float
    applies: NDArray[np.bool_]

    @classmethod
    def of(cls, rule: DependencyRule, determinant: TextCodes) -> Self:
        """Apply a rule to the rows of its determinant."""
        return cls(
            determinant,
            rule.groups.widen(len(determinant.counts)),
            rule.dependency.tau,
            rule.prior,
            determinant.codes >= 0,
        )

    def is_equal_to(self, dependent: TextCodes) -> bool:
        """Whether most texts of the determinant go with the same text of a column."""
        texts = pc.index_in(self.determinant.texts, dependent.texts).fill_null(-1)
        is_same = np.asarray(texts) == self.groups.majority
        sizes = self.groups.sizes
        return bool(2 * sizes[is_same].sum() > sizes.sum())

    def suggest(self, rows: Array) -> Array:
        """Return the code that is expected in each row, -1 where none is, (rows,)."""
        a = self.determinant.codes[rows]
        is_group = (a >= 0) & (self.groups.sizes[a] >= MIN_GROUP_ROWS)
        return np.where(is_group, self.groups.majority[a], -1)

    def compare(
        self, rows: Array, values: Array, suggestions: Array, shares: Array
    ) -> Array:
        """Return log p(suggestion) - log p(value) in some rows, given a, (rows,)."""
        groups = self.groups
        a = self.determinant.codes[rows]
        sizes = groups.sizes[a]
        n_value = np.maximum(groups.count_rows(a, values) - 1, 0)
        n_suggestion = groups.count_rows(a, suggestions)
        value_weight = n_value + self.prior * shares[values]
        suggestion_weight = n_suggestion + self.prior * shares[suggestions]
        ratio = np.log(suggestion_weight / value_weight)
        is_mixed = groups.tops[a] < (1 - MOST_MIXED) * (sizes - 1)
        is_common = n_value > MOST_COMMON * sizes
        at_most_even: Array = np.minimum(ratio, 0)
        return np.where(is_mixed | is_common, at_most_even, ratio)


class Judgement(NamedTuple):
    """The doubtful cells of a column.

    Attributes:
        rows: their places, (doubts,).
        suggestions: the codes of what may be right, (doubts,).
        evidence: the logarithm of the odds of these, (doubts,).
        rules: the place of the rule that is most against each, (doubts,).
    """

    rows: Array
    suggestions: Array
    evidence: Array
    rules: Array

    def take(self, is_kept: Array) -> Self:
        """Return some of the doubts."""
        return type(self)(*(values[is_kept] for values in self))


def find_contradictions(
    columns: Sequence[TextCodes], rules: Sequence[DependencyRule]
) -> list[Doubt]:
    """Return the cells that break the rules of their column, the most certain first.

    A determinant that is itself the worst cell of a row has no word about the others.
    Of two columns that are mostly equal, such as a first and a last day, neither has a
    word about the other: that they differ is no error.
    """
    if not columns or not rules:
        return []
    n_rows = len(columns[0].codes)
    by_name = {column.name: column for column in columns}
    usable_rules = {}
    for name, column_rules in apply_rules(columns, rules).items():
        column = by_name[name]
        unequal = [rule for rule in column_rules if not rule.is_equal_to(column)]
        if unequal:
            usable_rules[name] = unequal
    worst_column = _find_worst_columns(by_name, usable_rules, n_rows)
    judgements = {}
    for name, column_rules in usable_rules.items():
        unmasked_rules = [
            _mask_worst_cells(rule, worst_column) for rule in column_rules
        ]
        judgement = judge_column(by_name[name], unmasked_rules)
        judgements[name] = _drop_exceptions(by_name[name], judgement, columns)
    judgements = _drop_mismatched_rows(judgements, rules, n_rows)
    doubts: list[tuple[float, Doubt]] = []
    for name, judgement in judgements.items():
        doubts += _describe(by_name[name], usable_rules[name], judgement)
    doubts.sort(key=lambda pair: -pair[0])
    return [doubt for _, doubt in doubts]


def apply_rules(
    columns: Sequence[TextCodes], rules: Sequence[DependencyRule]
) -> dict[str, list[AppliedRule]]:
    """Return the rules about each column, applied to its rows, by its name."""
    clean = {column.name: column for column in drop_suspects(columns)}
    applied: dict[str, list[AppliedRule]] = {}
    for rule in rules:
        determinant, dependent = rule.dependency[:2]
        if determinant in clean and dependent in clean:
            applied_rule = AppliedRule.of(rule, clean[determinant])
            applied.setdefault(dependent, []).append(applied_rule)
    return applied


def _find_worst_columns(
    columns: Mapping[str, TextCodes],
    rules: Mapping[str, Sequence[AppliedRule]],
    n_rows: int,
) -> Array:
    """Return the name of the column that breaks rules most in each row, (rows,).

    Of two columns that determine each other, it is the one that the others break with.
    """
    mismatches = _find_mismatches(columns, rules, n_rows)
    worst = np.full(n_rows, -np.inf)
    worst_column = np.full(n_rows, "", object)
    for name, column_rules in rules.items():
        rows, _, evidence, _ = judge_column(columns[name], column_rules)
        if name in mismatches:
            evidence = np.where(mismatches[name][rows], np.inf, evidence)
        is_worse = evidence > worst[rows]
        worst[rows[is_worse]] = evidence[is_worse]
        worst_column[rows[is_worse]] = name
    return worst_column


def _find_mismatches(
    columns: Mapping[str, TextCodes],
    rules: Mapping[str, Sequence[AppliedRule]],
    n_rows: int,
) -> dict[str, NDArray[np.bool_]]:
    """Return in which rows most columns differ from what one determines, by its name.

    They are two columns at least.
    """
    n_equal: dict[str, Array] = {}
    n_different: dict[str, Array] = {}
    for name, column_rules in rules.items():
        codes = columns[name].codes
        for rule in column_rules:
            determinant = rule.determinant.name
            suggested = rule.suggest(np.arange(n_rows))
            is_compared = (suggested >= 0) & (codes >= 0)
            is_equal = suggested == codes
            none = np.zeros(n_rows, np.int16)
            n_equal.setdefault(determinant, none.copy())
            n_equal[determinant] += is_compared & is_equal
            n_different.setdefault(determinant, none)
            n_different[determinant] += is_compared & ~is_equal
    return {
        name: (counts >= 2) & (counts > n_equal[name])
        for name, counts in n_different.items()
    }


def _mask_worst_cells(rule: AppliedRule, worst_column: Array) -> AppliedRule:
    """Do not apply a rule in the rows in which its determinant is the worst cell."""
    is_other = worst_column != rule.determinant.name
    return rule._replace(applies=rule.applies & is_other)


def judge_column(b: TextCodes, rules: Sequence[AppliedRule]) -> Judgement:
    """Compare each cell of a column with what its rules suggest."""
    every_row = np.arange(len(b.codes))
    candidates = [rule.suggest(every_row) for rule in rules]
    is_open = np.zeros(len(b.codes), bool)
    for codes in candidates:
        is_open |= (codes >= 0) & (codes != b.codes)
    rows = np.flatnonzero(is_open & (b.codes >= 0))
    best = np.full(len(rows), -np.inf)
    suggestions = np.full(len(rows), -1)
    strongest = np.zeros(len(rows), int)
    for codes in candidates:
        suggested = codes[rows]
        is_candidate = (suggested >= 0) & (suggested != b.codes[rows])
        places = np.flatnonzero(is_candidate)
        evidence, strongest_rule = _weigh(b, rules, rows[places], suggested[places])
        is_better = evidence > best[places]
        better = places[is_better]
        best[better] = evidence[is_better]
        suggestions[better] = suggested[better]
        strongest[better] = strongest_rule[is_better]
    judgement = Judgement(rows, suggestions, best, strongest)
    return judgement.take(best >= LEAST_EVIDENCE)


def _weigh(
    b: TextCodes, rules: Sequence[AppliedRule], rows: Array, suggestions: Array
) -> tuple[Array, Array]:
    """Return the evidence for each suggestion, and the rule that is most for it."""
    values = b.codes[rows]
    shares = b.shares()
    shape = len(rules), len(rows)
    ratios = np.zeros(shape)
    weights = np.zeros(shape)
    undecided_weights = np.zeros(shape)
    for place, rule in enumerate(rules):
        applies = rule.applies[rows]
        has_suggestion = applies & (rule.suggest(rows) >= 0)
        ratio = rule.compare(rows, values, suggestions, shares)
        ratios[place] = np.where(has_suggestion, ratio, 0.0)
        weights[place] = has_suggestion * rule.tau
        undecided_weights[place] = (applies & ~has_suggestion) * rule.tau
    # A surer rule with a new value: the row is of a new thing, maybe an exception.
    is_surer = undecided_weights > weights.max(axis=0)
    weights += undecided_weights * is_surer
    total = (weights * ratios).sum(axis=0)
    evidence = total / np.maximum(weights.sum(axis=0), 1e-12)
    # An error is as rare as its value.
    return evidence + np.log(shares[values]), ratios.argmax(axis=0)


def _describe(
    b: TextCodes, rules: Sequence[AppliedRule], judgement: Judgement
) -> Iterator[tuple[float, Doubt]]:
    """Yield doubts in words, with the evidence for each."""
    for row, suggestion, evidence, place in zip(*judgement, strict=True):
        determinant = rules[place].determinant
        groups = rules[place].groups
        code = determinant.codes[row]
        n_suggestion = groups.count_rows(code[None], suggestion[None])[0]
        n_rows = max(groups.sizes[code], n_suggestion + 1)  # the doubtful one, too
        text = b.texts[int(suggestion)].as_py()
        determinant_text = determinant.texts[int(code)].as_py()
        value = b.texts[int(b.codes[row])].as_py()
        reason = (
            f"{b.name} {value}; it is {text} in {n_suggestion:,} of {n_rows:,} rows"
            f" with {determinant.name} {determinant_text}"
        )
        yield float(evidence), Doubt(int(row) + 1, b.name, value, text, reason)


def _drop_exceptions(
    column: TextCodes, judgement: Judgement, columns: Sequence[TextCodes]
) -> Judgement:
    """Leave out doubts of subgroups, and all if they are too many for errors."""
    judgement = judgement.take(~_is_subgroup(column, judgement, columns))
    is_believed = len(judgement.rows) <= MOST_DOUBTED * column.n_present
    return judgement.take(np.full(len(judgement.rows), is_believed))


def _is_subgroup(
    b: TextCodes, judgement: Judgement, columns: Sequence[TextCodes]
) -> Array:
    """Whether at least half of the rows with the same text of a column are doubted."""
    is_subgroup = np.zeros(len(judgement.rows), bool)
    for a in columns:
        if a is not b and len(judgement.rows):
            codes = a.codes[judgement.rows]
            n_doubts = np.bincount(codes + 1, minlength=len(a.counts) + 1)[1:]
            has_many = (n_doubts >= MIN_GROUP_ROWS) & (2 * n_doubts >= a.counts)
            is_subgroup |= np.append(has_many, False)[codes]
    return is_subgroup


def _drop_mismatched_rows(
    judgements: Mapping[str, Judgement], rules: Sequence[DependencyRule], n_rows: int
) -> dict[str, Judgement]:
    """Leave out cells of rows that break most rules of each of their determinants.

    They are of another thing with the same name.
    """
    dependents_by_determinant: dict[str, list[str]] = {}
    for rule in rules:
        determinant, dependent = rule.dependency[:2]
        if dependent in judgements:
            dependents_by_determinant.setdefault(determinant, []).append(dependent)
    is_mismatched = {
        name: np.ones(len(judgement.rows), bool)
        for name, judgement in judgements.items()
    }
    for dependents in dependents_by_determinant.values():
        rows = np.concatenate([judgements[name].rows for name in dependents])
        counts = np.bincount(rows, minlength=n_rows)
        breaks_most = (counts >= 2) & (2 * counts > len(dependents))
        for name in dependents:
            is_mismatched[name] &= breaks_most[judgements[name].rows]
    return {
        name: judgement.take(~is_mismatched[name])
        for name, judgement in judgements.items()
    }
