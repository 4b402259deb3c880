"""PartlyLinear against its formula."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from keras_tied import Autoencoder, mirror
from keras_tied.layers import PartlyLinear

from .cases import arrays, outputs

FUNCTIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}


@given(
    name=st.sampled_from(sorted(FUNCTIONS)),
    linear_units=st.integers(0, 5),
    shape=st.sampled_from([(3, 5), (2, 4, 5)]),
)
def test_the_first_units_pass_and_the_others_are_activated(name, linear_units, shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = np.concatenate(
        [x[..., :linear_units], FUNCTIONS[name](x[..., linear_units:])], axis=-1
    )
    found = arrays(PartlyLinear(name, linear_units)(x))[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_keeps_the_shape_of_inputs_whose_rows_are_not_known():
    assert PartlyLinear("tanh", 1)(keras.Input((7, 3))).shape == (None, 7, 3)


def test_passes_what_would_overflow_in_its_activation():
    x = np.array([[100.0, 1.0]], "float32")
    (found,) = outputs(PartlyLinear("exponential", 1), x)
    np.testing.assert_allclose(found, [[100.0, np.e]], rtol=1e-6)


def test_rebuilt_from_its_configuration():
    layer = PartlyLinear(keras.activations.silu, 2, name="bend")
    rebuilt = PartlyLinear.from_config(layer.get_config())
    x = np.linspace(-2, 2, 8, dtype="float32").reshape(2, 4)
    np.testing.assert_array_equal(*outputs(rebuilt, x), *outputs(layer, x))
    assert (rebuilt.name, rebuilt.linear_units) == ("bend", 2)


def test_mirror_repeats_it():
    encoder = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4),
            PartlyLinear("tanh", 2, name="bend"),
            layers.Dense(2),
        ]
    )
    repeated = [
        layer for layer in mirror(encoder).layers if isinstance(layer, PartlyLinear)
    ]
    assert [layer.linear_units for layer in repeated] == [2]
    assert [layer.activation for layer in repeated] == [keras.activations.tanh]


def test_saved_and_loaded_with_its_model(tmp_path):
    encoder = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4), PartlyLinear("relu", 2), layers.Dense(2)]
    )
    model, x = Autoencoder(encoder), np.ones((2, 5), "float32")
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(*outputs(loaded, x), *outputs(model, x), atol=1e-6)


@pytest.mark.parametrize("linear_units", [-1, 1.5, None, "2"])
def test_refuses_what_is_no_number_of_units(linear_units):
    with pytest.raises(
        ValueError, match="'bend' takes as linear_units a number of units"
    ):
        PartlyLinear("tanh", linear_units, name="bend")


def test_refuses_more_linear_units_than_there_are():
    with pytest.raises(
        ValueError, match=r"'bend' passes the first linear_units=3 .* \(2, 2\)"
    ):
        PartlyLinear("tanh", 3, name="bend")(np.ones((2, 2), "float32"))
