import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_tied.reference import NumpyAutoencoder, loss_and_gradient

STEP = 1e-5


@st.composite
def problems(draw):
    """Rows and weights of any small shape: X, W, b, c."""
    n, d, k = (draw(st.integers(1, most)) for most in (6, 5, 4))
    numbers = st.floats(-2, 2, width=32)
    shapes = (n, d), (d, k), (k,), (d,)
    return [draw(arrays(np.float64, shape, elements=numbers)) for shape in shapes]


def mse(X, kernel, code_bias, output_bias):
    code = 1 / (1 + np.exp(-(X @ kernel + code_bias)))
    return np.mean((code @ kernel.T + output_bias - X) ** 2)


def central_differences(X, weights, which):
    """The derivative of the loss in each entry of weights[which], by two evaluations
    each.
    """
    gradient = np.empty_like(weights[which])
    for index in np.ndindex(gradient.shape):
        losses = []
        for step in (STEP, -STEP):
            moved = [weight.copy() for weight in weights]
            moved[which][index] += step
            losses.append(mse(X, *moved))
        gradient[index] = (losses[0] - losses[1]) / (2 * STEP)
    return gradient


@settings(max_examples=100)
@given(problems())
def test_loss_is_the_mean_squared_error_of_the_reconstruction(problem):
    loss, _ = loss_and_gradient(*problem)
    assert loss == pytest.approx(mse(*problem), rel=1e-12, abs=1e-15)


@settings(max_examples=100)
@given(problems())
def test_gradient_equals_central_differences(problem):
    X, *weights = problem
    _, gradient = loss_and_gradient(X, *weights)
    for which, slope in enumerate(gradient):
        expected = central_differences(X, weights, which)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-6)


def test_float32_gradient_is_near_the_float64_one(rng):
    problem = [rng.normal(size=shape) for shape in ((500, 6), (6, 3), (3,), (6,))]
    _, exact = loss_and_gradient(*problem)
    _, gradient = loss_and_gradient(*(array.astype("float32") for array in problem))
    for slope, expected in zip(gradient, exact, strict=True):
        assert slope.dtype == np.float32
        np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)


def test_one_epoch_is_one_step_down_the_gradient(rng):
    X, *start = (rng.uniform(size=shape) for shape in ((20, 4), (4, 2), (2,), (4,)))
    autoencoder = NumpyAutoencoder(2, learning_rate=0.3, epochs=1, dtype="float64")
    autoencoder.fit(X, initial_weights=start)
    expected = [
        start[which] - 0.3 * central_differences(X, start, which) for which in range(3)
    ]
    learned = autoencoder.kernel_, autoencoder.code_bias_, autoencoder.output_bias_
    for weight, stepped in zip(learned, expected, strict=True):
        np.testing.assert_allclose(weight, stepped, atol=1e-9)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("X", [1.0], r"X has the shape \(1,\)"),
        ("kernel", [[0.0]], r"kernel has the shape \(1, 1\).*\(2, 1\)"),
        ("kernel", 0.0, r"kernel has the shape \(\).*\(2, 1\)"),
        ("code_bias", [0.0, 0.0], r"code_bias has the shape \(2,\).*\(1,\)"),
        (
            "output_bias",
            [np.nan, 0.0],
            "output_bias has 1 values that are not finite in float64",
        ),
    ],
)
def test_gradient_rejects_arguments_that_do_not_fit(argument, value, message):
    arguments = {
        "X": [[1.0, 2.0]],
        "kernel": [[0.0], [0.0]],
        "code_bias": [0.0],
        "output_bias": [0.0, 0.0],
    }
    with pytest.raises(ValueError, match=message):
        loss_and_gradient(**arguments | {argument: value})
