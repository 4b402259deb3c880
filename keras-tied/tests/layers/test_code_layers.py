"""The layers that give a code of the shape of their inputs, against NumPy."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_tied.layers import (
    BatchTopK,
    JumpReLU,
    KSparse,
    MaskingNoise,
    PartlyLinear,
    SaltAndPepperNoise,
)

from ..autoencoder.networks import chain
from .cases import arrays, clone, from_config, normal, randomize, through_file
from .oracles import assert_close, gradient, slopes

ROWS = normal(6, 5)
INPUTS = {
    "rows": ROWS,
    "steps": normal(2, 3, 5),
    "equal numbers": np.round(2 * ROWS),
}


def unchanged(x):
    return x


def above(threshold):
    return lambda x: np.where(x > threshold, x, 0)


relu = above(0)


def largest(k):
    """Each row with its k largest numbers, of equal ones the first."""

    def keep(x):
        order = np.argsort(-x, axis=-1, kind="stable")
        rank = np.argsort(order, axis=-1)
        return np.where(rank < k, x, 0)

    return keep


def largest_of_batch(k):
    """The positive numbers among the k largest for each row."""

    def keep(x):
        count = k * x[..., 0].size
        least = np.sort(x, axis=None)[-count]
        return np.where(x >= least, relu(x), 0)

    return keep


def partly(formula, count):
    """The formula of all units but the first few."""
    return lambda x: np.where(np.arange(5) < count, x, formula(x))


FORMULAS = {
    # the layer, what it computes in training, and in inference, if that is another
    "KSparse": (KSparse(2), largest(2)),
    "KSparse, more": (KSparse(2, alpha=1.7), largest(2), largest(3)),
    "KSparse, fewer": (KSparse(3, alpha=0.4), largest(3), largest(1)),
    "KSparse, all": (KSparse(4, alpha=9), largest(4), unchanged),
    "BatchTopK": (BatchTopK(2), largest_of_batch(2), relu),
    "BatchTopK, all": (BatchTopK(5), relu),
    "JumpReLU": (JumpReLU(1.0), above(1)),
    "JumpReLU, wide": (JumpReLU(0.4, 0.5, 0.1), above(0.4)),
    "PartlyLinear": (PartlyLinear("tanh", 2), partly(np.tanh, 2)),
    "PartlyLinear, none": (PartlyLinear("relu", 0), relu),
    "PartlyLinear, all": (PartlyLinear("relu", 5), unchanged),
    "MaskingNoise": (MaskingNoise(0.0), unchanged),
    "SaltAndPepperNoise": (SaltAndPepperNoise(0.0), unchanged),
}


@pytest.fixture(params=[True, False], ids=["training", "inference"])
def training(request):
    return request.param


@pytest.fixture(params=FORMULAS.values(), ids=FORMULAS)
def case(request, training):
    """A new layer, and what it computes."""
    layer, *formulas = request.param
    return from_config(layer), formulas[0 if training else -1]


stack = partial(chain, shape=(5,))


@pytest.mark.parametrize("kind", INPUTS)
def test_output_is_the_formula(case, training, kind):
    layer, formula = case
    found = layer(INPUTS[kind], training=training)
    assert_close(found, formula(INPUTS[kind]), 1e-6)


def test_gradient_is_the_slope_of_the_formula(case, training):
    layer, formula = case
    model = stack(layer)
    weights = normal(*ROWS.shape, seed=2)
    variables = model.trainable_variables, model.non_trainable_variables

    def weigh(x):
        outputs, _ = model.stateless_call(*variables, x, training=training)
        return ops.sum(ops.multiply(outputs, weights))

    expected = slopes(lambda x: np.sum(formula(x) * weights), ROWS)
    assert_close(gradient(weigh, ROWS), expected)


def test_what_is_no_number_shows(case, training):
    layer, _ = case
    x = np.where(ROWS[3, 2] == ROWS, np.nan, ROWS)
    (found,) = arrays(stack(layer)(x, training=training))
    assert np.isnan(found[3, 2])


def test_partly_linear_passes_what_would_overflow_in_its_activation():
    layer = PartlyLinear("exponential", 1)
    assert_close(
        layer(ops.array([[100.0, 1.0]])),
        [[100, np.e]],
    )


def test_in_inference_batch_top_k_keeps_what_is_above_the_running_mean():
    layer = BatchTopK(1, momentum=0.75)
    first, second = ROWS, normal(6, 5, seed=2)
    layer(first, training=True)
    least = [np.sort(x, axis=None)[-6] for x in (first, second)]
    assert_close(layer(first), above(least[0])(first), 1e-6)
    layer(second, training=True)
    threshold = 0.75 * least[0] + 0.25 * least[1]
    assert_close(layer.threshold, threshold, 1e-6)
    assert_close(layer(second), above(threshold)(second), 1e-6)
    few = BatchTopK(2, momentum=0.0)
    few(ops.array([[5.0, -1.0], [3.0, -2.0]]), training=True)
    assert_close(few.threshold, 3.0)


@pytest.mark.parametrize(
    ("threshold", "coefficient"),
    [
        (0.4, 0.0),
        (0.4, 0.3),
        (1.0, 0.3),  # which some inputs are equal to, or half a bandwidth off
    ],
)
def test_a_step_moves_the_thresholds_by_what_is_near(threshold, coefficient):
    width = 0.5
    x = np.round(4 * ROWS) / 4
    layer = JumpReLU(threshold, width, coefficient)
    target = normal(6, 5, seed=2)
    model = stack(layer)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    loss = model.train_on_batch(x, target)

    outputs = above(threshold)(x)
    counts = np.count_nonzero(outputs, axis=1)
    errors = outputs - target
    assert_close(loss, np.mean(errors**2) + coefficient * counts.mean())
    near = np.abs(x - threshold) < width / 2
    of_error = 2 * errors / x.size * -threshold / width
    of_count = -coefficient / len(x) / width
    slope = np.sum((of_error + of_count) * near, axis=0)
    moved = np.log(threshold) - threshold * slope  # the weight is the logarithm
    assert_close(layer.log_threshold, moved)


def test_a_penalty_of_active_units_is_none_unless_asked_for():
    assert JumpReLU().get_config()["l0_coefficient"] == 0


SETTINGS = {
    KSparse: {"k": 2, "alpha": 1.5},
    BatchTopK: {"k": 2, "momentum": 0.5},
    JumpReLU: {
        "threshold": 0.5,
        "bandwidth": 0.2,
        "l0_coefficient": 0.1,
    },
    MaskingNoise: {"rate": 0.25, "seed": 3},
    SaltAndPepperNoise: {
        "rate": 0.25,
        "low": -1,
        "high": 2,
        "seed": 3,
    },
    PartlyLinear: {"activation": "silu", "linear_units": 2},
}


@pytest.fixture(params=SETTINGS)
def kind(request):
    return request.param


@pytest.fixture
def layer(kind):
    return kind(**SETTINGS[kind], name="layer")


def test_configuration_gives_every_argument_back(kind, layer):
    rebuilt = from_config(layer)
    assert SETTINGS[kind].items() <= rebuilt.get_config().items()
    assert rebuilt.name == "layer"


def test_loaded_and_cloned_models_compute_the_same(layer, tmp_path):
    model = stack(layer)
    randomize(model, 1)
    for copy in (through_file(model, tmp_path), clone(model)):
        assert copy.get_layer("layer") is not layer
        assert_close(copy.predict(ROWS, verbose=0), model(ROWS), 1e-6)


def test_shape_of_inputs_of_unknown_size_is_kept(layer):
    code = keras.Input((None, 5))
    assert layer(code).shape == (None, None, 5)
    assert layer.compute_output_shape((7, 3, 5)) == (7, 3, 5)


def test_mask_passes_through(layer):
    embedding = layers.Embedding(7, 5, mask_zero=True)
    tokens = np.array([[1, 2, 0], [3, 0, 0]])
    found = layer(embedding(tokens))
    assert_close(found._keras_mask, tokens != 0)


def test_half_precision_computes_nearly_the_same(kind, layer):
    half = kind(**SETTINGS[kind], dtype="mixed_bfloat16")
    found = half(INPUTS["equal numbers"])
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    found = ops.cast(found, "float32")
    assert_close(found, layer(INPUTS["equal numbers"]), 0.05)
