"""The start from PCA, against scikit-learn's."""

import numpy as np
import pytest
import scipy.linalg
from keras import Model
from keras.layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv1D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    LeakyReLU,
    Normalization,
    Reshape,
)
from keras.optimizers import SGD
from keras.utils import set_random_seed
from numpy.random import default_rng
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from tests.marks import for_each, slow, slow_but
from threadpoolctl import threadpool_info, threadpool_limits

from keras_tied import Autoencoder, mirror, tie

from ..layers.cases import normal
from ..layers.oracles import slopes
from .networks import assert_close, assert_same_weights, chain, graph, read, run, scaled

DIGITS = (load_digits().data[:300] / 16).astype("float32")
CURVE = np.linspace(-1, 1, 200, dtype="float32")[:, None] ** [1, 2, 4]
"""Rows along a curve, which a line does not follow."""


def draw_rows(scale=1.0):
    """Correlated rows, not centred, with one feature far larger than the others."""
    rng = default_rng(0)
    mixed = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    rows = mixed * [5, 1, 1, 1, 1, 1] + rng.normal(size=6)
    return (scale * rows).astype("float32")


ROWS = draw_rows()


def dense(*widths, activation="tanh", last=None):
    set_random_seed(0)
    hidden = [Dense(width, activation) for width in widths[:-1]]
    return [*hidden, Dense(widths[-1], last)]


def build_model(*layers, shape=(6,), **settings):
    encoder = chain(*layers, shape=shape)
    return Autoencoder(encoder, mirror(encoder, **settings))


def start(x, *layers, **settings):
    model = build_model(*layers, shape=x.shape[1:], **settings)
    model.start_from_pca(x)
    return model


def find_errors(model, x):
    return (run(model, x).astype("float64") - x) ** 2


def find_pca_error(x, width):
    rows = x.reshape(len(x), -1).astype("float64")
    pca = PCA(width, svd_solver="full").fit(rows)
    residual = pca.inverse_transform(pca.transform(rows)) - rows
    return float(np.mean(residual**2))


def assert_starts_at_pca(model, x):
    (width,) = model.encoder.output_shape[1:]
    ratio = find_errors(model, x).mean() / find_pca_error(x, width)
    assert 1 - 1e-4 < ratio < 1 + 1e-3 + 1e-4


QUICK = ["linear", "tanh", "sigmoid", "relu", "silu", "gelu"]
RARER = "softsign hard_tanh hard_sigmoid relu6 leaky_relu elu selu mish softplus"


@pytest.mark.parametrize(
    "activation",
    slow_but(QUICK + RARER.split(), *QUICK),
)
def test_the_error_is_that_of_pca(activation):
    model = start(DIGITS, *dense(80, 5, activation=activation))
    assert_starts_at_pca(model, DIGITS)


@slow
@pytest.mark.parametrize(
    "widths",
    [(5,), (5, 5), (12, 7, 5), (7, 12, 9, 5)],
    ids=str,
)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_error_is_that_of_pca_at_any_depth_and_width(widths, activation):
    layers = dense(*widths, activation=activation, last=activation)
    assert_starts_at_pca(start(DIGITS, *layers), DIGITS)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_the_error_is_that_of_pca_at_any_location_and_scale(activation, scale):
    x = draw_rows(scale)
    assert_starts_at_pca(start(x, *dense(9, 2, activation=activation)), x)


def test_rows_that_pca_reconstructs_are_reconstructed():
    plane = ROWS[:, :2] @ ROWS[:2]
    errors = find_errors(start(plane, *dense(9, 3)), plane)
    assert errors.mean() < 1e-6 * plane.var(axis=0).mean()


def test_linear_layers_need_no_gain_and_the_first_kernel_is_orthonormal():
    model = start(
        ROWS,
        *dense(8, 4, 2, activation=None),
        gain=False,
    )
    assert_starts_at_pca(model, ROWS)
    kernel = read(model.encoder.layers[0].kernel)[:, :2]
    assert_close(kernel.T @ kernel, np.eye(2))


def test_behind_a_normalization_it_is_pca_of_the_normalised_rows():
    normalization = Normalization()
    normalization.adapt(ROWS)
    model = start(ROWS, normalization, *dense(9, 2))
    deviation = ROWS.std(axis=0)
    found = find_errors(model, ROWS) / deviation**2
    expected = find_pca_error(ROWS / deviation, 2)
    assert found.mean() == pytest.approx(expected, rel=2e-3)


TWICE = Activation("tanh")
LAYERS = {
    "activations and noise as layers": [
        GaussianNoise(0.1),
        Dense(9),
        LeakyReLU(),
        Dropout(0.1),
        Dense(3),
        Activation("silu"),
        GaussianNoise(0.1),
        Dense(2),
    ],
    "an activation that stands twice": [Dense(5), TWICE, Dense(2), TWICE],
    "a code of another shape": [Dense(5, "tanh"), Dense(4), Reshape((4,))],
}


@for_each(LAYERS, "parts")
def test_it_starts_at_pca_with(parts):
    set_random_seed(0)
    assert_starts_at_pca(start(ROWS, *parts), ROWS)


RATES = {
    "relu": 1e-2,
    "elu": 1e-2,
    "silu": 3e-3,
    "tanh": 1e-3,
    "sigmoid": 1e-2,
}


@pytest.mark.parametrize("activation", slow_but(RATES, "relu", "tanh"))
def test_the_error_falls_from_there(activation):
    model = start(CURVE, *dense(12, 1, activation=activation))
    model.compile(SGD(RATES[activation]))
    losses = model.fit(CURVE, batch_size=200, epochs=40, verbose=0).history["loss"]
    assert np.all(np.diff(losses) < 1e-6 * losses[0])
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("activation", "widths"),
    [
        *((activation, (12, 1)) for activation in RATES),
        ("relu", (6, 9, 1)),
        ("silu", (6, 9, 1)),
    ],
)
def test_units_that_carry_no_score_learn(activation, widths):
    """The error has a slope along the gains of such units, by central differences."""
    model = start(CURVE, *dense(*widths, activation=activation))
    gain = model.decoder.layers[-1].gain
    initial = read(gain)

    def find_error(gains):
        gain.assign(gains)
        return find_errors(model, CURVE).mean()

    changes = initial[0] * slopes(find_error, initial, initial[0] / 2)
    n_paired = (widths[0] - 1) // 2 * 2
    found = np.abs(changes[1 : 1 + n_paired]) / find_error(initial)
    assert np.median(found) > 5e-7
    assert found.max() > 1e-5


def test_fit_starts_from_the_rows_that_are_not_held_out():
    fitted = build_model(*dense(2))
    fitted.compile(SGD(0.0))
    fitted.fit(ROWS, validation_split=0.3, start="pca", verbose=0)
    expected = start(ROWS[:210], *dense(2))
    assert_same_weights(fitted, expected)


class OwnDecoder(Model):
    """Has no graph that could be walked through."""

    def __init__(self):
        super().__init__(name="own")
        self.dense = Dense(6)

    def call(self, codes):
        return self.dense(codes)


def branched():
    first, second = dense(6, 2)
    return Autoencoder(graph(lambda x: second(Add()([x, first(x)]))))


def half_tied():
    first, second = dense(2, 2)
    encoder = chain(first, second)
    layers = tie(second, transpose=False), tie(first, gain=True)
    return Autoencoder(encoder, chain(*layers, shape=(2,)))


def change(method, *arguments):
    """A model after a method of the encoder's layer was called."""
    layer = Dense(2, name="changed")
    model = build_model(layer)
    getattr(layer, method)(*arguments)
    return model


def with_own_call():
    encoder = scaled()
    return Autoencoder(encoder, chain(tie(encoder.layers[0]), shape=(2,)))


def test_blas_has_one_thread_in_pca_and_its_own_number_afterwards(monkeypatch):
    def count_threads():
        libraries = threadpool_info()
        return {each["num_threads"] for each in libraries if each["user_api"] == "blas"}

    within = set()

    def spy(function):
        def count_and_call(*arguments, **options):
            within.update(count_threads())
            return function(*arguments, **options)

        return count_and_call

    monkeypatch.setattr(np.linalg, "svd", spy(np.linalg.svd))
    monkeypatch.setattr(scipy.linalg, "eigh", spy(scipy.linalg.eigh))
    with threadpool_limits(2, user_api="blas"):
        start(ROWS, *dense(9, 2))
        assert count_threads() == {2}
    assert within == {1}


ERRORS = {
    "'scaled' .* is not: write it as a Sequential model": with_own_call,
    r"'dense.*_mirror', .* has no gain: build .* with `mirror\(encoder, gain=": (
        lambda: build_model(*dense(4, 2), gain=False)
    ),
    "'dense.*_mirror' is followed by one: leave `output_activation` out": (
        lambda: build_model(*dense(4, 2), output_activation="sigmoid")
    ),
    "'bare.*', which has no bias: build it with use_bias=True": lambda: build_model(
        Dense(2, use_bias=False, name="bare")
    ),
    "'narrow', which has 2 units: give it at least 3": lambda: build_model(
        Dense(2, name="narrow"), Dense(3)
    ),
    r"'conv' \(Conv1D\) is another layer": lambda: build_model(
        Conv1D(2, 3, name="conv"), Flatten(), shape=(6, 1)
    ),
    r"'bn' \(BatchNormalization\) is another layer": lambda: build_model(
        *dense(4), BatchNormalization(name="bn"), *dense(2)
    ),
    "'graph' .* is not: write it as a Sequential model": branched,
    "'own' .* is not: write it as a Sequential model": lambda: Autoencoder(
        chain(Dense(2)), OwnDecoder()
    ),
    "'changed', which is quantized .*: call `quantize`": lambda: change(
        "quantize", "int8"
    ),
    "'changed', .* has an adapter: call `quantize`": lambda: change("enable_lora", 2),
    "tied to all of them, in reverse": half_tied,
    "found no range in which the activations": lambda: build_model(
        *dense(4, 2, last="softmax"), *dense(2)
    ),
    r"PCA of 7 components needs as many rows and features": lambda: build_model(
        *dense(7)
    ),
    r"gives it \(300, 2, 6\): put a Flatten layer": lambda: build_model(
        *dense(2), shape=(2, 6)
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_an_error_names_the_layer_and_what_to_do(message):
    model = ERRORS[message]()
    x = normal(300, *model.encoder.input_shape[1:])
    with pytest.raises(ValueError, match=message):
        model.start_from_pca(x)


@pytest.mark.parametrize(
    "x",
    [iter([ROWS]), ROWS[0]],
    ids=["iterator", "one row"],
)
def test_rows_that_are_no_array_are_an_error(x):
    with pytest.raises(ValueError, match=r"all rows in one array of shape \(n, 6\)"):
        build_model(*dense(2)).start_from_pca(x)
