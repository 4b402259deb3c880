"""
How do I tie the autoencoder that I have?
=========================================

You have an autoencoder in Keras, of the kind that every introduction shows: an encoder, and a
decoder written out beside it. This tutorial changes it line by line into a tied one, and says after
each line what has changed. Where you would load weights that you have trained, it trains a small
model on scikit-learn's digits.
"""

# %%
# Starting point
# --------------
# Two layers down, two layers up, four kernels.

import keras_tied

import keras
import numpy as np
from keras.layers import Dense
from sklearn.datasets import load_digits

X = (load_digits().data / 16).astype("float32")
train, test = X[:1400], X[1400:]


def train_and_report(model):
    """Train a model to give back what it gets, and print its size and its error."""
    model.compile(keras.optimizers.Adam(5e-3), "mse")
    keras_tied.training.fit(model, train, train, batch_size=128, epochs=20, verbose=0)
    error = model.evaluate(test, test, verbose=0)
    print(
        f"{model.count_params():,} weights, squared error of pictures held out {error:.4f}"
    )
    return error


keras.utils.set_random_seed(0)
pixels = keras.Input((64,))
hidden = Dense(48, activation="relu", name="hidden")(pixels)
code = Dense(8, name="code")(hidden)
back = Dense(48, activation="relu", name="back")(code)
picture = Dense(64, activation="sigmoid", name="picture")(back)
untied = keras.Model(pixels, picture)
error_untied = train_and_report(untied)

# %%
# Line one: give the layers names
# -------------------------------
# ``tie`` needs the *layer*, not its output, so the encoder's layers need names: ``code`` was the
# layer's output above, and is the layer below.
#
# Lines two and three: ``tie`` instead of ``Dense``
# -------------------------------------------------
# ``tie(layer)`` is the layer's reverse. It computes ``x @ W.T + b`` with the kernel ``W`` of that
# layer. The units need not be given: they are the number of inputs of the layer.

keras.utils.set_random_seed(0)
hidden = Dense(48, activation="relu", name="hidden")
code = Dense(8, name="code")
pixels = keras.Input((64,))
encoded = code(hidden(pixels))
back = keras_tied.tie(code, activation="relu", name="back")(encoded)
picture = keras_tied.tie(hidden, activation="sigmoid", name="picture")(back)
tied = keras.Model(pixels, picture)
error_tied = train_and_report(tied)

# %%
# Nearly half of the weights are gone; the decoder has kept its biases. What is tied to what?

for each in keras_tied.ties(tied):
    print(
        f"{each.layer_path} is tied to {each.tied_to_path}, kernel {each.kernel_shape}"
    )

# %%
# It is one variable, not two equal ones: what the encoder's kernel becomes, the decoder's is.

kernel = keras.ops.convert_to_numpy(hidden.kernel)
hidden.kernel.assign(2 * kernel)
of_decoder = keras.ops.convert_to_numpy(tied.get_layer("picture").kernel)
assert np.array_equal(of_decoder, 2 * kernel.T)

# %%
# Line four: a gain
# -----------------
# With one kernel, the encoder's scale is the decoder's: where the encoder makes a code small, the
# decoder cannot make it large again. ``gain=True`` learns one factor for each unit. It costs 56
# numbers here.

keras.utils.set_random_seed(0)
hidden, code = Dense(48, activation="relu", name="hidden"), Dense(8, name="code")
pixels = keras.Input((64,))
encoded = code(hidden(pixels))
back = keras_tied.tie(code, activation="relu", gain=True, name="back")(encoded)
picture = keras_tied.tie(hidden, activation="sigmoid", gain=True, name="picture")(back)
with_gain = keras.Model(pixels, picture)
error_gain = train_and_report(with_gain)

# %%
# The tied model has a little over half the weights of the untied one, and is not worse by more than
# a tenth.

assert min(error_tied, error_gain) < 1.1 * error_untied
assert with_gain.count_params() < 0.56 * untied.count_params()

# %%
# Or use ``mirror``
# -----------------
# ``mirror`` writes the two lines of the decoder from the encoder, gains included. ``Autoencoder``
# is the model around both.

keras.utils.set_random_seed(0)
encoder = keras.Sequential([keras.Input((64,)), Dense(48, activation="relu"), Dense(8)])
autoencoder = keras_tied.Autoencoder(
    encoder, keras_tied.mirror(encoder, output_activation="sigmoid")
)
assert autoencoder.count_params() == with_gain.count_params()

# %%
# Keep the weights that you have
# ------------------------------
# A trained untied model is a good start for a tied one: copy the encoder and the decoder's biases,
# and train on. The two kernels of each pair become one, so the error first rises, and then falls.

for ours, theirs in {"hidden": "hidden", "code": "code"}.items():
    with_gain.get_layer(ours).set_weights(untied.get_layer(theirs).get_weights())
for name in ("back", "picture"):
    with_gain.get_layer(name).bias.assign(untied.get_layer(name).bias)
print(f"before training: {with_gain.evaluate(test, test, verbose=0):.4f}")
error_moved = train_and_report(with_gain)
assert error_moved < error_untied

# %%
# What else changes
# -----------------
# Nothing. The model is saved, loaded, cloned, frozen and exported as before, and stays tied:

clone = keras.models.clone_model(with_gain)
keras_tied.assert_tied(clone)
assert clone.get_layer("picture").kernel is not with_gain.get_layer("picture").kernel

# %%
# Read next
# ---------
# - :ref:`sphx_glr_gallery_plot_gain.py` shows what the gain does while training.
# - :ref:`sphx_glr_gallery_plot_pca_start.py` begins training at the error of PCA.
# - :ref:`sphx_glr_tutorials_plot_06_language_model.py` ties an embedding.
