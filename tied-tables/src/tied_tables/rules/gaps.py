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

    A number counts if the relation holds with it, as its column is rounded.
    """
    found: dict[str, Array] = {}
    for relation in relations:
        for name in relation.names & gaps.keys():
            if not relation.names <= numbers.keys():
                continue
            column = numbers[name]
            solution = relation.solve(name, numbers)
            values = np.round(solution, column.places) + 0.0
            solved = column._replace(values=values)
            holds, _ = relation.check({**numbers, name: solved})
            texts = found.setdefault(name, np.full(len(values), None, object))
            is_new = holds & gaps[name] & (texts == None)  # noqa: E711
            for row in np.flatnonzero(is_new).tolist():
                texts[row] = column.format(values[row])
    return found


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
