"""Whether the rows of a table are distributed as those of an older one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tied_tables._text import format_number, format_share
from tied_tables._types import Array
from tied_tables.columns import Column, Kind
from tied_tables.report._columns import format_typical, slice_columns

ALARM = 0.01  # the probability that anything is named where nothing has drifted
# Categories that are rarer than this are tested together, and not at all if they are
# rarer together (Cochran's rule).
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
        """Whether it is reported as drifted."""
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
    missing as Pearson do, with Bonferroni's correction. Such tests detect shifts as
    well as those of all columns together: Rabanser, Günnemann and Lipton, "Failing
    loudly", NeurIPS 2019.
    """
    score = Drift(
        "outlier score",
        *_compare_numbers(old_scores, new_scores),
        before=format_number(float(np.nanmedian(old_scores))),
        now=format_number(float(np.nanmedian(new_scores))),
    )
    # Of each column there are two tests: what is missing, and what is there.
    n_tests = 2 * len(columns) + 1

    def correct(test: Drift) -> Drift:
        return replace(test, p=min(1.0, n_tests * test.p))

    drifts = []
    for column, part in slice_columns(columns):
        pair = map(correct, _compare_column(column, old[:, part], new[:, part]))
        drifts.append(min(pair, key=lambda drift: (drift.p, -drift.moved)))
    drifts.sort(key=lambda drift: (not drift.has_drifted, -drift.moved))
    return drifts, correct(score)


def _compare_column(column: Column, old: Array, new: Array) -> list[Drift]:
    """Return how far a column, (n, features), has drifted by gaps, and by values."""
    old_gaps, new_gaps = _find_gaps(old), _find_gaps(new)
    old, new = old[~old_gaps], new[~new_gaps]
    if column.kind is Kind.text:
        levels = old.argmax(axis=1), new.argmax(axis=1)
        moved, p = _compare_counts(*levels, len(column.features))
    else:
        moved, p = _compare_numbers(old[:, 0], new[:, 0])
    missing = ""
    if old_gaps.any() or new_gaps.any():
        before, now = format_share(old_gaps.mean()), format_share(new_gaps.mean())
        missing = f"{before} → {now}"
    by_values = Drift(
        column.name,
        moved,
        p,
        before=format_typical(column, old),
        now=format_typical(column, new),
        missing=missing,
    )
    moved, p = _compare_counts(old_gaps, new_gaps, 2)
    by_gaps = replace(by_values, moved=moved, p=p, by_missing=True)
    return [by_gaps, by_values]


def _find_gaps(rows: Array) -> Array:
    return np.asarray(np.isnan(rows).any(axis=1))


def _compare_numbers(old: Array, new: Array) -> tuple[float, float]:
    """Return how far numbers have moved, and the probability of it by chance."""
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if not (len(old) and len(new)):
        return 0.0, 1.0
    from scipy.stats import ks_2samp

    test = ks_2samp(old, new, method="asymp")
    return float(test.statistic), float(test.pvalue)


def _compare_counts(old: Array, new: Array, n_categories: int) -> tuple[float, float]:
    """Return how far the shares of categories have moved, and its probability."""
    counts = [np.bincount(places, minlength=n_categories) for places in (old, new)]
    table = np.stack(counts)  # (2, n_categories)
    n = table.sum(axis=1, keepdims=True)
    if not n.all():
        return 0.0, 1.0
    from scipy.stats import chi2_contingency

    before, now = table / n
    difference = np.abs(before - now)
    moved = float(difference.sum() / 2)
    fewest = FEWEST_EXPECTED * n.sum() / n.min()  # of which the smaller table has them
    is_rare = table.sum(axis=0) < fewest
    rare_counts = table[:, is_rare].sum(axis=1)
    table = np.column_stack([table[:, ~is_rare], rare_counts])
    table = table[:, table.sum(axis=0) >= fewest]
    if table.shape[1] < 2:
        return moved, 1.0
    test = chi2_contingency(table, correction=False)
    return moved, float(test.pvalue)
