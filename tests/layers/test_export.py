"""Tied models exported for inference compute what they compute in Keras."""

import warnings
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from .cases import HALVES, Case, assert_close, outputs, parameters, reload, select

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
    needed = {"jax": "jax2onnx", "tensorflow": "tf2onnx", "torch": "onnx"}
    require("onnxruntime", needed[BACKEND])
    import onnxruntime

    export(model, folder / "exported.onnx", "onnx")
    session = onnxruntime.InferenceSession(folder / "exported.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: rows})
    return found


def as_torch(model, rows, folder):
    import torch

    export(model, folder / "exported.pt2", "torch")
    program = torch.export.load(folder / "exported.pt2").module()
    # Keras exports any batch as a batch of one.
    found = [program(torch.tensor(row[None])).detach().numpy() for row in rows]
    return np.concatenate(found)


def export(model, path, form):
    with warnings.catch_warnings():
        # The exporters' own: deprecations, and traced integers.
        warnings.simplefilter("ignore")
        model.export(path, format=form, verbose=False)


FORMATS = [as_saved_model, as_onnx]
if BACKEND == "torch":
    FORMATS.append(as_torch)
CASES = [
    *select("functional"),
    *select("autoencoder"),
    *select("nested", "chain", "two_on_one", among=HALVES, family="Dense"),
]


@pytest.mark.parametrize("exported", FORMATS)
@pytest.mark.parametrize("case", parameters(CASES))
def test_exported_model_computes_the_same(case, exported, tmp_path):
    model, rows = case.build(), case.inputs()
    (expected,) = outputs(model, rows)
    assert_close(exported(model, rows, tmp_path), expected, 1e-5)


@pytest.mark.parametrize("exported", FORMATS)
def test_exported_loaded_decoder_computes_the_same(exported, tmp_path):
    case = Case("Dense", "deep", is_half=True)
    decoder = reload(case.build(), tmp_path / "decoder.keras")
    (expected,) = outputs(decoder, case.inputs())  # ONNX needs a first call
    assert_close(exported(decoder, case.inputs(), tmp_path), expected, 1e-5)
