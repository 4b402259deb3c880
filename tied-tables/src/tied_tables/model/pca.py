"""Principal components of weighted rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tied_tables._types import Array
from tied_tables.model.blocks import split_rows

TINY = 1e-12  # a smaller variance is that of a constant feature
EQUAL = 1e-4  # relative to the largest number of a component: a number so near is equal
CHUNK = 8192  # rows that are brought to double precision at a time


class Components(NamedTuple):
    """PCA of weighted rows.

    Attributes:
        mean: `(d,)`.
        vectors: one component in each column, orthonormal, `(d, min(n, d))`, each with
            the sign that makes its largest number positive, and the first of these if
            several are equal.
        variances: those along the components, descending.
        spreads: the variances of the features, `(d,)`.
    """

    mean: Array
    vectors: Array
    variances: Array
    spreads: Array

    def truncate(self, n: int) -> Components:
        """The first `n` components; others without variance, where there are fewer."""
        vectors = self.vectors
        variances = self.variances
        lacking = n - len(variances)
        if lacking > 0:
            directions = np.random.default_rng(0).normal(size=(len(vectors), lacking))
            basis, _ = np.linalg.qr(np.hstack([vectors, directions]))
            vectors = np.hstack([vectors, basis[:, -lacking:]])
            variances = np.pad(variances, (0, lacking))
        return self._replace(vectors=vectors[:, :n], variances=variances[:n])

    def n_components_for(self, share: float) -> int:
        """The smallest number of components that keep this share of the variance."""
        total = self.variances.sum() or 1.0
        kept = np.cumsum(self.variances) / total
        least = share * (1 - 1e-12)
        fewer = int(np.searchsorted(kept, least))
        return min(fewer + 1, len(kept))

    def reconstruct(self, Z: Array) -> Array:
        """Project rows, `(n, d)`, onto the components and back."""
        scores = (Z - self.mean) @ self.vectors
        return scores @ self.vectors.T + self.mean


def fit_pca(Z: Array, weights: Array | None = None) -> Components:
    """Fit PCA to rows without missing values, `(n, d)`, of positive weights `(n,)`."""
    n, d = Z.shape
    weights = np.ones(n) if weights is None else weights
    total = weights.sum()
    roots = np.sqrt(weights / total)[:, None]
    parts = split_rows(n, CHUNK)
    mean = np.zeros(d)
    for part in parts:
        rows = Z[part].astype(np.float64)
        mean += weights[part] @ rows
    mean /= total
    if n >= d:
        covariance = np.zeros((d, d))
        for part in parts:
            rows = (Z[part] - mean) * roots[part]
            covariance += rows.T @ rows
        variances, vectors = np.linalg.eigh(covariance)
        return Components(
            mean=mean,
            vectors=_orient(vectors[:, ::-1]),
            variances=np.maximum(variances[::-1], 0.0),
            spreads=covariance.diagonal().copy(),
        )
    rows = (Z - mean) * roots
    vectors, sizes, _ = np.linalg.svd(rows.T, full_matrices=False)
    return Components(
        mean=mean,
        vectors=_orient(vectors),
        variances=sizes**2,
        spreads=(rows**2).sum(axis=0),
    )


def _orient(vectors: Array) -> Array:
    """Vectors, `(d, k)`, each with the sign that makes its largest weight positive."""
    sizes = np.abs(vectors)
    is_largest = sizes >= (1 - EQUAL) * sizes.max(axis=0)
    places = is_largest.argmax(axis=0)
    largest = np.take_along_axis(vectors, places[None], axis=0)
    signs = np.where(largest < 0, -1.0, 1.0)
    return vectors * signs
