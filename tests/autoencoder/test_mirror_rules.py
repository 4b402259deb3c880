"""The rules of `mirror`: what each class of layers becomes, against NumPy."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers

from keras_tied import Autoencoder, mirror
from keras_tied.layers import KSparse, MaskingNoise, SaltAndPepperNoise, UnitActivity

ROWS = 3
FORMATS = ["channels_last", "channels_first"]
PARTS = {1: (5,), 2: (5, 4), 3: (3, 4, 2)}
"""A spatial size of each rank."""


def encoder_of(*parts: Any, shape: tuple[int | None, ...]) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts])


def make_shape(
    size: tuple[int, ...], data_format: str = "channels_last"
) -> tuple[int, ...]:
    """An input shape with that spatial size and two channels."""
    return (*size, 2) if data_format == "channels_last" else (2, *size)


def arrays_of(shape: tuple[int | None, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, *(size or 4 for size in shape))).astype("float32")


def run(model: Any, array: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(array))


def there_and_back(
    layer: Any, shape: tuple[int | None, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs of an encoder of one layer, and what its mirror gives back for
    their code.
    """
    encoder, x = encoder_of(layer, shape=shape), arrays_of(shape)
    return x, run(mirror(encoder), run(encoder, x))


def back_and_there(layer: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A random code of an encoder of one layer, and the code of what its mirror makes
    of it.
    """
    encoder = encoder_of(layer, shape=shape)
    code = arrays_of(encoder.output_shape[1:])
    return code, run(encoder, run(mirror(encoder), code))


def of_rank(kind: str, rank: int) -> Any:
    return getattr(layers, f"{kind}{rank}D")


def matrix(model: Any) -> np.ndarray:
    """The matrix of a linear model, `(inputs, outputs)`, from its outputs for unit
    vectors.
    """
    shape = model.input_shape[1:]
    units = np.eye(int(np.prod(shape)), dtype="float32").reshape(-1, *shape)
    return run(model, units).reshape(len(units), -1)


class TestReshaping:
    @pytest.mark.parametrize("dims", [(2, 1), (2, 3, 1), (3, 1, 2), (2, 4, 1, 3)])
    def test_permute_is_undone_exactly(self, dims):
        x, restored = there_and_back(layers.Permute(dims), (2, 3, 4, 5)[: len(dims)])
        np.testing.assert_array_equal(restored, x)

    @pytest.mark.parametrize(
        "shape", [(4,), (4, 3), (2, 3, 4), (2, 3, 2, 2), (None, 3)]
    )
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_flatten_is_undone_exactly(self, shape, data_format):
        x, restored = there_and_back(layers.Flatten(data_format=data_format), shape)
        np.testing.assert_array_equal(restored, x)

    @pytest.mark.parametrize("target", [(6, 4), (-1, 2), (24,), (2, 2, -1)])
    def test_reshape_is_undone_exactly(self, target):
        x, restored = there_and_back(layers.Reshape(target), (2, 3, 4))
        np.testing.assert_array_equal(restored, x)

    def test_reshape_with_one_axis_of_unknown_length_is_undone(self):
        x, restored = there_and_back(layers.Reshape((-1, 2, 3)), (None, 6))
        np.testing.assert_array_equal(restored, x)

    def test_repetitions_are_averaged(self):
        decoder = mirror(encoder_of(layers.RepeatVector(4), shape=(3,)))
        code = arrays_of((4, 3))
        np.testing.assert_allclose(run(decoder, code), code.mean(axis=1), atol=1e-6)


WIDTHS = {1: (1, 2), 2: ((1, 2), (0, 1)), 3: ((1, 0), (1, 2), (0, 1))}
"""How much to pad or crop, for each rank."""


RANKS = [
    pytest.param(1, marks=pytest.mark.slow),
    2,
    pytest.param(3, marks=pytest.mark.slow),
]


class TestPadding:
    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_zero_padding_is_cut_off(self, rank, data_format):
        widths = WIDTHS[rank]
        layer = of_rank("ZeroPadding", rank)(widths, data_format=data_format)
        x, restored = there_and_back(layer, make_shape(PARTS[rank], data_format))
        np.testing.assert_array_equal(restored, x)

    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_what_was_cropped_is_filled_with_zeros(self, rank, data_format):
        widths = WIDTHS[rank]
        if rank == 1 and data_format == "channels_first":
            pytest.skip("Cropping1D has channels last")
        settings = {"data_format": data_format} if rank > 1 else {}
        layer = of_rank("Cropping", rank)(widths, **settings)
        x, restored = there_and_back(layer, make_shape(PARTS[rank], data_format))
        first = 1 if data_format == "channels_last" else 2
        kept = np.zeros_like(x)
        per_axis = [widths] if rank == 1 else widths
        inside = (slice(None),) * first + tuple(
            slice(before, size - after)
            for (before, after), size in zip(per_axis, PARTS[rank], strict=True)
        )
        kept[inside] = x[inside]
        np.testing.assert_array_equal(restored, kept)


class TestUpsampling:
    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_upsampling_is_undone(self, rank, data_format):
        if rank == 1 and data_format == "channels_first":
            pytest.skip("UpSampling1D has channels last")
        settings = {"data_format": data_format} if rank > 1 else {}
        layer = of_rank("UpSampling", rank)(
            (2, 3, 2)[:rank] if rank > 1 else 3, **settings
        )
        x, restored = there_and_back(layer, make_shape(PARTS[rank], data_format))
        np.testing.assert_allclose(restored, x, atol=1e-6)

    def test_upsampled_places_are_averaged(self):
        decoder = mirror(encoder_of(layers.UpSampling2D((2, 3)), shape=(2, 2, 1)))
        code = arrays_of((4, 6, 1))
        expected = code.reshape(ROWS, 2, 2, 2, 3, 1).mean(axis=(2, 4))
        np.testing.assert_allclose(run(decoder, code), expected, atol=1e-6)

    def test_upsampling_of_unknown_size_is_undone(self):
        x, restored = there_and_back(layers.UpSampling2D(2), (None, None, 2))
        np.testing.assert_allclose(restored, x, atol=1e-6)


class TestPooling:
    @pytest.mark.parametrize("kind", ["MaxPooling", "AveragePooling"])
    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_what_is_spread_pools_to_the_code_again(
        self, kind, rank, padding, data_format
    ):
        layer = of_rank(kind, rank)(2, padding=padding, data_format=data_format)
        code, again = back_and_there(layer, make_shape(PARTS[rank], data_format))
        np.testing.assert_allclose(again, code, atol=1e-6)

    @given(
        size=st.integers(1, 13),
        pool=st.integers(1, 5),
        stride=st.integers(1, 5),
        padding=st.sampled_from(["valid", "same"]),
    )
    def test_a_place_gets_the_value_of_one_window_that_covers_it(
        self, size, pool, stride, padding
    ):
        assume(stride <= pool and (padding == "same" or pool <= size))
        encoder = encoder_of(
            layers.AveragePooling1D(pool, stride, padding), shape=(size, 1)
        )
        decoder = mirror(encoder)
        assert decoder.output_shape == (None, size, 1)
        covers, spreads = matrix(encoder).T > 0, matrix(decoder)
        assert np.all((spreads == 0) | (spreads == 1))
        assert np.all(covers[spreads == 1])
        assert np.all(spreads.sum(axis=0) <= 1)  # at a place
        assert np.all(spreads.sum(axis=1) >= 1)  # of a window

    @given(size=st.integers(1, 13), pool=st.integers(1, 4), stride=st.integers(1, 5))
    def test_windows_with_gaps_between_are_restored_to_the_size(
        self, size, pool, stride
    ):
        assume(pool < stride and pool <= size)
        encoder = encoder_of(layers.MaxPooling1D(pool, stride), shape=(size, 1))
        decoder = mirror(encoder)
        assert decoder.output_shape == (None, size, 1)
        code = arrays_of(encoder.output_shape[1:])
        np.testing.assert_array_equal(run(encoder, run(decoder, code)), code)

    @pytest.mark.parametrize("kind", ["GlobalMaxPooling", "GlobalAveragePooling"])
    @pytest.mark.parametrize("rank", RANKS)
    @pytest.mark.parametrize("keepdims", [False, True])
    @pytest.mark.parametrize("data_format", FORMATS)
    def test_global_pooling_is_spread_to_every_place(
        self, kind, rank, keepdims, data_format
    ):
        layer = of_rank(kind, rank)(data_format=data_format, keepdims=keepdims)
        shape = make_shape(PARTS[rank], data_format)
        encoder = encoder_of(layer, shape=shape)
        code = arrays_of(encoder.output_shape[1:])
        ones = (1,) * rank
        single = (ROWS, *make_shape(ones, data_format))
        expected = np.broadcast_to(code.reshape(single), (ROWS, *shape))
        np.testing.assert_array_equal(run(mirror(encoder), code), expected)

    @pytest.mark.parametrize(
        "layer", [layers.MaxPooling1D, layers.GlobalAveragePooling1D]
    )
    def test_an_unknown_length_is_an_error_that_says_so(self, layer):
        encoder = encoder_of(layer(name="pool"), shape=(None, 2))
        with pytest.raises(
            ValueError, match=rf"'pool' \({layer.__name__}\).*unknown length.*Input"
        ):
            mirror(encoder)


class TestScaling:
    @pytest.mark.parametrize(
        ("axis", "shape"), [(-1, (4,)), (None, (4,)), ((1, 3), (2, 3, 4))]
    )
    def test_an_adapted_normalization_is_undone_exactly(self, axis, shape):
        rng = np.random.default_rng(0)
        scales = rng.uniform(0.1, 10, shape)
        data = (rng.normal(size=(50, *shape)) * scales + 5 * scales).astype("float32")
        layer = layers.Normalization(axis=axis)
        layer.adapt(data)
        encoder = encoder_of(layer, shape=shape)
        restored = run(mirror(encoder), run(encoder, data))
        np.testing.assert_allclose(
            restored / scales, data / scales, rtol=1e-5, atol=1e-5
        )

    @pytest.mark.parametrize("invert", [False, True])
    def test_a_given_mean_and_variance_are_undone_exactly(self, invert):
        layer = layers.Normalization(
            mean=[1.0, -2.0, 3.0], variance=[4.0, 0.25, 9.0], invert=invert
        )
        x, restored = there_and_back(layer, (5, 3))
        np.testing.assert_allclose(restored, x, atol=1e-5)

    def test_one_mean_and_variance_for_all_axes_are_undone(self):
        x, restored = there_and_back(
            layers.Normalization(mean=2.0, variance=9.0), (5, 3)
        )
        np.testing.assert_allclose(restored, x, atol=1e-5)

    def test_a_normalization_that_has_seen_no_data_is_an_error(self):
        encoder = encoder_of(layers.Normalization(name="scale"), shape=(3,))
        with pytest.raises(ValueError, match=r"'scale' has none yet.*adapt\(\)"):
            mirror(encoder)

    @pytest.mark.parametrize(
        ("scale", "offset"),
        [(1 / 255, 0.0), (2.0, -1.0), ([2.0, 0.5, -3.0], [1.0, 0.0, 4.0])],
    )
    def test_rescaling_is_undone_exactly(self, scale, offset):
        x, restored = there_and_back(layers.Rescaling(scale, offset), (4, 3))
        np.testing.assert_allclose(restored, x, atol=1e-5)

    @pytest.mark.parametrize("scale", [0.0, [1.0, 0.0, 2.0]])
    def test_rescaling_by_zero_is_an_error(self, scale):
        encoder = encoder_of(layers.Rescaling(scale, name="scale"), shape=(4, 3))
        with pytest.raises(ValueError, match=r"'scale' \(Rescaling\).*other than 0"):
            mirror(encoder)


NORMALIZATIONS = [
    layers.BatchNormalization(axis=1, momentum=0.5),
    layers.LayerNormalization(axis=(1, 2), epsilon=0.1),
    layers.GroupNormalization(groups=2, axis=2),
    layers.RMSNormalization(axis=1),
    layers.UnitNormalization(axis=1),
]


class TestNormalized:
    @pytest.mark.parametrize(
        "layer", NORMALIZATIONS, ids=lambda layer: type(layer).__name__
    )
    def test_the_decoder_has_one_with_the_same_settings(self, layer):
        layer = type(layer).from_config(layer.get_config())
        decoder = mirror(
            encoder_of(layers.Dense(4), layer, layers.Dense(4), shape=(3, 4))
        )
        (own,) = (each for each in decoder.layers if isinstance(each, type(layer)))
        assert {**own.get_config(), "name": layer.name} == layer.get_config()

    @pytest.mark.parametrize(
        "layer", NORMALIZATIONS, ids=lambda layer: type(layer).__name__
    )
    def test_it_shares_no_weight_with_the_encoder(self, layer):
        layer = type(layer).from_config(layer.get_config())
        encoder = encoder_of(layer, shape=(3, 4))
        assert not {id(each) for each in encoder.weights} & {
            id(w) for w in mirror(encoder).weights
        }

    def test_it_can_be_trained_though_the_encoder_is_frozen(self):
        encoder = encoder_of(layers.BatchNormalization(), shape=(3,))
        encoder.trainable = False
        assert len(mirror(encoder).trainable_weights) == 2

    def test_it_has_the_shape_of_its_place(self):
        shape = (6, 5, 2)
        encoder = encoder_of(
            layers.Conv2D(3, 2),
            layers.BatchNormalization(),
            layers.Conv2D(4, 2),
            shape=shape,
        )
        (own,) = (
            x
            for x in mirror(encoder).layers
            if isinstance(x, layers.BatchNormalization)
        )
        assert own.gamma.shape == (3,)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5),
        layers.AlphaDropout(0.5),
        layers.GaussianDropout(0.5),
        layers.GaussianNoise(1.0),
        layers.ActivityRegularization(0.1),
        layers.Identity(),
        MaskingNoise(0.5),
        SaltAndPepperNoise(0.5),
        KSparse(2),
        UnitActivity(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_noise_is_left_out(layer):
    decoder = mirror(encoder_of(layer, layers.Dense(3), shape=(2, 4)))
    assert [type(each).__name__ for each in decoder.layers] == [
        "InputLayer",
        "TiedDense",
    ]


KERNELS = {
    "Dense": (lambda **k: layers.Dense(3, **k), (4, 2)),
    "EinsumDense": (
        lambda **k: layers.EinsumDense("abc,cde->abde", (4, 2, 3), **k),
        (4, 2),
    ),
    "Conv1D": (lambda **k: layers.Conv1D(3, 3, strides=2, **k), (8, 2)),
    "Conv2D": (
        lambda **k: layers.Conv2D(3, 3, strides=2, padding="same", **k),
        (6, 5, 2),
    ),
    "Conv3D": (lambda **k: layers.Conv3D(3, 2, **k), (3, 4, 3, 2)),
    "Conv1DTranspose": (
        lambda **k: layers.Conv1DTranspose(3, 3, strides=2, **k),
        (5, 2),
    ),
    "Conv2DTranspose": (
        lambda **k: layers.Conv2DTranspose(3, 3, strides=2, **k),
        (3, 4, 2),
    ),
    "Conv3DTranspose": (lambda **k: layers.Conv3DTranspose(3, 2, **k), (3, 2, 2, 2)),
    "DepthwiseConv1D": (
        lambda **k: layers.DepthwiseConv1D(3, depth_multiplier=2, **k),
        (7, 2),
    ),
    "DepthwiseConv2D": (
        lambda **k: layers.DepthwiseConv2D(2, strides=2, **k),
        (5, 6, 2),
    ),
    "SeparableConv1D": (
        lambda **k: layers.SeparableConv1D(3, 3, depth_multiplier=2, **k),
        (7, 2),
    ),
    "SeparableConv2D": (
        lambda **k: layers.SeparableConv2D(3, 3, strides=2, padding="same", **k),
        (5, 6, 2),
    ),
}


def kernel_layer(
    name: str, bias: bool = True, **kwargs: Any
) -> tuple[Any, tuple[int, ...]]:
    make, shape = KERNELS[name]
    if name == "EinsumDense":
        return make(bias_axes="de" if bias else None, **kwargs), shape
    return make(use_bias=bias, **kwargs), shape


@pytest.mark.parametrize("name", KERNELS)
class TestKernels:
    def test_the_mirror_is_tied_to_the_layer(self, name):
        layer, shape = kernel_layer(name)
        decoder = mirror(encoder_of(layer, shape=shape))
        assert decoder.layers[-1].tied_to is layer
        assert decoder.layers[-1].transpose

    def test_without_gain_and_bias_it_is_the_transposed_matrix(self, name):
        layer, shape = kernel_layer(name, bias=False)
        encoder = encoder_of(layer, shape=shape)
        decoder = mirror(encoder, gain=False)
        np.testing.assert_allclose(matrix(decoder), matrix(encoder).T, atol=1e-5)

    @pytest.mark.parametrize("bias", [False, True])
    def test_it_has_a_bias_if_the_layer_has_one(self, name, bias):
        layer, shape = kernel_layer(name, bias=bias)
        decoder = mirror(encoder_of(layer, shape=shape))
        assert (decoder.layers[-1].bias is not None) is bias

    def test_it_computes_in_the_dtype_of_the_layer(self, name):
        layer, shape = kernel_layer(name, dtype="mixed_bfloat16")
        decoder = mirror(encoder_of(layer, shape=shape))
        assert decoder.layers[-1].dtype_policy == layer.dtype_policy
        assert {each.dtype for each in decoder.weights} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_convolution_and_pooling_are_restored(rank):
    convolution = of_rank("Conv", rank)(
        3, 2, data_format="channels_first", activation="relu"
    )
    pooling = of_rank("MaxPooling", rank)(
        2, data_format="channels_first", padding="same"
    )
    shape = make_shape((6, 5, 4)[:rank], "channels_first")
    encoder = encoder_of(convolution, pooling, shape=shape)
    try:
        code = run(encoder, arrays_of(shape))
    except Exception as refusal:  # each backend has its own
        pytest.skip(f"the backend cannot: {type(refusal).__name__}")
    assert run(mirror(encoder), code).shape == (ROWS, *shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Flatten(dtype="mixed_bfloat16"), (3, 2)),
        (layers.Permute((2, 1), dtype="mixed_bfloat16"), (3, 2)),
        (layers.ZeroPadding1D(dtype="mixed_bfloat16"), (3, 2)),
        (layers.MaxPooling1D(dtype="mixed_bfloat16"), (3, 2)),
        (layers.GlobalMaxPooling1D(dtype="mixed_bfloat16"), (3, 2)),
        (layers.BatchNormalization(dtype="mixed_bfloat16"), (3, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_layers_in_half_precision_have_a_mirror_in_half_precision(layer, shape):
    decoder = mirror(encoder_of(layer, shape=shape))
    assert decoder.outputs[0].dtype == "bfloat16"


@pytest.mark.parametrize(
    "layer", [layers.Masking(), layers.RandomFlip(), layers.RandomContrast(0.5)]
)
def test_masks_and_augmentation_are_left_out(layer):
    decoder = mirror(encoder_of(layer, layers.Dense(3), shape=(4, 5, 2)))
    assert [type(each).__name__ for each in decoder.layers] == [
        "InputLayer",
        "TiedDense",
    ]


def test_each_branch_that_was_concatenated_gets_its_part():
    inputs = keras.Input((4,))
    branches = [layers.Dense(units, use_bias=False)(inputs) for units in (3, 2)]
    encoder = keras.Model(inputs, layers.Concatenate()(branches))
    np.testing.assert_allclose(matrix(mirror(encoder)), matrix(encoder).T, atol=1e-6)


@pytest.mark.parametrize("axis", [1, -2])
def test_what_was_concatenated_along_another_axis_comes_apart_there(axis):
    inputs = keras.Input((4, 2))
    branches = [
        layers.EinsumDense("bic,ij->bjc", (units, 2))(inputs) for units in (3, 2)
    ]
    encoder = keras.Model(inputs, layers.Concatenate(axis)(branches))
    np.testing.assert_allclose(matrix(mirror(encoder)), matrix(encoder).T, atol=1e-6)


@pytest.mark.slow
def test_a_layer_at_each_step_is_reversed_at_each_step():
    encoder = encoder_of(layers.TimeDistributed(layers.Conv1D(3, 2)), shape=(2, 4, 2))
    np.testing.assert_allclose(matrix(mirror(encoder)), matrix(encoder).T, atol=1e-6)
    stack = [layers.Conv1D(3, 2, activation="relu"), layers.Flatten(), layers.Dense(2)]
    encoder = encoder_of(*map(layers.TimeDistributed, stack), shape=(2, 4, 2))
    alone = encoder_of(
        *(type(each).from_config(each.get_config()) for each in stack), shape=(4, 2)
    )
    alone.set_weights(encoder.get_weights())
    x = arrays_of((2, 2))
    expected = [run(mirror(alone), x[:, step]) for step in range(2)]
    np.testing.assert_allclose(
        run(mirror(encoder), x), np.stack(expected, axis=1), atol=1e-6
    )


def test_a_spectral_normalization_is_mirrored_as_what_it_holds():
    inner = layers.Dense(3, use_bias=False)
    decoder = mirror(encoder_of(layers.SpectralNormalization(inner), shape=(4,)))
    kernel = keras.ops.convert_to_numpy(inner.kernel)
    np.testing.assert_allclose(matrix(decoder), kernel.T, atol=1e-6)


@pytest.mark.parametrize("data_format", FORMATS)
def test_a_resizing_goes_back_to_the_size_before(data_format):
    shape = make_shape((7, 5), data_format)
    layer = layers.Resizing(4, 8, "nearest", data_format=data_format)
    encoder = encoder_of(layer, shape=shape)
    ones = np.ones((ROWS, *encoder.output_shape[1:]), "float32")
    np.testing.assert_array_equal(run(mirror(encoder), ones), np.ones((ROWS, *shape)))


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "sigmoid", "tanh", "silu", "selu", "softplus"]
)
def test_an_operation_is_mirrored_as_the_activation_of_its_name(name):
    inputs, codes = keras.Input((4,)), arrays_of((2,))
    first, second = layers.Dense(3), layers.Dense(2)
    decoders = []
    for activation in (getattr(keras.ops, name), layers.Activation(name)):
        encoder = keras.Model(inputs, second(activation(first(inputs))))
        decoders.append(mirror(encoder))
    np.testing.assert_array_equal(*(run(decoder, codes) for decoder in decoders))
    assert [each.activation.__name__ for each in decoders[0].layers[1:]] == [
        name,
        "linear",
    ]


RECURRENT = {
    "SimpleRNN": lambda units=3, **k: layers.SimpleRNN(units, **k),
    "GRU": lambda units=3, **k: layers.GRU(units, **k),
    "LSTM": lambda units=3, **k: layers.LSTM(units, **k),
    "Bidirectional": lambda units=3, **k: layers.Bidirectional(layers.GRU(units, **k)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECURRENT)
def test_the_mirror_of_a_recurrent_layer_is_the_usual_decoder_of_sequences(kind):
    encoder = encoder_of(RECURRENT[kind](), layers.Dense(2), shape=(5, 4))
    decoder = mirror(encoder)
    tied, recurrent, out = decoder.layers[1], decoder.layers[3], decoder.layers[4]
    for weight in decoder.weights:
        weight.assign(arrays_of(tuple(weight.shape), seed=1)[0])
    codes = arrays_of((2,))
    repeated = np.repeat(run(tied, codes)[:, None], 5, axis=1)
    twin = RECURRENT[kind](return_sequences=True)
    twin.build(repeated.shape)
    twin.set_weights(recurrent.get_weights())
    np.testing.assert_allclose(
        run(decoder, codes), run(out, run(twin, repeated)), atol=1e-5
    )
    own = {id(each) for each in recurrent.weights}
    assert own.isdisjoint(map(id, encoder.weights))
    is_tied = [type(each).__name__ for each in (tied, out)]
    assert is_tied == ["TiedDense", "TiedDense" if kind == "SimpleRNN" else "Dense"]


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:.* was passed an input with a mask"
)  # Keras 3.16, of its own
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_recurrent_autoencoder_learns_and_comes_back_from_a_file(kind, tmp_path):
    keras.utils.set_random_seed(0)
    parts = [
        layers.Masking(),
        RECURRENT[kind](12, return_sequences=True),
        RECURRENT[kind](6),
    ]
    model = Autoencoder(encoder_of(*parts, shape=(5, 4)))
    model.compile(keras.optimizers.Adam(0.02))
    x = np.sin(np.arange(20).reshape(1, 5, 4) + np.arange(40).reshape(-1, 1, 1)).astype(
        "float32"
    )
    losses = model.fit(x, batch_size=8, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )


def test_states_of_a_recurrent_layer_stay_in_the_encoder():
    inputs = keras.Input(batch_shape=(2, 5, 4))
    encoder = keras.Model(
        inputs, layers.LSTM(3, return_state=True, stateful=True, name="code")(inputs)
    )
    decoder = mirror(encoder, code="code")
    assert decoder.output_shape == (None, 5, 4)
    with pytest.raises(ValueError, match="one output, or `code`"):
        mirror(encoder_of(layers.LSTM(3, return_state=True), shape=(5, 4)))


def test_a_sequence_of_unknown_length_is_repeated_by_nobody():
    with pytest.raises(
        ValueError, match=r"'lstm.*' \(LSTM\) .*: give the number of steps"
    ):
        mirror(encoder_of(layers.LSTM(3), shape=(None, 4)))
    assert mirror(encoder_of(layers.LSTM(3, return_sequences=True), shape=(None, 4)))


@pytest.mark.parametrize("kind", [layers.Embedding, layers.ReversibleEmbedding])
def test_tokens_come_back_as_logits(kind):
    embedding = kind(7, 4)
    encoder = keras.Sequential(
        [keras.Input((5,), dtype="int32"), embedding, layers.Dense(3)]
    )
    decoder, codes = mirror(encoder), arrays_of((5, 3))
    embeddings = keras.ops.convert_to_numpy(embedding.embeddings)
    expected = run(decoder.layers[1], codes) @ embeddings.T
    np.testing.assert_allclose(run(decoder, codes), expected, atol=1e-6)


def test_an_output_is_chosen_by_its_name():
    inputs = keras.Input((4,))
    hidden = layers.Dense(5, "relu")(inputs)
    outputs = {
        name: layers.Dense(2, name=f"dense_{name}")(hidden)
        for name in ("mean", "variance")
    }
    encoder = keras.Model(inputs, outputs)
    names = [f"{name}_mirror" for name in ("dense_mean", encoder.layers[1].name)]
    for code in ("mean", "dense_mean"):
        assert [each.name for each in mirror(encoder, code=code).layers[1:]] == names
    for code in (None, "z"):
        with pytest.raises(
            ValueError, match=r"has 'dense_mean', 'dense_variance'.*: pass code="
        ):
            mirror(encoder, code=code)
