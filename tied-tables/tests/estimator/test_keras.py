"""The trained network as a Keras model."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import slow
from tests.processes import run_python

from .networks import compute_by_hand, seeded

keras_tied = pytest.importorskip("keras_tied")
import keras  # noqa: E402  after keras_tied, which settles the backend


def scale(X):
    return ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)


@pytest.mark.parametrize(
    ("sizes", "activation"), [((), "tanh"), ((6,), "elu"), ((8, 4), "silu")]
)
def test_the_model_computes_what_the_network_does(sizes, activation, digits):
    settings = {"hidden_layer_sizes": sizes, "activation": activation}
    estimator = seeded(3, max_iter=5, early_stopping=False, **settings)
    estimator.fit(digits[:300, :20])
    network = estimator._model.network
    rows = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    codes, reconstruction = compute_by_hand(network, rows)
    model = estimator.to_keras()
    assert isinstance(model, keras_tied.Autoencoder)
    assert_allclose(model.encode(rows, verbose=0), codes, atol=1e-5)
    assert_allclose(model.predict(rows, verbose=0), reconstruction, atol=1e-5)


def test_the_model_is_tied_and_a_copy(fitted, iris):
    codes = fitted.transform(iris)
    model = fitted.to_keras()
    keras_tied.assert_tied(model)
    model.set_weights([0 * weight for weight in model.get_weights()])
    assert_array_equal(fitted.transform(iris), codes)


def test_the_model_has_the_objectives_of_the_parameters(iris):
    settings = {"noise": 0.1, "sparsity": 1e-3, "weight_decay": 1e-4}
    model = seeded(2, max_iter=1, **settings).fit(iris).to_keras()
    assert isinstance(model.noise, keras.layers.GaussianNoise)
    assert isinstance(model.code_regularizer, keras.regularizers.L1)
    decays = [layer.kernel_regularizer.l2 for layer in model.encoder.layers[::2]]
    found = [model.noise.stddev, model.code_regularizer.l1, *decays]
    assert_allclose(found, [0.1, 1e-3, *[1e-4] * len(decays)])


def test_the_model_is_saved_loaded_and_trained_on(fitted, iris, tmp_path):
    rows = scale(iris)
    fitted.to_keras().save(tmp_path / "m.keras")
    model = keras.models.load_model(tmp_path / "m.keras")
    assert_allclose(model.encode(rows, verbose=0), fitted.transform(iris), atol=1e-5)
    model.compile("adam")
    model.fit(rows, epochs=1, verbose=0)


ELSEWHERE = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    estimator, rows, codes = pickle.load(file)
np.testing.assert_allclose(estimator.transform(rows), codes, atol=1e-5)
scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)
found = estimator.to_keras().encode(scaled, verbose=0)
np.testing.assert_allclose(found, codes, atol=1e-5)
"""


@slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_same_codes_in_a_new_process_under_any_backend(backend, fitted, iris, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    content = pickle.dumps((fitted, iris, fitted.transform(iris)))
    (tmp_path / "m").write_bytes(content)
    environment = {"KERAS_BACKEND": backend}
    run_python("-c", ELSEWHERE, tmp_path / "m", environment=environment)


WITHOUT_KERAS = """
import sys
sys.modules["keras_tied"] = None
from tied_tables import TiedAutoencoder
try:
    TiedAutoencoder(1, random_state=0).fit([[i, i * i] for i in range(9)]).to_keras()
except ImportError as error:
    print(error)
"""


def test_without_keras_tied_the_extra_is_named():
    assert 'pip install "tied-tables[keras]"' in run_python("-c", WITHOUT_KERAS).stdout
