"""Both descents, NumPy's and PyTensor's, against the formulas and central differences."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_equal
from tests.marks import slow
from tests.processes import run_python

from keras_tied.article import (
    NumpyDescent,
    PyTensorDescent,
    Weights,
    loss_and_gradient,
)

from ..layers.oracles import slopes

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
        NumpyDescent,
        # PyTensor compiles for seconds.
        pytest.param(PyTensorDescent, marks=[slow, needs_pytensor]),
    ]
)
def descent(request):
    return request.param


def reconstruct(X, kernel, code_bias, output_bias):
    code = 1 / (1 + np.exp(-(X @ kernel + code_bias)))
    return code @ kernel.T + output_bias


def mse(X, *weights):
    return np.mean((reconstruct(X, *weights) - X) ** 2)


def central_differences(X, weights):
    """The derivative of the loss in each number of the weights."""
    found = []
    for which, weight in enumerate(weights):

        def lose(moved, which=which):
            return mse(X, *weights[:which], moved, *weights[which + 1 :])

        found.append(slopes(lose, weight, STEP))
    return found


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
    loss, gradient = loss_and_gradient(X, Weights(*weights))
    assert loss == pytest.approx(mse(*problem), rel=1e-12, abs=1e-15)
    for slope, expected in zip(gradient, central_differences(X, weights), strict=True):
        assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.95, 0.5])
def test_training_is_descent_with_momentum_by_central_differences(
    descent, momentum, dtype
):
    rows, others, *start = [each.astype(dtype) for each in (ROWS, OTHERS, *START)]
    given_start = [weight.copy() for weight in start]
    trained = descent(rows, others, Weights(*start), momentum)

    weights = [weight.copy() for weight in START]
    velocities = [np.zeros_like(weight) for weight in weights]
    for rate in (0.1, 0.05, 0.2):
        loss = mse(ROWS, *weights)
        slopes = central_differences(ROWS, weights)
        for weight, velocity, slope in zip(weights, velocities, slopes, strict=True):
            velocity *= momentum
            velocity -= rate * slope
            weight += velocity
        logs = {"loss": loss, "val_loss": mse(OTHERS, *weights)}
        assert trained.step(rate) == pytest.approx(logs, rel=1e-5)
    for one, other in zip(trained.weights, weights, strict=True):
        assert one.dtype == dtype
        assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert_equal(start, given_start)


def test_without_pytensor_an_error_says_how_to_install_it(monkeypatch):
    # Python's own mark of a blocked import.
    monkeypatch.setitem(sys.modules, "pytensor", None)
    with pytest.raises(ImportError, match=r'pip install "keras-tied\[pytensor\]"'):
        PyTensorDescent(ROWS, OTHERS, Weights(*START), 0.9)


FIRST_USE = """
import sys
import numpy as np
from keras_tied import article
assert "pytensor" not in sys.modules
article.run(np.random.default_rng(0).uniform(size=(50, 3)), epochs=2, engine="pytensor")
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
