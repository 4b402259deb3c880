"""Training over the devices of a distribution, of which there is one here."""

import keras
import numpy as np
import pytest

from keras_tied.training import fit

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Keras distributes over devices on JAX only"
)
X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


@pytest.fixture
def distribution():
    parallel = keras.distribution.DataParallel(devices=keras.distribution.list_devices()[:1])
    keras.distribution.set_distribution(parallel)
    yield
    keras.distribution.set_distribution(None)


def train(optimizer="sgd", **kwargs):
    keras.utils.set_random_seed(0)
    code = keras.layers.Dense(2, activation="tanh")
    model = keras.Sequential([keras.Input((4,)), code, keras.layers.Dense(4)])
    model.compile(optimizer, "mse")
    history = fit(model, X, X, epochs=2, verbose=0, **kwargs).history
    return {**history, "weights": np.concatenate([w.ravel() for w in model.get_weights()])}


@pytest.mark.parametrize(
    ("optimizer", "shuffle"), [("sgd", True), pytest.param("lbfgs", False, marks=pytest.mark.slow)]
)
def test_training_on_a_distribution_is_training_without(optimizer, shuffle, distribution):
    ours = train(optimizer, shuffle=shuffle, batch_size=16)
    keras.distribution.set_distribution(None)
    expected = train(optimizer, shuffle=shuffle, batch_size=16)
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
