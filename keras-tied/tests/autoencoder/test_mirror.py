"""`mirror`: what each class of layers becomes, and the decoders of whole encoders."""

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers
from keras.layers import (
    Activation,
    ActivityRegularization,
    Add,
    AlphaDropout,
    AveragePooling1D,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv3DTranspose,
    ConvLSTM1D,
    Cropping1D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    EinsumDense,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GroupNormalization,
    Identity,
    Layer,
    LayerNormalization,
    Masking,
    MaxPooling1D,
    Normalization,
    Permute,
    PReLU,
    RandomContrast,
    RandomFlip,
    ReLU,
    RepeatVector,
    Rescaling,
    Reshape,
    ReversibleEmbedding,
    RMSNormalization,
    SeparableConv1D,
    Softmax,
    SpatialDropout2D,
    SpectralNormalization,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
)
from keras.optimizers import SGD
from scipy.special import expit, softmax
from tests.marks import for_each, slow, slow_but

from keras_tied import Autoencoder, assert_tied, mirror, tie, ties
from keras_tied.layers import KSparse, MaskingNoise, SaltAndPepperNoise

from ..layers.cases import from_config, through_file
from .networks import (
    assert_close,
    chain,
    draw,
    graph,
    join,
    read,
    run,
    scaled,
    several_inputs,
)

FORMATS = ["channels_last", "channels_first"]


def of_rank(rank, kind, *args, **settings):
    return getattr(layers, f"{kind}{rank}D")(*args, **settings)


def name_of(value):
    """A short name of a case."""
    return type(value).__name__ if isinstance(value, Layer) else str(value)


EXACT = [
    (Dense(3), (4, 2)),
    (
        EinsumDense("abc,cde->abde", (4, 2, 3), bias_axes="de"),
        (4, 2),
    ),
    (
        Conv2D(3, 3, strides=2, padding="same"),
        (6, 5, 2),
    ),
    (Conv3DTranspose(3, 2), (3, 2, 2, 2)),
    (DepthwiseConv2D(2, strides=2), (5, 6, 2)),
    (SeparableConv1D(3, 3, depth_multiplier=2), (7, 2)),
    (
        Permute((2, 4, 1, 3)),
        (2, 3, 4, 5),
    ),
    (Reshape((-1, 2, 3)), (None, 6)),
    *[
        (Flatten(data_format), shape)
        for data_format in FORMATS
        for shape in [(4,), (2, 3, 4), (None, 3)]
    ],
    (ZeroPadding1D((1, 2)), (6, 2)),
    (ZeroPadding1D((1, 2), data_format="channels_first"), (2, 6)),
    (Cropping1D((1, 2)), (6, 2)),
]


def list_spatial_layers(rank):
    """Layers, the shapes that they take in, and factors."""
    parts = (4, 6, 2)[-rank:]
    widths = [(1, 0), (1, 2), (0, 1)][:rank]
    sizes = (3, 2, 2)[:rank]
    found = []
    for data_format in FORMATS:
        shape = (*parts, 2) if data_format == "channels_last" else (2, *parts)
        make = partial(of_rank, rank, data_format=data_format)
        found += [
            (make("ZeroPadding", widths), shape, 1),
            (make("Cropping", widths[::-1]), shape, 1),
            (make("UpSampling", sizes), shape, np.prod(sizes)),
            (make("AveragePooling", 2), shape, 1 / 2**rank),
            (
                make("GlobalAveragePooling", keepdims=True),
                shape,
                1 / np.prod(parts),
            ),
        ]
    return found


LINEAR = [
    *((*case, 1) for case in EXACT),
    (UpSampling1D(3), (6, 2), 3),
    (AveragePooling1D(2, data_format="channels_first"), (2, 6), 1 / 2),
    (GlobalAveragePooling1D(), (6, 2), 1 / 6),
    *list_spatial_layers(2),
]
RARER = [
    (SpectralNormalization(Dense(3)), (4,), 1),
    *list_spatial_layers(3),
]


def assert_no_kernel_of_its_own(decoder, encoder):
    kernels = {id(each) for each in decoder.weights if "kernel" in each.name}
    assert kernels <= set(map(id, encoder.weights))


def assert_transposed(encoder, factor=1):
    """<A x, y> = factor <x, B y>, of an encoder A and its decoder B."""
    decoder = mirror(encoder, gain=False)
    x = draw(encoder.input_shape[1:])
    y = draw(run(encoder, x).shape[1:], seed=1)
    forth = np.sum(
        run(encoder, x) * y,
        axis=tuple(range(1, y.ndim)),
    )
    back = np.sum(
        run(decoder, y) * x,
        axis=tuple(range(1, x.ndim)),
    )
    assert_close(factor * back, forth)
    assert_no_kernel_of_its_own(decoder, encoder)


@pytest.mark.parametrize(
    ("layer", "shape", "factor"),
    [
        *LINEAR,
        *(pytest.param(*case, marks=slow) for case in RARER),
    ],
    ids=name_of,
)
def test_a_linear_layer_has_its_transpose_times_a_factor(layer, shape, factor):
    assert_transposed(chain(from_config(layer), shape=shape), factor)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [each[:2] for each in LINEAR],
    ids=name_of,
)
def test_a_mirror_computes_in_the_precision_of_its_layer(layer, shape):
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    encoder = chain(half, shape=shape)
    decoder = mirror(encoder)
    assert decoder.outputs[0].dtype == encoder.outputs[0].dtype == "bfloat16"
    assert {each.dtype for each in decoder.weights} <= {"float32"}


def with_skips(x):
    a = Dense(5)(x)
    b = Dense(5)(a) + a
    c = Add()([Dense(5)(x), a, b])
    return Dense(3)(b + c) + Dense(3)(x)


def with_a_nested_model(x):
    first, second, unused = (keras.Input((6,)) for _ in range(3))
    code = Dense(3)(Add()([first, second]))
    inner = keras.Model([first, second, unused], code)
    return inner([x, Dense(6)(x), Dense(6)(x)])


def with_a_layer_and_a_model_used_twice(x):
    model = chain(chain(Dense(6)), Dense(6))
    layer = Dense(6)
    return Dense(3)(model(model(layer(layer(x)))))


def doubled(x):
    code = Dense(3)(x)
    return code + code


def join_branches(axis):
    def wire(x):
        x = Reshape((3, 2))(x)
        branches = [Conv1D(2, size)(x) for size in (1, 2)]
        return Concatenate(axis)(branches)

    return wire


def take_400_layers(x):
    for _ in range(400):
        x = Dense(2, kernel_initializer="orthogonal")(x)
    return x


@pytest.mark.parametrize(
    "wire",
    [
        with_skips,
        with_a_nested_model,
        with_a_layer_and_a_model_used_twice,
        doubled,
        join_branches(1),
        join_branches(-2),
        pytest.param(take_400_layers, marks=slow),
    ],
)
def test_a_linear_network_has_its_transpose(wire):
    assert_transposed(graph(wire))


def adapted():
    layer = Normalization(axis=(1, 3))
    layer.adapt(5 + 3 * draw((2, 3, 4), seed=2))
    return layer


UNDONE = {
    "adapted": (adapted, (2, 3, 4)),
    "given": (
        lambda: Normalization(
            mean=[1.0, -2.0],
            variance=[9.0, 0.25],
        ),
        (5, 2),
    ),
    "inverse for all axes": (
        lambda: Normalization(None, 2.0, 9.0, invert=True),
        (5, 3),
    ),
    "by feature": (
        lambda: Rescaling([2.0, -3.0], [1.0, 4.0]),
        (4, 2),
    ),
    "of unknown size": (lambda: UpSampling2D(2), (None, None, 2)),
}


@for_each(UNDONE, "make", "shape")
def test_scaling_is_undone(make, shape):
    encoder = chain(make(), shape=shape)
    x = draw(shape)
    assert_close(run(mirror(encoder), run(encoder, x)), x)


@pytest.mark.parametrize(
    "rank",
    slow_but([1, 2, 3], 2),
)
@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("MaxPooling", {"padding": "valid"}),
        ("MaxPooling", {"padding": "same"}),
        ("AveragePooling", {"pool_size": 2, "padding": "same"}),
        ("GlobalMaxPooling", {"keepdims": False}),
        ("GlobalMaxPooling", {"keepdims": True}),
    ],
    ids=str,
)
def test_what_is_spread_pools_to_the_code_again(kind, settings, data_format, rank):
    shape = (5, 4, 3, 2)[3 - rank :]
    layer = of_rank(rank, kind, data_format=data_format, **settings)
    encoder = chain(layer, shape=shape)
    code = draw(encoder.output_shape[1:])
    assert_close(run(encoder, run(mirror(encoder), code)), code)


@given(
    size=st.integers(1, 13),
    pool=st.integers(1, 5),
    stride=st.integers(1, 5),
    padding=st.sampled_from(["valid", "same"]),
)
def test_a_place_gets_the_value_of_one_window_that_covers_it(
    size, pool, stride, padding
):
    pool = min(pool, size)
    assume(stride <= pool or padding == "valid")
    encoder = chain(AveragePooling1D(pool, stride, padding), shape=(size, 1))
    decoder = mirror(encoder)
    assert decoder.output_shape == (None, size, 1)
    covers = run(encoder, np.eye(size)[..., None])[..., 0].T > 0
    spreads = run(decoder, np.eye(len(covers))[..., None])[..., 0]
    assert np.isin(spreads, (0, 1)).all()
    assert (spreads.sum(axis=0) <= 1).all()
    assert (spreads.max(axis=1) == 1).all()
    if stride <= pool:
        assert covers[spreads == 1].all()


@pytest.mark.parametrize(
    "layer",
    [
        BatchNormalization(axis=1, momentum=0.5),
        LayerNormalization(axis=(1, 2), epsilon=0.1),
        GroupNormalization(groups=2, axis=2),
        RMSNormalization(axis=[1]),
        UnitNormalization(axis=1),
    ],
    ids=name_of,
)
def test_a_normalisation_has_one_of_its_own_with_the_same_settings(layer):
    encoder = chain(
        from_config(layer),
        Dense(5),
        shape=(3, 4),
    )
    encoder.trainable = False
    own = mirror(encoder).layers[-1]
    assert {**own.get_config(), "name": layer.name} == layer.get_config()
    assert set(map(id, own.weights)).isdisjoint(map(id, encoder.weights))


@pytest.mark.parametrize(
    "layer",
    [
        Dropout(0.5),
        SpatialDropout2D(0.5),
        AlphaDropout(0.5),
        GaussianDropout(0.5),
        GaussianNoise(1.0),
        ActivityRegularization(0.1),
        Identity(),
        Masking(),
        RandomFlip(),
        RandomContrast(0.5),
        MaskingNoise(0.5),
        SaltAndPepperNoise(0.5),
        KSparse(2),
    ],
    ids=name_of,
)
def test_noise_masks_and_augmentation_are_left_out(layer):
    decoder = mirror(chain(layer, Dense(3), shape=(4, 5, 2)))
    kinds = [type(each).__name__ for each in decoder.layers]
    assert kinds == ["InputLayer", "TiedDense"]


def relu(x):
    return np.maximum(x, 0)


def dense(*arguments, **settings):
    return Dense(*arguments, use_bias=False, **settings)


HIDDEN = {
    "ReLU": (
        [dense(5), ReLU(0.5), dense(3)],
        lambda x: np.clip(x, 0, 0.5),
    ),
    "PReLU of its own": (
        [dense(5), PReLU("ones"), dense(3)],
        lambda x: x,
    ),
    "layer as argument": (
        [dense(5, ReLU()), dense(3)],
        relu,
    ),
    "dropout between": (
        [dense(5, "relu"), Dropout(0.5), dense(3)],
        relu,
    ),
    "reshape between": (
        [dense(5, "relu"), Reshape((5,)), dense(3)],
        relu,
    ),
    "two in reverse": (
        [dense(5, "tanh"), ReLU(), dense(3)],
        lambda x: np.tanh(relu(x)),
    ),
    "of the code in another shape": (
        [
            dense(5, "relu"),
            dense(3),
            Reshape((3, 1)),
            Softmax(),
        ],
        relu,
    ),
    "of the input": (
        [ReLU(), dense(5, "relu"), dense(3)],
        relu,
    ),
}


@for_each(HIDDEN, "parts", "function")
def test_the_activation_between_two_kernels_is_repeated_between_them(parts, function):
    encoder = chain(*parts)
    first, second = [read(each) for each in encoder.weights if each.name == "kernel"]
    decoder = mirror(encoder, gain=False)
    code = draw(encoder.output_shape[1:])
    expected = function(code.reshape(-1, 3) @ second.T) @ first.T
    assert_close(run(decoder, code), expected)
    own = {id(each) for each in decoder.trainable_weights}
    assert own.isdisjoint(id(each) for each in encoder.weights if each.name == "alpha")


@pytest.mark.parametrize(
    "name", ["relu", "relu6", "sigmoid", "silu", "selu", "softplus"]
)
def test_an_operation_is_mirrored_as_the_activation_of_its_name(name):
    operation = getattr(keras.ops, name)
    encoder = graph(lambda x: Dense(3)(operation(Dense(5)(x))))
    names = [each.activation.__name__ for each in mirror(encoder).layers[1:]]
    assert names == [name, "linear"]


OUTPUTS = {
    "along an axis of the output": (
        [Reshape((6,))],
        "softmax",
        lambda x: softmax(x.reshape(-1, 2, 3), axis=-1).reshape(-1, 6),
    ),
    "before scaling": (
        [Normalization(-1, 3.0, 4.0), Rescaling(0.5, 1.0)],
        "sigmoid",
        lambda x: (expit(x) - 1) / 0.5 * 2 + 3,
    ),
    "a layer": (
        [],
        ReLU(0.1),
        lambda x: np.clip(x, 0, 0.1),
    ),
}


@for_each(OUTPUTS, "start", "activation", "function")
def test_the_output_activation_is_applied_once_at_the_end(start, activation, function):
    hidden = Dense(5, "relu")
    code = Dense(3)
    shape = (2, 3) if activation == "softmax" else (6,)
    encoder = chain(*start, hidden, code, shape=shape)
    decoder = mirror(encoder, gain=False, output_activation=activation)
    z = draw((3,))
    expected = function(relu(z @ read(code.kernel).T) @ read(hidden.kernel).T)
    assert_close(
        run(decoder, z).reshape(len(z), -1),
        expected,
    )


def residual_blocks(x):
    x = Dense(5, "relu")(x)
    x = Add()([x, Dense(5)(Dense(7, "tanh")(x))])
    x = Activation("tanh")(x)
    x = ReLU()(x + Dense(5)(x))
    return Dense(3)(x)


def undo_residual_blocks(
    z,
    first,
    up,
    down,
    block,
    last,
):
    hidden = relu(z @ last)
    hidden = np.tanh(hidden + hidden @ block)
    hidden = relu(hidden + np.tanh(hidden @ down) @ up)
    return hidden @ first


def skip_from_scaled_input(x):
    x = Normalization(-1, 3.0, 4.0)(x)
    return x + Dense(6)(Dense(5, "relu")(x))


def undo_skip(z, one, two):
    return 2 * expit(z + relu(z @ two) @ one) + 3


@pytest.mark.parametrize(
    ("wire", "undo", "output"),
    [
        (residual_blocks, undo_residual_blocks, None),
        (skip_from_scaled_input, undo_skip, "sigmoid"),
    ],
)
def test_activations_in_a_graph_come_where_they_were(wire, undo, output):
    encoder = graph(wire)
    kernels = [read(each).T for each in encoder.weights if each.name == "kernel"]
    z = draw(encoder.output_shape[1:])
    decoder = mirror(encoder, gain=False, output_activation=output)
    assert_close(run(decoder, z), undo(z, *kernels))


@pytest.mark.parametrize(
    ("gain", "use_bias", "n_own"),
    [
        (True, True, 6 + 5 + 5 + 3),
        (True, False, 5 + 3),
        (False, True, 6 + 5),
    ],
)
def test_a_decoder_owns_gains_and_as_many_biases_as_its_encoder(gain, use_bias, n_own):
    encoder = chain(*(Dense(units, use_bias=use_bias) for units in (5, 3)))
    both = join(encoder, mirror(encoder, gain=gain))
    assert both.count_params() - encoder.count_params() == n_own


def test_layers_and_the_decoder_are_named_after_those_they_mirror():
    encoder = chain(
        Dense(5, name="one"),
        ReLU(name="act"),
        Dense(3, name="two"),
    )
    names = [each.name for each in mirror(encoder).layers]
    assert names == ["code", "two_mirror", "act_activation", "one_mirror"]
    assert mirror(encoder).name == "chain_mirror"
    assert mirror(encoder, name="decoder").name == "decoder"


class Doubled(Layer):
    def call(self, inputs):
        return 2 * inputs


class DoubledAgain(Doubled):
    pass


class Rotation(Layer):
    def build(self, shape):
        self.kernel = self.add_weight(
            shape=(shape[-1], shape[-1]),
            name="kernel",
        )

    def call(self, inputs):
        return inputs @ self.kernel


def test_the_last_rule_of_the_nearest_class_counts():
    z = draw((6,))
    rules = [
        (Doubled, lambda layer, context: Rescaling(0.5), z / 2),
        (DoubledAgain, lambda layer, context: [], z),
        (
            DoubledAgain,
            lambda layer, context: [Rescaling(1, 3), Rescaling(0.5)],
            (z + 3) / 2,
        ),
    ]
    for cls, rule, expected in rules:
        mirror.register(cls)(rule)
        assert_close(run(mirror(chain(DoubledAgain())), z), expected)


def test_a_rule_of_a_kernel_is_told_the_activation_the_shapes_and_the_name():
    contexts = []

    @mirror.register(Rotation, kernel=True)
    def turn_back(layer, context):
        contexts.append(context)
        return tie(layer, activation=context.activation, name=context.name)

    first, rotation = Dense(4, "relu"), Rotation(name="turn")
    decoder = mirror(chain(first, rotation, ReLU()), gain=False)
    z = draw((4,))
    expected = relu(z @ read(rotation.kernel).T) @ read(first.kernel).T
    assert_close(run(decoder, z), expected)
    (context,) = contexts
    assert context.input_shape == context.output_shape == (4,)
    assert (context.name, context.gain) == ("turn_mirror", False)


class NotFunctional(keras.Model):
    def call(self, inputs):
        return 2 * inputs


class Misread(Identity):
    """A layer whose rule is wrong."""


mirror.register(Misread)(lambda layer, context: RepeatVector(2))


def halves(x):
    return [Dense(2)(x), Dense(2)(x)]


ERRORS = {
    "Sequential 'mine'.*Input": lambda: keras.Sequential([Dense(3)], name="mine"),
    "NotFunctional 'mine'.*Functional": lambda: NotFunctional(name="mine"),
    "without a `call` of its own; received Scaled 'scaled'": scaled,
    r"'scaled' \(Scaled\): write .* without a `call`": lambda: chain(scaled()),
    "received str": lambda: "mine",
    "has 2 and 1: mirror its parts one by one": several_inputs,
    "'graph' has 1 and 2: mirror its parts": lambda: graph(halves),
    r"'memory' \(ConvLSTM1D\): leave it out .* or add a rule": lambda: chain(
        ConvLSTM1D(3, 2, name="memory"),
        shape=(4, 5, 2),
    ),
    r"'mine' \(NotFunctional\): write it as a": lambda: graph(
        NotFunctional(name="mine")
    ),
    r"operation '.*' \(Sin\): use a layer": lambda: graph(keras.ops.sin),
    r"sum of tensors of one shape.*\(6,\), \(1,\)": lambda: graph(
        lambda x: x + Dense(1)(x)
    ),
    "leave constants to the bias": lambda: graph(lambda x: x + 1.0),
    "'graph' has 2: use its": lambda: graph(lambda x: sum(graph(halves)(x))),
    r"'flat' \(Reshape\).*at most one axis": lambda: chain(
        Reshape((-1,), name="flat"),
        shape=(None, None, 3),
    ),
    "'both'.*unknown length": lambda: graph(
        lambda x: Concatenate(1, name="both")([x, x]),
        (None, 3),
    ),
    "'rows'.* axis -3 is the batch": lambda: graph(
        lambda x: Concatenate(-3, name="rows")([x, x]), (5, 4)
    ),
    r"'pool' \(MaxPooling1D\).*unknown length.*Input": lambda: chain(
        MaxPooling1D(name="pool"),
        shape=(None, 2),
    ),
    r"'scale' has none yet.*adapt\(\)": lambda: chain(Normalization(name="scale")),
    r"'scale' \(Rescaling\).*other than 0": lambda: chain(
        Rescaling([1.0, 0.0], name="scale"),
        shape=(2,),
    ),
    r"'misread' \(Misread\) gives the shape \(2, 6\)": lambda: chain(
        Misread(name="misread")
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_an_error_names_the_layer_and_what_to_do(message):
    with pytest.raises(ValueError, match=message):
        mirror(ERRORS[message]())


@pytest.mark.parametrize("widen", [Reshape((1,)), Flatten()])
def test_an_encoder_of_one_number_a_row_is_mirrored(widen):
    encoder = chain(widen, Dense(2, name="code"), shape=())
    autoencoder = Autoencoder(encoder)
    numbers = np.linspace(-1, 1, 5)
    assert_tied(autoencoder)
    assert mirror(encoder).output_shape == (None,)
    autoencoder.compile()
    autoencoder.fit(numbers, epochs=1, verbose=0)
    assert autoencoder(numbers).shape == (5,)


@pytest.mark.parametrize("kind", [Embedding, ReversibleEmbedding])
def test_tokens_come_back_as_logits(kind):
    embedding = kind(7, 4)
    decoder = mirror(
        chain(
            embedding,
            Dense(3),
            shape=(5,),
            dtype="int32",
        )
    )
    code = draw((5, 3))
    expected = run(decoder.layers[1], code) @ read(embedding.embeddings).T
    assert_close(run(decoder, code), expected)


def list_followers(shape):
    """Layers of every kind that may come after a tensor of this shape."""
    rank = len(shape) - 1
    found = [
        LayerNormalization(),
        PReLU(),
        Dense(3, "relu"),
    ]
    if rank == 0:
        return [
            *found,
            Reshape((shape[0], 1)),
        ]
    return [
        *found,
        Flatten(),
        Permute((*range(2, rank + 2), 1)),
        of_rank(
            rank,
            "Conv",
            2,
            2,
            strides=3,
            padding="same",
            activation="tanh",
        ),
        of_rank(rank, "MaxPooling", 3, strides=2, padding="same"),
        of_rank(rank, "ZeroPadding", 1),
        of_rank(rank, "GlobalMaxPooling"),
    ]


@given(data=st.data())
def test_any_mirror_gives_back_the_shape_and_has_no_kernel_of_its_own(data):
    shape = tuple(data.draw(st.lists(st.integers(2, 7), min_size=1, max_size=3)))
    encoder = chain(shape=shape)
    for _ in range(data.draw(st.integers(1, 5))):
        if np.prod(shape) < 500:
            encoder.add(data.draw(st.sampled_from(list_followers(shape))))
            shape = encoder.output_shape[1:]
    decoder = mirror(encoder, output_activation="tanh")
    assert decoder.output_shape == encoder.input_shape
    assert_no_kernel_of_its_own(decoder, encoder)


@slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="one backend will do")
@pytest.mark.parametrize(
    ("name", "n_ties"),
    [
        ("VGG16", 13),
        pytest.param("MobileNetV2", 52, marks=pytest.mark.night),
        pytest.param("DenseNet121", 120, marks=pytest.mark.night),
    ],
)
def test_an_application_trains_a_step_and_comes_back_from_a_file_tied(
    name, n_ties, tmp_path
):
    make = getattr(keras.applications, name)
    encoder = make(weights=None, include_top=False, input_shape=(32, 32, 3))
    model = Autoencoder(encoder)
    assert len(ties(model)) == n_ties
    model.compile(SGD(1e-3))
    x = draw((32, 32, 3))
    assert np.isfinite(model.train_on_batch(x))
    loaded = through_file(model, tmp_path)
    assert_tied(loaded)
    assert len(ties(loaded)) == n_ties
    assert_close(
        loaded.predict(x, verbose=0),
        model.predict(x, verbose=0),
    )
