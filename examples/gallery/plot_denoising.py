"""
Denoising
=========

An autoencoder trained to remove noise, on new pictures.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
train, test = X[:1400], X[1400:]
noisy = test + np.random.default_rng(0).normal(0, 0.3, test.shape).astype("float32")

keras.utils.set_random_seed(0)
encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(96, "relu")])
decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
autoencoder = keras_tied.Autoencoder(encoder, decoder, noise=0.3)
autoencoder.compile(keras.optimizers.Adam(5e-3))
autoencoder.fit(train, batch_size=128, epochs=40, verbose=0)
restored = autoencoder.predict(noisy, verbose=0)

figure, axes = plt.subplots(3, 10, figsize=(8.6, 2.9), layout="constrained")
rows = {"clean": test, "noisy": noisy, "restored": restored}
for line, (name, pictures) in zip(axes, rows.items(), strict=True):
    for axis, picture in zip(line, pictures[:10], strict=True):
        axis.imshow(picture.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    error = np.mean((pictures - test) ** 2)
    line[0].set_ylabel(
        f"{name}\nerror {error:.3f}", rotation=0, ha="right", va="center"
    )
plt.show()
