import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

if keras.backend.backend() != "jax":
    pytest.skip("the evaluation is of JAX's traces", allow_module_level=True)

import jax
import jax.numpy as jnp

from keras_tied.layers import TiedDense
from keras_tied.training import fit
from keras_tied.training._jax import bfloat16, program
from keras_tied.training._jax.program import TracedFunction

FORMS = ["ab", "aTb", "abT", "aTbT", "(ab)T", "(aTb)T", "gradient"]


@pytest.fixture(scope="module", autouse=True)
def multiplies_bfloat16():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "multiplies_bfloat16", lambda: True)
        yield


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
    information = tmp_path / "cpuinfo"
    if flags:
        information.write_text(f"processor : 0\nflags : {flags}\n", "utf-8")
    monkeypatch.setattr(bfloat16, "CPU_INFORMATION", information)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")

    assert bfloat16.multiplies_bfloat16() is expected


def product(form, a, b):
    if form == "gradient":
        return jax.grad(lambda w: jnp.sum(jnp.tanh(a @ w).astype("float32")))(b).astype(
            "float32"
        )
    left = a.T.T if "aT" not in form else a.T.reshape(a.shape[::-1]).T
    result = left @ (b if "bT" not in form else b.T.reshape(b.shape[::-1]).T)
    return (result.T if form.startswith("(") else result).astype("float32")


@given(
    form=st.sampled_from(FORMS),
    sizes=st.tuples(*[st.integers(1, 70)] * 3),
    seed=st.integers(0, 1000),
)
def test_products_are_those_of_the_rounded_matrices(form, sizes, seed):
    rows, inner, columns = sizes
    rng = np.random.default_rng(seed)
    a = jnp.asarray(rng.normal(size=(rows, inner)), jnp.bfloat16)
    b = jnp.asarray(rng.normal(size=(inner, columns)), jnp.bfloat16)
    traced = TracedFunction(lambda a, b: product(form, a, b), a, b)

    got = jax.jit(traced)(a, b)

    exact = [np.asarray(matrix, np.float64) for matrix in (a, b)]
    if form == "gradient":
        expected = exact[0].T @ (1 - np.tanh(exact[0] @ exact[1]) ** 2)
        scale = np.abs(exact[0]).T @ np.ones((rows, columns))
    else:
        expected, scale = exact[0] @ exact[1], np.abs(exact[0]) @ np.abs(exact[1])
    if form.startswith("("):
        expected, scale = expected.T, scale.T
    assert (np.abs(np.asarray(got) - expected) <= 2**-7 * scale + 1e-6).all()


def network():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((300,))
        wide, narrow = keras.layers.Dense(80, "silu"), keras.layers.Dense(7, "tanh")
        code = narrow(wide(inputs))
        outputs = TiedDense(wide)(TiedDense(narrow, gain=True, activation="silu")(code))
        model = keras.Model(inputs, outputs)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model


@pytest.mark.slow
def test_each_product_of_a_step_takes_its_first_factor_row_by_row(rng):
    x = rng.normal(size=(64, 300)).astype("float32")
    model = network()
    fit(model, x, x, batch_size=32, epochs=1, verbose=0)
    ((program, _),) = model.train_function.keras_tied_programs.values()
    products = [line for line in program.as_text().splitlines() if " dot(" in line]
    assert products
    assert all("lhs_contracting_dims={1}" in line for line in products)


@pytest.mark.parametrize("known", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_training_is_as_exact_as_in_bfloat16(known, rng, monkeypatch):
    if not known:  # as with a release of XLA that knows no such products
        real = jax.block_until_ready

        def refuse(values):
            monkeypatch.setattr(jax, "block_until_ready", real)
            raise jax.errors.JaxRuntimeError("UNIMPLEMENTED")

        monkeypatch.setattr(jax, "block_until_ready", refuse)
    x = rng.normal(size=(64, 300)).astype("float32")
    losses = []
    for train in (fit, keras.Model.fit):
        keras.utils.set_random_seed(0)
        losses.append(
            train(network(), x, x, batch_size=32, epochs=10, verbose=0).history["loss"]
        )
    np.testing.assert_allclose(*losses, rtol=5e-3)
