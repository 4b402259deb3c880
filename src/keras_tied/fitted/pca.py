"""Principal components of weighted rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_tied._types import Array

TINY = 1e-12  # a smaller variance is that of a constant feature
EQUAL = 1e-4  # relative to the largest number of a component: so near to it a number is as large
CHUNK = 8192  # rows that are brought to double precision at a time


class Components(NamedTuple):
    """PCA of weighted rows."""

    mean: Array  # `(d,)`
    # one component in each column, orthonormal, `(d, min(n, d))`, each with the sign
    # that makes its largest number positive, and the first of these if several are
    # equal
    vectors: Array
    variances: (
        Array  # those along the components, descending; their sum is the total variance
    )
    spreads: Array  # the variances of the features, `(d,)`

    def truncate(self, n: int) -> Components:
        """The first `n` components alone."""
        return self._replace(vectors=self.vectors[:, :n], variances=self.variances[:n])

    def n_components_for(self, share: float) -> int:
        """The smallest number of components that keep this share of the variance."""
        shares = np.cumsum(self.variances) / (self.variances.sum() or 1.0)
        return min(
            int(np.searchsorted(shares, share * (1 - 1e-12))) + 1, len(self.variances)
        )

    def reconstruct(self, Z: Array) -> Array:
        """Project rows, `(n, d)`, onto the components and back."""
        return (Z - self.mean) @ self.vectors @ self.vectors.T + self.mean


def fit_pca(Z: Array, weights: Array | None = None) -> Components:
    """Fit PCA to rows without missing values, `(n, d)`, of positive weights `(n,)`."""
    n, d = Z.shape
    weights = np.ones(n) if weights is None else weights
    total = weights.sum()
    parts = [slice(begin, begin + CHUNK) for begin in range(0, n, CHUNK)]
    mean = sum(weights[part] @ Z[part].astype(np.float64) for part in parts) / total
    if n >= d:
        covariance = np.zeros((d, d))
        for part in parts:
            rows = (Z[part] - mean) * np.sqrt(weights[part] / total)[:, None]
            covariance += rows.T @ rows
        return find_components(mean, covariance)
    rows = (Z - mean) * np.sqrt(weights / total)[:, None]
    vectors, sizes, _ = np.linalg.svd(rows.T, full_matrices=False)
    return Components(mean, _orient(vectors), sizes**2, (rows**2).sum(axis=0))


def find_components(mean: Array, covariance: Array) -> Components:
    """PCA of rows with this mean, `(d,)`, and covariance, `(d, d)`."""
    variances, vectors = np.linalg.eigh(covariance)
    variances, vectors = np.maximum(variances[::-1], 0.0), vectors[:, ::-1]
    return Components(mean, _orient(vectors), variances, covariance.diagonal().copy())


def _orient(vectors: Array) -> Array:
    """The vectors, `(d, k)`, each with the sign that makes its largest weight positive."""
    sizes = np.abs(vectors)
    places = (sizes >= (1 - EQUAL) * sizes.max(axis=0)).argmax(axis=0)
    largest = vectors[places, np.arange(vectors.shape[1])]
    return vectors * np.where(largest < 0, -1.0, 1.0)
