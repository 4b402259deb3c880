"""
The filters of a tied convolution
=================================

The same kernels look for strokes on the way down, and draw them on the way up.
"""

import keras_tied

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

images = (load_digits().images / 16).astype("float32")[..., None]
keras.utils.set_random_seed(0)
convolution = keras.layers.Conv2D(12, 5, padding="same", use_bias=False, name="down")
inputs = keras.Input((8, 8, 1))
code = keras.layers.ReLU()(convolution(inputs))
code = keras_tied.layers.KSparse(3)(code)  # three of twelve strokes at each pixel
model = keras.Model(inputs, keras_tied.tie(convolution, name="up")(code))
model.compile(keras.optimizers.Adam(5e-3), "mse")
keras_tied.training.fit(model, images, images, batch_size=128, epochs=12, verbose=0)

kernels = keras.ops.convert_to_numpy(convolution.kernel)[:, :, 0]
limit = np.abs(kernels).max()
figure, axes = plt.subplots(2, 6, figsize=(7, 2.9), layout="constrained")
for unit, axis in enumerate(axes.flat):
    shown = axis.imshow(kernels[..., unit], cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set_title(f"filter {unit + 1}", fontsize=9)
    axis.set(xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="weight", shrink=0.8)
error = model.evaluate(images, images, verbose=0)
figure.suptitle(
    f"5 x 5 filters of one kernel, used twice; error {error:.4f}", fontsize=11
)
plt.show()
