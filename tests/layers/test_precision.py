"""Tied layers under mixed precision."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest

from keras_tied.layers import TiedDense

from .cases import (
    Case,
    arrays,
    find,
    kernel_variable,
    outputs,
    parameters,
    select,
    train,
)

CASES = [*select("functional"), *select("nested", "chain", family="Dense")]
QUICK = [case for case in CASES if case.family.name in ("Dense", "Conv")]


@pytest.fixture(
    params=["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


@pytest.fixture(params=parameters(CASES, QUICK))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def test_outputs_have_the_compute_dtype(policy, case):
    (found,) = keras.tree.flatten(case.build()(case.inputs()))
    assert keras.backend.standardize_dtype(found.dtype) == policy.removeprefix("mixed_")


def test_variables_are_float32(policy, case):
    assert {variable.dtype for variable in case.build().variables} == {"float32"}


def test_outputs_are_near_those_in_float32(policy, case):
    mixed = case.build()
    keras.config.set_dtype_policy("float32")
    (expected,), (found,) = (
        outputs(model, case.inputs()) for model in (case.build(), mixed)
    )
    np.testing.assert_allclose(found.astype("float32"), expected, atol=0.05, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", parameters(select("functional", "nested", family="Dense"))
)
def test_training_moves_the_kernel(policy, case):
    model = case.build()
    kernel = kernel_variable(find(model, case.topology.ties[0][1]))
    before = kernel.numpy().copy()
    train(model, case.inputs(), case.targets())
    assert np.any(before != kernel.numpy())


def test_loaded_model_computes_in_the_same_dtype(policy, case, tmp_path):
    model = case.build()
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(
        outputs(loaded, case.inputs()), outputs(model, case.inputs()), strict=True
    ):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_float32_layer_tied_to_a_mixed_one_computes_in_float32():
    dense = keras.layers.Dense(3, dtype="mixed_bfloat16")
    dense.build((None, 4))
    tied = TiedDense(dense, use_bias=False, dtype="float32")
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    (found,) = outputs(tied, rows)
    np.testing.assert_allclose(found, rows @ dense.kernel.numpy().T, atol=1e-6)


def test_mixed_layer_tied_to_a_float32_one_computes_in_its_own_dtype():
    dense = keras.layers.Dense(3)
    dense.build((None, 4))
    tied = TiedDense(dense, gain=True, dtype="mixed_bfloat16")
    found = tied(np.ones((5, 3), "float32"))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert arrays(dense.kernel)[0].dtype == np.float32
