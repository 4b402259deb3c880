"""NanMeanSquaredError against NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import layers

from keras_tied.losses import NanMeanSquaredError

numbers = st.one_of(st.just(np.nan), st.floats(-9, 9, width=32))


@given(
    y=hnp.arrays("float32", (4, 3), elements=numbers),
    reduction=st.sampled_from(["sum", None]),
)
def test_sums_the_squares_of_what_is_there_over_the_number_of_features(y, reduction):
    predicted = np.random.default_rng(0).normal(size=y.shape).astype("float32")
    expected = np.nansum((y - predicted) ** 2, axis=1) / 3
    found = keras.ops.convert_to_numpy(
        NanMeanSquaredError(reduction=reduction)(y, predicted)
    )
    expected = expected.sum() if reduction else expected
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_is_the_mean_squared_error_where_nothing_is_missing(rng):
    y, predicted = rng.normal(size=(2, 5, 4)).astype("float32")
    found = NanMeanSquaredError()(y, predicted)
    expected = keras.losses.MeanSquaredError()(y, predicted)
    np.testing.assert_allclose(float(found), float(expected), rtol=1e-6)


def test_trains_on_what_is_there_alone(rng):
    """A column that is missing in every target moves no weight that leads to it."""
    x = rng.normal(size=(32, 3)).astype("float32")
    y = np.where(np.arange(3) == 1, np.nan, x)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    before = model.get_weights()[0]
    model.compile("sgd", NanMeanSquaredError())
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    after = model.get_weights()[0]
    assert np.isfinite(losses).all()
    np.testing.assert_array_equal(after[:, 1], before[:, 1])
    assert np.abs(after - before)[:, [0, 2]].min() > 0


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size"])
def test_rebuilt_from_its_configuration(reduction):
    config = keras.losses.serialize(NanMeanSquaredError(reduction, name="error"))
    rebuilt = keras.losses.deserialize(config)
    assert (type(rebuilt), rebuilt.name, rebuilt.reduction) == (
        NanMeanSquaredError,
        "error",
        reduction,
    )
