"""The outlier score of a row, from its features, its code and its residuals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_tied._types import Array
from keras_tied.estimator._pca import fit_pca

MOST_ROWS = 20_000
"""The score is fitted to a random sample of so many rows where there are more."""
HUBER_DELTA = 2.0
"""Huber's function is linear from here on, in standard deviations."""
SMALLEST_SCALE = 0.05
"""Relative to the standard deviation. Below it, most values are equal to the median.

Also the scale of a feature that is constant: a row with another value is an outlier.
"""
SMALLEST_SPREAD = 1e-6
"""The variation of a column below this is rounding error."""


class Axes(NamedTuple):
    """Principal axes."""

    mean: Array
    vectors: Array

    def project(self, rows: Array) -> Array:
        """The coordinates of rows along the axes."""
        return (rows - self.mean) @ self.vectors


class OutlierScore(NamedTuple):
    r"""Measures how far a row is from most others.

    It takes the scaled features, at the code and at the residuals, the latter two along their
    principal axes, each with its median subtracted and divided by its spread (1.4826 times the
    median absolute deviation), and adds up Huber's function of all of these numbers:

    $$\sum_j \rho(z_j), \quad \rho(z) = \begin{cases} z^2 / 2 & |z| < 2 \\ 2 |z| - 2 &
        \text{otherwise} \end{cases}$$

    Code and residuals are the major and minor components of Shyu et al., "A novel anomaly
    detection scheme based on principal component classifier", ICDM workshop 2003, and the score
    and orthogonal distances of Hubert et al., "ROBPCA", Technometrics 2005; the function is that
    of Huber, "Robust estimation of a location parameter", 1964. The features detect extreme rows
    that are reconstructed well, and rows that differ from the others in a column that is constant.

    Attributes:
        code_axes, residual_axes: their principal axes.
        median, scale: of the features and of the coordinates along the axes, in this order. The
            scale of a constant feature is `SMALLEST_SCALE`; it is infinite for a feature that is
            missing in all rows and for a coordinate that is constant.
    """

    code_axes: Axes
    residual_axes: Axes
    median: Array
    scale: Array

    def score(self, features: Array, codes: Array, residuals: Array) -> Array:
        """The scores of rows, `(n,)` float64: the higher, the more of an outlier.

        Args:
            features: complete scaled rows, `(n, d)`.
            codes: `(n, k)`.
            residuals: `(n, d)`, 0 where a feature is missing.
        """
        z = _compute_coordinates(self.code_axes, self.residual_axes, features, codes, residuals)
        z -= self.median
        z /= self.scale
        np.abs(z, out=z)
        # With c = min(z, delta), Huber's function is c * (z - c / 2).
        huber_slope = np.minimum(z, HUBER_DELTA)
        z -= huber_slope / 2
        return np.einsum("ij,ij->i", z, huber_slope)


def fit_outlier_score(
    features: Array, codes: Array, residuals: Array, weights: Array, observed: Array
) -> OutlierScore:
    """Fit the score to rows of these weights, `(n,)`; see `OutlierScore.score`.

    `observed`, `(d,)`, says which features are not missing in all rows.
    """
    code_axes, residual_axes = _fit_axes(codes, weights), _fit_axes(residuals, weights)
    coordinates = _compute_coordinates(code_axes, residual_axes, features, codes, residuals)
    median = weighted_quantiles(coordinates, weights, 0.5)
    scale = 1.4826 * weighted_quantiles(np.abs(coordinates - median), weights, 0.5)
    mean = np.average(coordinates, axis=0, weights=weights)
    spread = np.sqrt(np.average((coordinates - mean) ** 2, axis=0, weights=weights))
    scale = np.where(scale > SMALLEST_SCALE * spread, scale, spread)
    constant_scale = np.full(len(scale), np.inf)
    constant_scale[: len(observed)][observed] = SMALLEST_SCALE
    scale = np.where(spread > SMALLEST_SPREAD, scale, constant_scale)
    return OutlierScore(code_axes, residual_axes, median, scale)


def weighted_quantiles(values: Array, weights: Array, share: float) -> Array:
    """The quantile of each column, `(columns,)`: a share of the weight lies below it.

    Where the weight below a value is just the share, the middle between it and the next one: so
    a row of weight 2 counts as two rows.
    """
    equal = bool((weights == weights[0]).all())
    order = None if equal else np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(weights[:, None] if order is None else weights[order], axis=0)
    quantile_weight = share * below[-1]
    slack = 1e-9 * below[-1]
    last = len(values) - 1
    first = np.minimum((below < quantile_weight - slack).sum(axis=0), last)
    second = np.minimum((below <= quantile_weight + slack).sum(axis=0), last)
    if order is None:
        neighbours = np.partition(values, (first[0], second[0]), axis=0)[[first[0], second[0]]]
    else:
        places = np.stack([first, second])
        neighbours = np.take_along_axis(values, np.take_along_axis(order, places, axis=0), axis=0)
    return neighbours.mean(axis=0)


def _fit_axes(rows: Array, weights: Array) -> Axes:
    principal = fit_pca(rows, weights)
    varying = principal.variances > 1e-6 * principal.variances[0]
    return Axes(principal.mean, principal.vectors[:, varying])


def _compute_coordinates(
    code_axes: Axes, residual_axes: Axes, features: Array, codes: Array, residuals: Array
) -> Array:
    """Features, codes and residuals side by side, `(n, d + a + b)` float64."""
    along = code_axes.project(codes), residual_axes.project(residuals)
    return np.concatenate([features.astype(np.float64), *along], axis=1)
