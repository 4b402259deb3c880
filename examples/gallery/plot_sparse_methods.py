"""
JumpReLU, BatchTopK and KSparse
===============================

How many units of a dictionary are active for a row, with three kinds of sparse code: as many for
each, as many on average, or as many as the row is worth.
"""

import keras_tied
from keras_tied.layers import BatchTopK, JumpReLU, KSparse

import keras
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)  # a row is the sum of 1 to 11 of 100 directions
directions = rng.normal(size=(100, 32)) / np.sqrt(32)
n_directions = rng.integers(1, 12, 3000)
places = rng.uniform(size=(3000, 100)).argsort(axis=1).argsort(axis=1)
weights = rng.uniform(0.5, 1.5, (3000, 100)) * (places < n_directions[:, None])
X = (weights @ directions).astype("float32")

plt.style.use("tableau-colorblind10")
codes = {"KSparse(8)": KSparse(8), "BatchTopK(8)": BatchTopK(8)}
codes["JumpReLU"] = JumpReLU(threshold=0.1, bandwidth=0.2, l0_coefficient=4e-3)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True, layout="constrained")
for axis, (name, sparse) in zip(axes, codes.items(), strict=True):
    keras.utils.set_random_seed(0)
    inputs, encoder = keras.Input((32,)), keras.layers.Dense(160)
    code = sparse(encoder(inputs))
    of_norm_1 = keras.constraints.UnitNorm(axis=1)
    outputs = keras_tied.tie(encoder, untie=True, kernel_constraint=of_norm_1)(code)
    model = keras.Model(inputs, [outputs, code])
    model.compile(keras.optimizers.Adam(5e-3), ["mse", None])
    keras_tied.training.fit(model, X, [X, X], batch_size=256, epochs=25, verbose=0)
    reconstruction, code = model.predict(X, batch_size=1000, verbose=0)
    n_active = (code != 0).sum(axis=1)
    lost = np.mean((reconstruction - X) ** 2) / X.var()
    axis.plot(
        n_directions + rng.uniform(-0.3, 0.3, 3000),
        n_active,
        ".",
        markersize=2,
        alpha=0.5,
    )
    axis.axline((0, 0), slope=1, color="0.4", linewidth=1, linestyle="--")
    axis.set(
        title=f"{name}: loses {lost:.0%}",
        xlabel="directions in the row",
        xticks=[1, 6, 11],
    )
axes[0].set(ylabel="active units", ylim=(0, 36))
plt.show()
