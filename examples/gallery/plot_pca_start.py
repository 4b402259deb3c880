"""
Start from PCA
==============

The training error from random weights and from PCA's solution: the second begins at an error that
the first reaches after many epochs.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

X = (load_digits().data / 16).astype("float32")
pca = PCA(8).fit(X)
pca_error = np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2)

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for start, style in {None: "C1--", "pca": "C0-"}.items():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "relu"), keras.layers.Dense(8)]
    encoder = keras.Sequential([keras.Input((64,)), *layers])
    autoencoder = keras_tied.Autoencoder(encoder)
    autoencoder.compile(keras.optimizers.Adam(1e-3))
    settings = {"batch_size": 128, "epochs": 60, "verbose": 0}
    losses = autoencoder.fit(X, start=start, **settings).history["loss"]
    name = "from PCA" if start else "from random weights"
    axes.plot(range(1, len(losses) + 1), losses, style, linewidth=2, label=name)
axes.axhline(pca_error, color="0.5", linewidth=1, label="PCA, 8 components")
axes.set(xlabel="epoch", ylabel="mean squared error", xscale="log", yscale="log")
axes.legend(frameon=False)
axes.grid(which="both", alpha=0.3)
plt.show()
