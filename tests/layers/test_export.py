"""Tied models exported for inference compute what they compute in Keras."""

import warnings

import keras
import pytest

from .cases import HALVES, Case, assert_close, each_of, select, through_file

BACKEND = keras.backend.backend()
# TensorFlow's protocol buffers, where they are loaded first, and NumPy through tf2onnx.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning"),
]


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
    exporters = {
        "jax": "jax2onnx",
        "tensorflow": "tf2onnx",
        "torch": "onnx",
    }
    pytest.importorskip(exporters[BACKEND])
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
