"""Whether the rows of a table are distributed as those of an older one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from keras_tied._text import format_number, format_share
from keras_tied._types import Array
from keras_tied.report._columns import PageColumn, format_typical, slice_columns

ALARM = 0.01  # the probability that anything is named where nothing has drifted
# Categories that are rarer than this are tested together (Cochran's rule).
FEWEST_EXPECTED = 5.0


@dataclass(frozen=True)
class Drift:
    """How far a column, or the score, has drifted."""

    name: str
    # The share of the rows that lie elsewhere: the largest difference of the two
    # distribution functions, or half the sum of the differences of categories' shares.
    moved: float
    # The probability of as much where nothing has drifted, corrected for all tests.
    p: float = 0.0
    by_missing: bool = False  # whether most of it is in how many values are missing
    before: str = ""  # the typical value
    now: str = ""
    missing: str = ""  # the shares of missing values, before and now, if there are any

    @property
    def has_drifted(self) -> bool:
        """Whether it is said to have drifted."""
        return self.p <= ALARM


def find_drift(
    columns: Sequence[PageColumn],
    old: Array,
    new: Array,
    old_scores: Array,
    new_scores: Array,
) -> tuple[list[Drift], Drift]:
    """Return the columns, those that have drifted first and most first, and the score.

    Each is tested alone: numbers as Kolmogorov and Smirnov, categories and what is
    missing as Pearson do, with Holm's correction (1979). Such tests detect shifts as
    well as those of all columns together: Rabanser, Günnemann and Lipton, "Failing
    loudly", NeurIPS 2019.
    """
    medians = [float(np.nanmedian(scores)) for scores in (old_scores, new_scores)]
    before, now = map(format_number, medians)
    moved, p = _compare_numbers(old_scores, new_scores)
    tests = [Drift("outlier score", moved, p, before=before, now=now)]
    for column, part in zip(columns, slice_columns(columns), strict=True):
        tests += _compare_column(column, old[:, part], new[:, part])
    corrected = _correct([test.p for test in tests])
    tests = [replace(test, p=p) for test, p in zip(tests, corrected, strict=True)]
    score, *drifts = tests
    # Of each column there are two tests: what is missing, and what is there.
    drifts = [
        min(pair, key=lambda drift: (drift.p, -drift.moved))
        for pair in zip(drifts[::2], drifts[1::2], strict=True)
    ]
    drifts.sort(key=lambda drift: (not drift.has_drifted, -drift.moved))
    return drifts, score


def _compare_column(column: PageColumn, old: Array, new: Array) -> list[Drift]:
    """Return how far a column, (n, its features), has drifted by gaps, and by values."""
    missing = [np.isnan(rows).any(axis=1) for rows in (old, new)]
    old, new = old[~missing[0]], new[~missing[1]]
    if column.kind == "category":
        levels = [rows.argmax(axis=1) for rows in (old, new)]
        moved, p = _compare_counts(levels, column.n_features)
    else:
        moved, p = _compare_numbers(old[:, 0], new[:, 0])
    before, now = format_typical(column, old), format_typical(column, new)
    shares = [is_gap.mean() for is_gap in missing]
    gaps = " → ".join(map(format_share, shares)) if any(shares) else ""
    by_value = Drift(column.name, moved, p, False, before, now, gaps)
    moved, p = _compare_counts(missing, 2)
    return [replace(by_value, moved=moved, p=p, by_missing=True), by_value]


def _compare_numbers(old: Array, new: Array) -> tuple[float, float]:
    """Return how far numbers have moved, and the probability of it by chance."""
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if not (len(old) and len(new)):
        return 0.0, 1.0
    from scipy.stats import ks_2samp

    result = ks_2samp(old, new, method="asymp")
    return float(result.statistic), float(result.pvalue)


def _compare_counts(
    categories: Sequence[ArrayLike], n_categories: int
) -> tuple[float, float]:
    """Return how far the shares of categories have moved, and its probability."""
    # Both are counted: (2, n_categories).
    table = np.stack([np.bincount(each, minlength=n_categories) for each in categories])
    n = table.sum(axis=1, keepdims=True)
    if not n.all():
        return 0.0, 1.0
    from scipy.stats import chi2_contingency

    before, now = table / n
    moved = float(np.abs(before - now).sum() / 2)
    share = n.min() / n.sum()  # of the smaller table
    rare = table.sum(axis=0) * share < FEWEST_EXPECTED
    if rare.any():
        table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or table.sum(axis=0).min() * share < 1:
        return moved, 1.0
    return moved, float(chi2_contingency(table, correction=False).pvalue)


def _correct(p: ArrayLike) -> list[float]:
    """Return Holm's corrected probabilities."""
    values = np.asarray(p)
    order = np.argsort(values)
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected.tolist()
