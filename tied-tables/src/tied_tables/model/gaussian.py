"""A normal distribution of rows and of pieces of numbers, which imputes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tied_tables._layout import Layout
from tied_tables._types import Array

COVARIANCE_SAMPLE_ROWS = 2000  # that the covariance is fitted to, at random
MOST_IMPUTED_FEATURES = 512
"""With more, means are imputed: the cost of a row grows with the cube of its gaps."""
RIDGE = 0.01  # added to the variances, relative to their mean
EM_ITERATIONS = 8
EM_TOLERANCE = 1e-3
MATRIX_BLOCK_NUMBERS = 2**22  # numbers in the matrices of a block of rows, at most
# of a number
MOST_PIECES = 4
ROWS_PER_PIECE = 300
MOST_WITH_PIECES = 256  # features and pieces


class Pieces(NamedTuple):
    r"""What of a number lies between two of its quantiles, standardised.

    That is $\min(\max(x, a), b)$. A conditional mean that is linear in the pieces of a
    number is a bent line in the number.
    """

    features: Array  # the feature that each is a piece of, `(m,)` int64
    low: Array  # the quantiles a and b, `(m,)`
    high: Array
    shift: Array  # the mean, `(m,)`
    scale: Array  # the standard deviation, relative to that of the feature, `(m,)`

    def add(self, Z: Array) -> Array:
        """Rows, `(n, d)`, with their pieces beside them, `(n, d + m)`."""
        numbers = Z[:, self.features]
        pieces = np.clip(numbers, self.low, self.high)
        pieces = (pieces - self.shift) / self.scale
        return np.hstack([Z, pieces])


class Patterns(NamedTuple):
    """Some patterns of equally many missing features, and the rows that have these."""

    rows: Array  # their places, `(n,)`
    numbers: Array  # of the pattern of each row, `(n,)`
    features: Array  # that are missing in each pattern, `(patterns, size)`


class Gaussian(NamedTuple):
    """A normal distribution of rows with D features, the d of a row and m pieces.

    Attributes:
        mean: `(D,)`.
        precision: the inverse of the covariance, `(D, D)`; None if features are taken
            to be independent.
        pieces: of the numbers; None for none.
    """

    mean: Array
    precision: Array | None = None
    pieces: Pieces | None = None

    def find_deviations(self, Z: Array) -> Array:
        """Scaled rows, `(n, d)`, with their pieces, less the mean, `(n, D)` float64."""
        if self.pieces is not None:
            Z = self.pieces.add(Z)
        return Z - self.mean

    def impute(self, Z: Array) -> Array:
        """Scaled rows, `(n, d)`, with the conditional mean of each missing value.

        The same array where none is missing.
        """
        missing = np.isnan(Z)
        d = Z.shape[1]
        if not missing.any():
            return Z
        if self.precision is None:
            mean = self.mean.astype(Z.dtype)
            return np.where(missing, mean, Z)
        complete = Z.copy()
        has_gaps = missing.any(axis=1)
        deviations = self.find_deviations(Z[has_gaps])
        gaps = np.isnan(deviations)
        deviations[gaps] = 0.0
        self.condition(deviations, find_patterns(gaps))
        means = deviations + self.mean
        complete[missing] = means[:, :d][missing[has_gaps]]
        return complete

    def condition(
        self,
        deviations: Array,
        patterns: Iterable[Patterns],
        weights: Array | None = None,
    ) -> Array:
        """Impute rows less their mean, 0 where one is missing, `(n, D)`, in place.

        The result is the weighted sum of the conditional covariances, `(D, D)`, of
        weights 1 by default. The missing part
        m of a row solves P_mm x_m = -P_mo x_o, with the covariance P_mm⁻¹, the same for
        all rows of a pattern.
        """
        precision = self.precision
        width = len(self.mean)
        assert precision is not None
        products = deviations @ precision
        covariance = np.zeros(width**2)
        for rows, numbers, features in patterns:
            down = features[:, :, None]
            across = features[:, None, :]
            inverses = np.linalg.inv(precision[down, across])
            places = rows[:, None], features[numbers]
            means = inverses[numbers] @ products[places][:, :, None]
            deviations[places] = -means[:, :, 0]
            cells = down * width + across
            shares = None if weights is None else weights[rows]
            sums = inverses * np.bincount(numbers, shares)[:, None, None]
            added = np.bincount(cells.ravel(), sums.ravel(), width**2)
            covariance += added
        return covariance.reshape(width, width)

    def select(self, features: Array) -> Gaussian:
        """The distribution of all features in another order, which are at places."""
        d = len(features)
        pieces = self.pieces
        order = features
        if pieces is not None:
            places = np.argsort(features)  # where each feature goes
            moved = places[pieces.features]
            piece_order = np.argsort(moved, kind="stable")
            order = np.append(features, d + piece_order)
            pieces = Pieces(
                moved[piece_order], *(array[piece_order] for array in pieces[1:])
            )
        precision = self.precision
        if precision is not None:
            precision = precision[np.ix_(order, order)]
        return Gaussian(self.mean[order], precision, pieces)

    def marginalize(self, d: int) -> Gaussian:
        """The distribution of the first features alone."""
        if self.precision is None or self.pieces is None:
            return self
        covariance = np.linalg.inv(self.precision)[:d, :d]
        return Gaussian(self.mean[:d], np.linalg.inv(covariance))


def find_patterns(missing: Array) -> Iterator[Patterns]:
    """Group rows by what they miss, in blocks of patterns with equally many gaps."""
    sizes = np.count_nonzero(missing, axis=1)
    bits = np.packbits(missing, axis=1)
    _, inverse = np.unique(bits, axis=0, return_inverse=True)
    numbers = inverse.ravel()
    order = np.lexsort((numbers, sizes))
    ends = np.flatnonzero(np.diff(sizes[order])) + 1
    for group in np.split(order, ends):
        size = sizes[group[0]]
        step = max(1, MATRIX_BLOCK_NUMBERS // max(1, size**2))
        begins = range(step, len(group), step)
        for rows in np.split(group, begins):
            _, first, places = np.unique(
                numbers[rows], return_index=True, return_inverse=True
            )
            _, gaps = np.nonzero(missing[rows[first]])
            features = gaps.reshape(len(first), size)
            yield Patterns(rows, places, features)


def fit_gaussian(
    Z: Array,
    weights: Array,
    random: np.random.RandomState,
    layout: Layout | None = None,
) -> Gaussian:
    """Fit to scaled rows, `(n, d)` with NaN, a random sample if they are many.

    The method is expectation-maximisation (Dempster, Laird & Rubin, 1977). With a
    layout, the numbers have pieces.
    """
    n, d = Z.shape
    if d > MOST_IMPUTED_FEATURES:
        return Gaussian(np.zeros(d))
    rows = Z.astype(np.float64)
    if n > COVARIANCE_SAMPLE_ROWS:
        sample = random.permutation(n)[:COVARIANCE_SAMPLE_ROWS]
        rows, weights = rows[sample], weights[sample]
    pieces = None if layout is None else fit_pieces(rows, layout)
    if pieces is not None:
        rows = pieces.add(rows)
    missing = np.isnan(rows)
    known = np.maximum(weights @ ~missing, np.finfo(float).tiny)
    mean = weights @ np.nan_to_num(rows) / known
    patterns = list(find_patterns(missing))
    complete = np.where(missing, mean, rows)
    extra = np.zeros((len(mean), len(mean)))
    for _ in range(EM_ITERATIONS):
        mean = np.average(complete, axis=0, weights=weights)
        covariance = np.cov(complete.T, bias=True, aweights=weights)
        covariance = covariance.reshape(extra.shape) + extra / weights.sum()
        fitted = make_gaussian(mean, covariance, pieces)
        means = np.where(missing, 0.0, complete - mean)
        extra = fitted.condition(means, patterns, weights)
        previous = complete
        complete = np.where(missing, means + mean, complete)
        change = np.abs(complete - previous).max()
        variance = find_ridge(covariance) / RIDGE
        if change < EM_TOLERANCE * np.sqrt(variance):
            break
    return fitted


def make_gaussian(
    mean: Array,
    covariance: Array,
    pieces: Pieces | None,
) -> Gaussian:
    """The distribution with a covariance, `(D, D)`, made safe to invert."""
    ridge = find_ridge(covariance) * np.eye(len(mean))
    return Gaussian(mean, np.linalg.inv(covariance + ridge), pieces)


def find_ridge(covariance: Array) -> float:
    """What is added to the variances of a covariance, `(D, D)`, to invert it."""
    variance = np.trace(covariance) / len(covariance)
    return float(RIDGE * (variance or 1.0))


def fit_pieces(rows: Array, layout: Layout) -> Pieces | None:
    """Fit to scaled rows, `(n, d)` with NaN; None for too few rows or no numbers."""
    n, d = rows.shape
    room = (MOST_WITH_PIECES - d) // max(1, len(layout.numbers))
    count = min(MOST_PIECES, n // ROWS_PER_PIECE, room)
    if count < 2:
        return None
    pieces = []
    for feature in layout.numbers:
        values = rows[:, feature]
        values = values[~np.isnan(values)]
        if len(values) == 0:
            continue
        shares = np.linspace(0, 1, count + 1)
        edges = np.unique(np.quantile(values, shares))
        if len(edges) == 2:
            continue
        for low, high in pairwise(edges):
            piece = np.clip(values, low, high)
            scale = piece.std() / values.std()
            pieces.append((feature, low, high, piece.mean(), scale))
    if not pieces:
        return None
    features, *others = zip(*pieces, strict=True)
    return Pieces(np.array(features), *map(np.array, others))
