"""The classic autoencoders on scikit-learn's digits, each a keyword or a layer away."""

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
from keras.layers import Dense
from sklearn.datasets import load_digits

from keras_tied.layers import KSparse, MaskingNoise
from keras_tied.regularizers import KLSparsity, Orthonormal

X = load_digits().data.astype("float32") / 16
train, test = X[:1200], X[1200:]


def autoencoder(*after, kernel_regularizer=None, **options):
    """64-30-64 with a sigmoid code, and more layers after it."""
    keras.utils.set_random_seed(0)
    code = Dense(30, "sigmoid", kernel_regularizer=kernel_regularizer)
    encoder = keras.Sequential([keras.Input((64,)), code, *after])
    return keras_tied.Autoencoder(encoder, **options)


variants = {
    "plain": autoencoder(),
    "denoising, masked": autoencoder(noise=MaskingNoise(0.2)),
    "denoising, Gaussian": autoencoder(noise=0.1),
    "sparse, L1": autoencoder(code_regularizer=keras.regularizers.L1(1e-3)),
    "sparse, KL": autoencoder(code_regularizer=KLSparsity(0.1, 1e-3)),
    "k-sparse": autoencoder(KSparse(10)),
    "contractive": autoencoder(contraction=1e-3),
    "orthonormal": autoencoder(kernel_regularizer=Orthonormal(1e-3)),
}
print("                     error   code above 0.1   squared Jacobian")
for name, model in variants.items():
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(train, batch_size=100, epochs=40, verbose=0)
    error = model.reconstruction_error(test).mean()
    active = (model.encode(test) > 0.1).mean()
    norm = float(keras.ops.mean(keras_tied.layers.squared_jacobian_norm(model.encoder, test)))
    print(f"{name:20} {error:6.4f}   {active:14.0%}   {norm:16.2f}")
