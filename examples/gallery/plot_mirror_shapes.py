"""
The shapes of a mirror
======================

The shapes of a picture in an encoder, and in the decoder that ``mirror`` builds from it.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

encoder = keras.Sequential(
    [
        keras.Input((45, 37, 3)),
        Conv2D(16, 3, strides=2, activation="relu"),
        MaxPooling2D(2),
        Conv2D(32, 3, activation="relu"),
        Flatten(),
        Dense(10),
    ]
)
decoder = keras_tied.mirror(encoder, output_activation="sigmoid")
steps = [("input", encoder.input_shape[1:])]
steps += [(type(layer).__name__, layer.output.shape[1:]) for layer in encoder.layers]
n_down = len(steps)
steps += [
    (type(layer).__name__, layer.output.shape[1:]) for layer in decoder.layers[1:]
]

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(6.6, 0.34 * len(steps) + 1), layout="constrained")
sizes = [np.prod(shape) for _, shape in steps]
colours = ["C0"] * n_down + ["C1"] * (len(steps) - n_down)
axes.barh(range(len(steps)), sizes, color=colours)
for place, (size, (_, shape)) in enumerate(zip(sizes, steps, strict=True)):
    axes.text(size * 1.1, place, " x ".join(map(str, shape)), va="center", fontsize=9)
axes.set_yticks(range(len(steps)), [name for name, _ in steps])
axes.invert_yaxis()
axes.set(xlabel="numbers in its output", ylabel="layer", xscale="log", xlim=(1, 5e4))
axes.set(title="Encoder (blue) and its mirror (orange)")
plt.show()
