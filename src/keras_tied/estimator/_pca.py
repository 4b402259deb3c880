"""Principal components of weighted rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from keras_tied._pairs import locate_pairs
from keras_tied._types import Array
from keras_tied.estimator._dense_network import DenseNetwork

TINY = 1e-12
"""A smaller variance is that of a constant feature."""
EQUAL = 1e-4
"""Relative to the largest number of a component: so near to it a number is as large."""
CHUNK = 8192
"""Rows that are brought to double precision at a time."""


class Components(NamedTuple):
    """PCA of weighted rows.

    Attributes:
        mean: `(d,)`.
        vectors: one component in each column, orthonormal, `(d, min(n, d))`, each with the sign
            that makes its largest number positive, and the first of these if several are equal.
        variances: those along the components, descending; their sum is the total variance.
        spreads: the variances of the features, `(d,)`.
    """

    mean: Array
    vectors: Array
    variances: Array
    spreads: Array

    def truncate(self, n: int) -> Components:
        """The first `n` components alone."""
        return self._replace(vectors=self.vectors[:, :n], variances=self.variances[:n])

    def n_components_for(self, share: float) -> int:
        """The smallest number of components that keep this share of the variance."""
        shares = np.cumsum(self.variances) / (self.variances.sum() or 1.0)
        return min(int(np.searchsorted(shares, share * (1 - 1e-12))) + 1, len(self.variances))

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


def pca_network(principal: Components) -> DenseNetwork:
    """PCA as a network without hidden layers."""
    kernel = np.where(principal.spreads[:, None] <= TINY, 0.0, principal.vectors)
    bias = -principal.mean @ principal.vectors
    return DenseNetwork(
        (kernel.astype(np.float32),),
        (bias.astype(np.float32),),
        (principal.mean.astype(np.float32),),
        gains=None,
        activation="linear",
        linear_units=0,
    )


def start_network(
    principal: Components, hidden: Sequence[int], activation: str, random: np.random.Generator
) -> DenseNetwork:
    """A network with hidden layers that computes PCA, and whose other units can learn the rest.

    The first k units of each hidden layer, which skip the activation, carry the PCA scores. The
    others come in pairs with equal weights (`locate_pairs`). The two of a pair enter the next layer
    with opposite signs, and so cancel; their gains in the decoder are 0. The gradients of the gains
    are not 0: in the decoder, the two of a pair have opposite kernels and so different values.

    A constant feature has zero weights and a zero gradient in both halves: it is reconstructed
    exactly, after training too.

    Args:
        principal: as many components as the code has units, k.
        hidden: the units of each hidden layer besides those k.
        activation: the name of the activation.
        random: draws the weights of the pairs.
    """
    k = principal.vectors.shape[1]
    sizes = [len(principal.mean), *(k + units for units in hidden), k]
    deviations = np.sqrt(np.maximum(principal.variances, 1e-3 * principal.variances[0] + TINY))
    layers = []
    for place, (inputs, units) in enumerate(pairwise(sizes)):
        kernel, bias = random.normal(size=(inputs, units)) / np.sqrt(inputs), np.zeros(units)
        pairs = (units - k) // 2
        one, other = locate_pairs(k, pairs)
        kernel[:, other] = kernel[:, one]
        bias[one] = bias[other] = random.uniform(-1, 1, pairs)
        if place == 0:
            kernel[:, :k] = principal.vectors
            bias[:k] = -principal.mean @ principal.vectors
            kernel[principal.spreads <= TINY] = 0.0
            decoder_bias = principal.mean
        else:
            pairs = (inputs - k) // 2
            one, other = locate_pairs(k, pairs)
            kernel[:, :k] = np.eye(inputs, k)
            kernel[one, :k] = random.normal(size=(pairs, k)) / (np.sqrt(k) * deviations)
            kernel[other, :k] = -kernel[one, :k]
            decoder_bias = np.zeros(inputs)
            decoder_bias[one] = decoder_bias[other] = random.uniform(0.2, 1, pairs)
        gain = (np.arange(units) < k).astype(np.float64)
        layers.append([each.astype(np.float32) for each in (kernel, bias, decoder_bias, gain)])
    kernels, biases, decoder_biases, gains = zip(*layers, strict=True)
    return DenseNetwork(kernels, biases, decoder_biases, gains if hidden else None, activation, k)


def undo_projection(network: DenseNetwork, principal: Components) -> DenseNetwork:
    """The network of rows, `(n, d)`, for one of their scores on principal components, `(n, m)`."""
    vectors, mean = principal.vectors, principal.mean
    first, *kernels = network.kernels
    bias, *biases = network.biases
    decoder_bias, *decoder_biases = network.decoder_biases
    kernel = vectors @ first
    return replace(
        network,
        kernels=(kernel.astype(np.float32), *kernels),
        biases=((bias - mean @ kernel).astype(np.float32), *biases),
        decoder_biases=((mean + vectors @ decoder_bias).astype(np.float32), *decoder_biases),
    )
