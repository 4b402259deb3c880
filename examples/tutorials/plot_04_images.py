"""
How do I compress images, and what does the code mean?
======================================================

This tutorial trains a convolutional encoder of small pictures, lets ``mirror`` make its decoder,
and walks through the code from one picture to another. The pictures are scikit-learn's digits of
8 x 8 pixels, which need no download; larger ones only take longer.
"""

# %%
# The encoder
# -----------
# Any Keras model will do. This one halves the picture twice, and ends in a code of eight numbers.

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras.layers import Conv2D, Dense, Flatten
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

digits = load_digits()
images = (digits.images / 16).astype("float32")[..., None]
train, test = images[:1400], images[1400:]

keras.utils.set_random_seed(0)
down = {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "silu"}
encoder = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        Conv2D(16, **down),
        Conv2D(32, **down),
        Flatten(),
        Dense(8),
    ],
    name="encoder",
)

# %%
# The decoder
# -----------
# ``mirror`` reverses the encoder: each kernel is the encoder's, transposed. Only the biases and one
# gain for each unit are new. The output is a picture in [0, 1], so it goes through a sigmoid.

decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
for layer in decoder.layers[1:]:
    print(f"{layer.name:18} {layer.__class__.__name__:12} {layer.output.shape}")

# %%
# Put together, every kernel counts once.

autoencoder = keras_tied.Autoencoder(encoder, decoder)
print(
    f"encoder {encoder.count_params():,}, autoencoder {autoencoder.count_params():,} weights"
)
keras_tied.assert_tied(autoencoder)

# %%
# Train
# -----
# ``fit`` needs no target: it uses the pictures.

autoencoder.compile(keras.optimizers.Adam(5e-3))
autoencoder.fit(train, batch_size=128, epochs=25, verbose=0)
restored = autoencoder.predict(test, verbose=0)
error = np.mean((restored - test) ** 2)

pca = PCA(8).fit(train.reshape(-1, 64))
by_pca = pca.inverse_transform(pca.transform(test.reshape(-1, 64))).reshape(test.shape)
pca_error = np.mean((by_pca - test) ** 2)
print(
    f"squared error of pictures held out: {error:.4f}; of PCA with 8 components {pca_error:.4f}"
)

assert error < 0.8 * pca_error

# %%
# Sixty-four pixels have become eight numbers, and eight numbers these pictures.

plt.style.use("tableau-colorblind10")
rows = {"given": test[:10], "from the code": restored[:10]}
rows["PCA"] = by_pca[:10]
figure, axes = plt.subplots(3, 10, figsize=(8, 2.7), layout="constrained")
for line, (name, pictures) in zip(axes, rows.items(), strict=True):
    for axis, picture in zip(line, pictures, strict=True):
        axis.imshow(picture[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.show()

# %%
# Walk through the code
# ---------------------
# Between the codes of two pictures lie other codes. Decoded, they are pictures on the way from one
# to the other. Between the *pixels* of two pictures there are only two pictures on top of each
# other.

ends = test[[np.argmax(digits.target[1400:] == digit) for digit in (1, 0)]]
share = np.linspace(0, 1, 9, dtype="float32")[:, None]
first, last = autoencoder.encode(ends)
walk = keras.ops.convert_to_numpy(autoencoder.decode(first + share * (last - first)))
mix = ends[0] + share[:, :, None, None] * (ends[1] - ends[0])

figure, axes = plt.subplots(2, 9, figsize=(8, 2.1), layout="constrained")
for line, (name, pictures) in zip(
    axes, {"codes": walk, "pixels": mix}.items(), strict=True
):
    for axis, picture in zip(line, pictures, strict=True):
        axis.imshow(picture[..., 0], cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.show()

# %%
# Is the middle of the walk nearer to a real picture than the middle of the mix? Over 200 pairs:

flat = train.reshape(-1, 64)
first, last = test[:200], np.roll(test, 1, axis=0)[:200]
middles = {
    "codes": autoencoder.decode(
        (autoencoder.encode(first) + autoencoder.encode(last)) / 2
    ),
    "pixels": (first + last) / 2,
}
distances = {
    name: np.linalg.norm(np.reshape(pictures, (-1, 1, 64)) - flat, axis=2)
    .min(axis=1)
    .mean()
    for name, pictures in middles.items()
}
for name, distance in distances.items():
    print(
        f"halfway between {name}: {distance:.2f} from the nearest real picture, on average"
    )
assert distances["codes"] < distances["pixels"]

# %%
# Save it
# -------
# The file holds each kernel once, and loads without ``custom_objects``.

import tempfile

path = f"{tempfile.mkdtemp()}/digits.keras"
autoencoder.save(path)
loaded = keras.models.load_model(path)
keras_tied.assert_tied(loaded)
assert np.allclose(loaded.predict(test, verbose=0), restored, atol=1e-6)

# %%
# Read next
# ---------
# - :ref:`sphx_glr_gallery_plot_tied_filters.py` looks at the kernels themselves.
# - :ref:`sphx_glr_gallery_plot_mirror_shapes.py` draws the shapes on the way down and up.
# - :ref:`sphx_glr_tutorials_plot_05_untied_to_tied.py` does the same by hand, layer by layer.
