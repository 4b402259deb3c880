"""What a file holds, by name: so that older versions read what newer ones write, and the reverse.

A file is Keras's own archive with members of ours. Keras names the weights by the attributes and
the classes that lead to them, so that renaming one of these changes the format as well.
"""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from keras_tied import TiedAutoencoder, cli

KERAS_MEMBERS = ["metadata.json", "config.json", "model.weights.h5"]
MEMBERS = [*KERAS_MEMBERS, "estimator.json", "estimator.npz"]
WEIGHTS = {
    "one hidden layer": {
        "decoder/layers/tied_dense/kernel_layer/vars/0": (8, 2),
        "decoder/layers/tied_dense/kernel_layer/vars/1": (2,),
        "decoder/layers/tied_dense/vars/0": (2,),
        "decoder/layers/tied_dense/vars/1": (8,),
        "decoder/layers/tied_dense_1/kernel_layer/vars/0": (5, 8),
        "decoder/layers/tied_dense_1/kernel_layer/vars/1": (8,),
        "decoder/layers/tied_dense_1/vars/0": (8,),
        "decoder/layers/tied_dense_1/vars/1": (5,),
    },
    "two hidden layers": {
        "decoder/layers/tied_dense/kernel_layer/vars/0": (6, 2),
        "decoder/layers/tied_dense/kernel_layer/vars/1": (2,),
        "decoder/layers/tied_dense/vars/0": (2,),
        "decoder/layers/tied_dense/vars/1": (6,),
        "decoder/layers/tied_dense_1/kernel_layer/vars/0": (8, 6),
        "decoder/layers/tied_dense_1/kernel_layer/vars/1": (6,),
        "decoder/layers/tied_dense_1/vars/0": (6,),
        "decoder/layers/tied_dense_1/vars/1": (8,),
        "decoder/layers/tied_dense_2/kernel_layer/vars/0": (5, 8),
        "decoder/layers/tied_dense_2/kernel_layer/vars/1": (8,),
        "decoder/layers/tied_dense_2/vars/0": (8,),
        "decoder/layers/tied_dense_2/vars/1": (5,),
    },
    "PCA": {
        "decoder/layers/tied_dense/kernel_layer/vars/0": (5, 2),
        "decoder/layers/tied_dense/kernel_layer/vars/1": (2,),
        "decoder/layers/tied_dense/vars/0": (5,),
    },
    "encoder": {
        "decoder/layers/tied_conv/kernel_layer/vars/0": (2, 2, 1, 3),
        "decoder/layers/tied_conv/kernel_layer/vars/1": (3,),
        "decoder/layers/tied_conv/vars/0": (3,),
        "decoder/layers/tied_conv/vars/1": (1,),
        "decoder/layers/tied_dense/kernel_layer/vars/0": (3, 2),
        "decoder/layers/tied_dense/kernel_layer/vars/1": (2,),
        "decoder/layers/tied_dense/vars/0": (2,),
        "decoder/layers/tied_dense/vars/1": (3,),
    },
}
"""By kind of network: its weights and their shapes; a tied layer keeps gain, then bias."""
OPTIMIZER = {f"optimizer/vars/{index}" for index in range(19)}
"""Of Nadam: the iterations, the learning rate, two momenta for each weight, and a product."""
ARRAYS = {
    "scaling.shift": ("float64", 1),
    "scaling.scale": ("float64", 1),
    "mean": ("float64", 1),
    "score.columns": ("float64", 1),
    "score.code_axes.mean": ("float64", 1),
    "score.code_axes.vectors": ("float64", 2),
    "score.residual_axes.mean": ("float64", 1),
    "score.residual_axes.vectors": ("float64", 2),
    "score.gaussian.mean": ("float64", 1),
    "score.gaussian.precision": ("float64", 2),
    "score.median": ("float64", 1),
    "score.scale": ("float64", 1),
    "score.fences.middle": ("float64", 1),
    "score.fences.low": ("float64", 1),
    "score.fences.high": ("float64", 1),
    "score.tail": ("float64", 1),
}
"""The dtype and the number of axes of each array of estimator.npz."""
ARRAYS_WHERE_MISSING = ARRAYS | {
    "gaussian.mean": ("float64", 1),
    "gaussian.precision": ("float64", 2),
    "imputation.weights": ("float64", 1),
}
SETTINGS = ["format", "keras_tied", "params", "learned", "feature_names_in"]
PARAMS = """
    activation batch_size contamination contraction early_stopping encoder hidden_layer_sizes
    learning_rate max_iter n_components n_iter_no_change noise random_state scaler solver sparsity
    trim validation_fraction verbose weight_decay
    """.split()
LEARNED = """
    n_components_ n_features_in_ n_iter_ is_pca_ loss_curve_ validation_curve_ reconstruction_r2_
    offset_
    """.split()
NOTES = """
    command trained seconds data rows columns components is_pca error pca_error measured_on
    streamed table trimmed versions
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
    """60 rows of 5 numbers, which a network restores better than PCA after one iteration."""
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
    "one hidden layer": lambda: TiedAutoencoder(hidden_layer_sizes=6, **QUICK).fit(bent_rows()),
    "two hidden layers": lambda: TiedAutoencoder(hidden_layer_sizes=(6, 4), **QUICK).fit(
        bent_rows()
    ),
    "missing": lambda: TiedAutoencoder(hidden_layer_sizes=6, **QUICK).fit(with_gaps()),
    "PCA": lambda: TiedAutoencoder().fit(bent_rows()[:20]),
    "partial": lambda: TiedAutoencoder(hidden_layer_sizes=6).partial_fit(bent_rows()),
    "encoder": lambda: TiedAutoencoder(encoder=images(), **QUICK).fit(bent_rows()[:, :4]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Callable[[str], Path]:
    """A file of some kind, written by this version when it is first asked for."""
    folder = tmp_path_factory.mktemp("saved")

    def file(kind: str) -> Path:
        path = folder / f"{kind.replace(' ', '-')}.keras"
        if not path.exists():
            estimator = FITTED[kind]()
            assert estimator.is_pca_ == (kind == "PCA")
            estimator.save(path)
        return path

    return file


@pytest.fixture(scope="module")
def noted(tmp_path_factory, table) -> Path:
    """A file that the command has written in this version."""
    path = tmp_path_factory.mktemp("noted") / "model.keras"
    arguments = ["fit", table, "-o", path, "--epochs", 1, "--hidden", 6, "--quiet"]
    options = ["--id", "name", "--label", "taste", "--dates", "off"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["keras-tied", *map(str, arguments), *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert not ended.value.code
    return path


def member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def members(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def weights(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the datasets in a file, by their names."""
    shapes: dict[str, tuple[int, ...]] = {}
    with h5py.File(io.BytesIO(member(path, "model.weights.h5"))) as stored:
        stored.visititems(
            lambda name, item: (
                shapes.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return shapes


def arrays(path: Path) -> dict[str, tuple[str, int]]:
    with np.load(io.BytesIO(member(path, "estimator.npz")), allow_pickle=False) as stored:
        return {name: (stored[name].dtype.name, stored[name].ndim) for name in stored.files}


@pytest.mark.parametrize("kind", ["PCA", "one hidden layer"])
def test_an_archive_has_these_members(saved, kind):
    assert members(saved(kind)) == MEMBERS


def test_an_archive_of_the_command_has_notes_too(noted):
    assert members(noted) == [*MEMBERS, "notes.json"]


@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_network_has_these_weights(saved, kind):
    assert weights(saved(kind)) == WEIGHTS[kind]


def test_the_weights_do_not_depend_on_missing_values(saved):
    assert weights(saved("missing")) == WEIGHTS["one hidden layer"]


def test_the_optimizer_of_partial_fit_is_beside_the_weights(saved):
    assert set(weights(saved("partial"))) == {*WEIGHTS["one hidden layer"], *OPTIMIZER}


@pytest.mark.parametrize("kind", FITTED)
def test_an_estimator_has_these_arrays(saved, kind):
    expected = ARRAYS_WHERE_MISSING if kind == "missing" else ARRAYS
    assert arrays(saved(kind)) == expected


def test_features_too_many_for_a_covariance_have_no_precision(tmp_path):
    """From 257 on."""
    X = np.random.default_rng(0).normal(size=(4, 257))
    X[0, 0] = np.nan
    TiedAutoencoder().fit(X).save(tmp_path / "wide.keras")
    found = arrays(tmp_path / "wide.keras")
    assert found == {n: a for n, a in ARRAYS_WHERE_MISSING.items() if "precision" not in n}


@pytest.mark.parametrize("kind", FITTED)
def test_the_settings_have_these_keys(saved, kind):
    settings = json.loads(member(saved(kind), "estimator.json"))
    assert list(settings) == SETTINGS
    assert sorted(settings["params"]) == PARAMS
    assert list(settings["learned"]) == LEARNED


def test_the_format_is_3(saved):
    assert json.loads(member(saved("PCA"), "estimator.json"))["format"] == 3


def test_parameters_are_stored_as_json_has_them(saved):
    params = json.loads(member(saved("two hidden layers"), "estimator.json"))["params"]
    assert params["hidden_layer_sizes"] == [6, 4]
    assert (params["activation"], params["max_iter"], params["encoder"]) == ("tanh", 1, None)


def test_an_encoder_is_stored_as_keras_serialises_it(saved):
    encoder = json.loads(member(saved("encoder"), "estimator.json"))["params"]["encoder"]
    assert (encoder["module"], encoder["class_name"]) == ("keras", "Sequential")


@pytest.mark.parametrize("kind", FITTED)
def test_the_model_is_stored_under_its_registered_name(saved, kind):
    config = json.loads(member(saved(kind), "config.json"))
    assert config["registered_name"] == "keras_tied>Autoencoder"
    parts = {"encoder", "decoder", "noise", "code_regularizer", "contraction"}
    assert parts <= set(config["config"])


def test_the_notes_have_these_keys(noted):
    notes = json.loads(member(noted, "notes.json"))
    assert set(notes) == set(NOTES)
    assert list(notes["columns"]) == COLUMNS
    assert [list(column) for column in notes["columns"]["columns"]] == [COLUMN] * 5


def test_the_notes_tell_how_a_table_becomes_numbers(noted):
    columns = json.loads(member(noted, "notes.json"))["columns"]
    assert columns["version"] == 1
    assert (columns["label"], columns["id"]) == ("taste", "name")
    found = {column["name"]: column["kind"] for column in columns["columns"]}
    assert found == {
        "kind": "text",
        "weight": "number",
        "length": "number",
        "count": "integer",
        "ripe": "boolean",
    }
    assert columns["columns"][0]["categories"] == ["apple", "pear", "plum"]


def test_the_settings_of_the_command_name_the_numbers_of_a_row(noted):
    names = json.loads(member(noted, "estimator.json"))["feature_names_in"]
    assert names == "kind=apple kind=pear kind=plum weight length count ripe".split()
