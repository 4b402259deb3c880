"""`save` and `load`, pickle, joblib and copies, in this process and in a new one."""

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

import keras_tied
from keras_tied import Autoencoder, TiedAutoencoder, _backend
from keras_tied.fitted.file import format

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
    for name in (
        "transform",
        "reconstruct",
        "reconstruction_error",
        "decision_function",
    ):
        expected = getattr(one, name)(X)
        np.testing.assert_allclose(
            getattr(other, name)(X), expected, atol=1e-5, err_msg=name
        )
    curves = "loss_curve_", "validation_curve_"
    for name in ("n_iter_", *curves, "is_pca_", "reconstruction_r2_", "offset_"):
        assert getattr(other, name) == getattr(one, name), name


@pytest.fixture
def file(fitted, tmp_path):
    path = tmp_path / "iris.safetensors"
    fitted.save(path)
    return path


def test_loaded_is_the_same(fitted, file, iris):
    loaded = TiedAutoencoder.load(file)
    same(fitted, loaded, iris)
    assert loaded.get_params() == fitted.get_params()
    assert sorted(path.name for path in file.parent.iterdir()) == ["iris.safetensors"]


def test_loading_is_exact(fitted, file, iris):
    """To the last bit, in this process."""
    for loaded in (TiedAutoencoder.load(file), keras_tied.load(file)):
        for name in (
            "transform",
            "reconstruct",
            "reconstruction_error",
            "score_samples",
        ):
            np.testing.assert_array_equal(
                getattr(loaded, name)(iris), getattr(fitted, name)(iris)
            )
        np.testing.assert_array_equal(loaded.rarity(iris), fitted.rarity(iris))
        assert loaded.score(iris) == fitted.score(iris)


def test_keras_reads_the_model_from_a_file_of_its_own(fitted, iris, tmp_path):
    fitted.model_.save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    assert isinstance(model, Autoencoder)
    scaled = StandardScaler().fit_transform(iris).astype("float32")
    expected = keras.ops.convert_to_numpy(fitted.model_(scaled))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(model(scaled)), expected, atol=1e-6
    )


def test_file_holds_each_kernel_once(file, fitted):
    with safe_open(file, framework="numpy") as opened:
        network = [name for name in opened.keys() if name.startswith("network.")]  # noqa: SIM118
        sizes = [opened.get_tensor(name).size for name in network]
    assert sum(sizes) == fitted.model_.count_params()


def test_one_estimator_gives_one_file(fitted, file, tmp_path):
    TiedAutoencoder.load(file).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == file.read_bytes()


def test_a_file_is_known_by_its_content(fitted, file, iris):
    same(fitted, TiedAutoencoder.load(file.rename(file.with_suffix(".keras"))), iris)


HEAVY = (
    "keras jax tensorflow torch sklearn scipy h5py pandas matplotlib pyarrow".split()
)


def test_a_fitted_value_is_read_with_numpy_and_safetensors_alone(
    file, fitted, iris, tmp_path
):
    np.save(tmp_path / "rows.npy", iris)
    code = f"""
import sys
import numpy as np
import keras_tied
fitted, rows = keras_tied.load({str(file)!r}), np.load({str(tmp_path / "rows.npy")!r})
for method in (fitted.transform, fitted.reconstruct, fitted.score_samples, fitted.explain):
    method(rows)
print(fitted.transform(rows).sum(), *sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    total, *modules = done.stdout.split()
    assert (float(total), modules) == (pytest.approx(fitted.transform(iris).sum()), [])


@pytest.mark.parametrize(
    "parameters",
    [
        {
            "scaler": "minmax",
            "hidden_layer_sizes": (6, 4),
            "activation": "silu",
            "n_components": 2,
        },
        {
            "scaler": None,
            "noise": 0.1,
            "sparsity": 1e-3,
            "weight_decay": 0,
            "solver": "lbfgs",
        },
        {
            "n_components": 0.9,
            "hidden_layer_sizes": np.int64(8),
            "random_state": np.int64(3),
        },
    ],
)
def test_every_parameter_comes_back(parameters, iris, tmp_path):
    estimator = TiedAutoencoder(
        **({"max_iter": 2, "random_state": 0} | parameters)
    ).fit(iris)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    same(estimator, loaded, iris)
    assert loaded.get_params() == estimator.get_params()


def test_refitted_after_loading(fitted, file, iris):
    same(fitted, TiedAutoencoder.load(file).fit(iris), iris)


def test_names_and_missing_values_come_back(iris, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(iris, columns=["a", "b", "c", "d"])
    X = X.mask(np.random.default_rng(0).uniform(size=X.shape) < 0.1)
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    same(estimator, loaded, X)
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "d"]


def test_columns_of_one_name_come_back(fitted, tmp_path):
    """Not every version of scikit-learn has refused them."""
    estimator = copy.copy(fitted)
    value = replace(fitted._fitted, feature_names=("a", "b", "a", "b"))
    estimator._outcome = fitted._outcome._replace(fitted=value)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    assert loaded.feature_names_in_.tolist() == ["a", "b", "a", "b"]


@pytest.mark.slow
def test_a_curve_that_is_too_long_to_be_read_back_is_not_written(fitted, tmp_path):
    estimator = copy.copy(fitted)
    path = tmp_path / "m.safetensors"
    losses = [0.123456789012345] * 700_000
    estimator._outcome = fitted._outcome._replace(losses=losses)
    estimator.save(path)
    assert len(TiedAutoencoder.load(path).loss_curve_) == 700_000
    content = path.read_bytes()
    losses = [0.123456789012345] * 1_500_000
    estimator._outcome = fitted._outcome._replace(losses=losses)
    with pytest.raises(ValueError, match="shorten loss_curve_"):
        estimator.save(path)
    assert path.read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["m.safetensors"]


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
    with pytest.raises(
        ValueError, match=r"'.*m.safetensors' must end in '.keras': an encoder"
    ):
        estimator.save(tmp_path / "m.safetensors")
    estimator.save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / "model")
    loaded = TiedAutoencoder.load(tmp_path / "model")
    same(estimator, loaded, X)
    for name in ("transform", "score_samples"):
        value = keras_tied.load(tmp_path / "model")
        np.testing.assert_array_equal(getattr(value, name)(X), getattr(loaded, name)(X))
    assert loaded.encoder.get_config()["layers"][1]["config"]["filters"] == 3


def test_partial_fit_goes_on_where_it_was(iris, tmp_path):
    """Bit by bit: with the averages of Nadam, and the number of its steps."""
    estimator = TiedAutoencoder(1, batch_size=30, random_state=0).partial_fit(iris)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    for each in (loaded, estimator):
        each.partial_fit(iris)
        assert each.n_iter_ == 2
    np.testing.assert_array_equal(loaded.transform(iris), estimator.transform(iris))
    loaded.save(tmp_path / "again.safetensors")
    estimator.save(tmp_path / "m.safetensors")
    contents = [
        (tmp_path / name).read_bytes()
        for name in ("again.safetensors", "m.safetensors")
    ]
    assert contents[0] == contents[1]


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
    cloned = clone(TiedAutoencoder(3, encoder=encoder))
    assert cloned.n_components == 3
    assert cloned.encoder is not encoder
    assert (cloned.encoder.input_shape, cloned.encoder.output_shape) == (
        (None, 4),
        (None, 2),
    )
    with pytest.raises(NotFittedError):
        cloned.transform(np.zeros((1, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pickle", "save"])
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_same_codes_in_a_new_process_under_any_backend(
    how, backend, fitted, iris, tmp_path
):
    if not _backend.is_installed(backend):
        pytest.skip(f"{backend} is not installed")
    if how == "pickle":
        (tmp_path / "m").write_bytes(pickle.dumps(fitted))
        model = tmp_path / "m"
    else:
        model = tmp_path / "m.safetensors"
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
    np.testing.assert_allclose(
        np.load(tmp_path / "codes.npy"), fitted.transform(iris), atol=1e-5
    )


def assert_refused(file, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        TiedAutoencoder.load(file)
    assert file.name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_truncated_file(share, file):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert_refused(file, "or only a part of one")


def test_a_file_that_is_replaced_keeps_its_mode(fitted, file):
    file.chmod(0o600)
    fitted.save(file)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_name_that_is_no_unicode(fitted, iris, tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors")
    fitted.save(path)
    np.testing.assert_array_equal(
        keras_tied.load(path).transform(iris), fitted.transform(iris)
    )


def test_file_that_is_cut_off_while_it_is_read(file, fitted, iris, monkeypatch):
    """It is not mapped into memory: there the system would end this process."""
    load_arrays = format.load

    def load_and_cut_off(content):
        arrays = load_arrays(content)
        os.truncate(file, 0)
        return arrays

    monkeypatch.setattr(format, "load", load_and_cut_off)
    np.testing.assert_array_equal(
        keras_tied.load(file).transform(iris), fitted.transform(iris)
    )


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}))
    assert_refused(path, "is not a file that TiedAutoencoder.save has written")


def test_arrays_that_are_no_estimator(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"a": np.zeros(2)}, path)
    assert_refused(path, "holds no TiedAutoencoder")


def test_model_that_is_no_estimator(tmp_path):
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((2,)), layers.Dense(1)]).save(path)
    assert_refused(path, "holds no TiedAutoencoder; try keras.models.load_model")


@pytest.mark.parametrize(
    "rows",
    [np.ones((2, 4), int), np.ones((2, 1)), np.ones(4), np.ones((2, 4), np.float16)],
)
def test_a_fitted_value_refuses_what_would_give_wrong_numbers_in_silence(file, rows):
    fitted = keras_tied.load(file)
    for method in (fitted.transform, fitted.reconstruct, fitted.score_samples):
        with pytest.raises(ValueError, match="float32 or float64"):
            method(rows)
    with pytest.raises(ValueError, match=r"of shape \(n, 1\)"):
        fitted.inverse_transform(np.ones((2, 1), int))


def test_missing_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"There is no file .*nothing\.safetensors"
    ):
        TiedAutoencoder.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("name", ["m.pkl", "m.keras", "m"])
def test_save_refuses_another_ending(name, fitted):
    with pytest.raises(
        ValueError, match=rf"'{name}' must end in '.safetensors'.* model_.save"
    ):
        fitted.save(name)


def test_save_refuses_a_class_that_is_not_registered_and_leaves_nothing(iris, tmp_path):
    class Own(layers.Dense):
        pass

    encoder = keras.Sequential([keras.Input((4,)), Own(2)])
    estimator = TiedAutoencoder(encoder=encoder, max_iter=1, random_state=0).fit(iris)
    with pytest.raises(
        ValueError, match=r"encoder=.* cannot be read back .*: register its"
    ):
        estimator.save(tmp_path / "m.keras")
    assert list(tmp_path.iterdir()) == []


def test_save_before_fit(tmp_path):
    with pytest.raises(NotFittedError):
        TiedAutoencoder().save(tmp_path / "m.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "activation"), [(150, "tanh"), (1200, "silu")])
def test_the_activation_that_auto_stands_for_is_loaded(
    n_rows, activation, rng, tmp_path
):
    t = rng.uniform(-1, 1, n_rows)
    X = np.stack([t, t**2, t**3], axis=1)
    estimator = TiedAutoencoder(
        1, max_iter=20, early_stopping=False, random_state=0
    ).fit(X)
    assert not estimator.is_pca_
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    assert loaded.activation == "auto"
    for each in (loaded, estimator):
        assert each.encoder_.layers[1].activation is getattr(
            keras.activations, activation
        )
        np.testing.assert_allclose(
            each.encoder_.predict(
                each._fitted.preprocessing.forward(X, slice(None))[1], verbose=0
            ),
            estimator.transform(X),
            atol=1e-4,
        )
