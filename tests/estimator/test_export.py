"""ONNX files, run by onnxruntime, against the methods of the fitted value."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from tests.marks import for_each, slow
from tests.processes import run_python

from keras_tied import load
from keras_tied.fitted.activations import ACTIVATIONS
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.onnx import write_onnx
from keras_tied.fitted.value import Fitted
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Features, Parameters

from .near import assert_near
from .networks import draw_curve, draw_network, seeded

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
Case = tuple[Fitted, np.ndarray]
PINNED = Path(__file__).parents[1] / "pinned" / "files"


def fit_to(X, layout=None, **parameters):
    settings = Parameters(
        random_state=0,
        max_iter=2,
        features=Features(layout=layout),
        **parameters,
    )
    return fit(settings, X).fitted


def hide(X, share=0.2):
    is_hidden = default_rng(1).uniform(size=X.shape) < share
    return np.where(is_hidden, np.nan, X)


def make_network(activation):
    X = draw_curve(45)
    network = draw_network((6, 11, 8, 2), activation)
    return replace(fit_to(X), network=network), hide(X)


def make_constant_column():
    X = draw_curve(45)
    X[:, 2] = 7
    others = X.copy()
    others[:9, 2] = 9
    return fit_to(X), others


def make_correlated():
    rng = default_rng(0)
    X = hide(rng.normal(size=(60, 1)) + 1e-4 * rng.normal(size=(60, 30)))
    return fit_to(X[:40]), X


def make_wide():
    """More columns than covariances are kept of."""
    X = hide(default_rng(0).normal(size=(40, 600)))
    return fit_to(X), X


def read_pinned():
    """A network and conditional means fill in together."""
    rows = np.load(PINNED / "imputation.npz")["rows"]
    return load(PINNED / "imputation.safetensors"), rows


def make_classes(n, gaps):
    """A number, two categories of three and of two classes, a boolean and another
    number.
    """
    rng = default_rng(0)
    size = rng.normal(size=n)
    kind = np.digitize(
        size + 0.5 * rng.normal(size=n),
        [-0.5, 0.5],
    )
    other = rng.integers(2, size=n)
    X = np.column_stack(
        [
            size,
            np.eye(3)[kind],
            size > 0,
            size**2,
            np.eye(2)[other],
        ]
    )
    columns = np.array([0, 1, 1, 1, 2, 3, 4, 4])
    kinds = [NUMBER, CATEGORY, CATEGORY, CATEGORY, BOOLEAN, NUMBER, CATEGORY, CATEGORY]
    is_hidden = rng.uniform(size=(n, 5)) < gaps
    X[is_hidden[:, columns]] = np.nan
    return fit_to(X, Layout(columns, np.array(kinds))), X


CASES = {
    "standard": lambda: (fit_to(draw_curve(45)), draw_curve(9)),
    "minmax": lambda: (fit_to(draw_curve(45), scaler="minmax"), draw_curve(9)),
    "centred": lambda: (fit_to(draw_curve(45), scaler=None), draw_curve(9)),
    "large mean": lambda: (fit_to(draw_curve(45) + 1e6), draw_curve(9) + 1e6),
    "constant column": make_constant_column,
    "strong correlations": make_correlated,
    "many columns": make_wide,
    "a network and means": read_pinned,
    "classes": lambda: make_classes(45, gaps=0.0),
    "classes and pieces": lambda: make_classes(900, gaps=0.3),
}
for activation in ACTIVATIONS:
    CASES[activation] = partial(make_network, activation)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path))
    [found] = session.run(None, inputs)
    return found


def assert_exported(fitted, X, folder):
    """All three files give what the three methods give, in the same dtype."""
    codes = fitted.transform(X)
    for part, name, rows, expected in [
        ("encoder", "X", X, codes),
        ("decoder", "code", codes, fitted.inverse_transform(codes)),
        ("reconstruction", "X", X, fitted.reconstruct(X)),
    ]:
        path = folder / f"{part}.onnx"
        write_onnx(
            fitted,
            path,
            part,
            dtype=X.dtype.name,
        )
        for n in (1, len(X)):
            found = run(path, **{name: rows[:n]})
            assert found.dtype == X.dtype
            assert_near(
                found,
                expected[:n],
                what=part,
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@for_each(CASES, "make")
def test_each_part_gives_what_its_method_gives(make, dtype, tmp_path):
    fitted, X = make()
    assert_exported(fitted, X.astype(dtype), tmp_path)


@pytest.fixture(scope="module")
def with_gaps():
    return fit_to(hide(draw_curve(45)))


@given(
    missing=st.lists(
        st.lists(
            st.booleans(),
            min_size=6,
            max_size=6,
        ),
        min_size=1,
    )
)
def test_whatever_is_missing_is_filled_in(missing, with_gaps, tmp_path_factory):
    X = np.where(
        missing,
        np.nan,
        draw_curve(len(missing)),
    )
    assert_exported(with_gaps, X, tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module")
def estimator():
    frame = pd.DataFrame(
        draw_curve(60),
        columns=["a", "b", 'c "c"', "d", "e", "f"],
    )
    settings = {"hidden_layer_sizes": 4, "noise": 0.1, "max_iter": 1}
    return seeded(2, **settings).fit(frame)


def test_a_file_is_valid_and_has_names_and_each_kernel_once(estimator, tmp_path):
    path = tmp_path / "m.onnx"
    estimator.export(path, "reconstruction")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    shapes = [tuple(each.dims) for each in model.graph.initializer]
    kernels = [each.shape for each in estimator._fitted.network.kernels]
    assert sorted(each for each in shapes if len(each) == 2) == sorted(kernels)
    [entry] = model.metadata_props
    assert entry.key == "features"
    assert entry.value == r'["a", "b", "c \"c\"", "d", "e", "f"]'


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_numbers_beyond_single_precision_need_double(factor, tmp_path):
    """And a file that is there stays as it was."""
    X = draw_curve(45) * factor
    fitted = fit_to(X)
    path = tmp_path / "m.onnx"
    path.write_text("what was there")
    with pytest.raises(
        ValueError, match=r"too large or too small for float32.*dtype='float64'"
    ):
        write_onnx(fitted, path, "encoder")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["what was there"]
    write_onnx(
        fitted,
        path,
        "encoder",
        dtype="float64",
    )
    assert_near(run(path, X=X), fitted.transform(X))


def test_an_encoder_of_your_own_is_left_to_keras(iris, folder):
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    own = seeded(encoder=encoder, max_iter=1).fit(iris)
    with pytest.raises(ValueError, match=r"model_\.export"):
        own.export("m.onnx")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("m.keras", {}, ValueError, r"m\.keras' must end in '\.onnx'"),
        ("m.onnx", {"part": "middle"}, ValueError, "part='middle' is not one of 'enc"),
        (
            "m.onnx",
            {"dtype": "int8"},
            ValueError,
            "dtype='int8' is not one of 'float32'",
        ),
        ("nowhere/m.onnx", {}, FileNotFoundError, "no folder '.*nowhere'"),
        ("folder.onnx", {}, IsADirectoryError, "is a folder"),
    ],
)
def test_wrong_use_is_told_and_leaves_no_file(
    name, options, error, message, estimator, folder
):
    (folder / "folder.onnx").mkdir()
    with pytest.raises(error, match=message):
        estimator.export(name, **options)
    assert [path.name for path in folder.iterdir()] == ["folder.onnx"]


WITHOUT_ONNX = """
import sys
sys.modules["onnx"] = None  # as if it were not installed
import numpy as np
from keras_tied import TiedAutoencoder
TiedAutoencoder(1).fit(np.eye(4)).export("m.onnx")
"""


@slow
def test_without_onnx_the_estimator_works_and_export_says_what_to_install():
    done = run_python("-c", WITHOUT_ONNX, code=1)
    assert 'needs the package onnx; run pip install "keras-tied[onnx]"' in done.stderr
