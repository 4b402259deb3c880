"""A list of what to correct in a table, the most certain first."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tied_tables._reasons import MAIN_SHARE, ORDINARY, describe_reason
from tied_tables.columns import OTHER, MisreadValues, format_cell
from tied_tables.rows._displaced import find_displacement
from tied_tables.rows._odd import find_oddest
from tied_tables.rows._repeats import RepeatFinder
from tied_tables.rows._scan import Batch
from tied_tables.rows._transform import BatchTransform
from tied_tables.rules import Rules

MOST_RULE_CELLS = 2**26  # of rows in which rules are found together
MOST_ODD = 1_000  # rows that are listed since they are odd
MOST_CELLS = 2**17  # when each row is moved from each column
RARE, RARE_SHARE = 50.0, 0.1
"""A row is rare if one row in so many is as odd, and about ten of the table."""


class Correction(NamedTuple):
    """A doubtful cell, or a row or a block that is there twice.

    `one_in` is one row in how many is as odd as the row, and `one_in_corrected` the
    same of the row with the suggestion.
    """

    row: int  # counted from 1
    column: str | None = None
    value: str | None = None
    suggestion: str | None = None
    why: str = ""
    one_in: float | None = None
    one_in_corrected: float | None = None


def find_corrections(
    batches: Iterable[Batch],
    transform: BatchTransform,
    ids: Sequence[str],
) -> list[Correction]:
    """List what to correct in all rows of a table, of which all columns are read.

    First come blocks that repeat others, and ids and rows that do; then rows whose
    cells are displaced; then misspellings; then the first reason of each row that
    stands out, or is rare and would be ordinary without it, the oddest first. `ids` are
    the columns that name rows.
    """
    finder = RepeatFinder(ids)
    oddest = find_oddest(finder.watch(batches), transform, MOST_ODD)
    corrections = [
        Correction(repeat.row, column=repeat.id or None, why=repeat.sentence)
        for repeat in finder.find()
    ]
    fitted, n_rows = transform.fitted, len(oddest.all_scores)
    scores = oddest.table["score"].to_numpy()
    rarities = fitted.find_rarity(scores)
    corrected = fitted.find_rarity(oddest.corrected)
    stands_out = fitted.stand_out(scores, n_rows)
    rarest = min(n_rows, fitted.largest_rarity)
    least = max(RARE, RARE_SHARE * rarest)
    is_rare = rarities >= least
    is_curable = is_rare & (corrected < ORDINARY)
    most = MOST_CELLS // (2 * oddest.rows.num_columns**2)
    is_candidate = (rarities >= RARE) & ~is_curable
    places = np.flatnonzero(is_candidate)[:most].tolist()
    displacements = {
        place: find_displacement(oddest.rows, place, transform) for place in places
    }
    displaced, misspelt, doubtful = [], [], []
    for place, causes in enumerate(oddest.causes):
        if not causes:
            continue
        share = sum(cause.share for cause in causes[:2])
        is_clear = is_curable[place] and share >= MAIN_SHARE
        first = max(causes, key=lambda cause: cause.is_misspelt)
        correction = Correction(
            row=oddest.table["row"][place].as_py(),
            column=first.column,
            value=format_cell(oddest.rows[first.column], place),
            suggestion=None if first.expected == OTHER else first.expected,
            why=oddest.reasons[place],
            one_in=_round(rarities[place]),
            one_in_corrected=_round(corrected[place]),
        )
        if first is not causes[0]:  # without which the row was not scored
            why = describe_reason([first], is_ordinary=False)
            correction = correction._replace(why=why, one_in_corrected=None)
        if displacement := displacements.get(place):
            name, rarity = displacement
            displaced.append(
                correction._replace(
                    column=name,
                    value=format_cell(oddest.rows[name], place),
                    suggestion=None,
                    why=f"the cells from {name} on are displaced by one",
                    one_in_corrected=_round(rarity),
                )
            )
        elif first.is_misspelt:
            misspelt.append(correction)
        elif stands_out[place] or is_clear:
            doubtful.append(correction)
    return corrections + displaced + misspelt + doubtful


def _round(rarity: float) -> float:
    """One row in how many, to three digits."""
    return float(f"{rarity:.3g}")


def list_misread(misread: MisreadValues) -> list[Correction]:
    """List values that are new in their column, or not of its kind."""
    corrections = []
    for column, texts in misread.texts.items():
        for text, (places, times) in texts.items():
            often = "" if times == 1 else f", {times:,} times"
            why = f"{column} {text} is not like its other values{often}"
            for row in places:
                corrections.append(Correction(row, column, text, why=why))
    return corrections


class RuleFinder:
    """Find the cells that break rules, in blocks of rows that fit into memory."""

    def __init__(self) -> None:
        self.corrections: list[Correction] = []
        self._rows: list[pa.RecordBatch] = []
        self._n_before = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Add the next rows of the table."""
        self._rows.append(rows)
        n_cells = rows.num_columns * sum(each.num_rows for each in self._rows)
        if n_cells > MOST_RULE_CELLS:
            self._judge()

    def find(self) -> list[Correction]:
        """Return the cells that break rules, after the last rows."""
        if self._rows:
            self._judge()
        return self.corrections

    def _judge(self) -> None:
        """Judge the rows that were added."""
        table = pa.Table.from_batches(self._rows)
        first_row = self._n_before + 1
        for doubt in Rules.find(table).list_doubts():
            row = first_row + doubt.row
            self.corrections.append(Correction(row, *doubt[1:4], why=doubt.reason))
        self._n_before += table.num_rows
        self._rows = []


def drop_repeated(corrections: Iterable[Correction]) -> list[Correction]:
    """Keep the first correction of each cell, and all that are of no cell."""
    cells: set[tuple[int, str | None]] = set()
    kept = []
    for correction in corrections:
        cell = (correction.row, correction.column)
        if correction.value is None or cell not in cells:
            kept.append(correction)
            cells.add(cell)
    return kept
