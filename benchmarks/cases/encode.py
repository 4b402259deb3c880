"""Codes of rows: a million at a time, and one row."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks._case import MEMORY, Measure, Options, System

TITLE = "Encoding"
TEXT = """
The fitted network of a table of 32 columns encodes 200,000 rows to 8 numbers, and then single rows,
a thousand of them: `TiedAutoencoder.transform`, the same network in ONNX Runtime by our export, in
Keras's `predict`, in four lines of NumPy, and PCA beside it, whose codes are others. The first call
is left out. *Memory* is the peak of the process, rows and codes included.
"""
CHOSEN_ON = "The number of rows of a block was chosen on tables like this one."
MEASURES = {
    "hot_seconds": Measure("seconds"),
    "rows_per_second": Measure("rows a second", None),
    "memory": MEMORY,
}
PICTURE = ["hot_seconds"]
BY_TASK = True
ISOLATED = True


def setup(options: Options) -> None:
    from keras_tied import TiedAutoencoder

    random = np.random.default_rng(0)
    mixing = random.normal(size=(8, 32)).astype("float32")
    X = np.tanh(random.normal(size=(5000, 8)).astype("float32") @ mixing)
    model = TiedAutoencoder(8, activation="tanh", random_state=0).fit(X)
    assert not model.is_pca_
    model.save(options.folder / "model.safetensors")
    model.export(options.folder / "model.onnx")
    model.encoder_.save(options.folder / "encoder.keras")
    network = model._fitted.network
    arrays = {f"kernel{i}": kernel for i, kernel in enumerate(network.kernels)}
    arrays |= {f"bias{i}": bias for i, bias in enumerate(network.biases)}
    arrays |= {"X": X, "mean": X.mean(axis=0), "spread": X.std(axis=0)}
    linear = np.array(network.linear_units)
    np.savez(
        options.folder / "rows.npz", **arrays, linear=linear, codes=model.transform(X)
    )


def prepare(options: Options) -> dict[str, Callable[[], Any]]:
    def load(n: int) -> list[np.ndarray]:
        with np.load(options.folder / "rows.npz") as file:
            X = file["X"]
        if n == 1:
            return list(X[:1000, None])
        return [np.resize(X, (n, 32))]

    n = 50_000 if options.quick else 200_000
    return {"many rows": partial(load, n), "one row": partial(load, 1)}


def measure(
    task: list[np.ndarray],
    output: tuple[list[np.ndarray], bool],
    seconds: dict[str, float],
) -> dict[str, float]:
    codes, is_same = output
    with np.load("rows.npz") as file:  # in the folder that the worker runs in
        expected = file["codes"][:1000]
    rows = np.concatenate(codes)
    assert rows.shape == (len(task) * len(task[0]), 8)
    apart = float(np.abs(rows[:1000] - expected).max())
    assert not is_same or apart < 1e-3, f"codes are apart by {apart}"
    each = seconds["hot_seconds"] / len(task)
    return {"hot_seconds": each, "rows_per_second": len(task[0]) / each}


def encode_with(
    encode: Callable[[np.ndarray], np.ndarray], is_same: bool = True
) -> Callable:
    return lambda task: ([np.asarray(encode(rows)) for rows in task], is_same)


def make_ours() -> Callable:
    import keras_tied

    return encode_with(keras_tied.load("model.safetensors").transform)


def make_onnx() -> Callable:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        "model.onnx", providers=["CPUExecutionProvider"]
    )
    return encode_with(lambda rows: session.run(None, {"X": rows})[0])


def make_keras() -> Callable:
    import keras_tied  # noqa: F401  its layers are in the file

    # isort: split
    import keras

    encoder, file = keras.models.load_model("encoder.keras"), np.load("rows.npz")
    mean, spread = file["mean"], file["spread"]
    return encode_with(lambda rows: encoder.predict((rows - mean) / spread, verbose=0))


def make_numpy() -> Callable:
    with np.load("rows.npz") as file:
        arrays = dict(file)
    layers = [
        (arrays[f"kernel{i}"], arrays[f"bias{i}"])
        for i in range(9)
        if f"bias{i}" in arrays
    ]

    def encode(rows: np.ndarray) -> np.ndarray:
        units = (rows - arrays["mean"]) / arrays["spread"]
        for kernel, bias in layers[:-1]:
            units = units @ kernel + bias
            curved = units[:, arrays["linear"] :]
            np.tanh(curved, out=curved)
        kernel, bias = layers[-1]
        return units @ kernel + bias

    return encode_with(encode)


def make_pca() -> Callable:
    from sklearn.decomposition import PCA

    with np.load("rows.npz") as file:
        return encode_with(PCA(8).fit(file["X"]).transform, False)


SYSTEMS = {
    "TiedAutoencoder.transform": System(make_ours, ours=True),
    "ONNX Runtime": System(make_onnx, ("onnxruntime",)),
    "keras.Model.predict": System(make_keras),
    "NumPy, by hand": System(make_numpy),
    "PCA": System(make_pca),
}
