"""
Eight bits for both halves
==========================

Reconstructed pixels before and after ``quantize("int8")``: the decoder reads the quantised kernel
of the encoder, and the file is smaller.
"""

import os
import tempfile

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
keras.utils.set_random_seed(0)
encoder = keras.Sequential(
    [keras.Input((64,)), keras.layers.Dense(256, "relu"), keras.layers.Dense(16)]
)
autoencoder = keras_tied.Autoencoder(encoder)
autoencoder.compile(keras.optimizers.Adam(3e-3))
autoencoder.fit(X, batch_size=128, epochs=30, verbose=0)


def measure_file():
    """The bytes of the saved weights."""
    path = f"{tempfile.mkdtemp()}/model.weights.h5"
    autoencoder.save_weights(path)
    return os.path.getsize(path)


autoencoder.compile()  # without the optimizer's state
given, size = autoencoder.predict(X, verbose=0), measure_file()
autoencoder.quantize("int8")
quantised, small = autoencoder.predict(X, verbose=0), measure_file()
difference = np.sqrt(np.mean((quantised - given) ** 2) / np.mean(given**2))

figure, axes = plt.subplots(figsize=(5.4, 4.8), layout="constrained")
hexagons = axes.hexbin(
    given.ravel(), quantised.ravel(), bins="log", gridsize=50, cmap="viridis"
)
axes.set(xlabel="pixel, float32", ylabel="pixel, int8", aspect="equal")
axes.set(
    title=f"apart by {difference:.1%} (RMS); file {size // 1000} → {small // 1000} kB"
)
figure.colorbar(hexagons, label="pixels")
plt.show()
