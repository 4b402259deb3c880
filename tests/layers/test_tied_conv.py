"""TiedConv: the exact adjoint of every convolution that Keras accepts."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest

from keras_tied.layers import TiedConv

from .cases import kernel_variable, outputs, randomize
from .oracles import Passage, passage

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)

DRAWN = (4, 64)
"""How many configurations that Keras accepts are drawn of each class: quickly, and 512
in all.
"""


def drawn(
    rng: np.random.Generator, cls: type
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Settings and an input shape, of any kind at all, whether Keras accepts them or
    not.
    """
    name, rank = cls.__name__, int(cls.__name__.removesuffix("Transpose")[-2])

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(size) for size in rng.integers(low, high, rank, endpoint=True))

    settings: dict[str, Any] = {
        "kernel_size": each(1, 5),
        # Half of the time the same along all axes: else Keras refuses most.
        "strides": each(1, 3) if rng.random() < 0.5 else int(rng.integers(1, 4)),
        "dilation_rate": each(1, 2) if rng.random() < 0.5 else int(rng.integers(1, 3)),
        "padding": str(rng.choice(["valid", "same", "causal"], p=[0.4, 0.4, 0.2])),
        "data_format": str(rng.choice(["channels_last", "channels_first"])),
        "use_bias": False,
    }
    if name.startswith("Depthwise"):
        settings["depth_multiplier"] = int(rng.integers(1, 4))
        settings["depthwise_initializer"] = "zeros"
    elif name.startswith("Separable"):
        settings["depth_multiplier"] = int(rng.integers(1, 4))
        settings["filters"] = int(rng.integers(1, 7))
    else:
        settings["filters"] = int(rng.integers(1, 7))
        settings["kernel_initializer"] = "zeros"
        if not name.endswith("Transpose"):
            settings["groups"] = int(rng.integers(1, 4))
        elif rng.random() < 0.5:
            settings["output_padding"] = each(0, 2)
    channels, sizes = int(rng.integers(1, 7)), each(1, {1: 20, 2: 12, 3: 7}[rank])
    shape = (
        (*sizes, channels)
        if settings["data_format"] == "channels_last"
        else (channels, *sizes)
    )
    return settings, (2, *shape)


def refused(layer: Any, shape: tuple[int, ...]) -> bool:
    """Whether Keras or its backend cannot compute the layer, for inputs
    of this shape.
    """
    try:
        layer.build(shape)
        if keras.backend.backend() == "jax":
            import jax

            jax.eval_shape(layer, np.zeros(shape, "float32"))
        else:
            layer(np.zeros(shape, "float32"))
    except Exception:
        return True
    return False


@functools.cache
def passages(cls: type, count: int) -> list[tuple[dict[str, Any], Passage]]:
    """Passages through random configurations of a class that Keras does not refuse."""
    rng = np.random.default_rng(0)
    found: list[tuple[dict[str, Any], Passage]] = []
    while len(found) < count:
        settings, shape = drawn(rng, cls)
        try:
            layer = cls(**settings)
        except ValueError:
            continue
        if refused(layer, shape) or misread(layer, shape):
            continue
        for kernel in layer.weights:
            kernel.assign(rng.normal(size=kernel.shape))
        tied = TiedConv(layer, use_bias=False)
        found.append((settings, passage(layer, tied, shape, rng)))
    return found


def misread(layer: Any, shape: tuple[int, ...]) -> bool:
    """Whether oneDNN, which TensorFlow and PyTorch compute with on CPUs, gets it wrong.

    It reads memory that was never written where there is one channel, the last axis has
    a stride, the one before has none, and the window has a single place along the last.
    """
    if keras.backend.backend() == "jax" or layer.rank == 1:
        return False
    transposed = layer.__class__.__name__.endswith("Transpose")
    code = shape if transposed else layer.compute_output_shape(shape)
    width = code[-2] if layer.data_format == "channels_last" else code[-1]
    *_, before, last = layer.strides
    return kernel_variable(layer).shape[-2] == 1 and before == 1 < last and width == 1


every_class = pytest.mark.parametrize("cls", CONVOLUTIONS, ids=lambda cls: cls.__name__)
drawings = pytest.mark.parametrize(
    "count", [DRAWN[0], pytest.param(DRAWN[1], marks=pytest.mark.slow)]
)


@drawings
@every_class
def test_is_the_adjoint_of_every_configuration_that_keras_accepts(cls, count):
    for settings, found in passages(cls, count):
        assert found.adjoint_error <= 1e-5, (settings, found.x.shape)


@drawings
@every_class
def test_restores_the_shape_of_the_input(cls, count):
    for settings, found in passages(cls, count):
        assert found.returned.shape == found.x.shape, settings


@drawings
@every_class
def test_equals_the_gradient_of_the_layer(cls, count):
    for settings, found in passages(cls, count):
        assert found.gradient_error <= 1e-5, (settings, found.x.shape)


def built(cls: type, shape: tuple[int | None, ...], *args: Any, **kwargs: Any) -> Any:
    """A layer with random weights, built for inputs of that shape."""
    two = cls.__name__.startswith(("Depthwise", "Separable"))
    initializer = "depthwise" if two else "kernel"
    layer = cls(*args, **{f"{initializer}_initializer": "zeros", **kwargs})
    layer.build(shape)
    randomize(layer, 0)
    return layer


EXAMPLES = {
    "Conv1D": (keras.layers.Conv1D, (2, 9, 4), (6, 3), {"groups": 2}),
    "causal Conv1D": (keras.layers.Conv1D, (2, 9, 4), (6, 3), {"padding": "causal"}),
    "strided causal Conv1D": (
        keras.layers.Conv1D,
        (2, 9, 4),
        (6, 3),
        {"padding": "causal", "strides": 2},
    ),
    "Conv2D": (
        keras.layers.Conv2D,
        (2, 5, 6, 4),
        (6, 3),
        {"strides": 2, "padding": "same"},
    ),
    "Conv2D, channels first": (
        keras.layers.Conv2D,
        (2, 4, 5, 6),
        (6, 3),
        {"data_format": "channels_first"},
    ),
    "Conv3D": (keras.layers.Conv3D, (2, 4, 5, 3, 2), (3, 2), {"dilation_rate": 2}),
    "Conv2DTranspose": (
        keras.layers.Conv2DTranspose,
        (2, 5, 4, 3),
        (6, 3),
        {"strides": 2, "padding": "same", "output_padding": 1},
    ),
    "Conv1DTranspose, channels first": (
        keras.layers.Conv1DTranspose,
        (2, 3, 5),
        (6, 3),
        {"strides": 3, "data_format": "channels_first"},
    ),
    "DepthwiseConv2D": (
        keras.layers.DepthwiseConv2D,
        (2, 5, 6, 4),
        (3,),
        {"depth_multiplier": 2, "strides": 2},
    ),
    "SeparableConv2D": (
        keras.layers.SeparableConv2D,
        (2, 5, 6, 4),
        (6, 3),
        {"depth_multiplier": 2, "strides": 2, "padding": "same"},
    ),
    "SeparableConv1D, channels first": (
        keras.layers.SeparableConv1D,
        (2, 4, 7),
        (6, 3),
        {"data_format": "channels_first", "dilation_rate": 2},
    ),
    "DepthwiseConv1D, channels first": (
        keras.layers.DepthwiseConv1D,
        (2, 4, 7),
        (3,),
        {"depth_multiplier": 2, "data_format": "channels_first", "padding": "same"},
    ),
}


QUICK = (
    *("Conv1D", "strided causal Conv1D", "Conv2D, channels first", "Conv2DTranspose"),
    *("DepthwiseConv1D, channels first", "SeparableConv2D"),
)


@pytest.fixture(
    params=[
        pytest.param(n, marks=[pytest.mark.night] * (n not in QUICK)) for n in EXAMPLES
    ]
)
def example(request: pytest.FixtureRequest) -> tuple[Any, tuple[int, ...]]:
    """A layer, and the shape of an input for it."""
    cls, shape, args, kwargs = EXAMPLES[request.param]
    return built(cls, shape, *args, **kwargs), shape


def normal(shape: Sequence[int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tied_to(
    layer: Any, shape: Sequence[int | None], seed: int = 2, **kwargs: Any
) -> Any:
    """A tied layer with random bias and gain, built for inputs of that shape."""
    tied = TiedConv(layer, **kwargs)
    tied.build(tuple(shape))
    for variable in (tied.bias, tied.gain):
        if variable is not None:
            variable.assign(normal(variable.shape, seed))
    return tied


def along_channels(vector: Any, layer: Any) -> np.ndarray:
    """The vector, in such a shape that it goes along the channels."""
    last = layer.data_format == "channels_last"
    return np.reshape(vector, (-1,) if last else (-1, *[1] * layer.rank))


def skip_where_keras_cannot(layer, shape):
    """TensorFlow has no convolution of channels first on a CPU without oneDNN; ours
    runs there.
    """
    try:
        outputs(layer, normal(shape))
    except Exception as error:
        if type(error).__name__ != "UnimplementedError":
            raise
        pytest.skip("Keras's own layer does not run on this processor")


def test_layer_that_is_not_transposed_is_the_layer_tied_to(example):
    layer, shape = example
    skip_where_keras_cannot(layer, shape)
    tied = tied_to(layer, shape, transpose=False)
    tied.bias.assign(layer.bias)
    x = normal(shape)
    np.testing.assert_allclose(*outputs(tied, x), *outputs(layer, x), atol=1e-5)


def test_gain_scales_what_a_layer_that_is_not_transposed_writes(example):
    layer, shape = example
    plain = tied_to(layer, shape, transpose=False, use_bias=False)
    tied = tied_to(layer, shape, transpose=False, use_bias=False, gain=True)
    x = normal(shape)
    expected = outputs(plain, x)[0] * along_channels(tied.gain.numpy(), layer)
    np.testing.assert_allclose(*outputs(tied, x), expected, atol=1e-5)


def test_gain_scales_what_the_adjoint_reads(example):
    layer, shape = example
    y = normal(layer.compute_output_shape(shape))
    plain = tied_to(layer, y.shape, use_bias=False)
    tied = tied_to(layer, y.shape, use_bias=False, gain=True)
    scaled = y * along_channels(tied.gain.numpy(), layer)
    np.testing.assert_allclose(*outputs(tied, y), *outputs(plain, scaled), atol=1e-5)


def test_bias_is_added_to_each_channel(example):
    layer, shape = example
    y = normal(layer.compute_output_shape(shape))
    plain, tied = tied_to(layer, y.shape, use_bias=False), tied_to(layer, y.shape)
    expected = outputs(plain, y)[0] + along_channels(tied.bias.numpy(), layer)
    np.testing.assert_allclose(*outputs(tied, y), expected, atol=1e-5)


def test_output_shape_of_a_symbolic_call_is_the_shape_of_the_input(example):
    layer, shape = example
    inputs = keras.Input(shape[1:])
    assert TiedConv(layer)(layer(inputs)).shape == (None, *shape[1:])


def test_compiled_model_gives_the_outputs_of_the_eager_one(example):
    layer, shape = example
    skip_where_keras_cannot(layer, shape)
    inputs = keras.Input(shape[1:])
    model = keras.Model(inputs, TiedConv(layer, gain=True)(layer(inputs)))
    x = normal(shape)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), *outputs(model, x), atol=1e-5
    )


def test_activation_is_applied_last():
    layer = built(keras.layers.Conv1D, (2, 9, 4), 6, 3)
    y = normal(layer.compute_output_shape((2, 9, 4)))
    linear, tied = (tied_to(layer, y.shape, activation=name) for name in (None, "tanh"))
    np.testing.assert_allclose(
        *outputs(tied, y), np.tanh(*outputs(linear, y)), atol=1e-5
    )


def test_kernel_is_that_of_the_layer_tied_to_with_the_gain_in_its_output_channels(
    example,
):
    layer, shape = example
    skip_where_keras_cannot(layer, shape)
    tied = tied_to(layer, layer.compute_output_shape(shape), gain=True)
    twin = bare_twin(layer)
    twin.build(shape)
    twin.kernel.assign(tied.kernel)
    expected = tied_to(layer, shape, transpose=False, use_bias=False, gain=True)
    expected.gain.assign(tied.gain)
    x = normal(shape)
    np.testing.assert_allclose(*outputs(twin, x), *outputs(expected, x), atol=1e-5)


def bare_twin(layer: Any) -> Any:
    """A layer with the settings of another and one kernel alone."""
    config = layer.get_config()
    plain = getattr(keras.layers, type(layer).__name__.replace("Separable", ""))
    if plain is not type(layer):
        shared = (
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "data_format",
            "dilation_rate",
        )
        config = {name: config[name] for name in shared}
    return plain.from_config({**config, "use_bias": False})


def test_adjoint_of_an_adapted_layer_is_that_of_the_adapted_kernel():
    layer = built(keras.layers.Conv2D, (2, 5, 6, 4), 6, 3)
    y = normal(layer.compute_output_shape((2, 5, 6, 4)))
    layer.enable_lora(2)
    randomize(layer, 0)
    adapted = built(keras.layers.Conv2D, (2, 5, 6, 4), 6, 3)
    adapted.kernel.assign(layer.kernel)
    found, expected = (tied_to(one, y.shape) for one in (layer, adapted))
    np.testing.assert_allclose(*outputs(found, y), *outputs(expected, y), atol=1e-5)


def test_restores_the_size_that_the_layer_tied_to_was_built_for():
    shapes = [(None, 45, 37, 3), (None, 46, 38, 3)]
    layers = [
        built(keras.layers.Conv2D, shape, 8, 3, strides=2, padding="same")
        for shape in shapes
    ]
    assert layers[0].compute_output_shape(shapes[0]) == layers[1].compute_output_shape(
        shapes[1]
    )
    code = keras.Input((23, 19, 8))
    assert [TiedConv(layer)(code).shape for layer in layers] == shapes


def test_size_that_may_vary_is_restored_where_there_is_no_stride():
    layer = built(keras.layers.Conv1D, (None, None, 4), 6, 3, dilation_rate=2)
    tied = tied_to(layer, (None, None, 6))
    assert tied.compute_output_shape((None, None, 6)) == (None, None, 4)
    for size in (7, 12):
        y = normal(layer.compute_output_shape((2, size, 4)))
        assert outputs(tied, y)[0].shape == (2, size, 4)


def test_size_that_may_vary_is_restored_by_the_adjoint_of_a_transposed_convolution():
    layer = built(
        keras.layers.Conv1DTranspose, (None, None, 4), 6, 3, strides=2, padding="same"
    )
    tied = tied_to(layer, (None, None, 6))
    for size in (7, 12):
        y = normal(layer.compute_output_shape((2, size, 4)))
        assert outputs(tied, y)[0].shape == (2, size, 4)


def test_output_size_is_restored():
    layer = built(
        keras.layers.Conv2D, (None, None, None, 3), 8, 3, strides=2, padding="same"
    )
    tied = TiedConv(layer, output_size=(10, 9))
    assert tied(keras.Input((None, None, 8))).shape == (None, 10, 9, 3)


def test_output_size_goes_before_the_size_that_the_layer_tied_to_was_built_for():
    layer = built(
        keras.layers.Conv2D, (None, 10, 10, 3), 8, 3, strides=2, padding="same"
    )
    assert TiedConv(layer, output_size=9)(keras.Input((5, 5, 8))).shape == (
        None,
        9,
        9,
        3,
    )


def test_adjoint_of_a_given_output_size_is_that_of_a_layer_built_for_it():
    settings = {
        "filters": 8,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same",
        "use_bias": False,
    }
    layer = built(keras.layers.Conv2D, (None, None, None, 3), **settings)
    tied = TiedConv(layer, output_size=(10, 9), use_bias=False)
    found = passage(layer, tied, (2, 10, 9, 3), np.random.default_rng(0))
    assert found.adjoint_error <= 1e-5


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch counts operations"
)
@pytest.mark.parametrize("strides", [1, 2])
def test_adjoint_takes_no_more_operations_than_a_layer_of_its_own(strides):
    from torch.utils.flop_counter import FlopCounterMode

    settings = {"kernel_size": 3, "strides": strides, "padding": "same"}
    layer = built(keras.layers.Conv2D, (None, 10, 10, 3), 8, **settings)
    shape = layer.compute_output_shape((2, 10, 10, 3))
    own = built(keras.layers.Conv2DTranspose, shape, 3, **settings)
    y = keras.ops.convert_to_tensor(normal(shape))
    counts = []
    for each in (own, TiedConv(layer)):
        with FlopCounterMode(display=False) as counter:
            keras.ops.sum(each(y) ** 2).backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_configuration_gives_every_argument_back():
    layer = built(
        keras.layers.Conv2D, (None, 10, 9, 3), 8, 3, strides=2, padding="same"
    )
    arguments = {
        "gain": True,
        "output_size": (10, 9),
        "activation": "tanh",
        "name": "out",
    }
    config = TiedConv(layer, **arguments).get_config()
    assert TiedConv.from_config(config).get_config() == config
    assert config["output_size"] == (10, 9)


def test_rebuilt_layer_knows_its_shapes_before_it_meets_the_layer_tied_to():
    layer = built(
        keras.layers.Conv2D, (None, 10, 9, 3), 8, 3, strides=2, padding="same"
    )
    rebuilt = TiedConv.from_config(TiedConv(layer).get_config())
    assert rebuilt(keras.Input((5, 5, 8))).shape == (None, 10, 9, 3)
    assert rebuilt.tied_to is None


@pytest.mark.slow
def test_mixed_precision_computes_in_the_compute_dtype_and_keeps_float32_variables(
    example,
):
    layer, shape = example
    tied = TiedConv(layer, gain=True, dtype="mixed_bfloat16")
    found = tied(normal(layer.compute_output_shape(shape)))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert {variable.dtype for variable in (tied.bias, tied.gain, *layer.weights)} == {
        "float32"
    }


@pytest.mark.parametrize(
    "layer",
    [keras.layers.Dense(3, name="code"), keras.layers.ConvLSTM1D(3, 3, name="code")],
    ids=lambda layer: type(layer).__name__,
)
def test_tied_to_something_else_than_a_convolution(layer):
    with pytest.raises(
        ValueError, match=f"'out' can be tied to .*'code', a {type(layer).__name__}"
    ):
        TiedConv(layer, name="out")


@pytest.mark.parametrize(
    "shape", [(None, 5, 5, 7), (None, 5, 8)], ids=["channels", "axes"]
)
def test_inputs_that_do_not_fit(shape):
    layer = built(keras.layers.Conv2D, (None, 10, 9, 3), 8, 3, name="code")
    with pytest.raises(
        ValueError,
        match=r"'out' is tied to 'code' .Conv2D.* 2 spatial axes and 8 channels",
    ):
        TiedConv(layer, name="out")(keras.Input(shape[1:]))


def test_code_of_another_size_than_that_of_the_inputs_to_restore():
    layer = built(
        keras.layers.Conv1D, (None, 10, 3), 8, 3, strides=2, padding="same", name="code"
    )
    with pytest.raises(
        ValueError, match=r"outputs of 'code'.*\(5,\).*\(10,\).*of size \(6,\)"
    ):
        TiedConv(layer, name="out")(keras.Input((6, 8)))


def test_size_that_no_input_of_a_transposed_convolution_gives():
    layer = built(
        keras.layers.Conv1DTranspose, (None, 5, 3), 8, 3, strides=2, name="code"
    )
    with pytest.raises(
        ValueError, match=r"outputs of 'code'.*\(11,\).*\(5,\).*of size \(12,\)"
    ):
        TiedConv(layer, name="out")(keras.Input((12, 8)))


def test_size_to_restore_that_nothing_tells():
    layer = built(keras.layers.Conv1D, (None, None, 3), 8, 3, strides=2, name="code")
    with pytest.raises(
        ValueError, match=r"'out' is to reconstruct the input of 'code'.*`output_size`"
    ):
        TiedConv(layer, name="out")(keras.Input((None, 8)))


def test_output_size_of_the_wrong_length():
    layer = built(keras.layers.Conv2D, (None, 10, 9, 3), 8, 3, name="code")
    with pytest.raises(
        ValueError, match=r"'out' received output_size=\(10,\).*2 spatial axes"
    ):
        TiedConv(layer, output_size=(10,), name="out")(keras.Input((8, 7, 8)))


def test_output_size_where_the_size_of_the_input_decides():
    layer = built(keras.layers.Conv1DTranspose, (None, 5, 3), 8, 3, name="code")
    with pytest.raises(
        ValueError, match=r"'out' received output_size=5.*leave `output_size` out"
    ):
        TiedConv(layer, output_size=5, name="out")(keras.Input((7, 8)))
