"""The fitted value: NumPy, compiled functions and Keras's own forward pass give the same."""

import keras
import numpy as np
import pytest
from keras import layers
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.estimator._activations import ACTIVATIONS
from keras_tied.estimator._compiled_network import CompiledNetwork
from keras_tied.estimator._dense_network import DenseNetwork
from keras_tied.estimator._network import build_network, inference_network
from keras_tied.estimator.internal import fitted_value


def random_model(activation: str, hidden: tuple[int, ...] = (9, 7)) -> keras.Model:
    model = build_network(5, 2, hidden, activation, 0.0)
    rng = np.random.default_rng(0)
    size = 0.2 if activation == "exponential" else 0.7  # of an exponential of an exponential, too
    for variable in model.weights:
        variable.assign(size * rng.normal(size=variable.shape))
    return model


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_gives_what_keras_gives(activation, rng):
    model = random_model(activation)
    ours, theirs = inference_network(model, built=True), CompiledNetwork(model)
    assert isinstance(ours, DenseNetwork)
    scale = 1.0 if activation == "exponential" else 5.0
    rows = (scale * rng.normal(size=(300, 5))).astype(np.float32)
    expected = model.encoder.predict(rows, verbose=0)
    restored = model.decoder.predict(expected, verbose=0)
    for network in (ours, theirs):
        for n in (1, 17, 300):
            codes = network.encode(rows[:n])
            np.testing.assert_allclose(codes, expected[:n], rtol=1e-5, atol=1e-5)
            made = network.decode(expected[:n])
            np.testing.assert_allclose(made, restored[:n], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"exponential"}))
def test_activations_are_those_of_keras_for_large_numbers_too(activation):
    values = np.linspace(-60, 60, 240, dtype=np.float32).reshape(3, -1)
    expected = keras.ops.convert_to_numpy(keras.activations.get(activation)(values.T)).T
    found = values.copy()
    ACTIVATIONS[activation](found)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_no_rows_have_no_codes():
    network = inference_network(random_model("tanh"), built=True)
    assert network.encode(np.empty((0, 5), np.float32)).shape == (0, 2)


def test_an_activation_without_numpy_takes_compiled_functions(iris):
    estimator = TiedAutoencoder(
        1, activation="sparsemax", hidden_layer_sizes=6, noise=0.1, max_iter=2, random_state=0
    ).fit(iris)
    assert isinstance(fitted_value(estimator).network, CompiledNetwork)
    scaled = StandardScaler().fit_transform(iris).astype("float32")
    expected = estimator.encoder_.predict(scaled, verbose=0)
    np.testing.assert_allclose(estimator.transform(iris), expected, atol=1e-5)


def test_a_compiled_network_stays_as_it_is_while_its_model_is_trained(digits):
    encoder = keras.Sequential([keras.Input((64,)), layers.Dense(3)])
    estimator = TiedAutoencoder(encoder=encoder, random_state=0).partial_fit(digits[:256])
    before = fitted_value(estimator)
    codes = before.transform(digits[:9])
    estimator.partial_fit(digits[256:512])
    np.testing.assert_array_equal(before.transform(digits[:9]), codes)
    assert np.abs(estimator.transform(digits[:9]) - codes).max() > 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_give_what_single_rows_give(dtype, fitted, iris):
    rows = np.resize(iris, (40_000, 4)).astype(dtype)
    for name in ("transform", "reconstruct", "reconstruction_error", "score_samples"):
        whole = getattr(fitted, name)(rows)
        assert whole.dtype == (dtype if name in ("transform", "reconstruct") else "float64")
        few = getattr(fitted, name)(rows[-150:])
        np.testing.assert_allclose(whole[-150:], few, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kind",
    [
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        sparse.csr_matrix,
        lambda X: X.tolist(),
    ],
    ids=["fortran", "strided", "sparse", "list"],
)
def test_the_layout_of_rows_does_not_matter(kind, fitted, iris):
    np.testing.assert_allclose(fitted.transform(kind(iris)), fitted.transform(iris), atol=1e-6)


def test_rows_are_never_changed(fitted, iris):
    rows = iris.copy()
    rows[3, 1] = np.nan
    rows.setflags(write=False)
    for name in ("transform", "reconstruct", "reconstruction_error", "score_samples", "predict"):
        getattr(fitted, name)(rows)


def test_results_can_be_written_to(fitted, iris):
    codes = fitted.transform(iris)
    expected = codes.copy()
    codes[:] = 0
    fitted.reconstruct(iris)[:] = 0
    np.testing.assert_array_equal(fitted.transform(iris), expected)


def test_what_is_changed_in_the_keras_model_does_not_reach_the_estimator(iris):
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0, sparsity=1e-6).fit(iris)
    codes = estimator.transform(iris)
    estimator.model_.set_weights([0 * weight for weight in estimator.model_.get_weights()])
    np.testing.assert_array_equal(estimator.transform(iris), codes)
    assert np.abs(clone(estimator).fit(iris).model_.get_weights()[0]).max() > 0


def test_few_rows_are_fitted_without_keras():
    """Nothing but PCA is tried, and PCA needs no network."""
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from keras_tied import TiedAutoencoder;"
        "TiedAutoencoder(1).fit(np.eye(9)).transform(np.eye(9)); assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
