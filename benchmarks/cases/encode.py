"""Codes of rows: a million at a time, and one row."""

from functools import cache, partial

import numpy as np

from benchmarks._case import MEMORY, Measure, System
from benchmarks.cases._arrays import draw_curved

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
HOT = True
BY_GROUP = True
ISOLATED = True


def setup(options):
    from tied_tables import TiedAutoencoder

    X = draw_curved(np.random.default_rng(0), 5000, 8, 32)
    model = TiedAutoencoder(8, activation="tanh", random_state=0).fit(X)
    assert not model.is_pca_
    model.save("model.safetensors")
    model.export("model.onnx")
    model.to_keras().encoder.save("encoder.keras")
    np.savez("rows.npz", X=X, codes=model.transform(X))


def read(name):
    with np.load("rows.npz") as file:
        return file[name]


def read_scale():
    X = read("X")
    return X.mean(axis=0), X.std(axis=0)


def prepare(options):
    return {
        "many rows": lambda: [np.resize(read("X"), (200_000, 32))],
        "one row": lambda: list(read("X")[:1000, None]),
    }


def measure(task, output, seconds):
    blocks, is_same = output
    codes = np.concatenate(blocks)
    assert codes.shape == (len(task) * len(task[0]), 8)
    apart = np.abs(codes[:1000] - read("codes")[:1000]).max()
    assert not is_same or apart < 1e-3, f"codes are apart by {apart}"
    each = seconds["hot_seconds"] / len(task)
    return {"hot_seconds": each, "rows_per_second": len(task[0]) / each}


def run(open_encoder, task):
    encode = open_encoder()
    return [np.asarray(encode(rows)) for rows in task], open_encoder is not open_pca


@cache
def open_ours():
    import tied_tables

    return tied_tables.load("model.safetensors").transform


@cache
def open_onnx():
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession("model.onnx", providers=providers)
    return lambda rows: session.run(None, {"X": rows})[0]


@cache
def open_keras():
    import keras_tied  # noqa: F401  registers the layers

    # isort: split
    import keras

    encoder = keras.models.load_model("encoder.keras")
    mean, spread = read_scale()
    return lambda rows: encoder.predict((rows - mean) / spread, verbose=0)


@cache
def open_numpy():
    import tied_tables

    network = tied_tables.load("model.safetensors").network
    mean, spread = read_scale()
    *hidden, last = zip(network.kernels, network.biases, strict=True)

    def encode(rows):
        units = (rows - mean) / spread
        for kernel, bias in hidden:
            units = units @ kernel + bias
            curved = units[:, network.linear_units :]
            np.tanh(curved, out=curved)
        kernel, bias = last
        return units @ kernel + bias

    return encode


@cache
def open_pca():
    from sklearn.decomposition import PCA

    return PCA(8).fit(read("X")).transform


SYSTEMS = {
    "TiedAutoencoder.transform": System(
        partial(run, open_ours), "tied_tables", ours=True
    ),
    "ONNX Runtime": System(partial(run, open_onnx), "onnxruntime"),
    "keras.Model.predict": System(partial(run, open_keras), "keras_tied keras"),
    "NumPy, by hand": System(partial(run, open_numpy), "tied_tables"),
    "PCA": System(partial(run, open_pca), "sklearn.decomposition"),
}
