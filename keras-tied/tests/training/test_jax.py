"""What is compiled on JAX: how often, and what it computes."""

import keras
import numpy as np
import pytest
from keras.layers import Dense, Normalization
from keras.optimizers import SGD
from keras.utils import set_random_seed
from numpy.testing import assert_allclose
from tests.marks import slow

from ..autoencoder.networks import chain

if keras.backend.backend() != "jax":
    pytest.skip("programs are of the JAX backend", allow_module_level=True)

import jax
import jax.numpy as jnp

from keras_tied.layers import PartlyLinear
from keras_tied.training import fit
from keras_tied.training._jax import compile_cache, program, trainer


def normalise(data):
    """A model whose program has numbers of the data in it."""
    set_random_seed(0)
    layer = Normalization()
    layer.adapt(data)
    model = chain(layer, Dense(4, "tanh"), shape=(4,))
    model.compile(SGD(0.1), "mse")
    return model


def train(model, rows, method=fit, **settings):
    settings = {"batch_size": 16, "epochs": 3, "verbose": 0, **settings}
    return method(model, rows, rows, **settings).history["loss"]


def assert_trains_as_keras(data, rows, **settings):
    losses, expected = (
        train(normalise(data), rows, method, **settings)
        for method in (fit, keras.Model.fit)
    )
    assert_allclose(losses, expected, rtol=1e-4)


@pytest.fixture
def compilations(monkeypatch):
    """The options of each compilation."""
    found = []
    original = jax.stages.Lowered.compile

    def count(lowered, **options):
        found.append(options)
        return original(lowered, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", count)
    return found


@pytest.mark.parametrize("batch_size", [pytest.param(60, marks=slow), 16])
def test_only_a_program_with_other_numbers_is_compiled_again(
    rows, batch_size, compilations
):
    model = normalise(rows)
    train(model, rows, batch_size=batch_size)
    compilations.clear()
    train(model, 2 * rows, batch_size=batch_size, epochs=7)
    train(normalise(rows), rows, batch_size=batch_size)
    assert not compilations

    assert_trains_as_keras(5 * rows - 1, rows, batch_size=batch_size)
    assert compilations


@slow
def test_the_programs_that_were_compiled_last_are_kept(rows, compilations, monkeypatch):
    monkeypatch.setattr(compile_cache, "CAPACITY", 1)
    monkeypatch.setattr(compile_cache, "programs", {})
    model = normalise(rows)
    for count in (50, 40, 40, 50):
        train(model, rows[:count])
    assert len(compilations) == 3


def test_a_release_of_xla_without_our_options_compiles_with_its_own(rows, monkeypatch):
    original = jax.stages.Lowered.compile
    refused = []

    def refuse(lowered, compiler_options=None):
        if compiler_options:
            refused.append(compiler_options)
            raise jax.errors.JaxRuntimeError("no such option")
        return original(lowered)

    monkeypatch.setattr(jax.stages.Lowered, "compile", refuse)
    assert_trains_as_keras(rows[::-1], rows)
    assert refused


def test_a_long_run_compiles_with_the_options_of_xla(rows, compilations, monkeypatch):
    monkeypatch.setattr(trainer, "SHORT", 0)
    assert_trains_as_keras(rows, rows)
    assert not compilations[0]


def loss(parameters, x):
    first, bias, second = parameters
    hidden = jnp.tanh((x - x.mean(axis=0)) @ first + bias)
    decoded = hidden @ second
    output = jnp.where(decoded > 0, decoded, x)
    sums = jax.lax.cumsum(hidden, axis=0)  # with the rows first again
    largest = jnp.max(jnp.abs(hidden), axis=0)
    return jnp.mean((output - x) ** 2) + largest.sum() + sums.mean()


def test_with_features_first_value_and_gradient_are_those_of_the_function(rng):
    shapes = [(5, 3), (3,), (3, 5)]
    parameters = [rng.normal(size=shape).astype("float32") for shape in shapes]
    x = rng.normal(size=(64, 5)).astype("float32")
    both = jax.value_and_grad(loss)
    traced = program.TracedFunction(both, parameters, x)

    def flipped(parameters, transposed):
        return traced(parameters, program.FlippedMatrix(transposed))

    value, gradient = jax.jit(flipped)(parameters, x.T)
    expected_value, expected_gradient = jax.jit(both)(parameters, x)
    assert_allclose(value, expected_value, rtol=2e-5)
    for found, expected in zip(gradient, expected_gradient, strict=True):
        assert_allclose(found, expected, rtol=2e-4, atol=1e-5)

    equations = jax.make_jaxpr(flipped)(parameters, x.T).eqns
    products = [eqn for eqn in equations if eqn.primitive.name == "dot_general"]
    lengths = {eqn.outvars[0].aval.shape[0] for eqn in products}
    assert lengths
    assert 64 not in lengths


def test_features_come_first_in_many_narrow_rows():
    assert program.is_worthwhile(9000, (4,), [2, 4])
    for rows, shape, units in (
        (31, (4,), [2]),
        (9000, (257,), [2]),
        (9000, (8, 8), [2]),
        (9000, (4,), [1000]),
    ):
        assert not program.is_worthwhile(rows, shape, units)


def test_units_that_pass_have_a_gradient_of_one():
    layer = PartlyLinear("exponential", 1)
    x = np.float32([[200, 0]])
    assert_allclose(jax.grad(lambda x: layer(x).sum())(x), [[1, 1]])


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_functions_of_python_are_those_of_each_program(factor):
    x = np.ones(3, np.float32)

    def call(x):
        return jax.pure_callback(lambda x: factor * np.asarray(x), x, x)

    assert compile_cache.compile_program(call, (x,))(x)[0] == factor
