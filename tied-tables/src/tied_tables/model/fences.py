"""Fences and absurd limits: beyond, a value is far outside its column, or absurd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tied_tables._types import Array

MIN_FENCE_ROWS = 50
"""Of fewer rows nothing is far outside: they say too little of a tail."""
FEWEST_VALUES = 25
"""Different from the median, that tell where a column ends; on a side of it, where its
tail does: with fewer, the fence is as far as on the other side."""
SHARES = 0.8, 0.96
"""Quantiles of the distances from the median: each next one is exceeded by a fifth of
the rows."""
TAIL_RATIO = 5.0
LARGEST_GROWTH = 3.0
"""Of the steps from one such quantile to the next: a Pareto tail of shape 0.68."""
EXPECTED = 0.1
"""Values beyond the fences on each side of all columns, in exponential tails."""
MANY = 10
MANY_SHARE = 0.0002
BEYOND_MANY = 3.0
"""More values beyond a fence, and a larger share, belong to the column: its fence is so
many times as far as they are."""
MOST_ROWS_BEYOND = 10
MOST_BEYOND = 0.001
"""So many rows, or a larger share, have values beyond fences at most: else the fences
move out."""
FEW_NEGATIVE = 0.001
"""Where one whole number, or so many, are negative and all others are not, the fence is
at 0: a duration, a count or an amount that cannot be."""
FENCE_SAMPLE_ROWS = 20_000
MOST_LEVELS = 10
"""So many different values are levels, as of a rating: a rare one is not far outside.
One of three or more that is there once may be absurd."""
ABSURD_GAP = 10.0
"""A value is absurd beyond an empty gap that is so many times as long as the range of
all values before it. Chosen on tables of ADBench and on planted values."""
MOST_ABSURD = 10
MOST_ABSURD_SHARE = 0.02
"""Of a column so many values, and not a larger share, may be absurd; else they belong
to it."""


class Fences(NamedTuple):
    """Where the values of each column end, by its own tails."""

    middle: Array  # the median, `(d,)` float64
    low: Array  # the fences; infinite where the values do not tell, `(d,)`
    high: Array

    def select(self, features: Array) -> Fences:
        """The fences of some columns, which a mask chooses."""
        selected = [values[features] for values in self]
        return Fences(*selected)

    def find(self, X: Array) -> Array:
        """Which values lie beyond, `(n, d)`."""
        low = self.low.astype(X.dtype)
        high = self.high.astype(X.dtype)
        with np.errstate(invalid="ignore"):
            is_below = low > X
            is_above = high < X
        return is_below | is_above

    def trim(self, X: Array) -> Array:
        """The rows with each such value replaced by the median of its column."""
        beyond = self.find(X)
        if not beyond.any():
            return X
        middle = self.middle.astype(X.dtype)
        return np.where(beyond, middle, X)

    def distances(self, X: Array) -> Array:
        """The distance of each value from the median, 1 at the fence, `(n, d)`."""
        deviations = X - self.middle
        is_low = deviations < 0
        limits = np.where(is_low, self.low, self.high)
        reach = limits - self.middle
        with np.errstate(invalid="ignore", divide="ignore"):
            distances = deviations / reach
            return np.fmax(distances, 0.0)  # 0 where it is NaN

    def sum_distances(self, X: Array) -> Array:
        """The summed distances of the values beyond, of each row, `(n,)`: mostly 0."""
        beyond = self.find(X)
        rows = beyond.any(axis=1)
        values = X[rows].astype(np.float64)
        distances = self.distances(values)
        beyond = beyond[rows]
        totals = np.zeros(len(X))
        totals[rows] = distances.sum(axis=1, where=beyond)
        return totals

    def scale(self, shift: Array, scale: Array) -> Fences:
        """The fences of scaled columns."""
        scaled = [(values - shift) / scale for values in self]
        return Fences(*scaled)


def fit_fences(X: Array, absurd_limits: Fences | None = None) -> Fences:
    r"""Find where the values of each column end.

    On each side of the median m, with the quantiles a and b of the distances from it
    which a fifth and a twenty-fifth of them exceed, the tail is that of a generalised
    Pareto distribution with

    $$5^\xi = \frac{b - a}{a}$$

    as in Pickands, "Statistical inference using extreme order statistics", Annals of
    Statistics 3, 1975, but neither lighter than exponential nor heavier than
    `LARGEST_GROWTH`. The fence is where `EXPECTED` values of the table are expected
    beyond. A few values, however far, hardly move it, and few values of a column with
    heavy tails are beyond it. Where many are, they belong to the column, as a group of
    its own, and the fence is beyond them. No fence is beyond the limit of absurd values
    of its column, by default that of `fit_absurd_limits`, where those of levels are.
    Missing values are NaN.
    """
    absurd_limits = absurd_limits or fit_absurd_limits(X)
    middle = absurd_limits.middle
    low = np.full(X.shape[1], np.inf)
    high = low.copy()
    reach = absurd_limits.high - middle
    to_low = reach.copy()
    for column, values, n_levels in _iterate_columns(X):
        if n_levels > MOST_LEVELS:
            with np.errstate(over="ignore", invalid="ignore"):
                deviations = values - middle[column]
                low[column] = _find_distance(-deviations, X.size)
                high[column] = _find_distance(deviations, X.size)
        n_negative = np.count_nonzero(values < 0)
        few = max(1, int(FEW_NEGATIVE * len(values)))
        are_whole = not np.any(values % 1)
        if 0 < n_negative <= few and are_whole:
            to_zero = middle[column] + 0.5
            to_low[column] = min(reach[column], to_zero)
    # A side that does not tell is as long as the other one.
    below = np.where(np.isinf(low), high, low)
    above = np.where(np.isinf(high), low, high)
    low = np.minimum(below, to_low)
    high = np.minimum(above, reach)
    fences = Fences(middle, middle - low, middle + high)
    rows = _sample_rows(X)
    distances = fences.distances(rows)
    furthest = distances.max(axis=1, initial=0.0)
    share = int(MOST_BEYOND * len(rows))
    most = max(MOST_ROWS_BEYOND, share)
    n_beyond = np.count_nonzero(furthest > 1)
    if n_beyond <= most:
        return fences
    factor = _find_largest(furthest, most + 1)
    return Fences(middle, middle - factor * low, middle + factor * high)


def fit_absurd_limits(X: Array) -> Fences:
    """Find beyond where the values of each column are absurd.

    From the median outwards, a column ends before the first gap that is more than
    `ABSURD_GAP` times as long as the range of all values before it, if few values are
    beyond it.
    """
    middle = np.zeros(X.shape[1])
    reach = np.full(X.shape[1], np.inf)
    for column, values, n_levels in _iterate_columns(X):
        middle[column] = np.median(values)
        with np.errstate(over="ignore", invalid="ignore"):
            reach[column] = _find_reach(values - middle[column], n_levels)
    return Fences(middle, middle - reach, middle + reach)


def keep_all(n_features: int) -> Fences:
    """Fences that nothing lies beyond."""
    infinite = np.full(n_features, np.inf)
    return Fences(np.zeros(n_features), -infinite, infinite)


def _sample_rows(X: Array) -> Array:
    """All rows, or evenly spaced ones where there are many."""
    n = len(X)
    if n <= FENCE_SAMPLE_ROWS:
        return X
    places = np.linspace(0, n - 1, FENCE_SAMPLE_ROWS)
    places = places.astype(int)
    return X[places]


def _find_largest(values: Array, rank: int) -> float:
    """The value, of `(n,)`, with a rank, 1 for the largest one."""
    parted = np.partition(values, -rank)
    return float(parted[-rank])


def _iterate_columns(X: Array) -> Iterator[tuple[int, Array, int]]:
    """The columns of more than two different values, float64, and how many these are.

    None of few rows.
    """
    if len(X) < MIN_FENCE_ROWS:
        return
    rows = _sample_rows(X)
    for column, values in enumerate(rows.T):
        missing = np.isnan(values)
        present = values[~missing].astype(np.float64)
        n_levels = len(np.unique(present))
        if n_levels > 2:
            yield column, present, n_levels


def _find_reach(deviations: Array, n_levels: int) -> float:
    """How far a column reaches from its median, of the deviations from it."""
    few = 1  # of its values, that may be absurd
    if n_levels > MOST_LEVELS:
        share = int(MOST_ABSURD_SHARE * len(deviations))
        few = max(1, min(MOST_ABSURD, share))
    order = np.argsort(np.abs(deviations))
    outwards = deviations[order]
    n_different = np.count_nonzero(outwards[:-few])
    if n_different < FEWEST_VALUES:
        return np.inf
    highest = np.maximum.accumulate(outwards)
    lowest = np.minimum.accumulate(outwards)
    ranges = highest - lowest
    is_gap = np.diff(ranges) > ABSURD_GAP * ranges[:-1]  # a value beyond adds its gap
    is_gap[:-few] = False
    last = len(outwards) - 1
    if is_gap.any():
        last = int(is_gap.argmax())
    reach = abs(outwards[last]) + ABSURD_GAP * ranges[last]
    return np.inf if np.isnan(reach) else float(reach)


def _find_distance(deviations: Array, n_values: int) -> float:
    """The distance of a fence from the median, of the deviations towards it."""
    n = len(deviations)
    beside = deviations[deviations > 0]
    if len(beside) < FEWEST_VALUES:
        return np.inf
    a, b = np.quantile(beside, SHARES).tolist()
    step = max(b - a, a / 2)
    growth = (b - a) / a
    growth = min(max(growth, 1.0), LARGEST_GROWTH)
    share_beyond = (1 - SHARES[1]) * len(beside) / n
    ratio = share_beyond * n_values / EXPECTED
    steps = np.log(ratio) / np.log(TAIL_RATIO)
    steps = max(0.0, steps)
    if growth > 1:
        steps = growth * (growth**steps - 1) / (growth - 1)
    distance = b + step * steps
    many = max(MANY, int(MANY_SHARE * n))
    n_beyond = np.count_nonzero(beside > distance)
    if n_beyond > many:
        distance = BEYOND_MANY * _find_largest(beside, many + 1)
    return np.inf if np.isnan(distance) else float(distance)
