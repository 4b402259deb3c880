"""What is compiled on JAX: how often, with which products, and what it computes."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.layers import Dense, Normalization
from keras.optimizers import SGD, Adam
from keras.utils import set_random_seed
from numpy.random import default_rng
from numpy.testing import assert_allclose
from tests.autoencoder.networks import chain
from tests.marks import slow

if keras.backend.backend() != "jax":
    pytest.skip("programs are of the JAX backend", allow_module_level=True)

import jax
import jax.numpy as jnp

from keras_tied.layers import PartlyLinear, TiedDense
from keras_tied.training import fit
from keras_tied.training._jax import bfloat16, compile_cache, program, trainer


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


@pytest.mark.parametrize(
    ("rows", "shape", "expected"),
    [
        (32, (4,), True),
        (31, (4,), False),
        (9000, (257,), False),
        (9000, (8, 8), False),
    ],
)
def test_features_come_first_in_many_narrow_rows(rows, shape, expected):
    assert program.is_worthwhile(rows, shape, [2, 4]) is expected
    assert not program.is_worthwhile(rows, shape, [1000])


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fma avx512_bf16", True),
        ("amx_bf16 amx_tile", True),
        ("avx512f", False),
        (None, False),
    ],
)
def test_the_processor_says_whether_it_multiplies_bfloat16(
    flags, expected, tmp_path, monkeypatch
):
    path = tmp_path / "cpuinfo"
    if flags:
        path.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(bfloat16, "CPU_INFORMATION", path)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert bfloat16.multiplies_bfloat16() is expected


FORMS = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik", "ij,jk->ki"]


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    """A processor that multiplies bfloat16."""
    path = tmp_path_factory.mktemp("processor") / "cpuinfo"
    path.write_text("flags : avx512_bf16\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bfloat16, "CPU_INFORMATION", path)
        yield


@pytest.mark.usefixtures("processor")
@given(
    form=st.sampled_from(FORMS),
    sizes=st.tuples(*[st.integers(1, 70)] * 3),
    is_turned=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_products_are_those_of_the_rounded_matrices(form, sizes, is_turned, seed):
    rng = default_rng(seed)
    lengths = dict(zip("ijk", sizes, strict=True))
    factors = []
    for letters in (form[:2], form[3:5]):
        values = rng.normal(size=[lengths[letter] for letter in letters])
        factors.append(jnp.asarray(values, jnp.bfloat16))
    left, right = factors

    def multiply(left, right):
        left = left.T if is_turned else left
        return jnp.einsum(form, left, right).astype("float32")

    given_left = jnp.array(left.T) if is_turned else left
    traced = program.TracedFunction(multiply, given_left, right)
    assert traced.widen
    found = jax.jit(traced)(given_left, right)
    exact = [np.asarray(factor, np.float64) for factor in factors]
    scale = np.einsum(form, *map(np.abs, exact))
    assert (np.abs(found - np.einsum(form, *exact)) <= 2**-7 * scale + 1e-6).all()


def build_mixed():
    set_random_seed(0)
    dtype = "mixed_bfloat16"
    inputs = keras.Input((300,))
    wide = Dense(80, "silu", dtype=dtype)
    narrow = Dense(7, "tanh", dtype=dtype)
    inner = TiedDense(narrow, gain=True, activation="silu", dtype=dtype)
    outer = TiedDense(wide, dtype=dtype)
    model = keras.Model(
        inputs,
        outer(inner(narrow(wide(inputs)))),
    )
    model.compile(Adam(1e-3), "mse")
    return model


@pytest.mark.usefixtures("processor")
def test_training_is_as_exact_as_in_bfloat16(rng):
    rows = rng.normal(size=(64, 300)).astype("float32")
    losses = []
    for method in (fit, keras.Model.fit):
        settings = {"batch_size": 32, "epochs": 10}
        losses.append(train(build_mixed(), rows, method, **settings))
    assert_allclose(*losses, rtol=5e-3)


@pytest.mark.usefixtures("processor")
def test_a_program_that_xla_cannot_run_is_written_anew(rng, monkeypatch):
    texts = []

    def compile_program(function, arguments, *, fast):
        texts.append(jax.jit(function).lower(*arguments).as_text())
        if len(texts) > 1:
            return compile_cache.compile_program(function, arguments, fast=fast)

        def refuse(*_):
            raise jax.errors.JaxRuntimeError("UNIMPLEMENTED")

        return refuse

    monkeypatch.setattr(trainer, "compile_program", compile_program)
    rows = rng.normal(size=(64, 300)).astype("float32")
    train(
        build_mixed(),
        rows,
        fit,
        batch_size=32,
        epochs=1,
    )
    first, second = texts
    assert first != second


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
