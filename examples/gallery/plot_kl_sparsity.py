"""
Sparsity by the mean activation
===============================

How often the units of a code are active: the penalty of Kullback and Leibler pulls their means to
its target.
"""

import keras_tied
from keras_tied.regularizers import KLSparsity

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
target = 0.05
penalties = {
    "no penalty": None,
    f"KLSparsity({target})": KLSparsity(target, factor=3e-3),
}

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for (name, penalty), marker in zip(penalties.items(), "so", strict=True):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(64, "sigmoid", activity_regularizer=penalty)
    encoder = keras.Sequential([keras.Input((64,)), hidden])
    autoencoder = keras_tied.Autoencoder(encoder)
    autoencoder.compile(keras.optimizers.Adam(0.01))
    autoencoder.fit(X, batch_size=128, epochs=40, verbose=0)
    means = np.sort(autoencoder.encode(X).mean(axis=0))
    error = autoencoder.reconstruction_error(X).mean()
    axes.plot(
        range(1, 65), means, marker, markersize=4, label=f"{name}, error {error:.4f}"
    )
axes.axhline(target, color="0.5", linewidth=1, linestyle="--", label="the target")
axes.set(
    xlabel="unit, by its mean", ylabel="mean activation over all rows", ylim=(0, 1)
)
axes.legend(frameon=False)
plt.show()
