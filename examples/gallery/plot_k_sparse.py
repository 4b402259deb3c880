"""
A k-sparse code
===============

What each unit draws when only k of 64 may be active: few of them make parts of digits, many make
fine grain.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
X -= X.mean(axis=0)
figure = plt.figure(figsize=(7, 3.9), layout="constrained")
for part, k in zip(figure.subfigures(1, 2), (2, 16), strict=True):
    keras.utils.set_random_seed(0)
    encoder = keras.layers.Dense(64, use_bias=False)
    inputs = keras.Input((64,))
    code = keras_tied.layers.KSparse(k)(encoder(inputs))
    autoencoder = keras.Model(inputs, keras_tied.tie(encoder)(code))
    autoencoder.compile(keras.optimizers.Adam(3e-3), "mse")
    keras_tied.training.fit(autoencoder, X, X, batch_size=128, epochs=30, verbose=0)

    error = autoencoder.evaluate(X, X, verbose=0)
    part.suptitle(f"{k} of 64 active, error {error:.3f}", fontsize=11)
    kernel = keras.ops.convert_to_numpy(encoder.kernel).T
    codes = keras.Model(inputs, code).predict(X, verbose=0)
    most = np.argsort(-(codes != 0).sum(axis=0))[:25]  # the units that are active most
    for axis, unit in zip(part.subplots(5, 5).flat, most, strict=True):
        limit = np.abs(kernel[unit]).max()
        axis.imshow(kernel[unit].reshape(8, 8), cmap="gray_r", vmin=-limit, vmax=limit)
        axis.set_axis_off()
plt.show()
