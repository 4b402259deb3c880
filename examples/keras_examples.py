"""Autoencoders of Keras's own examples, once with the decoder written out, once with `mirror`.

Each encoder is that of the example, narrower, for scikit-learn's digits (8 x 8) or a made series.
Prints parameters and the squared error on rows held out.
"""

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

digits = (load_digits().images / 16)[..., None].astype("float32")
noisy = np.clip(digits + np.random.default_rng(0).normal(0, 0.4, digits.shape), 0, 1)
steps = np.arange(4000)
series = (
    np.sin(steps / 9)
    + 0.5 * np.sin(steps / 31)
    + np.random.default_rng(1).normal(0, 0.1, 4000)
)
windows = np.stack([series[i : i + 64] for i in range(0, 3936, 4)])[..., None].astype(
    "float32"
)


class Sampling(layers.Layer):
    """A draw from the normal distribution of a code; its divergence is added to the loss."""

    def call(self, inputs):
        """A draw from the distribution of each code."""
        mean, log_variance = inputs
        divergence = (
            keras.ops.square(mean) + keras.ops.exp(log_variance) - log_variance - 1
        )
        self.add_loss(2e-4 * keras.ops.mean(keras.ops.sum(divergence, axis=-1)))
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.generator)
        return mean + keras.ops.exp(log_variance / 2) * noise

    def build(self, input_shapes):
        """Make the generator of the draws."""
        self.generator = keras.random.SeedGenerator(0)


def variational(tied):
    inputs = keras.Input((8, 8, 1))
    hidden = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(inputs)
    hidden = layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(hidden)
    hidden = layers.Dense(16, activation="relu")(layers.Flatten()(hidden))
    outputs = [layers.Dense(4, name=name)(hidden) for name in ("mean", "log_variance")]
    encoder = keras.Model(inputs, [*outputs, Sampling()(outputs)])
    decoder = (
        keras_tied.mirror(keras.Model(inputs, outputs[0]), output_activation="sigmoid")
        if tied
        else keras.Sequential(
            [
                layers.Dense(16, activation="relu"),
                layers.Dense(2 * 2 * 32, activation="relu"),
                layers.Reshape((2, 2, 32)),
                layers.Conv2DTranspose(
                    16, 3, strides=2, padding="same", activation="relu"
                ),
                layers.Conv2DTranspose(
                    1, 3, strides=2, padding="same", activation="sigmoid"
                ),
            ]
        )
    )
    return keras.Model(inputs, decoder(encoder(inputs)[2]))


def denoising(tied):
    first = layers.Conv2D(16, 3, activation="relu", padding="same")
    second = layers.Conv2D(16, 3, activation="relu", padding="same")
    pool = layers.MaxPooling2D
    encoder = keras.Sequential(
        [keras.Input((8, 8, 1)), first, pool(2), second, pool(2)]
    )
    up = {"strides": 2, "activation": "relu", "padding": "same"}
    decoder = (
        keras_tied.mirror(encoder, output_activation="sigmoid")
        if tied
        else keras.Sequential(
            [
                layers.Conv2DTranspose(16, 3, **up),
                layers.Conv2DTranspose(16, 3, **up),
                layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
            ]
        )
    )
    return keras.Sequential([encoder, decoder])


def of_a_series(tied):
    down = {"strides": 2, "activation": "relu", "padding": "same"}
    first, second = layers.Conv1D(16, 7, **down), layers.Conv1D(8, 7, **down)
    encoder = keras.Sequential(
        [keras.Input((64, 1)), first, layers.Dropout(0.1), second]
    )
    decoder = (
        keras_tied.mirror(encoder)
        if tied
        else keras.Sequential(
            [
                layers.Conv1DTranspose(8, 7, **down),
                layers.Dropout(0.1),
                layers.Conv1DTranspose(16, 7, **down),
                layers.Conv1DTranspose(1, 7, padding="same"),
            ]
        )
    )
    return keras.Sequential([encoder, decoder])


for build, x, y in [
    (variational, digits, digits),
    (denoising, noisy, digits),
    (of_a_series, windows, windows),
]:
    n_train = 3 * len(x) // 4
    for tied in (True, False):
        keras.utils.set_random_seed(0)
        model = build(tied)
        model.compile(keras.optimizers.Adam(2e-3), "mse")
        model.fit(x[:n_train], y[:n_train], batch_size=32, epochs=30, verbose=0)
        error = np.mean((model.predict(x[n_train:], verbose=0) - y[n_train:]) ** 2)
        name = f"{build.__name__}, {'tied' if tied else 'untied'}"
        print(f"{name:20} {model.count_params():6} parameters  {error:.4f}")
