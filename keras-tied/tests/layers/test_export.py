"""Tied models exported for inference compute what they compute in Keras."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied import Autoencoder, tie

from .cases import (
    HALVES,
    Case,
    assert_close,
    each_of,
    normal,
    select,
    through_file,
)

BACKEND = keras.backend.backend()
# TensorFlow's protocol buffers, where they are loaded first, and NumPy through tf2onnx.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


EXPORTERS = {
    "jax": "jax2onnx",
    "tensorflow": "tf2onnx",
    "torch": "onnx",
}
"""What `model.export` to ONNX needs, by the backend."""


def as_saved_model(model, rows, folder):
    if BACKEND == "torch":
        pytest.skip(
            "Keras cannot export a model to TensorFlow on torch, not even a plain Dense"
        )
    tensorflow = pytest.importorskip("tensorflow")
    export(model, folder / "exported", "tf_saved_model")
    artifact = tensorflow.saved_model.load(folder / "exported")
    return artifact.serve(rows).numpy()


def as_onnx(model, rows, folder):
    pytest.importorskip(EXPORTERS[BACKEND])
    onnxruntime = pytest.importorskip("onnxruntime")
    export(model, folder / "exported.onnx", "onnx")
    session = onnxruntime.InferenceSession(folder / "exported.onnx")
    (tensor,) = session.get_inputs()
    (found,) = session.run(None, {tensor.name: rows})
    return found


def as_torch(model, rows, folder):
    import torch

    export(model, folder / "exported.pt2", "torch")
    program = torch.export.load(folder / "exported.pt2").module()
    # Keras exports any batch as a batch of one.
    found = [program(torch.tensor(row[None])) for row in rows]
    return torch.cat(found).detach().numpy()


def export(model, path, form):
    with warnings.catch_warnings():
        # The exporters' own: deprecations, and traced integers.
        warnings.simplefilter("ignore")
        model.export(path, format=form, verbose=False)


def assert_exports(model, rows, export_to, folder):
    expected = model(rows)  # ONNX needs a first call
    assert_close(export_to(model, rows, folder), expected, 1e-5)


FORMATS = [as_saved_model, as_onnx]
if BACKEND == "torch":
    FORMATS.append(as_torch)
exports = pytest.mark.parametrize("export_to", FORMATS)


@exports
@each_of(
    *select("functional", "autoencoder"),
    *select("nested", "chain", "two_on_one", among=HALVES),
)
def test_exported_model_computes_the_same(case, export_to, tmp_path):
    assert_exports(case.build(), case.inputs(), export_to, tmp_path)


@exports
def test_exported_loaded_decoder_computes_the_same(export_to, tmp_path):
    case = Case("Dense", "deep", is_half=True)
    decoder = through_file(case.build(), tmp_path)
    assert_exports(decoder, case.inputs(), export_to, tmp_path)


@pytest.mark.parametrize("export_to", [as_saved_model, as_onnx])
def test_autoencoder_is_exported_before_its_first_call(export_to, tmp_path):
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    autoencoder = Autoencoder(encoder)
    rows = normal(3, 4)
    found = export_to(autoencoder, rows, tmp_path)
    assert_close(found, autoencoder(rows), 1e-5)


def tokens(*shape):
    return np.arange(np.prod(shape)).reshape(shape).astype("int32")


LARGE = {
    "Dense": (lambda: layers.Dense(40), normal(2, 60)),
    "Dense in a sequence": (lambda: layers.Dense(40), normal(2, 5, 60)),
    "Embedding": (lambda: layers.Embedding(90, 20), tokens(2, 5)),
    "Conv2D": (
        lambda: layers.Conv2D(16, 3, strides=2, padding="same"),
        normal(2, 6, 6, 12),
    ),
    "Conv2DTranspose": (
        lambda: layers.Conv2DTranspose(16, 3, strides=2),
        normal(2, 6, 6, 12),
    ),
}
"""What makes a layer whose kernel outweighs all else in a file, and its inputs."""


def tie_to_large(name, gain):
    """A model of a layer and one that is tied to it, and the size of the kernel."""
    make, rows = LARGE[name]
    layer = make()
    inputs = keras.Input(rows.shape[1:], dtype=rows.dtype.name)
    model = keras.Model(inputs, tie(layer, gain=gain)(layer(inputs)))
    return model, rows, max(np.prod(each.shape) for each in model.weights)


def count_floats_in_onnx(path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(path).graph
    tensors = [*graph.initializer]
    for node in graph.node:
        tensors += [part.t for part in node.attribute if part.HasField("t")]
    sizes = [np.prod(each.dims) for each in tensors if each.data_type == 1]
    return sum(sizes)


@pytest.mark.parametrize("gain", [False, True])
@pytest.mark.parametrize("name", LARGE)
def test_onnx_file_holds_the_kernel_once(name, gain, tmp_path):
    model, rows, kernel_size = tie_to_large(name, gain)
    expected = model(rows)
    assert_close(as_onnx(model, rows, tmp_path), expected, 1e-5)
    stored = count_floats_in_onnx(tmp_path / "exported.onnx")
    assert kernel_size <= stored < 1.5 * kernel_size


@pytest.mark.parametrize("name", LARGE)
def test_saved_model_holds_the_kernel_as_often_as_any_other_weight(name, tmp_path):
    model, rows, _ = tie_to_large(name, gain=True)
    as_saved_model(model, rows, tmp_path)
    tensorflow = pytest.importorskip("tensorflow")
    path = tmp_path / "exported" / "variables" / "variables"
    counts = {}
    for _, shape in tensorflow.train.list_variables(str(path)):
        counts[tuple(shape)] = counts.get(tuple(shape), 0) + 1
    shapes = [tuple(each.shape) for each in model.weights]
    assert len({counts[shape] / shapes.count(shape) for shape in shapes}) == 1


@pytest.mark.skipif(BACKEND != "tensorflow", reason="Keras writes it on TensorFlow")
def test_litert_file_holds_an_embedding_once(tmp_path):
    model, _, kernel_size = tie_to_large("Embedding", gain=True)
    export(model, tmp_path / "exported.tflite", "litert")
    size = (tmp_path / "exported.tflite").stat().st_size
    assert size < 2 * 4 * kernel_size
