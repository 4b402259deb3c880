"""Networks that start as PCA."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.pca import TINY, Components


def start_network(
    principal: Components,
    hidden: Sequence[int] = (),
    activation: str = "linear",
    seed: int = 0,
) -> DenseNetwork:
    """A network that computes PCA, and whose hidden units can learn the rest.

    The first k units of each hidden layer, which skip the activation, carry the PCA
    scores. The others come in pairs with equal weights (`locate_pairs`). The two of a
    pair enter the next layer with opposite signs, and so cancel; their gains in the
    decoder are 0. The gradients of the gains are not 0: in the decoder, the two of a
    pair have opposite kernels and so different values.

    A constant feature has zero weights and a zero gradient in both halves: it is
    reconstructed exactly, after training too. `hidden` are the units of each hidden
    layer besides those k.
    """
    random = np.random.default_rng(seed)
    k = principal.vectors.shape[1]
    sizes = [len(principal.mean), *(k + units for units in hidden), k]
    least_variance = 1e-3 * principal.variances[0] + TINY
    variances = np.maximum(principal.variances, least_variance)
    deviations = np.sqrt(variances)
    layers = []
    for place, (inputs, units) in enumerate(pairwise(sizes)):
        kernel = random.normal(size=(inputs, units))
        kernel /= np.sqrt(inputs)
        bias = np.zeros(units)
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
            weights = random.normal(size=(pairs, k))
            weights /= np.sqrt(k) * deviations
            kernel[:, :k] = np.eye(inputs, k)
            kernel[one, :k] = weights
            kernel[other, :k] = -weights
            decoder_bias = np.zeros(inputs)
            decoder_bias[one] = decoder_bias[other] = random.uniform(0.2, 1, pairs)
        gain = np.arange(units) < k
        layer = kernel, bias, decoder_bias, gain
        layers.append([array.astype(np.float32) for array in layer])
    kernels, biases, decoder_biases, gains = zip(*layers, strict=True)
    return DenseNetwork(
        kernels=kernels,
        biases=biases,
        decoder_biases=decoder_biases,
        gains=gains,
        activation=activation,
    )


def locate_pairs(n_components: int, pairs: int) -> tuple[slice, slice]:
    """The first and the second units of the pairs of a hidden layer.

    For k components and p pairs, units `0 .. k - 1` carry the scores; unit `k + i` and
    unit `k + p + i` are a pair, for i from 0 to p - 1.
    """
    first = slice(n_components, n_components + pairs)
    second = slice(first.stop, first.stop + pairs)
    return first, second


def undo_projection(
    network: DenseNetwork,
    principal: Components,
) -> DenseNetwork:
    """The network of rows, `(n, d)`, for one of their scores, `(n, m)`."""
    vectors = principal.vectors
    mean = principal.mean
    kernel = vectors @ network.kernels[0]
    bias = network.biases[0] - mean @ kernel
    decoder_bias = mean + vectors @ network.decoder_biases[0]
    firsts = {"kernels": kernel, "biases": bias, "decoder_biases": decoder_bias}
    arrays: dict[str, Any] = {}
    for name, first in firsts.items():
        _, *remaining = getattr(network, name)
        arrays[name] = (first.astype(np.float32), *remaining)
    return replace(network, **arrays)
