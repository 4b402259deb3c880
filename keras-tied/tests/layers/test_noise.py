"""The corruptions: what they draw, against the binomial distribution, and when."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from numpy.random import default_rng
from scipy.stats import binomtest

from keras_tied.layers import MaskingNoise, SaltAndPepperNoise

from ..autoencoder.networks import chain
from .cases import arrays
from .oracles import assert_close

RNG = default_rng(0)
GREY = RNG.uniform(0.1, 0.9, (2000, 3)).astype("float32")
BOTH = pytest.mark.parametrize("cls", [MaskingNoise, SaltAndPepperNoise])


def corrupt(layer, x=GREY):
    return arrays(layer(x, training=True))[0]


@pytest.mark.parametrize("rate", [0.0, 0.003, 0.25, 0.7, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("cls", "values", "shares"),
    [
        (MaskingNoise, {}, {0: 1}),
        (SaltAndPepperNoise, {}, {0: 0.5, 1: 0.5}),
        (SaltAndPepperNoise, {"low": -1, "high": 3}, {-1: 0.5, 3: 0.5}),
    ],
)
def test_each_value_has_its_share_and_other_features_stay(
    cls, values, shares, rate, dtype
):
    """As often as a coin, to five standard deviations; missing numbers as others."""
    x = GREY.astype(dtype)
    x[:, 1] = np.nan
    found = corrupt(
        cls(rate, seed=1, dtype=dtype, **values),
        x,
    )
    for value, share in shares.items():
        hits = np.sum(found == value)
        assert binomtest(hits, found.size, rate * share).pvalue > 5.7e-7
    stays = ~np.isin(found, [*shares])
    assert_close(found[stays], x[stays], 0)


@BOTH
def test_features_are_spoilt_independently_of_each_other(cls):
    found = corrupt(cls(0.3, seed=1))
    covariance = np.cov(found != GREY, rowvar=False)
    assert_close(covariance, 0.3 * 0.7 * np.eye(3), 0.03)


@BOTH
def test_inference_leaves_inputs_alone(cls):
    assert_close(cls(0.9)(GREY), GREY, 0)


@BOTH
def test_a_seed_repeats_the_draws_of_which_each_is_another(cls):
    one, other = (cls(0.5, seed=7) for _ in range(2))
    first, second = corrupt(one), corrupt(one)
    assert_close(corrupt(other), first, 0)
    assert np.any(first != second)


@BOTH
def test_every_batch_of_a_compiled_training_draws_anew(cls):
    model = chain(cls(0.5), layers.Dense(1, use_bias=False), shape=(3,))
    model.compile(
        keras.optimizers.SGD(0.0),
        lambda _, found: ops.mean(found),
    )
    losses = [model.train_on_batch(GREY, GREY[:, :1]) for _ in range(3)]
    assert len(set(map(float, losses))) == 3
