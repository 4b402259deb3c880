"""Files of each kind are read, and give what they gave; `make.py` has written them."""

import csv
import io
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas
import pytest

from keras_tied import Autoencoder, TiedAutoencoder, load

FOLDER = Path(__file__).parent / "files"
KINDS = "text missing pca encoder deep partial objectives imputation".split()
FILES = {kind: FOLDER / f"{kind}.safetensors" for kind in KINDS} | {
    "encoder": FOLDER / "encoder.keras"
}
RESULTS = "transform inverse_transform reconstruct reconstruction_error score_samples score".split()
TOLERANCES = {"reconstruct": 3e-5, "inverse_transform": 3e-5, "score_samples": 1e-3}
"""Relative and absolute, where they are not 1e-5: a score divides by spreads that may
be tiny.
"""
LEARNED = "n_iter_ is_pca_ reconstruction_r2_ offset_ loss_curve_".split()
NAMES: dict[str, list[str] | None] = dict.fromkeys(KINDS) | {
    "text": ["kind", "weight", "length", "count", "ripe"],
    "missing": list("abcde"),
}
DEFAULTS = {
    "n_components": 2,
    "checkpoint": None,
    "hidden_layer_sizes": "auto",
    "activation": "auto",
    "solver": "auto",
    "scaler": "standard",
    "noise": 0.0,
    "sparsity": 0.0,
    "weight_decay": "auto",
    "encoder": None,
    "categorical_features": "from_dtype",
    "max_iter": None,
    "batch_size": "auto",
    "learning_rate": "auto",
    "early_stopping": True,
    "validation_fraction": 0.1,
    "n_iter_no_change": 50,
    "contamination": 0.1,
    "trim": True,
    "random_state": None,
    "verbose": 0,
}
GIVEN: dict[str, dict[str, Any]] = {
    "text": {"hidden_layer_sizes": (6,), "max_iter": 30, "early_stopping": False},
    "missing": {
        "hidden_layer_sizes": 6,
        "max_iter": 20,
        "early_stopping": False,
        "trim": False,
    },
    "imputation": {"hidden_layer_sizes": (16, 16)},
    "pca": {"n_components": 0.7, "scaler": None},
    "encoder": {"max_iter": 9},
    "deep": {
        "hidden_layer_sizes": (8, 4),
        "activation": "silu",
        "scaler": "minmax",
        "weight_decay": 1e-4,
        "max_iter": 40,
        "early_stopping": False,
        "trim": False,
    },
    "partial": {"hidden_layer_sizes": 6, "batch_size": 15},
    "objectives": {
        "hidden_layer_sizes": 6,
        "activation": "elu",
        "noise": 0.1,
        "sparsity": 1e-3,
        "weight_decay": 1e-4,
        "max_iter": 5,
        "trim": False,
    },
}
"""The parameters that `make.py` gave, but for the encoder."""


class Pinned(NamedTuple):
    estimator: TiedAutoencoder
    X: Any
    results: dict[str, np.ndarray]


@cache
def pinned(kind: str) -> Pinned:
    """A file as it is loaded today, its rows, and the results when it was written."""
    with np.load(FILES[kind].with_suffix(".npz")) as stored:
        results = dict(stored)
    X, names = results.pop("rows"), NAMES[kind]
    X = pandas.DataFrame(X, columns=names) if kind == "missing" else X
    return Pinned(TiedAutoencoder.load(FILES[kind]), X, results)


def assert_close(name: str, found: Any, expected: Any) -> None:
    tolerance = TOLERANCES.get(name, 1e-5)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_results_that_it_gave(kind, name):
    estimator, X, results = pinned(kind)
    rows = results["transform"] if name == "inverse_transform" else X
    assert_close(name, getattr(estimator, name)(rows), results[name])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_error_of_each_feature_that_it_gave(kind):
    estimator, X, results = pinned(kind)
    found = estimator.reconstruction_error(X, per_feature=True)
    assert_close(
        "reconstruction_error", found, results["reconstruction_error_per_feature"]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_outliers_that_it_gave(kind):
    estimator, X, results = pinned(kind)
    np.testing.assert_array_equal(estimator.predict(X), results["predict"])


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_rows_keep_the_dtype_of_the_input(kind):
    estimator, X, results = pinned(kind)
    for name in ("transform", "reconstruct"):
        assert (
            getattr(estimator, name)(X).dtype
            == results[name].dtype
            == np.asarray(X).dtype
        )


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_learned_what_it_had(kind, name):
    estimator, _, results = pinned(kind)
    found, expected = getattr(estimator, name), results[name].tolist()
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_takes_and_gives_rows_of_the_widths_that_it_did(kind):
    estimator, X, results = pinned(kind)
    widths = estimator.n_features_in_, estimator.n_components_
    n_columns = X.shape[1] if NAMES[kind] is None else len(NAMES[kind])
    assert widths == (n_columns, results["transform"].shape[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_the_names_that_it_had(kind):
    names = getattr(pinned(kind).estimator, "feature_names_in_", None)
    assert (None if names is None else names.tolist()) == NAMES[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_has_the_parameters_that_it_had(kind):
    found = pinned(kind).estimator.get_params(deep=False)
    expected = DEFAULTS | {"random_state": 0} | GIVEN[kind]
    if kind == "encoder":
        assert isinstance(found.pop("encoder"), keras.Model)
        del expected["encoder"]
    assert found == expected


def test_an_encoder_of_the_user_s_comes_back():
    encoder = pinned("encoder").estimator.encoder
    kinds = [type(layer) for layer in encoder.layers]
    assert kinds == [keras.layers.Conv2D, keras.layers.Flatten, keras.layers.Dense]
    assert (encoder.input_shape, encoder.output_shape) == ((None, 5, 5, 1), (None, 3))


def test_a_model_has_the_objectives_that_it_had():
    model = pinned("objectives").estimator.model_
    assert isinstance(model.noise, keras.layers.GaussianNoise)
    assert model.noise.stddev == pytest.approx(0.1)
    assert isinstance(model.code_regularizer, keras.regularizers.L1)
    assert float(model.code_regularizer.l1) == pytest.approx(1e-3)
    decays = [float(layer.kernel_regularizer.l2) for layer in model.encoder.layers[::2]]
    assert decays == pytest.approx([1e-4, 1e-4])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=[pytest.mark.slow] * (kind not in ("text", "encoder", "partial")),
        )
        for kind in KINDS
    ],
)
def test_keras_reads_a_model_that_gives_the_codes_of_scaled_rows(kind, tmp_path):
    estimator, X, results = pinned(kind)
    file = FILES[kind]
    if kind != "encoder":
        file = tmp_path / "model.keras"
        estimator.model_.save(file)
    model = keras.models.load_model(file)
    assert isinstance(model, Autoencoder)
    X = np.asarray(X)
    whole = ~np.isnan(X).any(axis=1)
    scaling = load(FILES[kind]).preprocessing.scaling
    rows = ((X - scaling.shift) / scaling.scale)[whole].astype(np.float32)
    codes = model.encoder(rows.reshape(-1, *model.encoder.input_shape[1:]))
    assert_close(
        "transform", keras.ops.convert_to_numpy(codes), results["transform"][whole]
    )


def test_training_goes_on_with_the_state_of_the_file():
    """8 steps were made, of 15 rows each, and 60 rows are 4 more."""
    estimator, X = TiedAutoencoder.load(FILES["partial"]), pinned("partial").X
    assert estimator._outcome.nadam.step == 8
    estimator.partial_fit(X[:60])
    assert (estimator._outcome.nadam.step, estimator.n_iter_) == (12, 3)


def columns(text: str) -> dict[str, Any]:
    """The columns of CSV by name: numbers, but for those of text and the id."""
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    pairs = zip(header, zip(*rows, strict=True), strict=True)
    return {name: cells(name, column) for name, column in pairs}


def cells(name: str, column: tuple[str, ...]) -> Any:
    try:
        return column if name == "name" else np.array(column, float)
    except ValueError:
        return column


@pytest.mark.parametrize("command", ["encode", "decode", "reconstruct", "score"])
def test_the_command_makes_of_a_file_what_it_made(keras_tied, command):
    table = FOLDER / ("text.encode.csv" if command == "decode" else "text.csv")
    done = keras_tied(command, FILES["text"], table, "-o", "-")
    assert (done.code, done.err) == (0, "")
    found = columns(done.out)
    expected = columns((FOLDER / f"text.{command}.csv").read_text())
    assert list(found) == list(expected)
    for name, column in expected.items():
        if isinstance(column, tuple):
            assert found[name] == column, name
        else:
            tolerance = 1e-3 if name in ("score", "one_in") else 3e-5
            np.testing.assert_allclose(
                found[name], column, rtol=tolerance, atol=tolerance, err_msg=name
            )


def test_the_command_tells_of_a_file_what_fit_has_noted(keras_tied):
    done = keras_tied("inspect", FILES["text"])
    said = " ".join(done.out.split())
    for fact in ("rows 60", "keras-tied fit text.csv", "kind categories"):
        assert fact in said
