"""Statistics of rows that are measured part by part, and merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.pca import Components, find_components
from keras_tied.fitted.scaling import Scaler, Scaling, find_range, make_scaling


@dataclass(frozen=True)
class Moments:
    r"""Counts, means and sums of products of the columns of some rows.

    Two parts are merged by the update of Chan, Golub & LeVeque, "Updating formulae and
    a pairwise algorithm for computing sample variances", 1979, here for all pairs of
    columns:

    $$P = P_a + P_b + \frac{n_a n_b}{n_a + n_b} \delta \delta^\top,
        \quad \delta = m_b - m_a$$

    Attributes:
        rows: how many there are.
        counts: of the values of each column that are not missing, `(d,)`.
        low, high: the least and the largest of them, NaN without any, `(d,)`.
        means: of them, 0 without any, `(d,)`.
        products: sums of products of deviations from the means, `(d, d)`. A missing
            value has no deviation, so that only the diagonal is exact where values are
            missing.
    """

    rows: int
    counts: Array
    low: Array
    high: Array
    means: Array
    products: Array

    def merge(self, other: Moments) -> Moments:
        """The statistics of both parts together."""
        counts = self.counts + other.counts
        share = other.counts / np.maximum(counts, 1.0)
        difference = other.means - self.means
        weighted = difference * np.sqrt(self.counts * share)
        products = self.products + other.products
        return Moments(
            rows=self.rows + other.rows,
            counts=counts,
            low=np.fmin(self.low, other.low),
            high=np.fmax(self.high, other.high),
            means=self.means + share * difference,
            products=products + np.outer(weighted, weighted),
        )

    @property
    def is_complete(self) -> bool:
        """Whether no value is missing."""
        return bool((self.counts == self.rows).all())

    def find_scaling(self, scaler: Scaler) -> Scaling:
        """The scaling that `fit_scaling` finds for all rows, of equal weights."""
        counts = np.maximum(self.counts, 1.0)
        variances = self.products.diagonal() / counts
        deviations = np.sqrt(variances)
        return make_scaling(
            self.low, self.high, self.means, deviations, self.rows, scaler
        )

    def find_components(self, scaling: Scaling) -> Components:
        """PCA of all rows, scaled; they are complete."""
        mean = (self.means - scaling.shift) / scaling.scale
        scales = np.outer(scaling.scale, scaling.scale)
        covariance = self.products / self.rows / scales
        return find_components(mean, covariance)


def measure_moments(X: Array) -> Moments:
    """Measure a part, finite `(n, d)` with at least one row; missing values are NaN."""
    rows = X.astype(np.float64)
    present = ~np.isnan(rows)
    counts = present.sum(axis=0).astype(np.float64)
    means = np.nansum(rows, axis=0) / np.maximum(counts, 1.0)
    low, high = find_range(rows)
    rows -= means
    rows[~present] = 0.0
    return Moments(len(rows), counts, low, high, means, rows.T @ rows)
