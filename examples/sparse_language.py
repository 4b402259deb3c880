"""What the units of a sparse autoencoder stand for in a small language model, trained here.

The model reads scikit-learn's descriptions of its datasets, letter by letter. Of its middle layer's
activations a dictionary of 512 units is made; prints how much of the layer's effect on the loss is
left where eight of them take its place, and draws where in a text some units are active.
"""

import keras_tied  # settles the backend before Keras is imported

# isort: split
import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn import datasets

LENGTH, WIDTH, UNITS, ACTIVE = 64, 64, 512, 8

keras.utils.set_random_seed(0)
loaders = [datasets.load_iris, datasets.load_wine, datasets.load_diabetes, datasets.load_digits]
text = "\n".join(load().DESCR for load in [*loaders, datasets.load_breast_cancer])
letters = sorted(set(text))
tokens = np.array([letters.index(letter) for letter in text], "int32")
starts = np.random.default_rng(0).integers(0, len(tokens) - LENGTH - 1, 2500)
windows = tokens[starts[:, None] + np.arange(LENGTH + 1)]
x, y = windows[:, :-1], windows[:, 1:]


def block(hidden: keras.KerasTensor) -> keras.KerasTensor:
    """Attention and a feed-forward network, each added to what comes in."""
    rows = keras.layers.LayerNormalization()(hidden)
    attention = keras.layers.MultiHeadAttention(4, WIDTH // 4)(rows, rows, use_causal_mask=True)
    hidden = keras.layers.Add()([hidden, attention])
    rows = keras.layers.LayerNormalization()(hidden)
    rows = keras.layers.Dense(WIDTH)(keras.layers.Dense(4 * WIDTH, "gelu")(rows))
    return keras.layers.Add()([hidden, rows])


inputs = keras.Input((LENGTH,), dtype="int32")
embedding = keras.layers.Embedding(len(letters), WIDTH, "glorot_normal")
positions = keras.ops.cumsum(keras.ops.ones_like(inputs), axis=1) - 1
places = keras.layers.Embedding(LENGTH, WIDTH)(positions)
middle = keras.layers.Identity(name="middle")(block(embedding(inputs) + places))
logits = keras_tied.tie(embedding)(keras.layers.LayerNormalization()(block(middle)))
language = keras.Model(inputs, logits)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
language.compile(keras.optimizers.Adam(3e-3), loss)
letters_loss = language.fit(x, y, batch_size=64, epochs=8, verbose=0).history["loss"][-1]
print(f"{len(text)} letters, {len(letters)} of them different: loss {letters_loss:.2f} a letter")

stream = keras_tied.training.LayerOutputs(language, "middle", x, batch_size=32)
mean, scale = stream[0][0].mean(axis=0), stream[0][0].std()

rows = keras.Input((WIDTH,))
scores = (encoder := keras.layers.Dense(UNITS, name="encoder"))((rows - mean) / scale)
code = keras_tied.layers.BatchTopK(ACTIVE, name="code")(scores)
of_norm_1 = keras.constraints.UnitNorm(axis=1)
decoder = keras_tied.layers.AuxK(
    keras_tied.tie(encoder, untie=True, kernel_constraint=of_norm_1), window=50, name="decoder"
)
restored = decoder(code, rows=(rows - mean) / scale, scores=scores)
dictionary = keras.Model(rows, restored * scale + mean)
dictionary.compile(keras.optimizers.Adam(3e-3), "mse")
dictionary.fit(stream, epochs=6, verbose=0)

left = keras_tied.training.recovered_loss(
    language, language.get_layer("middle"), dictionary, x[:256], y[:256]
)
counter = decoder.counter
print(
    f"{UNITS} units, {counter.active_units:.1f} of them active, {counter.dead_units} dead", end=": "
)
print(f"{left:.1%} of the layer's effect on the loss is left")

sample = keras_tied.training.LayerOutputs(language, "middle", x[:200], batch_size=200, seed=None)
codes = keras.Model(rows, code).predict(sample[0][0], verbose=0)
codes /= codes.max(axis=0) + 1e-9
most = np.argsort(-codes[:LENGTH].sum(axis=0))[:14]  # in the first text
figure, axis = plt.subplots(figsize=(11, 4), layout="constrained")
axis.imshow(codes[:LENGTH, most].T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
axis.set_xticks(range(LENGTH), [letters[token].replace("\n", "↵") for token in x[0]])
axis.set_yticks(range(len(most)), [f"unit {unit}" for unit in most])
figure.savefig("sparse-language.png", dpi=110)
