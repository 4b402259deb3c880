"""What the page says of an older table: what has drifted, by column and by score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_tied._text import format_number, format_value
from keras_tied.report._columns import Column, format_days
from keras_tied.report._drift import ALARM, Drift
from keras_tied.report._summary import format_share, summarize_drift

if TYPE_CHECKING:
    from keras_tied.report._report import Report


@dataclass(frozen=True)
class Entry:
    """A line on a column, or on the score.

    Attributes:
        name: of the column.
        drift: how far it has drifted.
        before, after: what is typical of it, in the older table and in this one.
        missing: the shares of values that are missing, before and after; empty if none are.
    """

    name: str
    drift: Drift
    before: str
    after: str
    missing: str


@dataclass(frozen=True)
class Shift:
    """What has drifted since an older table.

    Attributes:
        name: of the older table.
        sentence: on what has drifted.
        entries: the columns, what has drifted first, and last the outlier score.
        alarm: the probability that anything is named where nothing has drifted, as text.
        rows: how many rows were compared, before and after.
    """

    name: str
    sentence: str
    entries: list[Entry]
    alarm: str
    rows: tuple[int, int]


def describe_shift(report: Report) -> Shift | None:
    """Compare a report's rows with those of the older table, if there is one."""
    if report.old is None:
        return None
    name, old, old_scores = report.old
    drifts, of_score = report.find_drift()
    begins = np.cumsum([0, *(column.n_features for column in report.columns)])
    entries = []
    for drift in drifts:
        assert drift.column is not None
        part = slice(begins[drift.column], begins[drift.column + 1])
        column = report.columns[drift.column]
        before, after = (_find_typical(column, rows[:, part]) for rows in (old, report.X))
        shares = [np.isnan(rows[:, part]).any(axis=1).mean() for rows in (old, report.X)]
        missing = " → ".join(map(format_share, shares)) if any(shares) else ""
        entries.append(Entry(format_value(column.name, 60), drift, before, after, missing))
    before, after = (format_number(float(np.nanmedian(e))) for e in (old_scores, report.scores))
    entries.append(Entry("outlier score", of_score, before, after, ""))
    return Shift(
        format_value(name, 60),
        summarize_drift(name, drifts, of_score),
        entries,
        f"{ALARM:.0%}".replace("%", " %"),
        (len(old), len(report.X)),
    )


def _find_typical(column: Column, rows: NDArray[np.float64]) -> str:
    """Return the median of numbers or days, or the most frequent category with its share."""
    rows = rows[~np.isnan(rows).any(axis=1)]
    if not len(rows):
        return "-"
    if column.kind == "category":
        counts = np.bincount(rows.argmax(axis=1), minlength=column.n_features)
        largest = int(counts.argmax())
        levels = column.form.get("levels", range(column.n_features))
        return f"{format_value(levels[largest], 30)} ({format_share(counts[largest] / len(rows))})"
    median = float(np.median(rows[:, 0]))
    if column.kind == "truth":
        return f"{format_share(float((rows[:, 0] >= 0.5).mean()))} true"
    if column.kind == "time":
        return format_days(median + column.form.get("origin", 0.0))
    return format_number(median)
