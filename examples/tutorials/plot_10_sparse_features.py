"""
What have the units of my network learned?
==========================================

One unit of a network seldom means one thing. A sparse autoencoder of its activations finds
directions that do: a few of many are active at a time. This tutorial trains a small model of
letters, makes a dictionary of what goes on inside of it, measures how much of the network's work
the dictionary keeps, and finds its entries for numerals.
"""

# %%
# A network to look into
# ----------------------
# It guesses the next letter of scikit-learn's descriptions of datasets. In its place take the model
# that you have, and the layer that you want to know about.

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn import datasets

length, width = 40, 64
loaders = [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer]
text = "\n".join(load().DESCR for load in loaders).lower()
letters = np.array(sorted(set(text)))
tokens = np.searchsorted(letters, list(text)).astype("int32")
starts = np.random.default_rng(0).integers(0, len(tokens) - length - 1, 700)
windows = tokens[starts[:, None] + np.arange(length + 1)]
x, y = windows[:, :-1], windows[:, 1:]

keras.utils.set_random_seed(0)
inputs = keras.Input((length,), dtype="int32")
embedding = keras.layers.Embedding(len(letters), width, "glorot_normal")
middle = keras.layers.GRU(width, return_sequences=True, name="middle")(
    embedding(inputs)
)
network = keras.Model(inputs, keras_tied.tie(embedding)(middle))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
network.compile(keras.optimizers.Adam(1e-2), loss)
losses = keras_tied.training.fit(
    network, x, y, batch_size=32, epochs=6, verbose=0
).history["loss"]
print(f"loss {losses[0]:.2f} → {losses[-1]:.2f}")

# %%
# Its activations
# ---------------
# A row for each letter of each window.

activations = keras.Model(inputs, middle).predict(x, verbose=0)
rows = activations.reshape(-1, width)
mean, scale = rows.mean(axis=0), rows.std()
print(f"{rows.shape[0]:,} rows of {rows.shape[1]} numbers")

# %%
# The dictionary
# --------------
# Four times as many units as the layer has, of which eight are active for a row on average. The
# decoder begins as the encoder's transpose and is free then (``untie=True``); its directions have
# norm 1, so that the size of a code is the strength of a direction.

units, active = 256, 8
given = keras.Input((width,))
encoder = keras.layers.Dense(units)
code = keras_tied.layers.BatchTopK(active)(encoder((given - mean) / scale))
of_norm_1 = keras.constraints.UnitNorm(axis=1)
decoder = keras_tied.tie(encoder, untie=True, kernel_constraint=of_norm_1)
dictionary = keras.Model(given, decoder(code) * scale + mean)
dictionary.compile(keras.optimizers.Adam(3e-3), "mse")
keras_tied.training.fit(dictionary, rows, rows, batch_size=256, epochs=5, verbose=0)

codes = keras.Model(given, code).predict(rows, batch_size=1000, verbose=0)
print(f"{(codes > 0).sum(axis=1).mean():.1f} active units a row")
print(f"{(codes.max(axis=0) <= 0).sum()} of {units} are never active")
lost = (
    np.mean((dictionary.predict(rows, batch_size=1000, verbose=0) - rows) ** 2)
    / rows.var()
)
print(f"{lost:.0%} of the variance is lost")

# %%
# Does it keep what matters?
# --------------------------
# A small error may still lose what the network needs. Put the reconstruction in the place of the
# layer: 1 is the network's own loss, 0 that of a layer that says nothing.

tail = network.layers[-1]  # what follows the layer
restored = dictionary.predict(rows, batch_size=1000, verbose=0).reshape(
    activations.shape
)
whole, left, nothing = (
    float(loss(y[:100], tail(values[:100])))
    for values in (activations, restored, 0 * activations)
)
kept = (nothing - left) / (nothing - whole)
print(f"{kept:.0%} of the layer's effect on the loss is left")
assert kept > 0.8

# %%
# Find a meaning
# --------------
# Look for a unit that is active where the letter is a numeral, and nowhere else. F1 is 1 for a unit
# that does just that. The units of the network itself are the comparison, each with its own best
# threshold and sign.


def score_units(values, is_true, n_thresholds=9):
    """The best F1 of each column of values, over some thresholds, as a test of what is true."""
    best = np.zeros(values.shape[1])
    for share in np.linspace(0, 0.97, n_thresholds):
        says = values > np.quantile(values, share, axis=0)
        both = (says & is_true[:, None]).sum(axis=0)
        best = np.maximum(best, 2 * both / (says.sum(axis=0) + is_true.sum()))
    return best


is_numeral = np.isin(letters, list("0123456789"))[x.ravel()]
of_code = score_units(codes, is_numeral)
of_network = np.maximum(score_units(rows, is_numeral), score_units(-rows, is_numeral))
print(
    f"best unit of the dictionary: F1 {of_code.max():.2f}, of the network {of_network.max():.2f}"
)
assert of_code.max() > of_network.max()

# %%
# See it at work
# --------------
# Where in a window the eight strongest units are active, the best for numerals first. The
# dictionary has more than one entry for numerals, and is finer than the question: one for the first
# numeral of a number, others for those behind the point.

n_numerals = is_numeral.reshape(x.shape).sum(axis=1)
window = np.abs(n_numerals - 12).argmin()  # a window with about twelve numerals
strength = codes.reshape(*x.shape, units)[window]
strongest = np.argsort(-strength.sum(axis=0))[:8]
shown = sorted(strongest, key=lambda unit: -of_code[unit])
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
image = axes.imshow(strength[:, shown].T, cmap="Blues", aspect="auto")
axes.set_xticks(
    range(length), [letter.replace("\n", "↵") for letter in letters[x[window]]]
)
axes.set_yticks(range(len(shown)), [f"unit {unit}" for unit in shown])
axes.set(xlabel="the text, letter by letter", ylabel="unit of the dictionary")
figure.colorbar(image, label="strength")
figure.show()

# %%
# Read next
# ---------
# - :ref:`sphx_glr_gallery_plot_dictionary.py` draws a dictionary of pictures.
# - :ref:`sphx_glr_gallery_plot_sparse_methods.py` compares kinds of sparse codes.
# - :ref:`sphx_glr_tutorials_plot_06_language_model.py` builds the model, and lets it write.
