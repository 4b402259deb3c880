"""The networks of the estimator as Keras models: made, set to PCA, and turned into arrays."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_tied._types import Array
from keras_tied.autoencoder import Autoencoder, mirror
from keras_tied.autoencoder.internal import locate_pairs
from keras_tied.estimator._activations import activation_name
from keras_tied.estimator._compiled_network import CompiledNetwork
from keras_tied.estimator._dense_network import DenseNetwork
from keras_tied.estimator._pca import TINY, Components
from keras_tied.layers import PartlyLinear, TiedDense

UNITS, MOST_UNITS, FEWEST_UNITS = 64, 512, 8
ROWS_PER_UNIT = 8


def build_network(
    n_features: int,
    n_components: int,
    hidden: Sequence[int],
    activation: Any,
    weight_decay: float,
    **objectives: Any,
) -> Autoencoder:
    """Build a tied autoencoder, whose hidden layers begin with `n_components` linear units.

    Its kernels are 0 until `set_to_pca` or `set_weights` sets them: JAX would compile a program to
    draw each, half a second in all.

    Args:
        n_features: the features of a row.
        n_components: the units of the code.
        hidden: the other units of each hidden layer, which go through the activation.
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
            dense(n_components + units, f"hidden_{index}"),
            PartlyLinear(activation, n_components, name=f"hidden_{index}_activation"),
        ]
    encoder = keras.Sequential(
        [keras.Input((n_features,), name="features"), *stack, dense(n_components, "code")],
        name="encoder",
    )
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel_initializer = keras.initializers.GlorotUniform()  # for clones
    decoder = mirror(encoder, gain=bool(hidden), name="decoder")
    return Autoencoder(encoder, decoder, name="autoencoder", **objectives)


def _zeros(shape: Any, dtype: Any = None) -> Any:
    return np.zeros(shape, np.float32)


def choose_hidden_units(sizes: Any, n: int, n_features: int) -> list[int]:
    """The units of the hidden layers for `hidden_layer_sizes` and `n` rows."""
    if isinstance(sizes, str):
        most = max(FEWEST_UNITS, n // ROWS_PER_UNIT)
        size = min(max(UNITS, 2 * n_features), MOST_UNITS, most)
        return [size + size % 2]
    array = np.atleast_1d(np.asarray(sizes))
    if array.ndim > 1 or any(size != int(size) or size < 1 for size in array):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a sequence of "
            "such numbers."
        )
    return [int(size) for size in array]


def get_activation(identifier: Any) -> Any:
    """The function of an activation, which decoder and files have to be able to repeat."""
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
    """Refuse an encoder of unknown input or output shape."""
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
    """Set the weights so that the network computes PCA.

    The linear units carry the PCA scores. The other units of a hidden layer come in pairs with
    equal weights (`locate_pairs`). The two of a pair enter the next layer with opposite signs, and
    so cancel; their gains in the decoder are 0. The gradients of the gains are not 0: in the
    decoder, the two of a pair have opposite kernels and so different values.

    A constant feature has zero weights and a zero gradient in both halves: it is reconstructed
    exactly, after training too.

    Args:
        model: made by `build_network`.
        principal: as many components as the code has units.
        rng: draws the weights of the pairs.
    """
    k, layers = principal.vectors.shape[1], _dense_layers(model)
    sizes = np.sqrt(np.maximum(principal.variances, 1e-3 * principal.variances[0] + TINY))
    for place, (layer, back) in enumerate(layers):
        inputs, units = layer.kernel.shape
        kernel, bias = rng.normal(size=(inputs, units)) / np.sqrt(inputs), np.zeros(units)
        pairs = (units - k) // 2
        one, other = locate_pairs(k, pairs)
        kernel[:, other] = kernel[:, one]
        bias[one] = bias[other] = rng.uniform(-1, 1, pairs)
        if place == 0:
            kernel[:, :k] = principal.vectors
            bias[:k] = -principal.mean @ principal.vectors
            kernel[principal.spreads <= TINY] = 0.0
            decoder_bias = principal.mean
        else:
            pairs = (inputs - k) // 2
            one, other = locate_pairs(k, pairs)
            kernel[:, :k] = np.eye(inputs, k)
            kernel[one, :k] = rng.normal(size=(pairs, k)) / (np.sqrt(k) * sizes)
            kernel[other, :k] = -kernel[one, :k]
            decoder_bias = np.zeros(inputs)
            decoder_bias[one] = decoder_bias[other] = rng.uniform(0.2, 1, pairs)
        gain = (np.arange(units) < k).astype(np.float64) if back.use_gain else None
        _assign(layer, back, kernel, bias, decoder_bias, gain)


def set_arrays(model: Autoencoder, arrays: DenseNetwork) -> None:
    """Set the weights of what `build_network` made to those of a `DenseNetwork`."""
    gains = arrays.gains or [None] * len(arrays.kernels)
    weights_of_layers = zip(
        arrays.kernels, arrays.biases, arrays.decoder_biases, gains, strict=True
    )
    for (layer, back), weights in zip(_dense_layers(model), weights_of_layers, strict=True):
        _assign(layer, back, *weights)


def inference_network(
    model: Autoencoder, own: bool, like: DenseNetwork | CompiledNetwork | None = None
) -> DenseNetwork | CompiledNetwork:
    """A network that computes what a model does now: in NumPy if it can, else compiled.

    Args:
        model: an autoencoder.
        own: whether it was made by `build_network`.
        like: a network of the same model, whose compiled functions are used. Defaults to none.
    """
    dense = _to_arrays(model) if own else None
    return dense or CompiledNetwork(model, like if isinstance(like, CompiledNetwork) else None)


def _to_arrays(model: Autoencoder) -> DenseNetwork | None:
    """The arrays of what `build_network` made; None if NumPy lacks the activation."""
    hidden = [layer for layer in model.encoder.layers if isinstance(layer, PartlyLinear)]
    activation: str | None = "linear"
    if hidden:
        activation = activation_name(keras.activations.serialize(hidden[0].activation))
    if activation is None:
        return None
    layers = _dense_layers(model)
    gains = tuple(_to_array(back.gain) for _, back in layers if back.use_gain)
    return DenseNetwork(
        kernels=tuple(_to_array(layer.kernel) for layer, _ in layers),
        biases=tuple(_to_array(layer.bias) for layer, _ in layers),
        decoder_biases=tuple(_to_array(back.bias) for _, back in layers),
        gains=gains or None,
        activation=activation,
        linear_units=hidden[0].linear_units if hidden else 0,
    )


def _dense_layers(model: Autoencoder) -> list[tuple[Any, Any]]:
    """The dense layers of the encoder, each with the layer of the decoder that is tied to it."""
    encoder = [layer for layer in model.encoder.layers if isinstance(layer, keras.layers.Dense)]
    decoder = [layer for layer in model.decoder.layers if isinstance(layer, TiedDense)]
    return list(zip(encoder, reversed(decoder), strict=True))


def _assign(
    layer: Any, back: Any, kernel: Array, bias: Array, decoder_bias: Array, gain: Array | None
) -> None:
    """Set the weights of an encoder layer and of its mirror."""
    # As float32, since JAX compiles a conversion for each shape.
    layer.kernel.assign(kernel.astype(np.float32))
    layer.bias.assign(bias.astype(np.float32))
    back.bias.assign(decoder_bias.astype(np.float32))
    if gain is not None:
        back.gain.assign(gain.astype(np.float32))


def _to_array(variable: Any) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable), np.float32)
