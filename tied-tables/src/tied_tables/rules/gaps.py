"""What rules tell of missing values."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tied_tables._types import Array
from tied_tables.rules.contradictions import Witness
from tied_tables.rules.kinds import Kinds
from tied_tables.rules.numbers import Numbers
from tied_tables.rules.relations import Relation

LEAST_SURE = 0.9  # the chance of a value, if other columns tell it, too


def solve_gaps(
    numbers: Mapping[str, Numbers],
    relations: Sequence[Relation],
    gaps: Mapping[str, NDArray[np.bool_]],
) -> dict[str, Array]:
    """Return the texts of numbers that relations tell, by column; None elsewhere.

    A number counts if the relation holds with it, as its column is rounded.
    """
    found: dict[str, Array] = {}
    for relation in relations:
        for name in relation.names & gaps.keys():
            if not relation.names <= numbers.keys():
                continue
            column = numbers[name]
            values = np.round(relation.solve(name, numbers), column.places) + 0.0
            holds, _ = relation.check({**numbers, name: column._replace(values=values)})
            texts = found.setdefault(name, np.full(len(values), None, object))
            is_new = holds & gaps[name] & (texts == None)  # noqa: E711
            for row in np.flatnonzero(is_new).tolist():
                texts[row] = column.format(values[row])
    return found


def tell_gaps(
    column: Kinds,
    witnesses: Sequence[Witness],
    is_gap: NDArray[np.bool_],
    *,
    is_alone: bool,
) -> Array:
    """Return the texts that witnesses tell of the gaps of a column; None elsewhere.

    If nothing else tells of the column, all gaps have one: that of the surest witness,
    or the most frequent.
    """
    rows = np.flatnonzero(is_gap)
    codes = np.full(len(rows), -1)
    chances = np.zeros(len(rows))
    shares = column.shares()
    for witness in witnesses:
        suggested = witness.suggest(rows)
        a, groups = witness.determinant.codes[rows], witness.groups
        prior = witness.prior * shares[suggested]
        chance = (groups.tops[a] + prior) / (groups.sizes[a] + witness.prior)
        is_surer = (suggested >= 0) & (chance > chances)
        codes[is_surer] = suggested[is_surer]
        chances[is_surer] = chance[is_surer]
    if is_alone:
        codes[codes < 0] = column.counts.argmax()
    else:
        codes[chances < LEAST_SURE] = -1
    texts = np.full(len(is_gap), None, object)
    known = codes >= 0
    chosen = column.texts.take(pa.array(codes[known]))
    texts[rows[known]] = chosen.to_pylist()
    return texts
