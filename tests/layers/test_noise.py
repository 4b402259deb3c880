"""The corruptions: what they draw, against the binomial distribution, and when they
draw.
"""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from keras_tied.layers import MaskingNoise, SaltAndPepperNoise

from .cases import arrays, outputs

SHAPE = (100, 50)
BOTH = pytest.mark.parametrize("cls", [MaskingNoise, SaltAndPepperNoise])
RATES = pytest.mark.parametrize("rate", [0.02, 0.25, 0.7])


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between 0 and 1, neither of which is among them."""
    return np.random.default_rng(seed).uniform(0.1, 0.9, shape).astype("float32")


def corrupted(layer: layers.Layer, x: np.ndarray) -> np.ndarray:
    return arrays(layer(x, training=True))[0]


def assert_share(found: np.ndarray, rate: float) -> None:
    """As many hits as a coin with that chance gives, to five standard deviations."""
    deviation = np.sqrt(rate * (1 - rate) / found.size)
    assert abs(found.mean() - rate) < 5 * deviation


@RATES
def test_masking_sets_a_share_of_the_features_to_zero(rate):
    assert_share(corrupted(MaskingNoise(rate, seed=1), positive(*SHAPE)) == 0, rate)


@RATES
def test_salt_and_pepper_sets_half_of_the_share_to_either_value(rate):
    found = corrupted(
        SaltAndPepperNoise(rate, low=-1.0, high=3.0, seed=1), positive(*SHAPE)
    )
    assert_share(found == -1, rate / 2)
    assert_share(found == 3, rate / 2)


@BOTH
def test_features_are_spoilt_independently_of_each_other(cls):
    x = positive(4000, 3)
    spoilt = (corrupted(cls(0.3, seed=1), x) != x).astype("float64")
    covariance = np.cov(spoilt, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.full(3, 0.3 * 0.7)), atol=0.02)


@BOTH
@given(rate=st.floats(0, 1), shape=st.sampled_from([(3,), (5, 4), (2, 1, 3)]))
def test_the_other_features_stay_as_they_are(cls, rate, shape):
    x = positive(*shape)
    found = corrupted(cls(rate), x)
    assert found.shape == x.shape
    kept = (found != 0) & (found != 1)
    np.testing.assert_array_equal(found[kept], x[kept])


@BOTH
@pytest.mark.parametrize(("rate", "spoilt"), [(0.0, False), (1.0, True)])
def test_none_or_all_are_spoilt_at_the_ends(cls, rate, spoilt):
    x = positive(*SHAPE)
    assert np.all((corrupted(cls(rate), x) != x) == spoilt)


@BOTH
def test_missing_numbers_are_replaced(cls):
    assert not np.isnan(corrupted(cls(1.0), np.full((3, 4), np.nan, "float32"))).any()


@BOTH
def test_inference_leaves_inputs_alone(cls):
    x = positive(*SHAPE)
    np.testing.assert_array_equal(*outputs(cls(0.9), x), x)


@BOTH
def test_every_call_draws_anew(cls):
    layer, x = cls(0.5), positive(*SHAPE)
    assert np.any(corrupted(layer, x) != corrupted(layer, x))


@BOTH
def test_a_seed_repeats_the_draws(cls):
    x = positive(*SHAPE)
    one, other = (corrupted(cls(0.5, seed=7), x) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@BOTH
def test_every_batch_of_a_compiled_training_draws_anew(cls):
    x = np.ones((8, 50), "float32") / 2
    model = keras.Sequential(
        [keras.Input((50,)), cls(0.5), layers.Dense(1, use_bias=False)]
    )
    model.compile(keras.optimizers.SGD(0.0), lambda _, found: keras.ops.mean(found))
    model.layers[-1].kernel.assign(positive(50, 1))
    losses = {
        float(model.train_on_batch(x, np.zeros((8, 1), "float32"))) for _ in range(3)
    }
    assert len(losses) == 3


@BOTH
def test_dtype_under_mixed_precision(cls):
    found = cls(0.5, dtype="mixed_bfloat16")(positive(*SHAPE), training=True)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"


def test_share_in_half_precision_is_that_of_single_precision():
    layer = MaskingNoise(0.003, seed=1, dtype="float16")
    assert_share(
        arrays(layer(np.ones((200, 200), "float16"), training=True))[0] == 0, 0.003
    )


@BOTH
def test_mask_passes_through(cls):
    inputs = keras.Input((3,), dtype="int32")
    model = keras.Model(
        inputs, cls(0.5)(layers.Embedding(7, 4, mask_zero=True)(inputs))
    )
    ids = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    np.testing.assert_array_equal(arrays(model(ids)._keras_mask)[0], ids != 0)


@BOTH
def test_output_shape(cls):
    assert cls(0.5).compute_output_shape((None, 3, 4)) == (None, 3, 4)
    assert cls(0.5)(keras.Input((None, 4))).shape == (None, None, 4)


@pytest.mark.parametrize(
    "layer",
    [
        MaskingNoise(0.25, seed=3, name="noise"),
        SaltAndPepperNoise(0.25, -1.0, 2.0, 3, name="noise"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_saved_and_cloned_layers_have_the_same_settings(layer, tmp_path):
    model = keras.Sequential([keras.Input((4,)), layer, layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    copies = [
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ]
    x = positive(5, 4)
    for copy in copies:
        found = copy.get_layer("noise")
        assert found is not layer
        assert found.get_config() == layer.get_config()
    np.testing.assert_array_equal(*outputs(copies[0], x), *outputs(model, x))


@BOTH
@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_rate_that_is_no_share(cls, rate):
    with pytest.raises(
        ValueError, match=rf"{cls.__name__} 'noise' takes a rate from 0 to 1.*rate="
    ):
        cls(rate, name="noise")
