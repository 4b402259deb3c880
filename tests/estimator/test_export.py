"""ONNX files, run by onnxruntime, against the estimator's own methods."""

import copy
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError

from keras_tied import TiedAutoencoder
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, NUMBER, Layout
from keras_tied.fitted.onnx import write_onnx
from keras_tied.fitting.file import write_outcome
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters

from .networks import draw_network

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return load_digits(return_X_y=True)[0][:120].astype("float32")


@pytest.fixture(scope="module")
def iris() -> np.ndarray:
    return load_iris(return_X_y=True)[0].astype("float32")


def fit_estimator(X: np.ndarray, **params) -> TiedAutoencoder:
    """A network that stays one, PCA or not, because of its sparsity."""
    defaults = {
        "hidden_layer_sizes": 6,
        "solver": "lbfgs",
        "sparsity": 1e-6,
        "early_stopping": False,
        "max_iter": 3,
        "random_state": 0,
    }
    return TiedAutoencoder(2, **defaults | params).fit(X)


def of_few_rows(X: np.ndarray, **params) -> TiedAutoencoder:
    """One that is PCA, because there is too little to train on: there in no time."""
    return TiedAutoencoder(2, random_state=0, **params).fit(X[:: len(X) // 40][:40])


@pytest.fixture(scope="module")
def of_iris(iris) -> TiedAutoencoder:
    return of_few_rows(iris)


def with_network(estimator: TiedAutoencoder) -> TiedAutoencoder:
    """The same but for its network, which has not been trained."""
    estimator = copy.copy(estimator)
    network = draw_network((estimator.n_features_in_, 11, 2))
    value = replace(estimator._fitted, network=network)
    estimator._outcome = estimator._outcome._replace(fitted=value)
    return estimator


@pytest.fixture(scope="module")
def of_digits(digits) -> TiedAutoencoder:
    return fit_estimator(digits, hidden_layer_sizes=(8, 6))


def run(model, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    source = (
        model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    )
    session = onnxruntime.InferenceSession(source)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def assert_exported(estimator: TiedAutoencoder, X: np.ndarray, folder: Path) -> None:
    """All three files give what the three methods give, in the same dtype."""
    codes = estimator.transform(X)
    for part, inputs, expected in [
        ("encoder", {"X": X}, {"code": codes}),
        (
            "decoder",
            {"code": codes},
            {"reconstruction": estimator.inverse_transform(codes)},
        ),
        ("reconstruction", {"X": X}, {"reconstruction": estimator.reconstruct(X)}),
    ]:
        path = folder / f"{part}.onnx"
        estimator.export(path, part, dtype=X.dtype.name)
        found = run(path, **inputs)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == X.dtype
            assert_close(found[name], values)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_part_gives_what_its_method_gives(of_digits, digits, dtype, tmp_path):
    assert not of_digits.is_pca_
    assert_exported(of_digits, digits.astype(dtype), tmp_path)


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
def test_every_scaler_is_in_the_file(digits, scaler, tmp_path):
    assert_exported(of_few_rows(digits, scaler=scaler), digits, tmp_path)


def test_pca_that_no_network_has_beaten_is_exported(iris, of_iris, tmp_path):
    assert of_iris.is_pca_
    assert_exported(of_iris, iris, tmp_path)


def test_what_only_trains_leaves_no_trace(iris, tmp_path):
    penalties = {"noise": 0.1, "sparsity": 0.01, "weight_decay": 0.1}
    assert_exported(fit_estimator(iris, **penalties), iris, tmp_path)


def test_trained_in_batches_it_is_exported(iris, tmp_path):
    estimator = TiedAutoencoder(2, hidden_layer_sizes=6, random_state=0)
    estimator.partial_fit(iris[:100]).partial_fit(iris[100:])
    assert_exported(estimator, iris, tmp_path)


def test_loaded_from_its_own_file_it_is_exported(of_digits, digits, tmp_path):
    of_digits.save(tmp_path / "digits.safetensors")
    assert_exported(
        TiedAutoencoder.load(tmp_path / "digits.safetensors"), digits, tmp_path
    )


@pytest.mark.parametrize("count", [1, 3, 120])
def test_any_number_of_rows_goes_through_one_file(of_digits, digits, count, tmp_path):
    path = tmp_path / "encoder.onnx"
    of_digits.export(path)
    found = run(path, X=digits[:count])["code"]
    assert_close(found, of_digits.transform(digits[:count]))


def test_double_precision_keeps_a_small_spread_beside_a_large_mean(rng, tmp_path):
    X = 1e6 + rng.normal(size=(40, 3)) @ rng.normal(size=(3, 5))
    estimator = of_few_rows(X)
    assert_exported(estimator, X, tmp_path)
    assert_exported(estimator, X.astype("float32"), tmp_path)


@pytest.mark.parametrize("factor", [1e-60, 1e60])
def test_numbers_beyond_single_precision_need_double(factor, iris, tmp_path):
    X = iris.astype("float64") * factor
    estimator = of_few_rows(X)
    path = tmp_path / "codes.onnx"
    with pytest.raises(
        ValueError, match=r"too large or too small for float32.*dtype='float64'"
    ):
        estimator.export(path)
    assert not path.exists()
    estimator.export(path, dtype="float64")
    assert_close(run(path, X=X)["code"], estimator.transform(X))


def test_constant_columns_do_no_harm(iris, tmp_path):
    X = np.hstack([iris, np.full((len(iris), 1), 7, "float32")])
    estimator = of_few_rows(X)
    assert_exported(estimator, X, tmp_path)
    assert_exported(estimator, np.where(X == 7, np.float32(9), X), tmp_path)


@pytest.fixture(scope="module")
def with_gaps(digits) -> TiedAutoencoder:
    """One that has seen missing pixels, and so fills in their conditional means."""
    hidden = np.random.default_rng(0).uniform(size=digits.shape) < 0.2
    return TiedAutoencoder(2, random_state=0).fit(np.where(hidden, np.nan, digits)[:40])


@given(missing=hnp.arrays(bool, (5, 64), elements=st.booleans()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_missing_is_filled_in_as_the_estimator_does(
    with_gaps, digits, missing, tmp_path
):
    X = np.where(missing, np.float32(np.nan), digits[50:55])
    assert_exported(with_gaps, X, tmp_path)


@pytest.mark.parametrize("present", [0, 1, 63])
def test_a_row_with_little_or_much_missing_is_filled_in(
    with_gaps, digits, present, tmp_path
):
    X = np.where(np.arange(64) < present, digits[:3], np.float32(np.nan))
    assert_exported(with_gaps, X, tmp_path)


def test_a_network_and_conditional_means_fill_in_together(tmp_path):
    path = Path(__file__).parents[1] / "pinned" / "files" / "imputation"
    estimator = TiedAutoencoder.load(f"{path}.safetensors")
    assert estimator._fitted.imputation_weights.max() > 0.1
    assert_exported(estimator, np.load(f"{path}.npz")["rows"], tmp_path)


def test_strongly_correlated_columns_are_filled_in(rng, tmp_path):
    X = rng.normal(size=(60, 1)) + 1e-4 * rng.normal(size=(60, 30))
    X = np.where(rng.uniform(size=X.shape) < 0.3, np.nan, X)
    estimator = TiedAutoencoder(2, random_state=0).fit(X[:40])
    assert_exported(estimator, X, tmp_path)


def test_more_columns_than_covariances_are_kept_of_are_filled_with_means(rng, tmp_path):
    X = rng.normal(size=(40, 600)).astype("float32")
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    assert_exported(of_few_rows(X), X, tmp_path)


def test_classes_and_pieces_of_numbers_are_imputed(rng, tmp_path):
    """A number, two categories of three and of two classes, a boolean and another
    number.
    """
    n, size = 900, rng.normal(size=900)
    kind = np.digitize(size + 0.5 * rng.normal(size=n), [-0.5, 0.5])
    X = np.column_stack(
        [size, np.eye(3)[kind], size > 0, size**2, np.eye(2)[rng.integers(2, size=n)]]
    ).astype("float32")
    columns = np.array([0, 1, 1, 1, 2, 3, 4, 4])
    layout = Layout(columns, np.array([0, 2, 2, 2, 1, 0, 2, 2]))
    X[(rng.uniform(size=(n, 5)) < 0.3)[:, columns]] = np.nan
    X[0] = np.nan
    fitted = fit(
        Parameters(random_state=0, max_iter=2), X, np.ones(len(X)), layout=layout
    ).fitted
    assert fitted.preprocessing.gaussian.pieces is not None
    filled = fitted.reconstruct(X)
    for part, expected in (
        ("encoder", fitted.transform(X)),
        ("reconstruction", filled),
    ):
        write_onnx(fitted, tmp_path / f"{part}.onnx", part)
        [found] = run(tmp_path / f"{part}.onnx", X=X).values()
        assert_close(found, expected)
    missing = np.isnan(X[:, 1])
    np.testing.assert_allclose(
        np.sort(filled[missing, 1:4]), [[0, 0, 1]] * missing.sum(), atol=1e-6
    )


def test_what_was_never_missing_in_training_is_filled_with_the_mean(
    of_digits, digits, tmp_path
):
    X = digits[:9].copy()
    X[::2, ::3] = np.nan
    assert_exported(of_digits, X, tmp_path)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_classes_are_exported(n, dtype, rng, tmp_path):
    """Of PCA (40 rows) and of a network."""
    level, z = rng.integers(0, 3, n), rng.normal(size=n)
    X = np.column_stack([z + level, level > 0, np.eye(3)[level], z**2]).astype(dtype)
    layout = Layout(
        np.array([0, 1, 2, 2, 2, 3]),
        np.array([NUMBER, BOOLEAN, *[CATEGORY] * 3, NUMBER]),
    )
    parameters = Parameters(random_state=0, max_iter=20)
    outcome = fit(parameters, X, np.ones(len(X)), layout=layout)
    write_outcome(tmp_path / "m.safetensors", outcome, parameters.to_dict())
    estimator = TiedAutoencoder.load(tmp_path / "m.safetensors")
    assert estimator._fitted.link is not None
    assert_exported(estimator, X, tmp_path)


def test_an_encoder_of_your_own_is_left_to_keras(digits, tmp_path):
    encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(2)])
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(digits)
    path = tmp_path / "m.onnx"
    with pytest.raises(ValueError, match=r"model_\.export"):
        estimator.export(path)
    assert not path.exists()


def test_failed_export_leaves_the_old_file_as_it_was(iris, tmp_path):
    path = tmp_path / "encoder.onnx"
    path.write_text("what was there")
    with pytest.raises(ValueError, match="float32"):
        of_few_rows(iris.astype("float64") * 1e60).export(path)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["what was there"]


def test_model_is_valid_and_holds_each_kernel_once(of_digits, tmp_path):
    path = tmp_path / "reconstruction.onnx"
    of_digits.export(path, "reconstruction")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    dense = [layer for layer in of_digits.encoder_.layers if hasattr(layer, "kernel")]
    kernels = sorted(
        tuple(one.dims) for one in model.graph.initializer if len(one.dims) == 2
    )
    assert kernels == sorted(tuple(layer.kernel.shape) for layer in dense)


def test_names_of_the_features_are_in_the_file(iris, tmp_path):
    table = pd.DataFrame(iris, columns=["a", "b", 'c "c"', "d"])
    of_few_rows(table).export(tmp_path / "encoder.onnx")
    (entry,) = onnx.load(tmp_path / "encoder.onnx").metadata_props
    assert (entry.key, entry.value) == ("features", r'["a", "b", "c \"c\"", "d"]')


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("model.keras", {}, ValueError, r"model.keras' must end in '.onnx'"),
        (
            "model.onnx",
            {"part": "middle"},
            ValueError,
            "part='middle' is none of 'encoder'",
        ),
        (
            "model.onnx",
            {"dtype": "int8"},
            ValueError,
            "dtype='int8' is none of 'float32'",
        ),
        ("nowhere/model.onnx", {}, FileNotFoundError, "no such folder"),
        ("folder.onnx", {}, IsADirectoryError, "name a file"),
    ],
)
def test_wrong_use_is_told_and_leaves_no_file(
    of_digits, name, options, error, message, tmp_path
):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(error, match=message):
        of_digits.export(tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_before_fit_there_is_nothing_to_export(tmp_path):
    with pytest.raises(NotFittedError):
        TiedAutoencoder().export(tmp_path / "model.onnx")


@pytest.mark.slow
def test_without_onnx_the_estimator_works_and_export_says_what_to_install():
    program = (
        "import sys\n"
        "sys.modules['onnx'] = None  # as if it were not installed\n"
        "import numpy as np\n"
        "from keras_tied import TiedAutoencoder\n"
        "TiedAutoencoder(1).fit(np.eye(4)).export('model.onnx')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert (
        "ImportError: Writing ONNX needs the package onnx; run pip install"
        ' "keras-tied[onnx]"' in (result.stderr)
    )
