"""The regularizers against their formulas in NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.models import clone_model
from numpy.testing import assert_allclose
from scipy.special import rel_entr

from keras_tied.regularizers import KLSparsity, Orthonormal

from .autoencoder.networks import chain
from .layers.cases import through_file


def divergence(x, target):
    """The sum over units of KL(target || mean activation)."""
    rows = x.astype("float64").reshape(-1, x.shape[-1])
    mean = rows.mean(axis=0)
    return np.sum(rel_entr(target, mean) + rel_entr(1 - target, 1 - mean))


def assert_precise(found, expected, tolerance=1e-4):
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    assert_allclose(
        ops.convert_to_numpy(found),
        expected,
        tolerance,
        1e-5,
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 4),
        (6, 4),
        (3, 2, 4),
    ],
)
@pytest.mark.parametrize(
    ("target", "factor"),
    [
        (0.05, 1.0),
        (0.3, 2.0),
        (0.9, 0.0),
    ],
)
def test_loss_of_a_sparse_layer_is_the_divergence(shape, target, factor, dtype, rng):
    """Whatever the number of rows, and in single precision."""
    compute_dtype = dtype.removeprefix("mixed_")
    x = rng.uniform(0.02, 0.98, shape).astype(compute_dtype)
    penalty = KLSparsity(target, factor)
    layer = layers.Identity(activity_regularizer=penalty, dtype=dtype)
    layer(x)
    assert_precise(layer.losses[0], factor * divergence(x, target))


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_divergence_is_finite_where_units_are_always_off_or_on(value, dtype):
    code = ops.full((3, 4), value, dtype=dtype)
    assert np.isfinite(float(KLSparsity()(code)))


@pytest.mark.parametrize("target", [0.0, 1.0, float("nan")])
def test_target_that_is_no_chance(target):
    message = r"KLSparsity takes as target .* received target="
    with pytest.raises(ValueError, match=message):
        KLSparsity(target)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize(
    "shape",
    [
        (6, 3),
        (3, 6),
        (2, 3, 4),
        (4, 4),
    ],
)
def test_loss_of_an_orthonormal_kernel_is_the_formula(shape, dtype, rng):
    """Also where squares leave the range of half precision."""
    for factor, scale in [(1.0, 1.0), (0.1, 300.0)]:
        initializer = keras.initializers.Constant(scale * rng.normal(size=shape))
        layer = layers.Layer(dtype=dtype)
        kernel = layer.add_weight(shape, initializer, regularizer=Orthonormal(factor))
        matrix = ops.convert_to_numpy(ops.cast(kernel, "float32"))
        matrix = matrix.reshape(-1, shape[-1]).astype("float64")
        singular = np.linalg.svd(matrix, compute_uv=False)
        excess = singular**2 - 1
        assert_precise(layer.losses[0], factor * np.sum(excess**2))


def test_orthonormal_takes_no_vector():
    message = r"Orthonormal takes a kernel of two .* shape \(3,\): "
    with pytest.raises(ValueError, match=message):
        Orthonormal()(np.ones(3, "float32"))


@pytest.mark.parametrize(
    ("kind", "regularizer"),
    [
        ("activity_regularizer", KLSparsity(0.2, 3.0)),
        ("kernel_regularizer", Orthonormal(0.5)),
    ],
)
def test_saved_and_cloned_models_keep_it(kind, regularizer, tmp_path):
    layer = layers.Dense(3, name="code", **{kind: regularizer})
    model = chain(layer, shape=(4,))
    for copy in (through_file(model, tmp_path), clone_model(model)):
        found = getattr(copy.get_layer("code"), kind)
        assert type(found) is type(regularizer)
        assert vars(found) == vars(regularizer)
