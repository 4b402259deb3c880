"""Sizes of exported tied models: `KERAS_BACKEND=torch python tools/export_sizes.py`."""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_tied

FORMATS = {
    "jax": {"onnx": "m.onnx", "tf_saved_model": "m"},
    "tensorflow": {"onnx": "m.onnx", "tf_saved_model": "m", "litert": "m.tflite"},
    "torch": {"onnx": "m.onnx", "torch": "m.pt2"},
}
LAYERS = {
    "Dense": (layers.Dense(500), (784,), "float32"),
    "Embedding": (layers.Embedding(30_000, 64), (7,), "int32"),
    "Conv2D": (
        layers.Conv2D(256, 3, strides=2, padding="same"),
        (8, 8, 128),
        "float32",
    ),
}


def measure(folder: Path) -> int:
    """The bytes of all files in a folder."""
    files = folder.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


for name, (layer, shape, dtype) in LAYERS.items():
    inputs = keras.Input(shape, dtype=dtype)
    model = keras.Model(inputs, keras_tied.tie(layer)(layer(inputs)))
    model(np.zeros((1, *shape), dtype))  # ONNX needs a first call
    kernel = max(4 * int(np.prod(weight.shape)) for weight in model.weights)
    print(f"{name}: kernel {kernel:,}", end="")
    for form, file in FORMATS[keras.backend.backend()].items():
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / file
            model.export(path, format=form, verbose=False)
            print(f", {form} {measure(Path(folder)):,}", end="", flush=True)
    print()
