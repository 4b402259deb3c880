"""The network of the estimator, and weights with which it is PCA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tied._mirror import mirror
from keras_tied.autoencoder import Autoencoder
from keras_tied.estimator._pca import Components
from keras_tied.layers import PartlyLinear, TiedDense

TINY = 1e-12
UNITS, MOST_UNITS, FEWEST_UNITS = 64, 512, 8
ROWS_PER_UNIT = 8


def network(
    n_features: int,
    width: int,
    hidden: Sequence[int],
    activation: Any,
    weight_decay: float,
    **objectives: Any,
) -> Autoencoder:
    """A tied autoencoder with `width` more units in each hidden layer, which are linear.

    Its kernels are 0 until `set_to_pca` sets them: JAX would compile a program to draw each, half a
    second in all.

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
        return keras.layers.Dense(
            units, kernel_initializer=_zeros, kernel_regularizer=decay, name=name
        )

    stack: list[keras.layers.Layer] = []
    for index, units in enumerate(hidden, 1):
        stack += [
            dense(width + units, f"hidden_{index}"),
            PartlyLinear(activation, width, name=f"hidden_{index}_activation"),
        ]
    encoder = keras.Sequential(
        [keras.Input((n_features,), name="features"), *stack, dense(width, "code")], name="encoder"
    )
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel_initializer = keras.initializers.GlorotUniform()  # for clones
    decoder = mirror(encoder, gain=bool(hidden), name="decoder")
    return Autoencoder(encoder, decoder, name="autoencoder", **objectives)


def _zeros(shape: Any, dtype: Any = None) -> Any:
    return np.zeros(shape, np.float32)


def hidden_units(sizes: Any, n: int, n_features: int) -> list[int]:
    """The units of the hidden layers that `hidden_layer_sizes` asks for, for `n` rows."""
    if isinstance(sizes, str):
        most = max(FEWEST_UNITS, n // ROWS_PER_UNIT)
        size = min(max(UNITS, 2 * n_features), MOST_UNITS, most)
        return [size + size % 2]
    found = np.atleast_1d(np.asarray(sizes))
    if found.ndim > 1 or any(size != int(size) or size < 1 for size in found):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a sequence of "
            "such numbers."
        )
    return [int(size) for size in found]


def activation_of(identifier: Any) -> Any:
    """An activation, which the decoder and files have to be able to repeat."""
    try:
        activation = keras.activations.get(identifier)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of Keras, where it is a lambda
            keras.activations.deserialize(keras.activations.serialize(activation))
    except (AttributeError, TypeError, UserWarning, ValueError) as error:
        raise ValueError(
            f"activation={identifier!r} must be the name of a Keras activation, such as 'tanh' or "
            "'relu', or a function that is registered with "
            "keras.saving.register_keras_serializable."
        ) from error
    return activation


def require_known_shapes(encoder: keras.Model | None) -> None:
    """Refuse an encoder that was given, and does not say what it takes and gives."""
    if encoder is None:
        return
    try:
        inputs, outputs = encoder.input_shape, encoder.output_shape
    except AttributeError as error:
        raise ValueError(
            f"encoder={encoder.name!r} must know the shape of its input: begin it with "
            "keras.Input, or call it once."
        ) from error
    if not all(isinstance(shape[0], int | None) for shape in (inputs, outputs)):
        raise ValueError(f"encoder={encoder.name!r} must have one input and one output.")
    if None in (*inputs[1:], *outputs[1:]):
        raise ValueError(
            f"encoder={encoder.name!r} must have an input and an output of known shape, and turns "
            f"{inputs} into {outputs}."
        )


def set_to_pca(model: Autoencoder, principal: Components, rng: np.random.Generator) -> None:
    """Let a `network` be PCA: its linear units carry the scores, the others are not seen yet.

    The others come in pairs of equal weights, which enter the next layer with opposite signs and
    so cancel. Their gain in the decoder is 0, and its gradient is not: there, the two of a pair
    give different values. Training brings them in.

    A feature that is constant has no weights, and training gives it none: neither half has a
    gradient there, and it is restored exactly.

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
            kernel[principal.spreads <= TINY] = 0.0
            mirrored[:] = principal.mean
        else:
            pairs = (rows - width) // 2
            one, other = slice(width, width + pairs), slice(width + pairs, width + 2 * pairs)
            kernel[:, :width] = np.eye(rows, width)
            kernel[one, :width] = rng.normal(size=(pairs, width)) / (np.sqrt(width) * sizes)
            kernel[other, :width] = -kernel[one, :width]
            mirrored[one] = mirrored[other] = rng.uniform(0.2, 1, pairs)
        # As float32, since JAX compiles a conversion for each shape.
        layer.kernel.assign(kernel.astype(np.float32))
        layer.bias.assign(bias.astype(np.float32))
        back.bias.assign(mirrored.astype(np.float32))
        if back.use_gain:
            back.gain.assign((np.arange(units) < width).astype(np.float32))
