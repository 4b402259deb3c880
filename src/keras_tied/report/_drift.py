"""Whether the rows of a table are distributed as those of an older one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from keras_tied._text import format_number, format_share
from keras_tied._types import Array
from keras_tied.report._columns import Column, format_typical, slice_columns

ALARM = 0.01  # the probability that anything is said to have drifted where nothing has
FEWEST_EXPECTED = (
    5.0  # categories that are rarer than this are tested together (Cochran's rule)
)


@dataclass(frozen=True)
class Drift:
    """How far a column, or the score, has drifted."""

    name: str
    moved: float
    """The share of the rows that lie elsewhere: the largest difference of the two distribution
    functions, or half the sum of the differences of the categories' shares."""
    p: float = 0.0  # the probability of as much where nothing has drifted, corrected for all tests
    by_missing: bool = False  # whether most of it is in how many values are missing
    before: str = ""  # the typical value
    now: str = ""
    missing: str = ""  # the shares of missing values, before and now, if there are any

    @property
    def has_drifted(self) -> bool:
        """Whether it is said to have drifted."""
        return self.p <= ALARM


def find_drift(
    columns: Sequence[Column],
    old: Array,
    new: Array,
    old_scores: Array,
    new_scores: Array,
) -> tuple[list[Drift], Drift]:
    """Return the columns, those that have drifted first and most first, and the score.

    Each is tested alone: numbers as Kolmogorov and Smirnov, categories and what is
    missing as
    Pearson do, with Holm's correction (1979). Such tests detect shifts as well as those
    of all columns together: Rabanser, Günnemann and Lipton, "Failing loudly", NeurIPS
    2019.
    """
    before, now = (
        format_number(float(np.nanmedian(s))) for s in (old_scores, new_scores)
    )
    moved, p = _compare_numbers(old_scores, new_scores)
    tests = [Drift("outlier score", moved, p, before=before, now=now)]
    for column, part in zip(columns, slice_columns(columns), strict=True):
        missing = [np.isnan(rows[:, part]).any(axis=1) for rows in (old, new)]
        a, b = (rows[~no, part] for rows, no in zip((old, new), missing, strict=True))
        if column.kind == "category":
            levels = [rows.argmax(axis=1) for rows in (a, b)]
            moved, p = _compare_counts(levels, column.n_features)
        else:
            moved, p = _compare_numbers(a[:, 0], b[:, 0])
        shares = [no.mean() for no in missing]
        before, now = format_typical(column, a), format_typical(column, b)
        lacking = " → ".join(map(format_share, shares)) if any(shares) else ""
        drift = Drift(column.name, moved, p, False, before, now, lacking)
        moved, p = _compare_counts(missing, 2)
        tests += [replace(drift, moved=moved, p=p, by_missing=True), drift]
    corrected = _correct([test.p for test in tests])
    of_score, *drifts = (
        replace(test, p=p) for test, p in zip(tests, corrected, strict=True)
    )
    pairs = zip(
        drifts[::2], drifts[1::2], strict=True
    )  # what is missing, and what is there
    strongest = [min(pair, key=lambda drift: (drift.p, -drift.moved)) for pair in pairs]
    return (
        sorted(strongest, key=lambda drift: (not drift.has_drifted, -drift.moved)),
        of_score,
    )


def _compare_numbers(a: Array, b: Array) -> tuple[float, float]:
    """Return how far numbers have moved, and the probability of it by chance."""
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not (len(a) and len(b)):
        return 0.0, 1.0
    from scipy.stats import ks_2samp

    result = ks_2samp(a, b, method="asymp")
    return float(result.statistic), float(result.pvalue)


def _compare_counts(
    categories: Sequence[ArrayLike], n_categories: int
) -> tuple[float, float]:
    """Return how far the shares of categories have moved, and the probability of it by chance."""
    table = np.stack([np.bincount(each, minlength=n_categories) for each in categories])
    n = table.sum(axis=1, keepdims=True)
    if not n.all():
        return 0.0, 1.0
    from scipy.stats import chi2_contingency

    moved = float(np.abs(np.subtract(*(table / n))).sum() / 2)
    rare = table.sum(axis=0) * n.min() / n.sum() < FEWEST_EXPECTED
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or table.sum(axis=0).min() * n.min() / n.sum() < 1:
        return moved, 1.0
    return moved, float(chi2_contingency(table, correction=False).pvalue)


def _correct(p: ArrayLike) -> list[float]:
    """Return Holm's corrected probabilities."""
    values = np.asarray(p)
    order, corrected = np.argsort(values), np.empty(len(values))
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()
