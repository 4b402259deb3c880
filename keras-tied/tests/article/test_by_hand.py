"""Both engines, NumPy and PyTensor, against the formulas and central differences."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from tests.marks import for_each, slow
from tests.processes import run_python

from keras_tied.article import (
    NumpyAutoencoder,
    PyTensorAutoencoder,
    loss_and_gradient,
)

STEP = 1e-5
RNG = default_rng(0)
ROWS = RNG.uniform(size=(30, 5))
OTHERS = RNG.uniform(size=(9, 5))
START = [RNG.uniform(-0.5, 0.5, shape) for shape in ((5, 2), (2,), (5,))]
needs_pytensor = pytest.mark.skipif(
    find_spec("pytensor") is None, reason='pip install "keras-tied[pytensor]"'
)


@pytest.fixture(
    params=[
        NumpyAutoencoder,
        # PyTensor compiles for seconds.
        pytest.param(PyTensorAutoencoder, marks=[slow, needs_pytensor]),
    ]
)
def engine(request):
    return request.param


def encode(X, kernel, code_bias, output_bias):
    return 1 / (1 + np.exp(-(X @ kernel + code_bias)))


def reconstruct(X, kernel, code_bias, output_bias):
    return encode(X, kernel, code_bias, output_bias) @ kernel.T + output_bias


def mse(X, *weights):
    return np.mean((reconstruct(X, *weights) - X) ** 2)


def central_differences(X, weights):
    """The derivative of the loss in each number, by two evaluations each."""
    slopes = []
    for which, weight in enumerate(weights):
        slope = np.empty_like(weight)
        for index in np.ndindex(weight.shape):
            losses = []
            for step in (STEP, -STEP):
                moved = [each.copy() for each in weights]
                moved[which][index] += step
                losses.append(mse(X, *moved))
            slope[index] = (losses[0] - losses[1]) / (2 * STEP)
        slopes.append(slope)
    return slopes


def learned(autoencoder):
    return autoencoder.kernel_, autoencoder.code_bias_, autoencoder.output_bias_


@st.composite
def problems(draw):
    """Rows and weights of any small shape: X, W, b, c."""
    n, d, k = (draw(st.integers(1, most)) for most in (6, 5, 4))
    numbers = st.floats(-2, 2, width=32)
    shapes = (n, d), (d, k), (k,), (d,)
    return [draw(arrays(np.float64, shape, elements=numbers)) for shape in shapes]


@settings(max_examples=100)
@given(problems())
def test_loss_and_gradient_are_the_formula_and_its_central_differences(problem):
    X, *weights = problem
    loss, gradient = loss_and_gradient(*problem)
    assert loss == pytest.approx(mse(*problem), rel=1e-12, abs=1e-15)
    for slope, expected in zip(gradient, central_differences(X, weights), strict=True):
        assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("momentum", "decay"), [(0.95, 1e-5), (0.5, 0.1)])
def test_training_is_descent_with_momentum_by_central_differences(
    engine, momentum, decay, dtype
):
    heard = []
    given_start = [weight.copy() for weight in START]
    autoencoder = engine(2, momentum=momentum, decay=decay, epochs=5, dtype=dtype).fit(
        ROWS,
        OTHERS,
        initial_weights=given_start,
        on_epoch=lambda epoch, logs: heard.append((epoch, logs)),
    )

    weights = [weight.copy() for weight in START]
    velocities = [np.zeros_like(weight) for weight in weights]
    expected = []
    for epoch in range(5):
        loss = mse(ROWS, *weights)
        slopes = central_differences(ROWS, weights)
        rate = 0.1 / (1 + decay * epoch)
        for weight, velocity, slope in zip(weights, velocities, slopes, strict=True):
            velocity *= momentum
            velocity -= rate * slope
            weight += velocity
        logs = {"loss": loss, "val_loss": mse(OTHERS, *weights)}
        expected.append((epoch, pytest.approx(logs, rel=1e-5)))
    assert heard == expected
    history = {name: [logs[name] for _, logs in heard] for name in ("loss", "val_loss")}
    assert autoencoder.history_ == history

    code = autoencoder.transform(OTHERS)
    decoded = autoencoder.inverse_transform(code)
    found = [*learned(autoencoder), code, decoded]
    wanted = [
        *weights,
        encode(OTHERS, *weights),
        reconstruct(OTHERS, *weights),
    ]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == dtype
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert_equal(given_start, START)


def test_codes_of_extreme_rows_saturate_without_a_warning(engine):
    autoencoder = engine(1, epochs=1, random_state=0).fit([[0, 1], [1, 0]])
    direction = autoencoder.kernel_.sum(axis=1)
    codes = autoencoder.transform(np.outer([-1e30, 1e30], direction))
    assert codes.ravel().tolist() == [0.0, 1.0]
    assert list(autoencoder.history_) == ["loss"]


def test_the_start_is_glorot_uniform_of_the_seed_with_biases_of_zero(engine):
    X = np.tile(ROWS, 100)

    def start(seed):
        autoencoder = engine(2, learning_rate=1e-30, epochs=1, random_state=seed)
        return learned(autoencoder.fit(X))

    kernel, *biases = start(0)
    limit = np.sqrt(6 / (500 + 2))
    assert np.abs(kernel).max() == pytest.approx(limit, rel=0.02)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert max(np.abs(bias).max() for bias in biases) < 1e-25
    again, *_ = start(0)
    assert_array_equal(again, kernel)
    other, *_ = start(1)
    assert not np.allclose(other, kernel)


def fit(*rows, weights=None, **settings):
    return lambda engine: engine(**settings).fit(*rows, initial_weights=weights)


def start_from(*weights):
    return fit(np.zeros((4, 5)), weights=weights)


def apply(method, width):
    """A method of a fitted autoencoder, on rows of some width."""

    def call(engine):
        autoencoder = engine(2, epochs=1).fit(ROWS)
        return getattr(autoencoder, method)(np.zeros((1, width)))

    return call


ZEROS = np.zeros((5, 2)), np.zeros(2), np.zeros(5)
ERRORS = {
    "one axis": (fit([1.0, 2.0]), r"X has the shape \(2,\); give a table"),
    "no rows": (fit(np.zeros((0, 4))), r"X has the shape \(0, 4\); give a table"),
    "not finite": (fit([[0.0, np.nan], [1.0, 1.0]]), "X has NaN or infinite values"),
    "too large": (fit([[1e300]]), "X has NaN or infinite values"),
    "validation": (fit(ROWS, ROWS[:, :3]), "X_val has 3 columns; give it 5"),
    "kernel": (
        start_from(ZEROS[0].T, *ZEROS[1:]),
        r"kernel has the shape \(2, 5\).*\(5, 2\)",
    ),
    "output bias": (
        start_from(*ZEROS[:2], np.zeros(4)),
        r"output_bias has the shape \(4,\).*\(5,\)",
    ),
    "nan": (
        start_from(np.nan * ZEROS[0], *ZEROS[1:]),
        "kernel has NaN or infinite values",
    ),
    "two arrays": (
        start_from(*ZEROS[:2]),
        "initial_weights holds 2 arrays; give the kernel",
    ),
    "components": (
        fit(ROWS, n_components=0),
        "n_components must be a whole number of at least 1, not 0",
    ),
    "epochs": (
        fit(ROWS, epochs=1.5),
        "epochs must be a whole number of at least 1, not 1.5",
    ),
    "rate": (
        fit(ROWS, learning_rate=0.0),
        "learning_rate must be finite and above 0, not 0.0",
    ),
    "momentum": (
        fit(ROWS, momentum=1.0),
        "momentum must be at least 0 and below 1, not 1.0",
    ),
    "decay": (
        fit(ROWS, decay=-1.0),
        "decay must be finite and at least 0, not -1.0",
    ),
    "dtype": (fit(ROWS, dtype="int8"), "dtype must be one of .*, not 'int8'"),
    "rows": (apply("transform", 4), "X has 4 columns; give it 5"),
    "codes": (apply("inverse_transform", 5), "code has 5 columns; give it 2"),
}


@for_each(ERRORS, "call", "message")
def test_an_error_tells_what_was_given_and_what_to_give(engine, call, message):
    with pytest.raises(ValueError, match=message):
        call(engine)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ([[0.0]], r"kernel has the shape \(1, 1\).*\(2, 1\)"),
        (0.0, r"kernel has the shape \(\).*\(2, 1\)"),
    ],
)
def test_a_gradient_of_arguments_that_do_not_fit_is_an_error(kernel, message):
    with pytest.raises(ValueError, match=message):
        loss_and_gradient(
            [[1.0, 2.0]],
            kernel,
            [0.0],
            [0.0, 0.0],
        )


def test_training_that_diverges_is_an_error(engine):
    autoencoder = engine(2, learning_rate=1000.0, epochs=200, random_state=0)
    message = r"learning_rate=1000.0 diverged at epoch \d+"
    with pytest.raises(FloatingPointError, match=message):
        autoencoder.fit(ROWS)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_use_before_fit_is_a_not_fitted_error(engine, method):
    message = f"This {engine.__name__} is not fitted yet; call fit first"
    with pytest.raises(ValueError, match=message):
        getattr(engine(), method)([[0.0]])


def test_construction_without_pytensor_says_how_to_install_it(monkeypatch):
    # Python's own mark of a blocked import.
    monkeypatch.setitem(sys.modules, "pytensor", None)
    with pytest.raises(ImportError, match=r'pip install "keras-tied\[pytensor\]"'):
        PyTensorAutoencoder()


FIRST_USE = """
import sys
import numpy as np
from keras_tied.article import PyTensorAutoencoder
assert "pytensor" not in sys.modules
X = np.random.default_rng(0).uniform(size=(50, 3))
PyTensorAutoencoder(2, epochs=2).fit(X, X)
"""


@slow
@needs_pytensor
def test_first_use_needs_no_compiler_and_prints_and_leaves_nothing(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    flags = f"base_compiledir={tmp_path / 'cache'}"
    result = run_python(
        *("-W", "always", "-c", FIRST_USE),
        environment={"PATH": "", "PYTENSOR_FLAGS": flags},
        cwd=folder,
    )
    assert (result.stdout, result.stderr) == ("", "")
    assert not list(folder.iterdir())
