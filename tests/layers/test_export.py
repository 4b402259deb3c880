"""Tied models exported for inference compute what they compute in Keras."""

import warnings
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from .cases import HALVES, Case, assert_close, each_of, outputs, reload, select

BACKEND = keras.backend.backend()
# TensorFlow's protocol buffers, where they are loaded first, and NumPy through tf2onnx.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


def require(*modules):
    missing = [module for module in modules if not find_spec(module)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} is not installed")


def as_saved_model(model, rows, folder):
    if BACKEND == "torch":
        pytest.skip(
            "Keras cannot export a model to TensorFlow on torch, not even a plain Dense"
        )
    require("tensorflow")
    import tensorflow as tf

    export(model, folder / "exported", "tf_saved_model")
    artifact = tf.saved_model.load(folder / "exported")
    return artifact.serve(rows).numpy()


def as_onnx(model, rows, folder):
    needed = {
        "jax": "jax2onnx",
        "tensorflow": "tf2onnx",
        "torch": "onnx",
    }
    require("onnxruntime", needed[BACKEND])
    import onnxruntime

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
    found = []
    for row in rows:
        batch = torch.tensor(row[None])
        (output,) = program(batch).detach().numpy()
        found.append(output)
    return np.stack(found)


def export(model, path, form):
    with warnings.catch_warnings():
        # The exporters' own: deprecations, and traced integers.
        warnings.simplefilter("ignore")
        model.export(path, format=form, verbose=False)


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
    model = case.build()
    rows = case.inputs()
    expected = outputs(model, rows)
    found = export_to(model, rows, tmp_path)
    assert_close(found, expected, 1e-5)


@exports
def test_exported_loaded_decoder_computes_the_same(export_to, tmp_path):
    case = Case("Dense", "deep", is_half=True)
    decoder = reload(case.build(), tmp_path / "decoder.keras")
    rows = case.inputs()
    expected = outputs(decoder, rows)  # ONNX needs a first call
    found = export_to(decoder, rows, tmp_path)
    assert_close(found, expected, 1e-5)
