"""A sparse autoencoder of scikit-learn's digits, and a picture of what its units stand for.

Prints the error beside that of PCA with as many components as a row has active units, their number,
and how many units are never active; draws the directions of the units that are active most.
"""

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

UNITS, ACTIVE = 128, 6

keras.utils.set_random_seed(0)
train, test = train_test_split(load_digits().data.astype("float32") / 16, random_state=0)
mean = train.mean(axis=0)

encoder = keras.layers.Dense(UNITS, name="encoder")
inputs = keras.Input((64,))
code = keras_tied.layers.BatchTopK(ACTIVE, name="code")(encoder(inputs))
of_norm_1 = keras.constraints.UnitNorm(axis=1)
decoder = keras_tied.tie(encoder, untie=True, kernel_constraint=of_norm_1, name="decoder")
model = keras.Model(inputs, decoder(code))
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(train - mean, train - mean, batch_size=64, epochs=150, verbose=0)

codes = keras.Model(inputs, code).predict(test - mean, verbose=0)
pca = PCA(ACTIVE).fit(train)
restored = pca.inverse_transform(pca.transform(test))
active = codes > 0
print(f"PCA, {ACTIVE} components: {np.mean((restored - test) ** 2):.5f}")
print(f"{UNITS} units: {model.evaluate(test - mean, test - mean, verbose=0):.5f}", end=", ")
print(f"{active.sum(axis=1).mean():.1f} active a row, {(~active.any(axis=0)).sum()} never")

figure, axes = plt.subplots(4, 8, figsize=(8, 4.4), layout="constrained")
most = np.argsort(-active.sum(axis=0))[: axes.size]
for axis, unit in zip(axes.flat, most, strict=True):
    direction = keras.ops.convert_to_numpy(decoder.kernel)[unit].reshape(8, 8)
    axis.imshow(direction, cmap="gray", vmin=-0.6, vmax=0.6)  # 0 is in the middle
    axis.set_axis_off()
figure.suptitle("The units that are active most, by what they add to a picture")
figure.savefig("sparse-digits.png", dpi=110)
