"""Each activation in NumPy and in Keras."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from tied_tables.model.activations import ACTIVATIONS

from .near import assert_near


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_values_are_those_of_keras_and_slopes_those_of_differences(activation):
    function = ACTIVATIONS[activation]
    large = np.linspace(-60, 60, 240, dtype=np.float32).reshape(3, -1)
    expected = keras.activations.get(activation)(large)
    function(large, None)
    assert_near(large, convert_to_numpy(expected))
    x = np.linspace(-7.3, 7.1, 1001)
    low, high, slopes = x - 1e-6, x + 1e-6, np.empty_like(x)
    function(low, None)
    function(high, None)
    function(x, slopes)
    assert_near(slopes, (high - low) / 2e-6)
