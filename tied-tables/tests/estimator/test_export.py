"""ONNX files, run by onnxruntime, against the methods of the fitted value."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from tests.marks import for_each, slow
from tests.processes import run_python

from tied_tables import load
from tied_tables.fit.fit import fit
from tied_tables.fit.plan import Parameters
from tied_tables.fit.rows import Features
from tied_tables.model.activations import ACTIVATIONS
from tied_tables.model.onnx import write_onnx

from .classes import LAYOUT, draw_classes
from .model_files import FOLDER
from .near import assert_near
from .networks import draw_curve, draw_network, seeded, with_gaps

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def fit_to(X, layout=None, **parameters):
    settings = Parameters(
        random_state=0,
        max_iter=2,
        **parameters,
    )
    return fit(settings, X, features=Features(layout=layout))


def hide(X):
    return with_gaps(X, 0.2, default_rng(1))


def make_network(activation):
    X = draw_curve(45)
    network = draw_network((6, 11, 8, 2), activation)
    return replace(fit_to(X), network=network), hide(X)


def make_constant_column():
    X = draw_curve(45)
    X[:, 2] = 7
    fitted = fit_to(X)
    X[:9, 2] = 9
    return fitted, X


def make_gaps():
    """Each row lacks other numbers, the first one all."""
    is_there = np.indices((2,) * 6).reshape(6, 64).T
    X = np.where(
        is_there,
        draw_curve(64),
        np.nan,
    )
    return fit_to(hide(draw_curve(45))), X


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
    rows = np.load(FOLDER / "imputation.npz")["rows"]
    return load(FOLDER / "imputation.safetensors"), rows


def make_classes(n, missing):
    X = draw_classes(n, missing=missing)
    return fit_to(X, LAYOUT), X


CASES = {
    "standard": lambda: (fit_to(draw_curve(45)), draw_curve(9)),
    "minmax": lambda: (fit_to(draw_curve(45), scaler="minmax"), draw_curve(9)),
    "centred": lambda: (fit_to(draw_curve(45), scaler=None), draw_curve(9)),
    "large mean": lambda: (fit_to(draw_curve(45) + 1e6), draw_curve(9) + 1e6),
    "constant column": make_constant_column,
    "whatever is missing": make_gaps,
    "strong correlations": make_correlated,
    "many columns": make_wide,
    "a network and means": read_pinned,
    "classes": lambda: make_classes(45, missing=0.0),
    "classes and pieces": lambda: make_classes(900, missing=0.3),
}
for activation in ACTIVATIONS:
    CASES[activation] = partial(make_network, activation)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path))
    [found] = session.run(None, inputs)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@for_each(CASES, "make")
def test_each_part_gives_what_its_method_gives(make, dtype, tmp_path):
    """In the same dtype."""
    fitted, X = make()
    X = X.astype(dtype)
    codes = fitted.transform(X)
    path = tmp_path / "m.onnx"
    for part, name, rows, expected in [
        ("encoder", "X", X, codes),
        ("decoder", "code", codes, fitted.inverse_transform(codes)),
        ("reconstruction", "X", X, fitted.reconstruct(X)),
    ]:
        write_onnx(
            fitted,
            path,
            part,
            dtype=dtype,
        )
        for n in (1, len(X)):
            found = run(path, **{name: rows[:n]})
            assert found.dtype == dtype
            assert_near(
                found,
                expected[:n],
                what=part,
            )


@pytest.fixture(scope="module")
def estimator():
    frame = pd.DataFrame(
        draw_curve(60),
        columns=["a", "b", 'c "c"', "d", "e", "f"],
    )
    return seeded(2, hidden_layer_sizes=4, noise=0.1, max_iter=1).fit(frame)


def test_a_file_is_valid_and_has_names_and_each_kernel_once(estimator, tmp_path):
    path = tmp_path / "m.onnx"
    estimator.export(path, "reconstruction")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    shapes = [tuple(each.dims) for each in model.graph.initializer]
    kernels = [each.shape for each in estimator._model.network.kernels]
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


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("m.keras", {}, ValueError, r"m\.keras' must end in '\.onnx'"),
        ("m.onnx", {"part": "middle"}, ValueError, "part='middle' must be one of 'enc"),
        (
            "m.onnx",
            {"dtype": "int8"},
            ValueError,
            "dtype='int8' must be one of 'float32'",
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
from tied_tables import TiedAutoencoder
TiedAutoencoder(1).fit(np.eye(4)).export("m.onnx")
"""


@slow
def test_without_onnx_the_estimator_works_and_export_says_what_to_install():
    done = run_python("-c", WITHOUT_ONNX, code=1)
    assert 'needs the package onnx; run pip install "tied-tables[onnx]"' in done.stderr
