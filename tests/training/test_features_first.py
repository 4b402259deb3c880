import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip(
        "features-first evaluation is for the JAX backend", allow_module_level=True
    )

import jax
import jax.numpy as jnp

from keras_tied.training._jax.features_first import FlippedMatrix, is_worthwhile
from keras_tied.training._jax.program import TracedFunction

ROWS = 64


def network(parameters, x):
    first, bias, second, scale = parameters
    hidden = jax.nn.gelu(x @ first + bias) * scale + jax.nn.relu(x @ first)
    output = jnp.where(hidden @ second > 0, jax.nn.softplus(hidden @ second), x)
    return jnp.mean((output - x) ** 2) + 0.1 * jnp.max(jnp.abs(hidden), axis=0).sum()


def center(parameters, x):
    first, bias, second, _ = parameters
    hidden = jnp.tanh(
        (x - x.mean(axis=0)) / x.std(axis=1, keepdims=True) @ first + bias
    )
    return jnp.var(hidden @ second + x[:, :1], axis=0).sum() + jnp.sum(
        jnp.sort(hidden, axis=0)[:3]
    )


def between_rows(parameters, x):
    first, *_ = parameters
    code = x @ first
    return (
        jnp.sum((code @ code.T) ** 2) / ROWS
        + jnp.sum(jax.lax.cumsum(code, axis=0)) / ROWS
    )


@pytest.fixture
def parameters(rng):
    shapes = ((5, 3), (3,), (3, 5), (3,))
    return [jnp.asarray(rng.normal(size=shape), "float32") for shape in shapes]


@pytest.mark.slow
@pytest.mark.parametrize(
    "function", [network, pytest.param(center, marks=pytest.mark.slow), between_rows]
)
def test_value_and_gradient_are_those_of_the_function(function, parameters, rng):
    x = jnp.asarray(rng.normal(size=(ROWS, 5)), "float32")
    both = jax.value_and_grad(function)

    traced = TracedFunction(both, parameters, x)

    value, gradient = jax.jit(
        lambda p, transposed: traced(p, FlippedMatrix(transposed))
    )(parameters, x.T)
    expected_value, expected_gradient = both(parameters, x)
    np.testing.assert_allclose(value, expected_value, rtol=2e-5)
    for got, expected in zip(gradient, expected_gradient, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-5)


def test_no_matrix_product_keeps_the_rows_first(parameters):
    x = jax.ShapeDtypeStruct((ROWS, 5), "float32")

    traced = TracedFunction(jax.value_and_grad(network), parameters, x)

    transposed = jax.ShapeDtypeStruct((5, ROWS), "float32")
    jaxpr = jax.make_jaxpr(lambda p, x: traced(p, FlippedMatrix(x)))(
        parameters, transposed
    )
    products = [eqn for eqn in jaxpr.eqns if eqn.primitive.name == "dot_general"]
    assert products
    assert not [eqn for eqn in products if eqn.outvars[0].aval.shape[0] == ROWS]


def test_it_is_not_used_for_images_or_wide_rows():
    assert is_worthwhile(9000, (4,), [2, 4])
    assert not is_worthwhile(20, (4,), [2, 4])
    assert not is_worthwhile(9000, (4,), [1000, 4])
    assert not is_worthwhile(9000, (784,), [30])
    assert not is_worthwhile(9000, (8, 8), [4])
