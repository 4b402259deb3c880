"""
Contraction
===========

The price of a code that does not follow small changes of a row: the stronger the penalty, the
smaller the slope of the code, and the larger the error.
"""

import keras_tied
from keras_tied.layers import squared_jacobian_norm

import keras
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
train, test = X[:1400], X[1400:]
factors = [0, 3e-3, 1e-2]
points = []
for factor in factors:
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(30, "sigmoid")])
    autoencoder = keras_tied.Autoencoder(encoder, contraction=factor)
    autoencoder.compile(keras.optimizers.Adam(0.01))
    autoencoder.fit(train, batch_size=128, epochs=30, verbose=0)
    slope = float(keras.ops.mean(squared_jacobian_norm(encoder, test)))
    points.append((slope, autoencoder.reconstruction_error(test).mean()))

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(*zip(*points, strict=True), "o-")
for factor, point in zip(factors, points, strict=True):
    axes.annotate(f"{factor:g}", point, xytext=(6, 6), textcoords="offset points")
axes.set(xlabel="squared Jacobian of the code", ylabel="squared error on rows held out")
axes.set(title="Numbers: the factor of the penalty", xlim=(0, 5))
axes.margins(y=0.15)
axes.grid(alpha=0.3)
plt.show()
