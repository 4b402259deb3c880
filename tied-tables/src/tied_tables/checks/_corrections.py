"""All doubts of a table in one list, the most certain first."""

from collections import Counter
from collections.abc import Iterable

from tied_tables.checks._contradictory import ContradictionFinder
from tied_tables.checks._displaced import find_displaced
from tied_tables.checks._misread import list_misread
from tied_tables.checks._misspelt import list_misspelt
from tied_tables.checks._odd import find_odd, find_oddest
from tied_tables.checks._repeated import RepeatFinder
from tied_tables.columns import Doubts
from tied_tables.io import find_total
from tied_tables.rows import BatchTransform, Scan
from tied_tables.rules import Doubt

# What the fields of a `Doubt` are called in a list of corrections.
FIELDS = ("row", "column", "value", "suggestion", "why", "one_in", "one_in_corrected")
MOST_ODD_ROWS = 1_000  # rows that are looked at since they are odd
CORRECTIONS_EFFORT = 1 / 8  # the factor of the steps of training: most come from rules


def find_corrections(
    rows: Scan, transform: BatchTransform, same: str | None = None
) -> list[Doubt]:
    """List what to correct in all rows of a table, of which all columns are read.

    First comes a row that adds up the others; then values that differ from those of
    most rows with the same value of a column, if one is named; then values that break
    rules between columns; then those that are misread or new; then blocks that repeat
    others, and ids and rows that do; then rows whose cells are displaced; then
    misspellings; then the first reason of each row that stands out, or is rare and
    would be ordinary without it, the oddest first; numbers of which a relation holds in
    the row are no reason. A cell is listed once, with the first suggestion.
    """
    problems = Doubts()
    contradictions = ContradictionFinder(rows.columns, transform.fitted.rules, same)
    repeats = RepeatFinder(rows.ids)
    batches = repeats.watch(contradictions.watch(rows.read(problems)))
    oddest = find_oddest(batches, transform, MOST_ODD_ROWS)
    doubts = contradictions.find()
    satisfied = contradictions.find_satisfied(oddest.rows)
    for column in rows.columns.used:
        if column.other:  # which the rare ones in training are, too
            problems.unseen.texts.pop(column.name, None)
    misread = list_misread(problems.misread)
    n_misread = Counter(doubt.row for doubt in misread)
    several = [row for row, n_cells in n_misread.items() if n_cells > 1]
    displaced = find_displaced(oddest, transform, several)
    moved = {doubt.row for doubt in displaced}
    doubts += misread + list_misread(problems.unseen)
    doubts = [doubt for doubt in doubts if doubt.row not in moved]
    doubts += repeats.find() + displaced
    listed = {doubt.row for doubt in doubts}
    odd = list_misspelt(problems.misspelt, rows.columns)
    odd += find_odd(oddest, satisfied, listed)
    doubts += [doubt for doubt in odd if doubt.row not in moved]
    doubts = _merge(doubts)
    if total := find_total(rows.source):
        reason = f"a total: it {total.reason}; remove it from the table"
        remaining = [doubt for doubt in doubts if doubt.row != total.row]
        doubts = [Doubt(total.row, reason=reason), *remaining]
    return doubts


def _merge(doubts: Iterable[Doubt]) -> list[Doubt]:
    """Keep the first doubt of each cell, with the first suggestion for it.

    All that are of no cell are kept.
    """
    places: dict[tuple[int, str | None], int] = {}
    merged: list[Doubt] = []
    for doubt in doubts:
        cell = (doubt.row, doubt.column)
        place = places.setdefault(cell, len(merged))
        if doubt.value is None or place == len(merged):
            merged.append(doubt)
        elif merged[place].suggestion is None and doubt.suggestion is not None:
            first = merged[place]
            reason = f"{first.reason}; the other columns suggest {doubt.suggestion}"
            merged[place] = first._replace(suggestion=doubt.suggestion, reason=reason)
    return merged
