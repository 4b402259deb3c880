"""How odd a row is, by its features, its code and its residuals."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_tied.estimator._pca import components

Array = NDArray[Any]

MOST_ROWS = 20_000
"""So many are looked at, chosen at random, where there are more."""
KNEE = 2.0
"""From here on, in standard deviations, what a number adds grows straight, not as its square."""
SMALLEST_SCALE = 0.05
"""Below this share of the standard deviation, the median deviation says little: most are equal."""
SMALLEST_SPREAD = 1e-6
"""A column that varies less than that is rounding."""


class Axes(NamedTuple):
    """Principal axes."""

    mean: Array
    vectors: Array

    def along(self, rows: Array) -> Array:
        """The coordinates of rows along the axes."""
        return (rows - self.mean) @ self.vectors


class Oddity(NamedTuple):
    r"""Measures how far a row is from most others.

    It looks at the scaled features, at the code and at the residuals, the latter two along their
    principal axes, each with its median subtracted and divided by its spread (1.4826 times the
    median absolute deviation), and adds up Huber's function of all of these numbers:

    $$\sum_j \rho(z_j), \quad \rho(z) = \begin{cases} z^2 / 2 & |z| < 2 \\ 2 |z| - 2 &
        \text{otherwise} \end{cases}$$

    Code and residuals are the major and minor components of Shyu et al., "A novel anomaly
    detection scheme based on principal component classifier", ICDM workshop 2003, and the score
    and orthogonal distances of Hubert et al., "ROBPCA", Technometrics 2005; the function is that
    of Huber, "Robust estimation of a location parameter", 1964. The features beside them tell of
    rows that are extreme, and reconstructed well.

    Attributes:
        of_codes, of_residuals: their principal axes.
        median, scale: of the numbers along the axes and of the features; a scale is infinite where
            the numbers are all alike.
    """

    of_codes: Axes
    of_residuals: Axes
    median: Array
    scale: Array

    def of(self, features: Array, codes: Array, residuals: Array) -> Array:
        """How odd some rows are.

        Args:
            features: scaled rows with nothing missing, `(n, d)`.
            codes: `(n, k)`.
            residuals: `(n, d)`, 0 where a feature is missing.
        """
        numbers = _numbers(self.of_codes, self.of_residuals, features, codes, residuals)
        z = np.abs((numbers - self.median) / self.scale)
        return np.where(z < KNEE, z**2 / 2, KNEE * z - KNEE**2 / 2).sum(axis=1)


def oddity(features: Array, codes: Array, residuals: Array, weights: Array) -> Oddity:
    """Look at rows of these weights; see `Oddity.of`."""
    of_codes, of_residuals = _axes(codes, weights), _axes(residuals, weights)
    numbers = _numbers(of_codes, of_residuals, features, codes, residuals)
    median = percentiles(numbers, weights, 0.5)
    scale = 1.4826 * percentiles(np.abs(numbers - median), weights, 0.5)
    mean = np.average(numbers, axis=0, weights=weights)
    spread = np.sqrt(np.average((numbers - mean) ** 2, axis=0, weights=weights))
    scale = np.where(scale > SMALLEST_SCALE * spread, scale, spread)
    return Oddity(of_codes, of_residuals, median, np.where(spread > SMALLEST_SPREAD, scale, np.inf))


def percentiles(values: Array, weights: Array, share: float) -> Array:
    """The number in each column below which a share of the weight lies.

    Where the weight below a number is just the share, the middle between it and the next one: so
    a row of weight 2 counts as two rows.
    """
    order = np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0)
    wanted = share * below[-1]
    slack = 1e-9 * below[-1]
    ranked = np.take_along_axis(values, order, axis=0)
    last = len(values) - 1
    first = np.minimum((below < wanted - slack).sum(axis=0), last)
    second = np.minimum((below <= wanted + slack).sum(axis=0), last)
    return (
        np.take_along_axis(ranked, first[None], axis=0)[0]
        + np.take_along_axis(ranked, second[None], axis=0)[0]
    ) / 2


def _axes(rows: Array, weights: Array) -> Axes:
    principal = components(rows, weights)
    varying = principal.variances > 1e-6 * principal.variances[0]
    return Axes(principal.mean, principal.vectors[:, varying])


def _numbers(
    of_codes: Axes, of_residuals: Axes, features: Array, codes: Array, residuals: Array
) -> Array:
    along = of_codes.along(codes), of_residuals.along(residuals)
    return np.concatenate([features.astype(np.float64), *along], axis=1)
