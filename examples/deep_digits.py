"""A deep autoencoder of which the decoder is tied layer by layer, on scikit-learn's digits."""

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

X = load_digits().data.astype("float32") / 16
train, test = X[:1200], X[1200:]

keras.utils.set_random_seed(0)
dense = keras.layers.Dense
encoder = keras.Sequential([keras.Input((64,)), dense(48, "silu"), dense(32, "silu"), dense(8)])
decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
autoencoder = keras_tied.Autoencoder(encoder, decoder)
autoencoder.compile(keras.optimizers.Adam(0.01))

history = autoencoder.fit(
    train, batch_size=len(train), epochs=1000, validation_data=test, verbose=0
)

pca = PCA(8).fit(train)
error = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
print(f"squared error on held-out digits: {history.history['val_loss'][-1]:.4f}, PCA {error:.4f}")
