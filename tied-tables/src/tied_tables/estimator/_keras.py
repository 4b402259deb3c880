"""A fitted network as a Keras model; needs the extra `keras` and a backend."""

from itertools import chain

import keras  # isort: skip
from keras_tied import Autoencoder, mirror
from keras_tied.layers import PartlyLinear
from tied_tables.model.dense_network import DenseNetwork


def make_model(
    network: DenseNetwork,
    *,
    noise: float,
    sparsity: float,
    weight_decay: float,
) -> Autoencoder:
    """A new Keras model that computes what a network does, of a fitted value."""
    decay = keras.regularizers.L2(weight_decay) if weight_decay else None
    n_features, *hidden, n_components = network.layer_sizes
    encoder = keras.Sequential(
        [keras.Input((n_features,), name="features")], name="encoder"
    )
    for index, units in enumerate(hidden, 1):
        name = f"hidden_{index}"
        encoder.add(keras.layers.Dense(units, kernel_regularizer=decay, name=name))
        activation = PartlyLinear(
            network.activation, n_components, name=f"{name}_activation"
        )
        encoder.add(activation)
    encoder.add(keras.layers.Dense(n_components, kernel_regularizer=decay, name="code"))
    decoder = mirror(encoder, gain=True, name="decoder")
    regularizer = keras.regularizers.L1(sparsity) if sparsity else None
    model = Autoencoder(
        encoder,
        decoder,
        noise=noise or None,
        code_regularizer=regularizer,
        name="autoencoder",
    )
    forth = zip(network.kernels, network.biases, strict=True)
    back = zip(network.decoder_biases, network.gains, strict=True)
    backwards = [*chain(*back)][::-1]  # the gain and the bias of each layer
    model.set_weights([*chain(*forth), *backwards])
    model.compile(None)  # without an optimizer and its state
    return model
