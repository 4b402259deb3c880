"""What a file holds, by name: so that other programs can read it.

A file is one of safetensors. Its metadata has one entry, `keras_tied`: JSON with the
format, the settings, the notes of the command, and a checksum of these and of the
arrays.
"""

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from safetensors.numpy import load, load_file

from keras_tied import TiedAutoencoder
from keras_tied.fitted.layout import BOOLEAN, CATEGORY, Layout
from keras_tied.fitting.file import write_outcome
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters

LAYER = {"kernels": (0, 1), "biases": (1,), "decoder_biases": (0,), "gains": (1,)}
"""The arrays of each layer, and the widths that are their shapes: before and after the
layer.
"""
ARRAYS = """
    preprocessing.scaling.shift preprocessing.scaling.scale preprocessing.mean
    preprocessing.layout.columns preprocessing.layout.kinds
    outlier_score.code_axes.mean outlier_score.code_axes.vectors
    outlier_score.residual_axes.mean outlier_score.residual_axes.vectors
    outlier_score.gaussian.mean outlier_score.gaussian.precision outlier_score.median
    outlier_score.scale outlier_score.fences.middle outlier_score.fences.low
    outlier_score.fences.high outlier_score.tail.numbers smallest largest
    """.split()
ARRAYS_WHERE_MISSING = """
    preprocessing.gaussian.mean preprocessing.gaussian.precision imputation_weights
    """.split()
ARRAYS_OF_NADAM = "nadam.averages nadam.squares".split()
PIECES = "features low high shift scale".split()
ARRAYS_OF_CLASSES = (
    "link.frequencies link.temperatures link.mixtures link.costs".split()
)
SETTINGS = """
    params n_iter_ is_pca_ loss_curve_ validation_curve_ reconstruction_r2_ offset feature_names
    weight_decay activation columns steps transposed version
    """.split()
PARAMS = """
    activation batch_size categorical_features contamination early_stopping
    encoder hidden_layer_sizes learning_rate max_iter n_components n_iter_no_change noise
    random_state scaler solver sparsity
    trim validation_fraction verbose weight_decay
    """.split()
NOTES = """
    command trained seconds data rows components is_pca error pca_error measured_on
    streamed table trimmed has_classes held_out versions
    """.split()
COLUMNS = "version columns left_out label id".split()
COLUMN = "name kind categories other".split()

QUICK: dict[str, Any] = {
    "activation": "tanh",
    "solver": "lbfgs",
    "max_iter": 1,
    "early_stopping": False,
    "weight_decay": 0.0,
    "random_state": 0,
}


def bent_rows() -> np.ndarray:
    """60 rows of 5 numbers, which a network restores better than PCA after one
    iteration.
    """
    z = np.random.default_rng(0).normal(size=(60, 2))
    return np.column_stack([z, z**2, z.prod(axis=1)])


def with_gaps() -> np.ndarray:
    X = bent_rows()
    return np.where(np.random.default_rng(1).uniform(size=X.shape) < 0.2, np.nan, X)


def images() -> keras.Model:
    """An encoder of 2 x 2 pixels."""
    return keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(2)]
    )


FITTED: dict[str, Callable[[], TiedAutoencoder]] = {
    "one hidden layer": (
        lambda: TiedAutoencoder(hidden_layer_sizes=6, **QUICK).fit(bent_rows())
    ),
    "two hidden layers": (
        lambda: TiedAutoencoder(hidden_layer_sizes=(6, 4), **QUICK).fit(bent_rows())
    ),
    "missing": lambda: TiedAutoencoder(hidden_layer_sizes=6, **QUICK).fit(with_gaps()),
    "PCA": lambda: TiedAutoencoder().fit(bent_rows()[:20]),
    "partial": lambda: TiedAutoencoder(hidden_layer_sizes=6).partial_fit(bent_rows()),
}
WIDTHS = {"two hidden layers": (5, 8, 6, 2), "PCA": (5, 2)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Callable[[str], Path]:
    """A file of some kind, written when it is first asked for."""
    folder = tmp_path_factory.mktemp("saved")

    def file(kind: str) -> Path:
        path = folder / f"{kind}.safetensors"
        if not path.exists():
            FITTED[kind]().save(path)
        return path

    return file


def read_document(content: bytes) -> dict[str, Any]:
    """The JSON of a file."""
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert list(metadata) == ["keras_tied"]
    return json.loads(metadata["keras_tied"])


@pytest.mark.parametrize("kind", FITTED)
def test_an_estimator_has_these_arrays(saved, kind):
    arrays = load_file(saved(kind))
    widths = WIDTHS.get(kind, (5, 8, 2))
    network = {
        f"network.{name}.{i}": tuple(widths[i + end] for end in ends)
        for name, ends in LAYER.items()
        for i in range(len(widths) - 1)
    }
    assert {name: arrays[name].shape for name in network} == network
    assert {str(arrays[name].dtype) for name in network} == {"float32"}
    others = ARRAYS + (ARRAYS_WHERE_MISSING if kind == "missing" else [])
    state = ARRAYS_OF_NADAM if kind == "partial" else []
    assert set(arrays) == {*network, *others, *state}
    n_weights = sum(arrays[name].size for name in network)
    found = {(arrays[name].shape, str(arrays[name].dtype)) for name in state}
    assert found <= {((n_weights,), "float32")}
    dtypes = {name: str(arrays[name].dtype) for name in others}
    assert dtypes == {
        name: "int64" if name.startswith("preprocessing.layout.") else "float64"
        for name in others
    }


def test_probabilities_of_classes_have_the_arrays_of_a_link(tmp_path):
    level = np.random.default_rng(0).integers(0, 3, 40)
    X, parameters = (
        np.column_stack([np.eye(3)[level], level > 0]),
        Parameters(random_state=0),
    )
    layout = Layout(np.array([0, 0, 0, 1]), np.array([CATEGORY] * 3 + [BOOLEAN]))
    outcome = fit(parameters, X.astype(float), np.ones(40), layout=layout)
    write_outcome(tmp_path / "classes.safetensors", outcome, parameters.to_dict())
    arrays = load_file(tmp_path / "classes.safetensors")
    found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    of_link = {name: what for name, what in found.items() if name.startswith("link.")}
    assert of_link == dict.fromkeys(ARRAYS_OF_CLASSES, ((4,), "float64"))


def test_features_too_many_for_a_covariance_have_no_precision(tmp_path):
    """That of the score from 257 on, that of the imputation from 513 on."""
    for d, expected in {257: ["preprocessing.gaussian.precision"], 513: []}.items():
        X = np.random.default_rng(0).normal(size=(4, d))
        X[0, 0] = np.nan
        TiedAutoencoder().fit(X).save(tmp_path / "wide.safetensors")
        arrays = load_file(tmp_path / "wide.safetensors")
        assert [name for name in arrays if "precision" in name] == expected
        assert "preprocessing.gaussian.mean" in arrays


def test_numbers_of_many_rows_have_pieces(tmp_path):
    """Two of each of five, beside which are the quantiles that they lie between."""
    X = np.random.default_rng(0).normal(size=(600, 5))
    X[0, 0] = np.nan
    TiedAutoencoder(n_components=1, max_iter=1).fit(X).save(tmp_path / "m.safetensors")
    arrays = load_file(tmp_path / "m.safetensors")
    pieces = {name: arrays[f"preprocessing.gaussian.pieces.{name}"] for name in PIECES}
    assert {name: str(array.dtype) for name, array in pieces.items()} == {
        name: "int64" if name == "features" else "float64" for name in PIECES
    }
    assert pieces["features"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert arrays["preprocessing.gaussian.precision"].shape == (15, 15)
    assert arrays["outlier_score.gaussian.precision"].shape == (5, 5)


@pytest.mark.slow
def test_an_archive_of_keras_has_a_file_without_the_network(tmp_path):
    estimator = TiedAutoencoder(encoder=images(), max_iter=1, random_state=0)
    estimator.fit(bent_rows()[:, :4])
    estimator.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        names, member = archive.namelist(), archive.read("estimator.safetensors")
        config = json.loads(archive.read("config.json"))
    model = ["metadata.json", "config.json", "model.weights.h5"]
    assert names == [*model, "estimator.safetensors"]
    assert config["registered_name"] == "keras_tied>Autoencoder"
    assert set(load(member)) == set(ARRAYS)
    settings = read_document(member)["settings"]
    encoder = settings["params"]["encoder"]
    assert (encoder["module"], encoder["class_name"]) == ("keras", "Sequential")
    assert settings["activation"] is None


@pytest.mark.parametrize("kind", ["PCA", "two hidden layers"])
def test_the_checksum_is_that_of_settings_notes_and_arrays(saved, kind):
    content = saved(kind).read_bytes()
    text = content[8:].split(b'"keras_tied":')[1]
    document = json.JSONDecoder().raw_decode(text.decode(errors="replace"))[0]
    start, settings = document.split('"settings":')
    settings, notes = settings[:-1].split(',"notes":')
    digest = hashlib.sha256(settings.encode() + notes.encode())
    for name, array in sorted(load(content).items()):
        digest.update(
            f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes()
        )
    assert f'{{"format":1,"sha256":"{digest.hexdigest()}",' == start


@pytest.mark.parametrize("kind", ["PCA", "two hidden layers"])
def test_the_settings_have_these_keys(saved, kind):
    settings = read_document(saved(kind).read_bytes())["settings"]
    assert list(settings) == SETTINGS
    assert sorted(settings["params"]) == PARAMS


def test_parameters_are_stored_as_json_has_them(saved):
    params = read_document(saved("two hidden layers").read_bytes())["settings"][
        "params"
    ]
    assert params["hidden_layer_sizes"] == [6, 4]
    assert (params["activation"], params["max_iter"], params["encoder"]) == (
        "tanh",
        1,
        None,
    )


def test_the_notes_tell_how_a_table_becomes_numbers(model):
    document = read_document(model.read_bytes())
    notes, columns = document["notes"], document["settings"]["columns"]
    assert set(notes) == set(NOTES)
    assert list(columns) == COLUMNS
    assert (columns["version"], columns["label"], columns["id"]) == (1, "taste", "name")
    assert [list(column) for column in columns["columns"]] == [COLUMN] * 5
    kinds = {column["name"]: column["kind"] for column in columns["columns"]}
    expected = {
        "kind": "text",
        "weight": "number",
        "length": "number",
        "count": "integer",
    }
    assert kinds == expected | {"ripe": "boolean"}
    assert columns["columns"][0]["categories"] == ["apple", "pear", "plum"]
    names = "kind=apple kind=pear kind=plum weight length count ripe".split()
    assert document["settings"]["feature_names"] == names
