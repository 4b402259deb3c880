"""NanMeanSquaredError against NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras.ops import convert_to_numpy
from numpy.random import default_rng
from numpy.testing import assert_allclose

from keras_tied.losses import NanMeanSquaredError

from .autoencoder.networks import chain

NUMBERS = st.one_of(
    st.just(np.nan),
    st.floats(-9, 9, width=32),
)
REDUCTIONS = {
    None: lambda losses: losses,
    "sum": np.sum,
    "sum_over_batch_size": np.mean,
}
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)


@reductions
@given(
    y=hnp.arrays(
        "float32",
        (4, 3),
        elements=NUMBERS,
    )
)
def test_sums_the_squares_of_what_is_there_over_the_number_of_features(reduction, y):
    predicted = default_rng(0).normal(size=y.shape)
    found = NanMeanSquaredError(reduction)(y, predicted.astype("float32"))
    losses = np.nansum((y - predicted) ** 2, axis=1) / 3
    assert_allclose(
        convert_to_numpy(found),
        REDUCTIONS[reduction](losses),
        rtol=1e-5,
        atol=1e-6,
    )


def test_what_is_missing_moves_nothing(rng):
    """A column that is missing in every target moves no weight that leads to it."""
    x = rng.normal(size=(32, 3))
    y = np.where([False, True, False], np.nan, x)
    model = chain(keras.layers.Dense(3), shape=(3,))
    before = model.get_weights()[0]
    model.compile("sgd", NanMeanSquaredError())
    model.fit(x, y, verbose=0)
    moved = np.abs(model.get_weights()[0] - before)
    assert moved[:, 1].max() == 0
    assert moved[:, [0, 2]].min() > 0


@reductions
def test_rebuilt_from_its_configuration(reduction):
    config = keras.losses.serialize(NanMeanSquaredError(reduction, name="error"))
    rebuilt = keras.losses.deserialize(config)
    assert type(rebuilt) is NanMeanSquaredError
    assert (rebuilt.name, rebuilt.reduction) == ("error", reduction)
