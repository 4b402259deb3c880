"""The networks of the estimator as Keras models: made, set to PCA, and turned into arrays."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np

from keras_tied._types import Array
from keras_tied.autoencoder import Autoencoder, mirror
from keras_tied.estimator._fitted.activations import activation_name
from keras_tied.estimator._fitted.compiled_network import CompiledNetwork
from keras_tied.estimator._fitted.dense_network import DenseNetwork
from keras_tied.estimator._fitted.value import Network
from keras_tied.estimator._training.plan import Objectives
from keras_tied.layers import PartlyLinear, TiedDense


def build_network(
    n_features: int,
    n_components: int,
    hidden: Sequence[int],
    activation: Any,
    weight_decay: float,
    objectives: Objectives = Objectives(),  # noqa: B008
) -> Autoencoder:
    """Build a tied autoencoder, whose hidden layers begin with `n_components` linear units.

    Its kernels are 0 until `set_to_pca` or `set_weights` sets them: JAX would compile a program to
    draw each, half a second in all. `hidden` has the other units of each hidden layer, which go
    through the activation.
    """
    activation = get_activation(activation) if hidden else None

    decay = keras.regularizers.L2(weight_decay) if weight_decay else None
    dense = partial(keras.layers.Dense, kernel_initializer=_zeros, kernel_regularizer=decay)
    stack: list[Any] = [keras.Input((n_features,), name="features")]
    for index, units in enumerate(hidden, 1):
        name = f"hidden_{index}"
        stack.append(dense(n_components + units, name=name))
        stack.append(PartlyLinear(activation, n_components, name=f"{name}_activation"))
    encoder = keras.Sequential([*stack, dense(n_components, name="code")], name="encoder")
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel_initializer = keras.initializers.GlorotUniform()  # for clones
    decoder = mirror(encoder, gain=bool(hidden), name="decoder")
    return Autoencoder(encoder, decoder, name="autoencoder", **make_objectives(objectives))


def make_objectives(objectives: Objectives) -> dict[str, Any]:
    """The arguments of `Autoencoder` for what is minimised besides the error."""
    noise, sparsity, contraction = objectives
    return {
        "noise": noise or None,
        "code_regularizer": keras.regularizers.L1(sparsity) if sparsity else None,
        "contraction": float(contraction),
    }


def make_model(network: Network, objectives: Objectives, weight_decay: float) -> Autoencoder:
    """A new Keras model that computes what a network does, of a fitted value."""
    if isinstance(network, CompiledNetwork):
        model = copy.deepcopy(network.model)
        model.set_weights(network.weights)
    else:
        first, *hidden, n_components = network.layer_sizes
        hidden = [units - network.linear_units for units in hidden]
        settings = network.activation, weight_decay, objectives
        model = build_network(first, n_components, hidden, *settings)
        set_arrays(model, network)
    model.compile(None)  # without an optimizer and its state
    return model


def _zeros(shape: Any, dtype: Any = None) -> Any:
    return np.zeros(shape, np.float32)


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


def require_known_shapes(encoder: keras.Model) -> None:
    """Refuse an encoder of unknown input or output shape."""
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


def set_arrays(model: Autoencoder, arrays: DenseNetwork) -> None:
    """Set the weights of what `build_network` made to those of a `DenseNetwork`."""
    for index, (layer, back) in enumerate(_dense_layers(model)):
        layer.kernel.assign(arrays.kernels[index])
        layer.bias.assign(arrays.biases[index])
        back.bias.assign(arrays.decoder_biases[index])
        if arrays.gains is not None:
            back.gain.assign(arrays.gains[index])


def inference_network(model: Autoencoder, own: bool, like: Network | None = None) -> Network:
    """A network that computes what a model does now: in NumPy if it can, else compiled.

    `own` tells whether `build_network` has made it; for `like`, see `CompiledNetwork`.
    """
    dense = _to_arrays(model) if own else None
    return dense or CompiledNetwork(model, like if isinstance(like, CompiledNetwork) else None)


def _to_arrays(model: Autoencoder) -> DenseNetwork | None:
    """The arrays of what `build_network` made; None if NumPy lacks the activation."""
    hidden = [layer for layer in model.encoder.layers if isinstance(layer, PartlyLinear)]
    function = hidden[0].activation if hidden else keras.activations.linear
    activation = activation_name(keras.activations.serialize(function))
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


def _to_array(variable: Any) -> Array:
    return np.array(keras.ops.convert_to_numpy(variable), np.float32)
