"""`save` and `load`, pickle, joblib and copies, in this process and in a new one."""

import copy
import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from keras_tied import Autoencoder, TiedAutoencoder, _backend

ELSEWHERE = """
import pickle, sys
import numpy as np
how, model, rows, codes = sys.argv[1:]
if how == "pickle":
    with open(model, "rb") as file:
        estimator = pickle.load(file)
else:
    from keras_tied import TiedAutoencoder
    estimator = TiedAutoencoder.load(model)
np.save(codes, estimator.transform(np.load(rows)))
"""


def same(one: TiedAutoencoder, other: TiedAutoencoder, X: np.ndarray) -> None:
    """All that an estimator gives for some rows is equal."""
    for name in ("transform", "reconstruct", "reconstruction_error", "decision_function"):
        expected = getattr(one, name)(X)
        np.testing.assert_allclose(getattr(other, name)(X), expected, atol=1e-5, err_msg=name)
    curves = "loss_curve_", "validation_curve_"
    for name in ("n_iter_", *curves, "is_pca_", "reconstruction_r2_", "offset_"):
        assert getattr(other, name) == getattr(one, name), name


@pytest.fixture
def file(fitted, tmp_path):
    path = tmp_path / "iris.keras"
    fitted.save(path)
    return path


def test_loaded_is_the_same(fitted, file, iris):
    loaded = TiedAutoencoder.load(file)
    same(fitted, loaded, iris)
    assert loaded.get_params() == fitted.get_params()
    assert sorted(path.name for path in file.parent.iterdir()) == ["iris.keras"]


def test_keras_reads_the_model_from_it(fitted, file, iris):
    model = keras.models.load_model(file)
    assert isinstance(model, Autoencoder)
    scaled = StandardScaler().fit_transform(iris).astype("float32")
    expected = keras.ops.convert_to_numpy(fitted.model_(scaled))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(scaled)), expected, atol=1e-6)


def test_file_holds_each_kernel_once(file, fitted):
    h5py = pytest.importorskip("h5py")
    sizes = []
    with zipfile.ZipFile(file) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as stored:
        stored.visititems(
            lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None
        )
    assert sum(sizes) == fitted.model_.count_params()


@pytest.mark.parametrize(
    "parameters",
    [
        {"scaler": "minmax", "hidden_layer_sizes": (6, 4), "activation": "silu", "n_components": 2},
        pytest.param(
            {"noise": layers.GaussianDropout(0.1), "activation": keras.activations.elu},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "scaler": None,
                "noise": 0.1,
                "sparsity": 1e-3,
                "contraction": 1e-3,
                "weight_decay": 0,
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"n_components": 0.9, "hidden_layer_sizes": np.int64(8), "random_state": np.int64(3)},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_parameter_comes_back(parameters, iris, tmp_path):
    estimator = TiedAutoencoder(**({"max_iter": 2, "random_state": 0} | parameters)).fit(iris)
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    same(estimator, loaded, iris)
    assert set(loaded.get_params()) == set(estimator.get_params())
    for name, value in loaded.get_params(deep=False).items():
        given = estimator.get_params(deep=False)[name]
        if isinstance(given, keras.layers.Layer):
            assert value.get_config() == given.get_config()
        else:
            assert value == given, name


def test_refitted_after_loading(fitted, file, iris):
    same(fitted, TiedAutoencoder.load(file).fit(iris), iris)


def test_names_and_missing_values_come_back(iris, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(iris, columns=["a", "b", "c", "d"])
    X = X.mask(np.random.default_rng(0).uniform(size=X.shape) < 0.1)
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    same(estimator, loaded, X)
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "d"]


def test_columns_of_one_name_come_back(fitted, tmp_path):
    """Not every version of scikit-learn has refused them."""
    estimator = copy.copy(fitted)
    estimator.feature_names_in_ = np.array(["a", "b", "a", "b"], dtype=object)
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "a", "b"]


@pytest.mark.slow
def test_a_curve_that_is_too_long_to_be_read_back_is_not_written(fitted, tmp_path):
    estimator = copy.copy(fitted)
    path = tmp_path / "m.keras"
    estimator.loss_curve_ = [0.123456789012345] * 700_000
    estimator.save(path)
    assert len(TiedAutoencoder.load(path).loss_curve_) == 700_000
    content = path.read_bytes()
    estimator.loss_curve_ = [0.123456789012345] * 1_500_000
    with pytest.raises(ValueError, match="shorten loss_curve_"):
        estimator.save(path)
    assert path.read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.keras"]


@pytest.mark.slow
def test_given_encoder_comes_back(digits, tmp_path):
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    X = digits[:100]
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(X)
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    same(estimator, loaded, X)
    assert loaded.encoder.get_config()["layers"][1]["config"]["filters"] == 3


@pytest.mark.slow
def test_partial_fit_goes_on_where_it_was(digits, tmp_path):
    """With the optimizer's momenta and all."""
    X = digits.astype("float32")
    estimator = TiedAutoencoder(4, random_state=0).partial_fit(X[:512])
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    kept = [e.model_.optimizer.variables for e in (loaded, estimator)]
    for variable, before in zip(*kept, strict=True):
        np.testing.assert_array_equal(
            *map(keras.ops.convert_to_numpy, (variable, before)), err_msg=before.path
        )
    loaded.partial_fit(X[512:1024])
    assert (loaded.n_iter_, int(loaded.model_.optimizer.iterations.numpy())) == (2, 4)


@pytest.mark.parametrize(
    "again",
    [
        lambda estimator: pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy,
        copy.copy,
    ],
    ids=["pickle", "deepcopy", "copy"],
)
def test_copy_is_the_same(again, fitted, iris):
    same(fitted, again(fitted), iris)


def test_joblib_file_is_the_same(fitted, iris, tmp_path):
    joblib.dump(fitted, tmp_path / "m.joblib")
    same(fitted, joblib.load(tmp_path / "m.joblib"), iris)


def test_clone_is_not_fitted():
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    cloned = clone(TiedAutoencoder(3, encoder=encoder, noise=layers.GaussianNoise(0.1)))
    assert cloned.n_components == 3
    assert cloned.encoder is not encoder
    assert (cloned.encoder.input_shape, cloned.encoder.output_shape) == ((None, 4), (None, 2))
    with pytest.raises(NotFittedError):
        cloned.transform(np.zeros((1, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pickle", "save"])
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_same_codes_in_a_new_process_under_any_backend(how, backend, fitted, iris, tmp_path):
    if not _backend.is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    if how == "pickle":
        (tmp_path / "m").write_bytes(pickle.dumps(fitted))
        model = tmp_path / "m"
    else:
        model = tmp_path / "m.keras"
        fitted.save(model)
    np.save(tmp_path / "rows.npy", iris)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ELSEWHERE,
            how,
            model,
            tmp_path / "rows.npy",
            tmp_path / "codes.npy",
        ],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), fitted.transform(iris), atol=1e-5)


def rewritten(file, **members: bytes | None) -> None:
    """Change members of the archive; None takes one out."""
    with zipfile.ZipFile(file) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    for name, value in members.items():
        content[name.replace("__", ".")] = value
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in content.items():
            if value is not None:
                archive.writestr(name, value)


def change_file(file, *path: str, value) -> None:
    """Change one setting in the file."""
    with zipfile.ZipFile(file) as archive:
        settings = json.loads(archive.read("estimator.json"))
    place = settings
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    rewritten(file, estimator__json=json.dumps(settings).encode())


def assert_refused(file, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        TiedAutoencoder.load(file)
    assert file.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_file(share, file):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert_refused(file, "or only a part of one")


def test_flipped_bits_are_noticed(file):
    """Wherever a byte is changed, the file is refused or gives what it gave before."""
    content, draw = file.read_bytes(), random.Random(0)
    whole = TiedAutoencoder.load(file).transform(np.ones((1, 4)))
    for _ in range(20):
        place = draw.randrange(len(content))
        file.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            loaded = TiedAutoencoder.load(file)
        except ValueError:
            continue
        np.testing.assert_array_equal(loaded.transform(np.ones((1, 4))), whole)


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert_refused(path, "is not a file that TiedAutoencoder.save has written")


def test_model_that_is_no_estimator(tmp_path):
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(path)
    assert_refused(path, "holds no TiedAutoencoder; try keras.models.load_model")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nothing\.keras"):
        TiedAutoencoder.load(tmp_path / "nothing.keras")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], 2, "format 2, and this version of keras-tied reads 3"),
        (["params", "solver"], "adam", "'solver' parameter"),
        (["params", "surprise"], 1, "surprise"),
        (["learned", "offset_"], "0", "offset_='0'"),
        (["learned", "n_features_in_"], 5, "is not"),
        (["learned", "n_components_"], 2, "is not"),
        (["feature_names_in"], ["a"], "feature names"),
    ],
)
def test_changed_settings(path, value, message, file):
    change_file(file, *path, value=value)
    assert_refused(file, message)


def test_arrays_that_are_objects_are_never_unpickled(file, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    content = io.BytesIO()
    np.savez(content, mean=np.array([Trap()], dtype=object))
    rewritten(file, estimator__npz=content.getvalue())
    assert_refused(file, "cannot be loaded")
    assert not tmp_path.joinpath("sprung").exists()


def test_lambdas_in_the_file_are_never_run(file, tmp_path):
    """Keras stores the byte code of a lambda, and would run it."""
    trap = layers.Lambda(lambda x: x)
    change_file(file, "params", "noise", value=keras.saving.serialize_keras_object(trap))
    assert_refused(file, "cannot be loaded")


def test_other_model_in_the_file(file, tmp_path):
    other = keras.Sequential([keras.Input((4,)), layers.Dense(4)])
    other.save(tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "other.keras") as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    rewritten(file, **{name.replace(".", "__"): value for name, value in content.items()})
    assert_refused(file, "its weights lack")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5", "estimator.npz"])
def test_part_that_is_missing(member, file):
    rewritten(file, **{member.replace(".", "__"): None})
    assert_refused(file, "cannot be loaded")


def test_save_refuses_another_ending(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"'m.pkl' must end in '.keras'"):
        fitted.save("m.pkl")


def test_save_refuses_a_lambda_and_leaves_nothing(iris, tmp_path):
    noise = layers.Lambda(lambda x: x)
    estimator = TiedAutoencoder(1, noise=noise, max_iter=1, random_state=0).fit(iris)
    with pytest.raises(ValueError, match=r"noise=.* cannot be read back from a file: .* no lambda"):
        estimator.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_save_before_fit(tmp_path):
    with pytest.raises(NotFittedError):
        TiedAutoencoder().save(tmp_path / "m.keras")


@pytest.mark.parametrize(("n_rows", "activation"), [(150, "tanh"), (1200, "silu")])
def test_the_activation_that_auto_stands_for_is_loaded(n_rows, activation, rng, tmp_path):
    t = rng.uniform(-1, 1, n_rows)
    X = np.stack([t, t**2, t**3], axis=1)
    estimator = TiedAutoencoder(1, max_iter=20, early_stopping=False, random_state=0).fit(X)
    assert not estimator.is_pca_
    estimator.save(tmp_path / "m.keras")
    loaded = TiedAutoencoder.load(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    assert loaded.activation == "auto"
    for each in (loaded, estimator):
        assert each.encoder_.layers[1].activation is getattr(keras.activations, activation)
        np.testing.assert_allclose(
            each.encoder_.predict(each._fitted.preprocessing.forward(X, slice(None))[1], verbose=0),
            estimator.transform(X),
            atol=1e-4,
        )
