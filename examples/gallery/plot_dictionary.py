"""
A dictionary of pictures
========================

The most active units of a sparse autoencoder, which add up to digits, six at a time: red adds ink,
blue removes it.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

UNITS, ACTIVE = 128, 6
X = (load_digits().data / 16).astype("float32")
train, test, mean = X[:1400], X[1400:], X[:1400].mean(axis=0)

keras.utils.set_random_seed(0)
encoder = keras.layers.Dense(UNITS, name="encoder")
inputs = keras.Input((64,))
code = keras_tied.layers.BatchTopK(ACTIVE, name="code")(encoder(inputs))
of_norm_1 = keras.constraints.UnitNorm(axis=1)
decoder = keras_tied.tie(
    encoder, untie=True, kernel_constraint=of_norm_1, name="decoder"
)
model = keras.Model(inputs, decoder(code))
model.compile(keras.optimizers.Adam(3e-3), "mse")
settings = {"batch_size": 64, "epochs": 60, "verbose": 0}
keras_tied.training.fit(model, train - mean, train - mean, **settings)

codes = keras.Model(inputs, code).predict(test - mean, verbose=0)
error = model.evaluate(test - mean, test - mean, verbose=0)
pca = PCA(ACTIVE).fit(train)
pca_error = np.mean((pca.inverse_transform(pca.transform(test)) - test) ** 2)

figure, axes = plt.subplots(4, 8, figsize=(8, 4.6), layout="constrained")
most = np.argsort(-(codes > 0).sum(axis=0))[: axes.size]
directions = keras.ops.convert_to_numpy(decoder.kernel)
for axis, unit in zip(axes.flat, most, strict=True):
    axis.imshow(directions[unit].reshape(8, 8), cmap="RdBu_r", vmin=-0.6, vmax=0.6)
    axis.set_axis_off()
figure.suptitle(
    f"{(codes > 0).sum(axis=1).mean():.1f} of {UNITS} units add up to a digit: error {error:.4f}; "
    f"PCA with {ACTIVE} components {pca_error:.4f}",
    fontsize=11,
)
plt.show()
