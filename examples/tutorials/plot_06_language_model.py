"""
How do I tie a language model's embedding to its output?
========================================================

A language model has a table of vectors at each end: one turns a token into a vector, the other a
vector into a score for each token. Most models use one table for both (Press and Wolf, 2017). This
tutorial trains a whole model of letters that does, and lets it write. It reads the descriptions of
scikit-learn's datasets, because these are there; a real model reads more.
"""

# %%
# The text
# --------

import keras_tied

import keras
import numpy as np
from sklearn import datasets

loaders = [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer]
text = " ".join(" ".join(load().DESCR for load in loaders).lower().split())
letters = sorted(set(text))
tokens = np.array([letters.index(letter) for letter in text], "int32")

length = 40
starts = np.random.default_rng(0).integers(0, len(tokens) - length - 1, 1000)
windows = tokens[starts[:, None] + np.arange(length + 1)]
x, y = (
    windows[:, :-1],
    windows[:, 1:],
)  # at each place, the next letter is to be guessed
print(f"{len(text):,} letters, {len(letters)} different ones")

# %%
# The model
# ---------
# ``tie(embedding)`` is a layer from vectors to scores: ``h @ E.T``, with the table ``E`` of the
# embedding. It is used like any other layer, and the model is an ordinary Keras model.

width = 64


def build(is_tied):
    """Make a model of letters, with one table of vectors or with two."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((length,), dtype="int32")
    embedding = keras.layers.Embedding(
        len(letters), width, "glorot_normal", name="embedding"
    )
    hidden = keras.layers.GRU(width, return_sequences=True, name="gru")(
        embedding(inputs)
    )
    output = keras_tied.tie(embedding, name="logits")
    if not is_tied:
        output = keras.layers.Dense(len(letters), name="logits")
    model = keras.Model(inputs, output(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


model = build(is_tied=True)
untied = build(is_tied=False)
print(f"tied {model.count_params():,} weights, untied {untied.count_params():,}")
for each in keras_tied.ties(model):
    print(
        f"{each.layer_path} is tied to {each.tied_to_path}, table {each.kernel_shape}"
    )

# %%
# The gradient of the table is the sum of both ends: each step moves the vectors of the letters that
# were read, and of all letters that were guessed.
#
# Train
# -----

history = model.fit(x, y, batch_size=32, epochs=6, verbose=0).history["loss"]
print("loss by epoch:", np.round(history, 2))
assert history[-1] < 0.7 * history[0]

# %%
# A guess by the frequency of letters alone would cost this much:

shares = np.bincount(tokens) / len(tokens)
print(f"by frequency: {-(shares * np.log(shares)).sum():.2f}")

# %%
# Generate text
# -------------
# The model gets the last letters, and its scores at the last place are the odds of the next one. A
# temperature below 1 makes likely letters even more likely.


def write(beginning, n_letters=160, temperature=0.5):
    """Continue a text, letter by letter."""
    rng = np.random.default_rng(0)
    written = [letters.index(letter) for letter in beginning]
    for _ in range(n_letters):
        window = written[-length:]
        row = np.zeros((1, length), "int32")
        row[0, : len(window)] = (
            window  # what follows is not read: a GRU looks back only
        )
        scores = (
            np.asarray(model.predict_on_batch(row))[0, len(window) - 1] / temperature
        )
        odds = np.exp(scores - scores.max())
        written.append(rng.choice(len(letters), p=odds / odds.sum()))
    return "".join(letters[token] for token in written)


print(write("the mean of the "))

# %%
# Save it, and tie an existing embedding
# --------------------------------------
# The file holds the table once. A loaded model is tied, and so is a clone.

import tempfile

path = f"{tempfile.mkdtemp()}/letters.keras"
model.save(path)
loaded = keras.models.load_model(path)
keras_tied.assert_tied(loaded)
assert np.allclose(
    loaded.predict(x[:2], verbose=0), model.predict(x[:2], verbose=0), atol=1e-5
)

# %%
# ``keras.layers.ReversibleEmbedding`` of Keras does the same inside of one layer, which is called
# twice. Take it where you write both calls yourself. ``tie`` is for an ``Embedding`` that is there
# already, for a ``Sequential`` or a functional model, for a half that is saved alone, and with LoRA
# or quantisation on the table.
#
# Read next
# ---------
# - :ref:`sphx_glr_tutorials_plot_10_sparse_features.py` looks into such a model.
# - :ref:`sphx_glr_gallery_plot_lora.py` adapts one table for both ends.
