"""
A variational autoencoder with a tied decoder
=============================================

Digits decoded from a grid of codes, by a decoder that ``mirror`` built from the encoder's means.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")


class Sampling(keras.layers.Layer):
    """A draw from the normal distribution of a code; its divergence is added to the loss."""

    def build(self, input_shapes):
        """Make the generator of the draws."""
        self.generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        """Draw a code."""
        mean, log_variance = inputs
        divergence = (
            keras.ops.square(mean) + keras.ops.exp(log_variance) - log_variance - 1
        )
        self.add_loss(5e-4 * keras.ops.mean(keras.ops.sum(divergence, axis=-1)))
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.generator)
        return mean + keras.ops.exp(log_variance / 2) * noise


keras.utils.set_random_seed(0)
inputs = keras.Input((64,))
hidden = keras.layers.Dense(128, "silu")(inputs)
mean, log_variance = (
    keras.layers.Dense(2, name=name)(hidden) for name in ("mean", "log_variance")
)
encoder = keras.Model(inputs, [mean, log_variance, Sampling()([mean, log_variance])])
decoder = keras_tied.mirror(keras.Model(inputs, mean), output_activation="sigmoid")
model = keras.Model(inputs, decoder(encoder(inputs)[2]))
model.compile(keras.optimizers.Adam(5e-3), "mse")
keras_tied.training.fit(model, X, X, batch_size=128, epochs=80, verbose=0)

n = 10
ticks = np.linspace(-2, 2, n)
codes = np.array([[x, y] for y in ticks[::-1] for x in ticks], "float32")
pictures = decoder.predict(codes, verbose=0).reshape(n, n, 8, 8)
pictures = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)))  # room between them
figure, axes = plt.subplots(figsize=(5.6, 5.6), layout="constrained")
grid = pictures.transpose(0, 2, 1, 3).reshape(10 * n, 10 * n)
axes.imshow(grid, cmap="gray_r", extent=(-2.2, 2.2, -2.2, 2.2))
axes.set(xlabel="unit 1", ylabel="unit 2")
plt.show()
