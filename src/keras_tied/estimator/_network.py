"""The network of the estimator, and weights with which it is PCA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tied._mirror import mirror
from keras_tied.autoencoder import Autoencoder
from keras_tied.estimator._pca import Components
from keras_tied.layers import PartlyLinear, TiedDense

TINY = 1e-12


def network(
    n_features: int,
    width: int,
    hidden: Sequence[int],
    activation: Any,
    weight_decay: float,
    **objectives: Any,
) -> Autoencoder:
    """A tied autoencoder with `width` more units in each hidden layer, which are linear.

    Args:
        n_features: the features of a row.
        width: the units of the code.
        hidden: the units of each hidden layer that go through the activation.
        activation: their activation.
        weight_decay: the factor of the squares of the kernels.
        **objectives: `noise`, `code_regularizer` and `contraction` of `Autoencoder`.
    """

    def dense(units: int, name: str) -> keras.layers.Dense:
        decay = keras.regularizers.L2(weight_decay) if weight_decay else None
        return keras.layers.Dense(units, kernel_regularizer=decay, name=name)

    stack: list[keras.layers.Layer] = []
    for index, units in enumerate(hidden, 1):
        stack += [
            dense(width + units, f"hidden_{index}"),
            PartlyLinear(activation, width, name=f"hidden_{index}_activation"),
        ]
    encoder = keras.Sequential(
        [keras.Input((n_features,), name="features"), *stack, dense(width, "code")], name="encoder"
    )
    decoder = mirror(encoder, gain=bool(hidden), name="decoder")
    return Autoencoder(encoder, decoder, name="autoencoder", **objectives)


def set_to_pca(model: Autoencoder, principal: Components, rng: np.random.Generator) -> None:
    """Let a `network` be PCA: its linear units carry the scores, the others are not seen yet.

    The others come in pairs of equal weights, which enter the next layer with opposite signs and
    so cancel. Their gain in the decoder is 0, and its gradient is not: there, the two of a pair
    give different values. Training brings them in.

    Args:
        model: what `network` made.
        principal: as many components as the code has units.
        rng: draws the weights of the others.
    """
    width = principal.vectors.shape[1]
    sizes = np.sqrt(np.maximum(principal.variances, 1e-3 * principal.variances[0] + TINY))
    kernels = [layer for layer in model.encoder.layers if isinstance(layer, keras.layers.Dense)]
    mirrors: list[Any] = [layer for layer in model.decoder.layers if isinstance(layer, TiedDense)][
        ::-1
    ]
    for layer, back in zip(kernels, mirrors, strict=True):
        rows, units = layer.kernel.shape
        pairs = (units - width) // 2
        one, other = slice(width, width + pairs), slice(width + pairs, width + 2 * pairs)
        kernel, bias = rng.normal(size=(rows, units)) / np.sqrt(rows), np.zeros(units)
        kernel[:, other] = kernel[:, one]
        bias[one] = bias[other] = rng.uniform(-1, 1, pairs)
        mirrored = np.zeros(rows)
        if layer is kernels[0]:
            kernel[:, :width] = principal.vectors
            bias[:width] = -principal.mean @ principal.vectors
            mirrored[:] = principal.mean
        else:
            pairs = (rows - width) // 2
            one, other = slice(width, width + pairs), slice(width + pairs, width + 2 * pairs)
            kernel[:, :width] = np.eye(rows, width)
            kernel[one, :width] = rng.normal(size=(pairs, width)) / (np.sqrt(width) * sizes)
            kernel[other, :width] = -kernel[one, :width]
            mirrored[one] = mirrored[other] = rng.uniform(0.2, 1, pairs)
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
        back.bias.assign(mirrored)
        if back.use_gain:
            back.gain.assign(np.arange(units) < width)
