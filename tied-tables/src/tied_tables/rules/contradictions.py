"""The cells that contradict what other cells of their row determine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.dependencies import MOST_MIXED, Groups, Rule
from tied_tables.rules.kinds import FEWEST_ROWS, Kinds, drop_suspects

MOST_COMMON = 0.001  # of a group, that has the same exception
LEAST_EVIDENCE = 2.6  # a logarithm of odds
MOST_DOUBTED = 0.1  # the share of a column; if more is doubted, none is


class Witness(NamedTuple):
    """What a rule knows of rows.

    Attributes:
        determinant: the column that tells, without likely misspellings.
        groups: the counts of the rule.
        tau, prior: of the rule.
        is_heard: the rows in which it has a word, (rows,) bool.
    """

    determinant: Kinds
    groups: Groups
    tau: float
    prior: float
    is_heard: NDArray[np.bool_]

    @classmethod
    def of(cls, rule: Rule, determinant: Kinds) -> Self:
        """Call a rule on the rows of its determinant."""
        return cls(
            determinant,
            rule.groups.widen(len(determinant.counts)),
            rule.dependency.tau,
            rule.prior,
            determinant.codes >= 0,
        )

    def is_equal_to(self, dependent: Kinds) -> bool:
        """Whether most texts of the determinant go with the same text of a column."""
        texts = pc.index_in(self.determinant.texts, dependent.texts).fill_null(-1)
        is_same = np.asarray(texts) == self.groups.majority
        sizes = self.groups.sizes
        return bool(2 * sizes[is_same].sum() > sizes.sum())

    def suggest(self, rows: Array) -> Array:
        """Return the code that is expected in each row, -1 where none is, (rows,)."""
        a = self.determinant.codes[rows]
        has_word = (a >= 0) & (self.groups.sizes[a] >= FEWEST_ROWS)
        return np.where(has_word, self.groups.majority[a], -1)

    def compare(
        self, rows: Array, values: Array, suggestions: Array, shares: Array
    ) -> Array:
        """Return log p(suggestion) - log p(value) in some rows, given a, (rows,)."""
        groups, a = self.groups, self.determinant.codes[rows]
        sizes = groups.sizes[a]
        n_value = np.maximum(groups.count_rows(a, values) - 1, 0)
        n_suggestion = groups.count_rows(a, suggestions)
        for_value = n_value + self.prior * shares[values]
        for_suggestion = n_suggestion + self.prior * shares[suggestions]
        ratio = np.log(for_suggestion / for_value)
        is_mixed = groups.tops[a] < (1 - MOST_MIXED) * (sizes - 1)
        is_common = n_value > MOST_COMMON * sizes
        against: Array = np.minimum(ratio, 0)
        return np.where(is_mixed | is_common, against, ratio)


class Judgement(NamedTuple):
    """The doubtful cells of a column.

    Attributes:
        rows: their places, (doubts,).
        suggestions: the codes of what may be right, (doubts,).
        evidence: the logarithm of the odds of these, (doubts,).
        witnesses: the place of the one that speaks most against each, (doubts,).
    """

    rows: Array
    suggestions: Array
    evidence: Array
    witnesses: Array

    def take(self, is_kept: Array) -> Self:
        """Return some of the doubts."""
        return type(self)(*(values[is_kept] for values in self))


def find_contradictions(columns: Sequence[Kinds], rules: Sequence[Rule]) -> list[Doubt]:
    """Return the cells that break the rules of their column, the most certain first.

    A determinant that is itself the worst cell of a row has no word about the others.
    Of two columns that are mostly equal, such as a first and a last day, neither has a
    word about the other: that they differ is no error.
    """
    if not columns or not rules:
        return []
    n_rows = len(columns[0].codes)
    by_name = {column.name: column for column in columns}
    witnesses = {}
    for name, called in call_witnesses(columns, rules).items():
        own = [witness for witness in called if not witness.is_equal_to(by_name[name])]
        if own:
            witnesses[name] = own
    worst = np.full(n_rows, -np.inf)
    worst_column = np.full(n_rows, "", object)
    for name, own in witnesses.items():
        judgement = judge_column(by_name[name], own)
        is_worse = judgement.evidence > worst[judgement.rows]
        rows = judgement.rows[is_worse]
        worst[rows] = judgement.evidence[is_worse]
        worst_column[rows] = name
    judgements = {}
    for name, own in witnesses.items():
        column = by_name[name]
        heard = [_silence(witness, worst_column) for witness in own]
        judgement = judge_column(column, heard)
        judgement = judgement.take(~_is_subgroup(column, judgement, columns))
        is_believed = len(judgement.rows) <= MOST_DOUBTED * column.n_present
        judgements[name] = judgement.take(np.full(len(judgement.rows), is_believed))
    judgements = _excuse_strangers(judgements, rules, n_rows)
    doubts: list[tuple[float, Doubt]] = []
    for name, judgement in judgements.items():
        doubts += _describe(by_name[name], witnesses[name], judgement)
    doubts.sort(key=lambda pair: -pair[0])
    return [doubt for _, doubt in doubts]


def call_witnesses(
    columns: Sequence[Kinds], rules: Sequence[Rule]
) -> dict[str, list[Witness]]:
    """Return the witnesses about each column, by its name."""
    clean = {column.name: column for column in drop_suspects(columns)}
    witnesses: dict[str, list[Witness]] = {}
    for rule in rules:
        determinant, dependent = rule.dependency[:2]
        if determinant in clean and dependent in clean:
            witness = Witness.of(rule, clean[determinant])
            witnesses.setdefault(dependent, []).append(witness)
    return witnesses


def _silence(witness: Witness, worst_column: Array) -> Witness:
    """Do not hear a witness in the rows in which it is itself the worst cell."""
    is_other = worst_column != witness.determinant.name
    return witness._replace(is_heard=witness.is_heard & is_other)


def judge_column(b: Kinds, witnesses: Sequence[Witness]) -> Judgement:
    """Compare each cell of a column with what its witnesses suggest."""
    every_row = np.arange(len(b.codes))
    candidates = [witness.suggest(every_row) for witness in witnesses]
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
        evidence, speaker = _weigh(b, witnesses, rows[places], suggested[places])
        is_better = evidence > best[places]
        better = places[is_better]
        best[better] = evidence[is_better]
        suggestions[better] = suggested[better]
        strongest[better] = speaker[is_better]
    judgement = Judgement(rows, suggestions, best, strongest)
    return judgement.take(best >= LEAST_EVIDENCE)


def _weigh(
    b: Kinds, witnesses: Sequence[Witness], rows: Array, suggestions: Array
) -> tuple[Array, Array]:
    """Return the evidence for each suggestion, and who speaks most for it."""
    values, shares = b.codes[rows], b.shares()
    shape = len(witnesses), len(rows)
    ratios = np.zeros(shape)
    weights = np.zeros(shape)
    unsaid = np.zeros(shape)
    for place, witness in enumerate(witnesses):
        is_heard = witness.is_heard[rows]
        speaks = is_heard & (witness.suggest(rows) >= 0)
        ratio = witness.compare(rows, values, suggestions, shares)
        ratios[place] = np.where(speaks, ratio, 0.0)
        weights[place] = speaks * witness.tau
        unsaid[place] = (is_heard & ~speaks) * witness.tau
    # A surer rule with a new value: the row is of a new thing, maybe an exception.
    weights += unsaid * (unsaid > weights.max(axis=0))
    total = (weights * ratios).sum(axis=0)
    evidence = total / np.maximum(weights.sum(axis=0), 1e-12)
    # An error is as rare as its value.
    return evidence + np.log(shares[values]), ratios.argmax(axis=0)


def _describe(
    b: Kinds, witnesses: Sequence[Witness], judgement: Judgement
) -> Iterator[tuple[float, Doubt]]:
    """Yield doubts in words, with the evidence for each."""
    for row, suggestion, evidence, place in zip(*judgement, strict=True):
        determinant, groups = witnesses[place].determinant, witnesses[place].groups
        code = determinant.codes[row]
        n_suggestion = groups.count_rows(code[None], suggestion[None])[0]
        n_rows = max(groups.sizes[code], n_suggestion + 1)  # the doubtful one, too
        text = b.texts[int(suggestion)].as_py()
        reason = (
            f"{b.name} is {text} in {n_suggestion:,} of {n_rows:,} rows with"
            f" {determinant.name} {determinant.texts[int(code)].as_py()}"
        )
        value = b.texts[int(b.codes[row])].as_py()
        yield float(evidence), Doubt(int(row) + 1, b.name, value, text, reason)


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
    judgements: Mapping[str, Judgement], rules: Sequence[Rule], n_rows: int
) -> dict[str, Judgement]:
    """Leave out cells of rows that break most rules of each of their determinants.

    They are of another thing with the same name.
    """
    told: dict[str, list[str]] = {}
    for rule in rules:
        if rule.dependency.dependent in judgements:
            own = told.setdefault(rule.dependency.determinant, [])
            own.append(rule.dependency.dependent)
    is_excused = {
        name: np.ones(len(judgement.rows), bool)
        for name, judgement in judgements.items()
    }
    for names in told.values():
        rows = np.concatenate([judgements[name].rows for name in names])
        counts = np.bincount(rows, minlength=n_rows)
        is_stranger = (counts >= 2) & (2 * counts > len(names))
        for name in names:
            is_excused[name] &= is_stranger[judgements[name].rows]
    return {
        name: judgement.take(~is_excused[name])
        for name, judgement in judgements.items()
    }
