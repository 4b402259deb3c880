"""Missing values that rules impute."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules.contradictions import AppliedRule
from tied_tables.rules.kinds import TextCodes
from tied_tables.rules.numbers import Numbers
from tied_tables.rules.relations import Relation

LEAST_CHANCE = 0.9  # of a text, if the model imputes the column, too


def solve_gaps(
    numbers: Mapping[str, Numbers],
    relations: Sequence[Relation],
    gaps: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Array]:
    """Return the texts of numbers that relations give, by column; None elsewhere.

    A number counts if the relation holds with it, as its column is rounded. Where
    relations differ, one with which no other number holds is right: of 19 % of an
    amount, rounded, five amounts or so may be the origin.
    """
    found: dict[str, Array] = {}
    for name, is_gap in gaps.items():
        solvable = [
            relation
            for relation in relations
            if name in relation.names and relation.names <= numbers.keys()
        ]
        if not solvable:
            continue
        texts = np.full(len(is_gap), None, object)
        is_sure = np.zeros(len(is_gap), bool)
        for relation in solvable:
            values, holds, is_unique = _solve(relation, name, numbers)
            is_open = is_gap & ((texts == None) | (is_unique & ~is_sure))  # noqa: E711
            is_sure |= is_gap & holds & is_unique
            for row in np.flatnonzero(is_open & holds).tolist():
                texts[row] = numbers[name].format(values[row])
        found[name] = texts
    return found


def _solve(
    relation: Relation, name: str, numbers: Mapping[str, Numbers]
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a column's solution, where it holds, and where its neighbours do not."""
    column = numbers[name]
    step = 10.0**-column.places
    solution = np.round(relation.solve(name, numbers), column.places) + 0.0
    holds, below, above = (
        relation.check({**numbers, name: column._replace(values=solution + shift)})[0]
        for shift in (0.0, -step, step)
    )
    return solution, holds, ~below & ~above


def impute_by_rules(
    column: TextCodes,
    rules: Sequence[AppliedRule],
    is_gap: NDArray[np.bool_],
    *,
    is_alone: bool,
) -> Array:
    """Return the texts that rules suggest for the gaps of a column; None elsewhere.

    If nothing else imputes the column, all gaps have one: that of the surest rule, or
    the most frequent.
    """
    rows = np.flatnonzero(is_gap)
    codes = np.full(len(rows), -1)
    chances = np.zeros(len(rows))
    shares = column.shares()
    for rule in rules:
        suggested = rule.suggest(rows)
        a = rule.determinant.codes[rows]
        prior = rule.prior * shares[suggested]
        n_rows = rule.groups.sizes[a] + rule.prior
        chance = (rule.groups.tops[a] + prior) / n_rows
        is_surer = (suggested >= 0) & (chance > chances)
        codes[is_surer] = suggested[is_surer]
        chances[is_surer] = chance[is_surer]
    if is_alone:
        codes[codes < 0] = column.counts.argmax()
    else:
        codes[chances < LEAST_CHANCE] = -1
    texts = np.full(len(is_gap), None, object)
    is_known = codes >= 0
    chosen = column.texts.take(pa.array(codes[is_known]))
    texts[rows[is_known]] = chosen.to_pylist()
    return texts
