"""
One adapter for both halves
===========================

LoRA on the encoder's kernel adapts the decoder, too: the change of the kernel has rank 2 in each of
them, and is the same.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
X = (digits.data / 16).astype("float32")
low, high = (
    X[digits.target < 5],
    X[digits.target >= 5],
)  # trained on the first, adapted to the rest

keras.utils.set_random_seed(0)
layer = keras.layers.Dense(16, name="encoder")
inputs = keras.Input((64,))
decoder = keras_tied.tie(layer, name="decoder")
model = keras.Model(inputs, decoder(layer(inputs)))
model.compile(keras.optimizers.Adam(0.01), "mse")
keras_tied.training.fit(model, low, low, batch_size=128, epochs=40, verbose=0)
to_numpy = keras.ops.convert_to_numpy
before, error_before = to_numpy(layer.kernel), model.evaluate(high, high, verbose=0)

layer.enable_lora(rank=2)
n_trained = sum(int(np.prod(v.shape)) for v in keras_tied.trainable_variables(model))
model.compile(keras.optimizers.Adam(0.02), "mse")
keras_tied.training.fit(model, high, high, batch_size=128, epochs=60, verbose=0)
after = {"encoder": to_numpy(layer.kernel), "decoder": to_numpy(decoder.kernel).T}
changes = {name: kernel - before for name, kernel in after.items()}

figure, axes = plt.subplots(1, 2, figsize=(6.4, 5), sharey=True, layout="constrained")
limit = np.abs(changes["encoder"]).max()
for axis, (name, change) in zip(axes, changes.items(), strict=True):
    shown = axis.imshow(change, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    axis.set(
        title=f"{name}, rank {np.linalg.matrix_rank(change, 1e-4)}",
        xlabel="unit of the code",
    )
axes[0].set_ylabel("pixel")
figure.colorbar(shown, ax=axes, label="change of the kernel", shrink=0.8)
error = model.evaluate(high, high, verbose=0)
figure.suptitle(
    f"error of new digits {error_before:.4f} → {error:.4f}, {n_trained} numbers trained"
)
plt.show()
