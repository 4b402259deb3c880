"""KSparse against sorting in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import layers

from keras_tied.layers import KSparse

from .cases import arrays, outputs
from .oracles import gradient


def largest(x: np.ndarray, k: int) -> np.ndarray:
    """Each row with all but its k largest numbers set to 0, the first of equal ones
    kept.
    """
    kept = np.zeros_like(x)
    for row, out in zip(
        x.reshape(-1, x.shape[-1]), kept.reshape(-1, x.shape[-1]), strict=True
    ):
        for index in sorted(range(len(row)), key=lambda index: (-row[index], index))[
            :k
        ]:
            out[index] = row[index]
    return kept


SHAPES = st.sampled_from([(3, 1), (4, 5), (2, 3, 5)])
codes = hnp.arrays("float32", SHAPES, elements=st.integers(-3, 3))  # many are equal


@pytest.mark.slow
@given(x=codes, data=st.data())
def test_the_k_largest_are_kept(x, data):
    k = data.draw(st.integers(1, x.shape[-1]))
    np.testing.assert_array_equal(
        arrays(KSparse(k)(x, training=True))[0], largest(x, k)
    )


def test_largest_numbers_are_kept_and_not_largest_magnitudes():
    found = outputs(KSparse(2), np.array([[-5.0, 1.0, -2.0, -0.5]], "float32"))[0]
    np.testing.assert_array_equal(found, [[0, 1, 0, -0.5]])


@pytest.mark.parametrize("training", [True, False])
def test_of_equal_numbers_exactly_k_are_kept(training):
    found = arrays(KSparse(3)(np.ones((2, 8), "float32"), training=training))[0]
    np.testing.assert_array_equal(found.sum(axis=-1), [3, 3])


@pytest.mark.parametrize(
    ("k", "alpha", "kept"), [(2, 1.0, 2), (2, 1.7, 3), (3, 0.4, 1), (4, 9, 8)]
)
def test_inference_keeps_alpha_times_as_many(k, alpha, kept):
    x = np.random.default_rng(0).uniform(1, 2, (5, 8)).astype("float32")
    layer = KSparse(k, alpha=alpha)
    assert np.all(np.count_nonzero(arrays(layer(x, training=True))[0], axis=-1) == k)
    assert np.all(
        np.count_nonzero(arrays(layer(x, training=False))[0], axis=-1) == kept
    )


def test_gradient_flows_through_the_kept_ones_only():
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 4, 6)).astype("float32")
    layer = KSparse(2)
    found = gradient(lambda x: keras.ops.sum(keras.ops.multiply(layer(x), weights)), x)
    np.testing.assert_allclose(
        found, np.where(largest(x, 2) != 0, weights, 0), atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    x = np.array([[1.0, 4.0, 3.0, -2.0]], "float32")
    found = KSparse(2, dtype=f"mixed_{dtype}")(x)
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    np.testing.assert_array_equal(
        arrays(keras.ops.cast(found, "float32"))[0], [[0, 4, 3, 0]]
    )


def test_model_with_it_trains_and_predicts_compiled():
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), KSparse(2, alpha=2)])
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((8, 5), "float32"), verbose=0)
    assert np.all(np.count_nonzero(model.predict(x, verbose=0), axis=-1) == 4)


def test_mask_passes_through():
    inputs = keras.Input((3,), dtype="int32")
    model = keras.Model(
        inputs, KSparse(2)(layers.Embedding(7, 4, mask_zero=True)(inputs))
    )
    ids = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    np.testing.assert_array_equal(arrays(model(ids)._keras_mask)[0], ids != 0)


def test_output_shape():
    assert KSparse(2).compute_output_shape((None, 3, 4)) == (None, 3, 4)
    assert KSparse(2)(keras.Input((None, 4))).shape == (None, None, 4)


def test_saved_and_cloned_layers_have_the_same_settings(tmp_path):
    layer = KSparse(2, alpha=1.5, name="sparse")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6), layer])
    model.save(tmp_path / "model.keras")
    copies = [
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ]
    for copy in copies:
        found = copy.get_layer("sparse")
        assert found is not layer
        assert found.get_config() == layer.get_config()
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(*outputs(copies[0], x), *outputs(model, x))


@pytest.mark.parametrize("k", [0, -1, 1.5, "2"])
def test_k_that_is_no_number_of_units(k):
    with pytest.raises(
        ValueError, match=r"KSparse 'sparse' takes as k .* integer from 1 on; rec"
    ):
        KSparse(k, name="sparse")


@pytest.mark.parametrize("alpha", [0.0, 0.1, -1.0])
def test_alpha_that_keeps_nothing(alpha):
    with pytest.raises(
        ValueError, match=r"KSparse 'sparse' would keep round\(alpha \* k\) = "
    ):
        KSparse(3, alpha=alpha, name="sparse")


def test_k_of_more_than_there_are():
    with pytest.raises(
        ValueError, match=r"KSparse 'sparse' keeps k=5 .* shape \(2, 4\): feed"
    ):
        KSparse(5, name="sparse")(np.ones((2, 4), "float32"))
