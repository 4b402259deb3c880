"""The oddest rows of a table, and the first reason of each that stands out."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tied_tables._reasons import (
    CONTRADICTION,
    MAIN_SHARE,
    ORDINARY,
    Cause,
    describe_reason,
)
from tied_tables._types import Array
from tied_tables.columns import Kind, find_kind, format_cell
from tied_tables.model.causes import describe_reasons
from tied_tables.rows import Batch, BatchTransform, prepend_id
from tied_tables.rules import Doubt, SatisfiedRelation

RARE, RARE_SHARE = 50.0, 0.3
"""A row is rare if one row in so many is as odd, and about three of the table."""


@dataclass(frozen=True, eq=False)
class Oddest:
    """The oddest rows of a table, the oddest first, m in number.

    Attributes:
        rows: as they stand in the table.
        table: where they are, how odd they are, and the columns that make them so.
        causes, reasons: why they are, as values and as sentences.
        rarities: one row in how many is as odd, `(m,)`.
        rarities_corrected: the same with what is expected in the first column of the
            causes, `(m,)`.
        stand_out: which are so odd that hardly any table has such rows by chance,
            `(m,)`.
        rarest: one row in how many is as odd as the oddest can be.
        are_fixed_by_suggestion: which would be ordinary with what is expected in the
            first column of the causes, of which it is not the only one, `(m,)`.
        all_scores: those of all rows of the table, in its order, `(n,)`.
    """

    rows: pa.RecordBatch
    table: pa.RecordBatch
    causes: list[list[Cause]]
    reasons: list[str]
    rarities: Array
    rarities_corrected: Array
    stand_out: Array
    rarest: float
    are_fixed_by_suggestion: Array
    all_scores: Array

    @property
    def row_numbers(self) -> list[int]:
        """Where they are in the table, counted from 1."""
        return list(self.table["row"].to_pylist())

    def doubt(self, place: int, cause: Cause) -> Doubt:
        """Doubt the value of a row that is the first of its causes, or another one."""
        is_first = cause is self.causes[place][0]
        reason = self.reasons[place]
        corrected = round_rarity(self.rarities_corrected[place])
        cells = self.rows[cause.column]
        suggestion = cause.suggestion
        if suggestion and find_kind(cells.type) in (Kind.integer, Kind.number):
            suggestion = suggestion.replace(",", "")  # for a file, not for people
        return Doubt(
            self.row_numbers[place],
            cause.column,
            format_cell(cells, place),
            suggestion,
            reason if is_first else describe_reason([cause], is_ordinary=False),
            round_rarity(self.rarities[place]),
            corrected if is_first else None,  # without which it was not scored
        )


def find_odd(
    oddest: Oddest,
    satisfied: Sequence[SatisfiedRelation] = (),
    listed: Collection[int] = (),
) -> list[Doubt]:
    """Doubt the first cause of rows that stand out, or that it alone makes rare.

    Rows that more than two columns make odd are left out: no cell of theirs is likelier
    to be wrong than the others. Large numbers that are right come together: columns are
    no cause where a relation between them holds. `satisfied` has the columns of each,
    and in which rows it does. `listed` are rows that are doubted for other reasons:
    they do not count for how rare others are.
    """
    is_listed = np.isin(oddest.row_numbers, list(listed))
    ranks = np.arange(1, len(is_listed) + 1)
    rarities = oddest.rarities * ranks / (ranks - np.cumsum(is_listed) + is_listed)
    is_rare = rarities >= max(RARE, RARE_SHARE * oddest.rarest)
    is_rare &= oddest.rarities >= RARE
    is_odd = oddest.stand_out | (oddest.are_fixed_by_suggestion & is_rare)
    doubts = []
    for place, causes in enumerate(oddest.causes):
        least = CONTRADICTION * causes[0].share if causes else 0
        columns = {cause.column for cause in causes if cause.share >= least}
        if any(columns <= names and holds[place] for names, holds in satisfied):
            continue
        share = sum(cause.share for cause in causes[:2])
        if is_odd[place] and share >= MAIN_SHARE:
            doubts.append(oddest.doubt(place, causes[0]))
    return doubts


def round_rarity(rarity: float) -> float:
    """One row in how many, to three digits."""
    return float(f"{rarity:.3g}")


def find_oddest(
    batches: Iterable[Batch],
    transform: BatchTransform,
    top: int,
) -> Oddest:
    """Find the oddest rows, the oddest first, and say why they are.

    It holds one batch, the rows that it finds and all scores in memory.
    """
    fitted = transform.fitted
    best = []
    # of the best rows: scores, errors, places, numbers
    arrays: list[Array] = []
    all_scores = []
    first = 1
    for rows, numbers in batches:
        scores, errors = fitted.measure_rows(numbers)
        all_scores.append(scores)
        largest = _find_largest(scores, top)
        parts = [scores[largest], errors[largest], first + largest, numbers[largest]]
        if arrays:
            pairs = zip(arrays, parts, strict=True)
            parts = [np.concatenate(pair) for pair in pairs]
        order = _find_largest(parts[0], top)
        arrays = [array[order] for array in parts]
        best.append(rows.take(largest))
        best = [pa.concat_batches(best).take(order)]
        first += rows.num_rows
    scores, errors, places, numbers = arrays
    (rows,) = best
    explanation = fitted.explain(numbers)
    causes = transform.find_causes(Batch(rows, numbers), explanation)
    reasons, corrected = describe_reasons(
        fitted, transform.columns.names, causes, explanation
    )
    rank = np.arange(1, len(places) + 1, dtype=np.int32)
    columns = {"row": places, "score": scores, "rank": rank}
    columns |= transform.describe_scores(scores, errors)
    columns |= transform.describe_causes(causes)
    rarities = fitted.find_rarity(scores)
    n_rows = first - 1
    has_other_columns = len(transform.columns.used) > 1  # which suggest a value
    return Oddest(
        rows=rows,
        table=prepend_id(transform.id, rows, columns),
        causes=causes,
        reasons=reasons,
        rarities=rarities,
        rarities_corrected=corrected,
        stand_out=fitted.stand_out(scores, n_rows),
        rarest=min(n_rows, fitted.largest_rarity),
        are_fixed_by_suggestion=(corrected < ORDINARY) & has_other_columns,
        all_scores=np.concatenate(all_scores),
    )


def _find_largest(scores: Array, n: int) -> Array:
    """Return the places of the n largest scores, the first of equal ones first."""
    order = np.argsort(-scores, kind="stable")
    return order[:n]
