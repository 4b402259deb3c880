"""A deep autoencoder of which the decoder is tied layer by layer, on scikit-learn's digits."""

import keras_tied  # noqa: F401  settles the backend before Keras is imported

# isort: split
import keras
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from keras_tied.layers import TiedDense
from keras_tied.training import fit

X = load_digits().data.astype("float32") / 16
train, test = X[:1200], X[1200:]

keras.utils.set_random_seed(0)
inputs = keras.Input((64,))
stack = [keras.layers.Dense(48, "silu"), keras.layers.Dense(32, "silu"), keras.layers.Dense(8)]
tensor = inputs
for layer in stack:
    tensor = layer(tensor)
for layer, activation in zip(reversed(stack), ["silu", "silu", "sigmoid"], strict=True):
    tensor = TiedDense(layer, activation=activation, gain=True)(tensor)
autoencoder = keras.Model(inputs, tensor)
autoencoder.compile(keras.optimizers.Adam(0.01), loss="mse")

history = fit(
    autoencoder,
    train,
    train,
    batch_size=len(train),
    epochs=1000,
    validation_data=(test, test),
    verbose=0,
)

pca = PCA(8).fit(train)
error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
print(f"squared error on held-out digits: {history.history['val_loss'][-1]:.4f}, PCA {error:.4f}")
