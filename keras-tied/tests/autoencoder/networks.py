"""Encoders and their inputs, and what models compute, in NumPy."""

import keras
import numpy as np
from keras.layers import Concatenate, Dense
from keras.ops import convert_to_numpy
from numpy.testing import assert_allclose

from ..layers import cases


def chain(*parts, shape=(6,), **settings):
    inputs = keras.Input(shape, **settings)
    return keras.Sequential([inputs, *parts], name="chain")


def graph(wire, shape=(6,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, wire(inputs), name="graph")


def several_inputs():
    inputs = [keras.Input((2,)), keras.Input((3,))]
    return keras.Model(inputs, Concatenate()(inputs), name="several")


class Scaled(keras.Sequential):
    def call(self, *args, **kwargs):
        return 2 * super().call(*args, **kwargs)


def scaled():
    return Scaled([keras.Input((6,)), Dense(2)], name="scaled")


def join(encoder, decoder):
    return graph(
        lambda x: decoder(encoder(x)),
        encoder.input_shape[1:],
    )


def draw(shape, seed=0):
    """Four random rows; an axis of unknown length has four places."""
    return cases.normal(4, *(length or 4 for length in shape), seed=seed)


def read(tensor):
    return np.array(convert_to_numpy(tensor))


def run(model, array):
    return read(model(array))


def assert_same_weights(one, other):
    cases.assert_close(one.get_weights(), other.get_weights())


def assert_close(found, expected):
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
