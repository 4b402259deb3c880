"""The fitted value: NumPy, compiled functions and Keras's own forward pass give the
same.
"""

import pickle
import subprocess
import sys
from itertools import pairwise

import keras
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.fitted.activations import ACTIVATIONS
from keras_tied.fitted.compiled_network import CompiledNetwork
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitting.keras_encoder import make_model

from .networks import draw_network

slow = pytest.mark.slow


def make_keras_model(network: DenseNetwork) -> keras.Model:
    return make_model(network, noise=0.0, sparsity=0.0, weight_decay=0.0)


def assert_computes(
    network, model: keras.Model, rows: np.ndarray, sizes: tuple[int, ...]
) -> None:
    """A network gives what the halves of a model give, for any number of rows."""
    codes = keras.ops.convert_to_numpy(model.encoder(rows))
    reconstruction = keras.ops.convert_to_numpy(model.decoder(codes))
    for n in sizes:
        assert_near(network.encode(rows[:n]), codes[:n])
        assert_near(network.decode(codes[:n]), reconstruction[:n])


def assert_near(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-5 of the largest number: sums of float32 that cancel are no more
    exact.
    """
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize(
    "activation",
    [
        pytest.param(name, marks=[slow] * (name not in ("tanh", "gelu")))
        for name in ACTIVATIONS
    ],
)
def test_a_network_gives_what_keras_gives(activation, rng):
    network = draw_network((5, 11, 9, 2), activation)
    rows = (5 * rng.normal(size=(300, 5))).astype(np.float32)
    rows[0], rows[1] = 30, -30
    assert_computes(network, make_keras_model(network), rows, (0, 1, 17, 300))


@pytest.mark.slow
def test_compiled_functions_give_what_keras_gives(rng):
    model = make_keras_model(draw_network((5, 11, 9, 2)))
    network = CompiledNetwork(model)
    rows = (5 * rng.normal(size=(network.block_rows, 5))).astype(np.float32)
    assert_computes(network, model, rows, (0, 1, 17, 300, len(rows)))


@pytest.mark.parametrize(
    "widths", [(1, 1), (1, 20, 1), (5, 5), (700, 3), (3, 1500, 8, 2)], ids=str
)
def test_a_network_of_any_width_is_its_formula(widths, rng):
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32) / np.sqrt(shape[0])  # noqa: E731
    kernels = [draw(*pair) for pair in pairwise(widths)]
    biases, decoder_biases = list(map(draw, widths[1:])), list(map(draw, widths[:-1]))
    gains = [draw(width) for width in widths[1:]]
    arrays = map(tuple, (kernels, biases, decoder_biases, gains))
    network = DenseNetwork(*arrays, "tanh", 1)
    rows = draw(33, widths[0])

    def activate(units):
        return np.concatenate([units[:, :1], np.tanh(units[:, 1:])], axis=1)

    units = rows.astype(np.float64)
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        units = activate(units @ kernel + bias)
    codes = units @ kernels[-1] + biases[-1]
    np.testing.assert_allclose(network.encode(rows), codes, atol=1e-5)
    units = codes
    for index in reversed(range(len(kernels))):
        units = units * gains[index] @ kernels[index].T + decoder_biases[index]
        units = activate(units) if index else units
    np.testing.assert_allclose(
        network.decode(codes.astype(np.float32)), units, atol=1e-5
    )


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activations_are_those_of_keras_for_large_numbers_too(activation):
    values = np.linspace(-60, 60, 240, dtype=np.float32).reshape(3, -1)
    expected = keras.ops.convert_to_numpy(keras.activations.get(activation)(values.T)).T
    found = values.copy()
    ACTIVATIONS[activation](found, None)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_what_a_network_computes_for_itself_is_not_pickled():
    network = draw_network((6, 9, 2))
    before = len(pickle.dumps(network))
    rows = np.ones((3, network.layer_sizes[0]), np.float32)
    codes = network.encode(rows)
    expected = network.decode(codes)
    content = pickle.dumps(network)
    assert len(content) == before
    np.testing.assert_array_equal(pickle.loads(content).decode(codes), expected)


def test_no_rows_have_no_codes(fitted):
    assert fitted._fitted.transform(np.empty((0, 4))).shape == (0, 1)
    assert fitted._fitted.reconstruct(np.empty((0, 4), np.float32)).shape == (0, 4)
    assert fitted._fitted.explain(np.empty((0, 4))).shares.shape == (0, 4)


def test_a_compiled_network_stays_as_it_is_while_its_model_changes(rng):
    model = make_keras_model(draw_network((5, 11, 9, 2)))
    network, rows = CompiledNetwork(model), rng.normal(size=(9, 5)).astype(np.float32)
    codes = network.encode(rows)
    model.set_weights([0 * weight for weight in model.get_weights()])
    np.testing.assert_array_equal(network.encode(rows), codes)
    assert np.abs(codes).max() > 0.1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_give_what_single_rows_give(dtype, fitted, iris):
    rows = np.resize(iris, (40_000, 4)).astype(dtype)
    for name in ("transform", "reconstruct", "reconstruction_error", "score_samples"):
        whole = getattr(fitted, name)(rows)
        assert whole.dtype == (
            dtype if name in ("transform", "reconstruct") else "float64"
        )
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
    np.testing.assert_allclose(
        fitted.transform(kind(iris)), fitted.transform(iris), atol=1e-6
    )


def test_rows_are_never_changed(fitted, iris):
    rows = iris.copy()
    rows[3, 1] = np.nan
    rows.setflags(write=False)
    for name in (
        "transform",
        "reconstruct",
        "reconstruction_error",
        "score_samples",
        "predict",
    ):
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
    estimator.model_.set_weights(
        [0 * weight for weight in estimator.model_.get_weights()]
    )
    np.testing.assert_array_equal(estimator.transform(iris), codes)
    assert np.abs(clone(estimator).fit(iris).model_.get_weights()[0]).max() > 0


@pytest.mark.slow
def test_few_rows_are_fitted_without_keras():
    """Nothing but PCA is tried, and PCA needs no network."""
    code = (
        "import sys, numpy as np; from keras_tied import"
        " TiedAutoencoder;TiedAutoencoder(1).fit(np.eye(9)).transform(np.eye(9));"
        " assert 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_in_a_file_are_read_where_they_are(fitted, iris, tmp_path):
    rows = np.resize(iris, (20_000, 4))
    np.save(tmp_path / "rows.npy", rows)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.testing.assert_array_equal(fitted.transform(mapped), fitted.transform(rows))


def test_missing_numbers_are_left_out_of_errors_and_score(fitted, iris, rng):
    rows, weights = iris.copy(), rng.uniform(size=len(iris))
    missing = rng.uniform(size=rows.shape) < 0.3
    missing[:2] = [[True] * 4, [False] * 4]
    rows[missing] = np.nan
    scaler = StandardScaler().fit(iris)
    scaled, reconstruction = (
        scaler.transform(rows),
        scaler.transform(fitted.reconstruct(rows)),
    )
    squares = np.ma.masked_array(np.square(reconstruction - scaled), missing)
    found = fitted.reconstruction_error(rows, per_feature=True)
    np.testing.assert_allclose(found, squares.filled(np.nan), atol=1e-5)
    means = squares.mean(axis=1).filled(0)  # of nothing: 0
    np.testing.assert_allclose(fitted.reconstruction_error(rows), means, atol=1e-5)
    total = np.ma.masked_array(np.square(scaled), missing)
    share = 1 - (weights @ squares.filled(0).sum(axis=1)) / (
        weights @ total.filled(0).sum(axis=1)
    )
    np.testing.assert_allclose(
        fitted.score(rows, sample_weight=weights), share, rtol=1e-5
    )


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("number", [1e300, -1e300, 3.4e38])
def test_a_number_out_of_range_is_an_infinite_error_and_an_outlier(
    number, fitted, iris
):
    rows = iris[:20].copy()
    rows[3, 1] = number
    rows[4] = np.nan
    others = np.delete(np.arange(20), 3)
    errors, scores = fitted.reconstruction_error(rows), fitted.score_samples(rows)
    assert errors[3] == np.inf
    assert errors[4] == 0
    assert scores[3] == -np.inf
    assert fitted.predict(rows)[3] == -1
    np.testing.assert_allclose(
        errors[others], fitted.reconstruction_error(rows[others]), rtol=1e-5
    )
    np.testing.assert_allclose(
        scores[others], fitted.score_samples(rows[others]), rtol=1e-4
    )


def test_rows_that_overflow_are_as_silent_as_in_keras():
    network, rows = (
        draw_network((5, 11, 9, 2), "relu"),
        np.full((3, 5), 3e38, np.float32),
    )
    assert not np.isfinite(network.encode(rows)).any()
    codes = make_keras_model(network).encoder(rows)
    assert not np.isfinite(keras.ops.convert_to_numpy(codes)).any()
