"""Tied layers against the layer tied to, and against its gradient.

The gradient of ⟨layer(x), y⟩ by x is the adjoint of a linear layer, applied to y.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers
from numpy.random import default_rng
from numpy.testing import assert_allclose
from tests.marks import for_each, slow

from keras_tied.layers import tie

from ..autoencoder.networks import chain
from .cases import arrays, built, normal, outputs, randomize, train
from .oracles import assert_close, compiled, pull_back

BACKEND = keras.backend.backend()
CHANNELS_LAST = "...a,a->...a"
CHANNELS_FIRST = "ab...,b->ab..."


class Example(NamedTuple):
    """A layer, the shape of an input for it, and how the gain lies along its outputs,
    and a bias along its outputs and its inputs, as equations of NumPy's.
    """

    make: Callable
    shape: tuple
    gain: str = CHANNELS_LAST
    outputs: str = CHANNELS_LAST
    inputs: str = CHANNELS_LAST

    def layer(self):
        layer = self.make()
        layer.build(self.shape)
        randomize(layer, 0)
        return layer


def convolution(kind, shape, *arguments, **options):
    make = partial(getattr(layers, kind), *arguments, use_bias=False, **options)
    is_first = options.get("data_format") == "channels_first"
    axes = CHANNELS_FIRST if is_first else CHANNELS_LAST
    return Example(
        make,
        shape,
        axes,
        axes,
        axes,
    )


def einsum(equation, output_shape, shape, units, features):
    inputs, outputs = equation.split("->")
    inputs = inputs.split(",")[0]
    ordered = "".join(sorted(units, key=outputs.index))
    return Example(
        lambda: layers.EinsumDense(equation, output_shape),
        shape,
        f"{outputs},{units}->{outputs}",
        f"{outputs},{ordered}->{outputs}",
        f"{inputs},{features}->{inputs}",
    )


EINSUMS = [
    # A dense layer on a sequence, with an ellipsis, and a kernel for each position.
    ("abc,cd->abd", (3, 6), (2, 3, 4), "d", "c"),
    ("ab...,bc->ac...", 6, (2, 4, 3, 5), "c", "b"),
    ("...ab,bcd->...acd", (3, 2, 5), (2, 3, 4), "cd", "b"),
    ("abc,bcd->abd", (3, 6), (2, 3, 4), "bd", "bc"),
    # From the heads of attention, and to heads whose axes are in another order.
    ("abde,dec->abc", (3, 4), (2, 3, 2, 5), "c", "de"),
    ("abc,dce->aebd", (5, 3, 2), (2, 3, 4), "de", "c"),
    # Over an axis in the middle, and over several.
    ("abc,bd->adc", (6, 4), (2, 3, 4), "d", "b"),
    ("abcd,cde->abe", (3, 6), (2, 3, 4, 5), "e", "cd"),
]
EXAMPLES = {
    "Dense": Example(
        lambda: layers.Dense(3, use_bias=False),
        (2, 5, 4),
    ),
    "Conv1D in groups": convolution(
        "Conv1D",
        (2, 9, 4),
        6,
        3,
        groups=2,
    ),
    "Conv1D, causal": convolution(
        "Conv1D", (2, 9, 4), 6, 3, padding="causal", strides=2
    ),
    "Conv2D, channels first": convolution(
        "Conv2D", (2, 4, 5, 6), 6, 3, data_format="channels_first"
    ),
    "Conv2D": convolution(
        "Conv2D",
        (2, 5, 6, 4),
        6,
        3,
        strides=2,
        padding="same",
    ),
    "Conv2DTranspose": convolution(
        "Conv2DTranspose",
        (2, 5, 6, 4),
        6,
        3,
        strides=2,
        padding="same",
        output_padding=1,
    ),
    "DepthwiseConv1D, channels first": convolution(
        "DepthwiseConv1D",
        (2, 4, 7),
        3,
        depth_multiplier=2,
        data_format="channels_first",
        padding="same",
    ),
    "SeparableConv2D": convolution(
        "SeparableConv2D",
        (2, 5, 6, 4),
        6,
        3,
        depth_multiplier=2,
        strides=2,
        padding="same",
    ),
    **{row[0]: einsum(*row) for row in EINSUMS},
}


@pytest.fixture(params=EXAMPLES)
def example(request):
    if BACKEND == "tensorflow" and request.param.endswith("first"):
        pytest.skip("TensorFlow's convolutions of channels first need oneDNN on a CPU")
    return EXAMPLES[request.param]


@pytest.fixture
def layer(example):
    return example.layer()


def tied_to(layer, shape, **options):
    """A tied layer with random gain and bias, built for inputs of that shape."""
    tied = tie(layer, **options)
    tied.build(tuple(shape))
    for variable in (tied.gain, tied.bias):
        if variable is not None:
            variable.assign(normal(*variable.shape, seed=2))
    return tied


def along(tensor, vector, axes):
    """A tensor times a vector along its axes."""
    return np.einsum(
        axes,
        tensor,
        np.squeeze(arrays(vector)[0]),
    )


def bend(linear, bias, axes):
    """The leaky ReLU of a tensor plus the bias along its axes."""
    total = linear + along(np.ones_like(linear), bias, axes)
    return np.where(total > 0, total, 0.2 * total)


def test_it_is_the_adjoint_of_what_the_gain_scales_plus_the_bias(example, layer):
    y = normal(*layer.compute_output_shape(example.shape))
    tied = tied_to(
        layer,
        y.shape,
        gain=True,
        activation="leaky_relu",
    )
    scaled = along(y, tied.gain, example.gain)
    linear = pull_back(layer, scaled, example.shape)
    expected = bend(linear, tied.bias, example.inputs)
    assert_close(tied(y), expected)


def test_not_transposed_it_is_the_layer_times_the_gain_plus_the_bias(example, layer):
    x = normal(*example.shape)
    options = {"transpose": False, "activation": "leaky_relu"}
    tied = tied_to(layer, x.shape, gain=True, **options)
    (linear,) = outputs(layer, x)
    linear = along(linear, tied.gain, example.gain)
    expected = bend(linear, tied.bias, example.outputs)
    assert_close(tied(x), expected)


def test_rebuilt_layer_knows_its_shapes_before_it_meets_the_layer_tied_to(
    example, layer
):
    tied = tie(layer)
    rebuilt = type(tied).from_config(tied.get_config())
    _, *shape = example.shape
    code = layer(keras.Input(shape))
    for each in (tied, rebuilt):
        restored = each(keras.Input(code.shape[1:]))
        assert restored.shape == (None, *shape)
    assert rebuilt.tied_to is None


def test_kernel_of_an_adapted_layer_is_the_adapted_one(example, layer):
    x = normal(*example.shape)
    if not hasattr(layer, "enable_lora"):
        pytest.skip("Keras has no adapter for it")
    layer.enable_lora(2)
    randomize(layer, 0)
    tied = tied_to(
        layer,
        x.shape,
        transpose=False,
        use_bias=False,
    )
    assert_close(tied(x), layer(x))


KINDS = (
    *("Conv1D", "Conv2D", "Conv3D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)


def drawn(rng, kind):
    """A convolution of any kind at all, and the shape of inputs, which may not fit."""
    rank = int(kind.removesuffix("Transpose")[-2])

    def sizes(low, high):
        # Half of the time the same along all axes: else Keras refuses most.
        different = rng.integers(low, high, rank, endpoint=True).tolist()
        are_same = rng.random() < 0.5
        return tuple(different[:1] * rank if are_same else different)

    options = {
        "kernel_size": sizes(1, 5),
        "strides": sizes(1, 3),
        "dilation_rate": sizes(1, 2),
        "padding": str(rng.choice(["valid", "same", "causal"], p=[0.4, 0.4, 0.2])),
        "data_format": str(rng.choice(["channels_last", "channels_first"])),
        "use_bias": False,
    }
    if not kind.startswith("Depthwise"):
        options["filters"] = int(rng.integers(1, 7))
    if kind.startswith(("Depthwise", "Separable")):
        options["depth_multiplier"] = int(rng.integers(1, 4))
    elif not kind.endswith("Transpose"):
        options["groups"] = int(rng.integers(1, 4))
    elif rng.random() < 0.5:
        options["output_padding"] = sizes(0, 2)
    channels = int(rng.integers(1, 7))
    lengths = sizes(1, {1: 20, 2: 12, 3: 7}[rank])
    shape = (2, *lengths, channels)
    if options["data_format"] == "channels_first":
        shape = (2, channels, *lengths)
    return getattr(layers, kind)(**options), shape


def is_misread(layer, shape):
    """Whether oneDNN, which TensorFlow and PyTorch compute with on CPUs, gets it wrong.

    It reads memory that was never written where there is one channel, the last axis has
    a stride, the one before has none, and the window has a single place along the last.
    """
    if BACKEND == "jax" or layer.rank == 1:
        return False
    is_transposed = type(layer).__name__.endswith("Transpose")
    code = shape if is_transposed else layer.compute_output_shape(shape)
    width = code[-2] if layer.data_format == "channels_last" else code[-1]
    *_, before, last = layer.strides
    kernel = layer.weights[0]
    return kernel.shape[-2] == 1 and before == 1 < last and width == 1


@pytest.mark.parametrize(
    "count",
    [3, pytest.param(64, marks=pytest.mark.night)],
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_adjoint_of_random_convolutions_that_keras_accepts(kind, count):
    rng = default_rng(0)
    while count:
        try:
            layer, shape = drawn(rng, kind)
            layer.build(shape)
            randomize(layer, count)
            y = normal(*layer.compute_output_shape(shape))
            expected = pull_back(layer, y, shape)
        except Exception:  # of Keras, or of its backend
            continue
        if is_misread(layer, shape):
            continue
        tied = tie(layer, use_bias=False)
        tied.build(y.shape)
        found = arrays(compiled(tied)(y))[0]
        scale = np.abs(expected).max(initial=1)
        assert_allclose(
            found,
            expected,
            atol=1e-5 * scale,
            err_msg=str(layer.get_config()),
        )
        count -= 1


SIGNALS = partial(layers.Conv1D, 6, 3, dilation_rate=2)
STEPS = partial(layers.EinsumDense, "abc,cd->abd", (None, 6))
HEADS = partial(layers.EinsumDense, "abc,cde->abde", (None, 4, 8))
SIZES = {
    "no stride": (SIGNALS, (None, 4), (3, 6), (7, 4)),
    "no stride, unknown": (
        SIGNALS,
        (None, 4),
        (None, 6),
        (None, 4),
    ),
    "steps": (STEPS, (None, 4), (5, 6), (5, 4)),
    "steps, unknown": (
        STEPS,
        (None, 4),
        (None, 6),
        (None, 4),
    ),
    "heads, unknown": (
        HEADS,
        (10, 4),
        (None, 4, 8),
        (10, 4),
    ),
}


@for_each(SIZES, "make", "shape", "code", "restored")
def test_size_of_the_inputs_is_restored(make, shape, code, restored):
    """The code is that of inputs of this size, which the adjoint is taken of."""
    layer = built(make(), *shape)
    tied = tied_to(layer, (None, *code), use_bias=False)
    assert tied.compute_output_shape((None, *code)) == (None, *restored)
    if None not in code:
        y = normal(2, *code)
        expected = pull_back(layer, y, (2, *restored))
        assert_close(tied(y), expected)


def test_axis_that_is_summed_away_is_no_matter_where_nothing_is_restored():
    layer = layers.EinsumDense("abc,cd->ad", 6)
    x = normal(2, 3, 4)
    expected = layer(x)
    tied = tie(layer, transpose=False, use_bias=False)
    assert_close(tied(x), expected)


def test_a_shape_of_tensorflow_is_taken():
    """The rest of one is true where it is empty."""
    tensorflow = pytest.importorskip("tensorflow")
    tied = tie(built(HEADS(), 10, 32))
    tied.build(tensorflow.TensorShape([None, 10, 4, 8]))
    assert tied.compute_output_shape((2, 10, 4, 8)) == (2, 10, 32)


@pytest.mark.parametrize(
    ("mode", "tolerance"),
    [
        ("int8", 0.01),
        pytest.param("int4", 0.15, marks=slow),
    ],
)
@pytest.mark.parametrize("equation", ["abc,dce->aebd", "abcd,cde->abe"])
def test_adapter_is_added_to_the_kernel_of_a_quantized_einsum(
    equation, mode, tolerance
):
    layer = EXAMPLES[equation].layer()
    x = normal(*EXAMPLES[equation].shape)
    tied = tied_to(
        layer,
        x.shape,
        transpose=False,
        use_bias=False,
    )
    exact = arrays(layer.kernel)[0]
    layer.quantize(mode)
    layer.enable_lora(2)
    sides = layer.lora_kernel_a, layer.lora_kernel_b
    for side in sides:
        side.assign(normal(*side.shape))
    expected = exact + np.matmul(*arrays(sides))
    (found,) = arrays(tied.kernel)
    error = np.linalg.norm(found - expected)
    assert error <= tolerance * np.linalg.norm(exact)


def test_kernel_of_a_dense_is_the_matrix_that_inputs_are_multiplied_by():
    layer, x = EXAMPLES["Dense"].layer(), normal(5, 3)
    tied = tied_to(layer, x.shape, gain=True)
    kernel, bias = arrays([tied.kernel, tied.bias])
    expected = x @ kernel + bias
    assert_close(tied(x), expected)


@pytest.mark.parametrize("name", ["Dense", "Conv2D", "abc,cd->abd"])
def test_arguments_of_the_bias_are_used(name):
    layer = EXAMPLES[name].layer()
    tied = tie(
        layer,
        bias_initializer=keras.initializers.Constant(2.0),
        bias_regularizer=keras.regularizers.L2(0.5),
        bias_constraint="non_neg",
    )
    tied.build(layer.compute_output_shape(EXAMPLES[name].shape))
    assert_close(tied.bias, np.full(4, 2.0))
    (loss,) = tied.losses
    assert_close(loss, 0.5 * 4 * 2.0**2)
    assert isinstance(tied.bias.constraint, keras.constraints.NonNeg)


def test_constraint_on_the_kernel_holds_after_a_training_through_the_decoder_alone():
    layer = built(layers.Dense(3, kernel_constraint="non_neg"), 4)
    decoder = chain(tie(layer), shape=(3,))
    target = -10 * np.abs(normal(5, 4))
    train(decoder, normal(5, 3), target, rate=10.0)
    assert np.min(layer.kernel.numpy()) == 0


def test_untied_it_begins_as_the_transpose_and_is_free():
    code, y = EXAMPLES["Dense"].layer(), normal(5, 3)
    free = tie(code, untie=True, activation="relu", name="free")
    assert_close(free(y), tie(code, activation="relu")(y))
    assert (type(free), free.name) == (layers.Dense, "free")
    free.kernel.assign(0 * free.kernel)
    assert np.all(arrays(code.kernel)[0])
