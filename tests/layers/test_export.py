"""Tied models exported for inference compute what they compute in Keras."""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from .cases import Case, find, outputs, parameters, select

BACKEND = keras.backend.backend()
CASES = [
    *select("functional"),
    *select("nested", family="Embedding"),
    *select("nested", "deep", "chain_nested", "two_on_one_nested", family="Dense"),
    # Not with an Embedding: Keras exports a subclassed model for inputs that are
    # floats.
    *select("made_in_init", "autoencoder", family="Dense"),
]
HALVES = [case for case in CASES if case.topology.halves]


def require(*modules: str) -> None:
    missing = [module for module in modules if not find_spec(module)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} is not installed")


def as_saved_model(model: keras.Model, rows: np.ndarray, folder: Path) -> np.ndarray:
    if BACKEND == "torch":
        pytest.skip(
            "Keras cannot export a model to TensorFlow on torch, not even a plain Dense"
        )
    require("tensorflow")
    import tensorflow as tf

    export(model, folder / "exported", "tf_saved_model")
    artifact = tf.saved_model.load(folder / "exported")
    return artifact.serve(rows).numpy()


def as_onnx(model: keras.Model, rows: np.ndarray, folder: Path) -> np.ndarray:
    needed = {"jax": "jax2onnx", "tensorflow": "tf2onnx", "torch": "onnx"}
    require("onnxruntime", needed[BACKEND])
    import onnxruntime

    export(model, folder / "exported.onnx", "onnx")
    session = onnxruntime.InferenceSession(folder / "exported.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: rows})
    return found


def as_torch(model: keras.Model, rows: np.ndarray, folder: Path) -> np.ndarray:
    import torch

    export(model, folder / "exported.pt2", "torch")
    program = torch.export.load(folder / "exported.pt2").module()
    # Keras exports any batch as a batch of one.
    found = [program(torch.tensor(row[None])).detach().numpy() for row in rows]
    return np.concatenate(found)


def export(model: keras.Model, path: Path, form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the exporters' own: deprecations and traced integers
        model.export(path, format=form, verbose=False)


FORMATS: dict[str, Callable[..., np.ndarray]] = {
    "SavedModel": as_saved_model,
    "ONNX": as_onnx,
} | ({"torch": as_torch} if BACKEND == "torch" else {})
formats = pytest.mark.parametrize("exported", FORMATS.values(), ids=FORMATS.keys())
# TensorFlow's protocol buffers, where they are loaded first here, and NumPy through
# tf2onnx.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


@formats
@pytest.mark.parametrize("case", parameters(CASES))
def test_exported_model_computes_the_same(case: Case, exported: Any, tmp_path: Path):
    model, rows = case.build(), case.inputs()
    (expected,) = outputs(model, rows)
    np.testing.assert_allclose(exported(model, rows, tmp_path), expected, atol=1e-5)


@formats
@pytest.mark.parametrize("case", parameters(HALVES))
def test_exported_decoder_alone_computes_the_same(
    case: Case, exported: Any, tmp_path: Path
):
    decoder = find(case.build(), "decoder")
    shape = (5, *decoder.input_shape[1:])
    codes = np.random.default_rng(0).normal(size=shape).astype("float32")
    (expected,) = outputs(decoder, codes)
    np.testing.assert_allclose(exported(decoder, codes, tmp_path), expected, atol=1e-5)


@formats
@pytest.mark.parametrize("case", parameters(select("nested", "deep", family="Dense")))
def test_exported_loaded_decoder_computes_the_same(
    case: Case, exported: Any, tmp_path: Path
):
    decoder = find(case.build(), "decoder")
    decoder.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    shape = (5, *decoder.input_shape[1:])
    codes = np.random.default_rng(0).normal(size=shape).astype("float32")
    (expected,), _ = (
        outputs(decoder, codes),
        outputs(loaded, codes),
    )  # ONNX needs a first call
    np.testing.assert_allclose(exported(loaded, codes, tmp_path), expected, atol=1e-5)


@formats
@pytest.mark.parametrize(
    "case", parameters(select("functional", "nested", family="Dense"))
)
def test_exported_clone_computes_the_same(case: Case, exported: Any, tmp_path: Path):
    model = case.build()
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    (expected,), _ = outputs(model, case.inputs()), outputs(cloned, case.inputs())
    np.testing.assert_allclose(
        exported(cloned, case.inputs(), tmp_path), expected, atol=1e-5
    )
