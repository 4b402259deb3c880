"""`mirror`: the decoders of whole encoders."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import keras_tied
from keras_tied import mirror
from keras_tied.autoencoder._mirror_rules import RULES

ROWS = 4
WIDTH = 6


def run(model: Any, array: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(array))


def sequential(*parts: Any, shape: tuple[int, ...] = (WIDTH,)) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *parts])


def functional(
    wire: Callable[[Any], Any], shape: tuple[int, ...] = (WIDTH,)
) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, wire(inputs))


def join(encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    inputs = keras.Input(encoder.input_shape[1:])
    return keras.Model(inputs, decoder(encoder(inputs)))


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model, all its weights random; variances positive."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        values = rng.normal(0, 0.7, variable.shape)
        variable.assign(np.abs(values) if "variance" in variable.name else values)
    return model


def plain(encoder: keras.Model, **kwargs: Any) -> keras.Model:
    """The mirror without gains; biases are still zero."""
    return mirror(encoder, gain=False, **kwargs)


def codes(encoder: keras.Model, seed: int = 1) -> np.ndarray:
    shape = (ROWS, *encoder.output_shape[1:])
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def matrices(encoder: keras.Model) -> list[np.ndarray]:
    """The kernels of the Dense layers of an encoder, in the order of computation."""
    dense = [
        each for each in encoder._flatten_layers() if isinstance(each, layers.Dense)
    ]
    return [keras.ops.convert_to_numpy(each.kernel) for each in dense]


def parts_of(model: keras.Model, *classes: type) -> list[Any]:
    return [each for each in model.layers if isinstance(each, classes)]


def tied_of(model: keras.Model) -> list[Any]:
    return [each for each in model._flatten_layers() if hasattr(each, "tied_to")]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


HIDDEN = {
    "fused": lambda: [layers.Dense(5, "relu")],
    "Activation": lambda: [layers.Dense(5), layers.Activation("relu")],
    "ReLU": lambda: [layers.Dense(5), layers.ReLU()],
    "LeakyReLU": lambda: [layers.Dense(5), layers.LeakyReLU(0.0)],
    "layer as argument": lambda: [layers.Dense(5, activation=layers.ReLU())],
    "dropout between": lambda: [layers.Dense(5, "relu"), layers.Dropout(0.5)],
    "reshape between": lambda: [layers.Dense(5, "relu"), layers.Reshape((5,))],
}


class TestActivations:
    @pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
    def test_a_hidden_activation_comes_between_the_tied_layers_however_it_is_written(
        self, hidden
    ):
        encoder = randomize(sequential(*hidden(), layers.Dense(3)))
        first, second = matrices(encoder)
        z = codes(encoder)
        assert_close(run(plain(encoder), z), relu(z @ second.T) @ first.T)

    @pytest.mark.parametrize(
        ("layer", "function"),
        [
            (layers.LeakyReLU(0.3), lambda x: np.where(x > 0, x, 0.3 * x)),
            (layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
            (layers.ReLU(max_value=1.0), lambda x: np.clip(x, 0, 1)),
            (layers.PReLU("ones"), lambda x: x),
            (layers.Softmax(), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
            (layers.Activation("tanh"), np.tanh),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_an_activation_layer_is_repeated_with_its_settings(self, layer, function):
        encoder = sequential(layers.Dense(5), layer, layers.Dense(3))
        first, second = matrices(encoder)
        z = codes(encoder)
        assert_close(run(plain(encoder), z), function(z @ second.T) @ first.T)

    def test_a_prelu_has_slopes_of_its_own(self):
        encoder = sequential(layers.Dense(5), layers.PReLU(), layers.Dense(3))
        (own,) = parts_of(mirror(encoder), layers.PReLU)
        assert own.alpha is not encoder.layers[1].alpha
        assert own.alpha.shape == (5,)

    def test_a_function_becomes_part_of_the_tied_layer(self):
        encoder = sequential(
            layers.Dense(5, "relu"), layers.Dropout(0.1), layers.Dense(3)
        )
        assert [each.activation.__name__ for each in tied_of(mirror(encoder))] == [
            "relu",
            "linear",
        ]

    def test_two_activations_in_a_row_come_in_reverse(self):
        parts = layers.Dense(5, "tanh"), layers.ReLU(), layers.Dense(3)
        encoder = randomize(sequential(*parts))
        first, second = matrices(encoder)
        z = codes(encoder)
        assert_close(run(plain(encoder), z), np.tanh(relu(z @ second.T)) @ first.T)

    @pytest.mark.parametrize(
        "last",
        [
            lambda: [layers.Dense(3, "tanh")],
            lambda: [layers.Dense(3), layers.Softmax()],
            lambda: [
                layers.Dense(3, "relu"),
                layers.Reshape((3, 1)),
                layers.Activation("tanh"),
            ],
        ],
    )
    def test_the_activation_of_the_code_is_not_repeated(self, last):
        encoder = randomize(sequential(*last()))
        z = codes(encoder)
        assert_close(
            run(plain(encoder), z), z.reshape(ROWS, 3) @ matrices(encoder)[0].T
        )

    def test_an_activation_before_the_first_kernel_is_not_repeated(self):
        encoder = randomize(sequential(layers.ReLU(), layers.Dense(3)))
        z = codes(encoder)
        assert_close(run(plain(encoder), z), z @ matrices(encoder)[0].T)


def normalization() -> layers.Layer:
    return layers.Normalization(mean=3.0, variance=4.0)


class TestOutputActivation:
    @pytest.mark.parametrize(
        "start",
        [
            lambda: [layers.Dense(5, "relu")],
            lambda: [layers.Dropout(0.1), layers.Dense(5, "relu")],
            lambda: [layers.Reshape((2, 3)), layers.Flatten(), layers.Dense(5, "relu")],
            lambda: [layers.ReLU(), layers.Dense(5, "relu")],
        ],
        ids=["plain", "dropout first", "reshape first", "activation first"],
    )
    def test_it_is_applied_once_at_the_end(self, start):
        encoder = randomize(sequential(*start(), layers.Dense(3)))
        first, second = matrices(encoder)
        z = codes(encoder)
        decoded = run(plain(encoder, output_activation="sigmoid"), z)
        assert_close(decoded, sigmoid(relu(z @ second.T) @ first.T))

    def test_it_acts_on_the_axes_of_the_output(self):
        encoder = sequential(layers.Flatten(), layers.Dense(3), shape=(4, 5))
        decoded = run(mirror(encoder, output_activation="softmax"), codes(encoder))
        assert_close(decoded.sum(axis=-1), np.ones((ROWS, 4)))

    def test_scaling_at_the_start_is_undone_after_it(self):
        scaling = normalization(), layers.Rescaling(0.5, 1.0)
        encoder = randomize(sequential(*scaling, layers.Dense(3)))
        z = codes(encoder)
        decoded = run(plain(encoder, output_activation="sigmoid"), z)
        inner = sigmoid(z @ matrices(encoder)[0].T)
        assert_close(decoded, (inner - 1) / 0.5 * 2 + 3)

    def test_a_normalisation_at_the_start_has_its_mirror_before_it(self):
        encoder = sequential(layers.LayerNormalization(), layers.Dense(3))
        decoded = run(mirror(encoder, output_activation="sigmoid"), 10 * codes(encoder))
        assert np.all((decoded > 0) & (decoded < 1))

    @pytest.mark.parametrize(
        "start", [lambda x: x, normalization()], ids=["", "Normalization"]
    )
    def test_it_is_applied_to_the_sum_of_a_skip_from_the_input(self, start):
        def wire(x):
            x = start(x)
            return x + layers.Dense(WIDTH)(layers.Flatten()(layers.Dense(5, "relu")(x)))

        encoder = randomize(functional(wire))
        first, second = matrices(encoder)
        z = codes(encoder)
        inner = sigmoid(z + relu(z @ second.T) @ first.T)
        scaled = inner if start.__class__ is not layers.Normalization else inner * 2 + 3
        assert_close(run(plain(encoder, output_activation="sigmoid"), z), scaled)

    def test_it_can_be_a_layer(self):
        encoder = sequential(layers.Dense(3))
        decoder = mirror(encoder, output_activation=layers.ReLU(max_value=0.1))
        decoded = run(decoder, 10 * codes(encoder))
        assert decoded.min() >= 0
        assert decoded.max() <= 0.1 + 1e-6

    def test_the_last_tied_layer_takes_it(self):
        decoder = mirror(sequential(layers.Dense(3)), output_activation="sigmoid")
        assert decoder.layers[-1].activation is keras.activations.sigmoid


ADDING = {"Add": lambda *tensors: layers.Add()(tensors), "+": lambda x, y: x + y}


class TestResiduals:
    @pytest.mark.parametrize("add", ADDING.values(), ids=ADDING)
    def test_a_residual_block_is_mirrored_as_one(self, add):
        def wire(x):
            x = layers.Dense(5, "relu")(x)
            x = add(x, layers.Dense(5)(layers.Dense(7, "tanh")(x)))
            return layers.Dense(3)(x)

        encoder = randomize(functional(wire))
        outer, up, down, last = matrices(encoder)
        z = codes(encoder)
        hidden = z @ last.T
        hidden = relu(hidden + np.tanh(hidden @ down.T) @ up.T)
        assert_close(run(plain(encoder), z), hidden @ outer.T)

    def test_a_shortcut_with_a_kernel_is_mirrored_by_a_tied_one(self):
        def wire(x):
            return layers.Dense(3)(x) + layers.Dense(3)(layers.Dense(5, "relu")(x))

        encoder = randomize(functional(wire))
        kernels = {matrix.shape: matrix for matrix in matrices(encoder)}
        z = codes(encoder)
        expected = z @ kernels[6, 3].T + relu(z @ kernels[5, 3].T) @ kernels[6, 5].T
        assert_close(run(plain(encoder), z), expected)

    def test_blocks_in_a_row_are_mirrored_from_the_last_to_the_first(self):
        def wire(x):
            x = layers.Dense(5)(x)
            for activation in ("relu", "tanh"):
                x = layers.Activation(activation)(x + layers.Dense(5)(x))
            return layers.Dense(3)(x)

        encoder = randomize(functional(wire))
        outer, one, two, last = matrices(encoder)
        z = codes(encoder)
        hidden = np.tanh(z @ last.T)
        hidden = relu(hidden + hidden @ two.T)
        assert_close(run(plain(encoder), z), (hidden + hidden @ one.T) @ outer.T)

    def test_a_linear_network_with_skips_is_mirrored_by_its_transposed_matrix(self):
        def wire(x):
            a = layers.Dense(5, use_bias=False)(x)
            b = layers.Dense(5, use_bias=False)(a) + a
            c = layers.Add()([layers.Dense(5, use_bias=False)(x), a, b])
            return layers.Dense(3, use_bias=False)(b + c) + layers.Dense(
                3, use_bias=False
            )(x)

        encoder = randomize(functional(wire))
        forward = run(encoder, np.eye(WIDTH, dtype="float32"))
        assert_close(run(plain(encoder), np.eye(3, dtype="float32")), forward.T)

    def test_a_sum_of_a_tensor_with_itself_is_mirrored_so(self):
        encoder = sequential(layers.Dense(3))
        doubled = functional(lambda x: (lambda y: y + y)(encoder(x)))
        z = codes(encoder)
        assert_close(run(plain(doubled), z), 2 * z @ matrices(encoder)[0].T)


class TestNesting:
    def test_a_nested_model_is_mirrored_like_its_layers(self):
        inner, last = (
            sequential(layers.Dense(5, "relu"), layers.Dense(4, "tanh")),
            layers.Dense(3),
        )
        encoder = randomize(functional(lambda x: last(inner(x))))
        one, two, three = *matrices(inner), np.array(last.get_weights()[0])
        z = codes(encoder)
        expected = relu(np.tanh(z @ three.T) @ two.T) @ one.T
        assert_close(run(plain(encoder), z), expected)

    def test_models_two_levels_deep_are_mirrored(self):
        innermost = functional(lambda x: x + layers.Dense(5, "relu")(x), shape=(5,))
        inner = sequential(layers.Dense(5), innermost)
        encoder = randomize(sequential(inner, layers.Dense(3)))
        one, two, three = (
            each.get_weights()[0]
            for each in (inner.layers[0], innermost.layers[1], encoder.layers[1])
        )
        z = codes(encoder)
        hidden = z @ three.T
        assert_close(run(plain(encoder), z), (hidden + relu(hidden) @ two.T) @ one.T)

    def test_a_nested_model_that_takes_several_tensors_is_mirrored(self):
        pair = [keras.Input((WIDTH,)), keras.Input((WIDTH,))]
        inner = keras.Model(pair, layers.Dense(3)(layers.Add()(pair)))
        encoder = functional(lambda x: inner([x, layers.Dense(WIDTH)(x)]))
        last, first = sorted(matrices(encoder), key=lambda matrix: matrix.shape[1])
        z = codes(encoder)
        assert_close(run(plain(encoder), z), z @ last.T + z @ last.T @ first.T)

    def test_an_input_that_a_nested_model_does_not_use_is_left_out(self):
        pair = [keras.Input((WIDTH,)), keras.Input((WIDTH,))]
        inner = keras.Model(pair, layers.Dense(3)(pair[0]))
        encoder = functional(lambda x: inner([x, layers.Dense(WIDTH)(x)]))
        z = codes(encoder)
        assert_close(run(plain(encoder), z), z @ np.array(inner.get_weights()[0]).T)

    def test_a_layer_used_twice_has_two_mirrors_that_share_its_kernel(self):
        twice = layers.Dense(WIDTH, "relu")
        encoder = functional(lambda x: layers.Dense(3)(twice(twice(x))))
        decoder = mirror(encoder)
        assert [each.tied_to for each in tied_of(decoder)[1:]] == [twice, twice]

    def test_a_layer_used_twice_is_counted_once(self):
        twice = layers.Dense(WIDTH, use_bias=False)
        encoder = functional(lambda x: twice(twice(x)))
        assert join(encoder, plain(encoder)).count_params() == WIDTH * WIDTH

    def test_a_model_used_twice_is_mirrored_twice(self):
        inner = sequential(layers.Dense(WIDTH, "relu"))
        encoder = randomize(functional(lambda x: inner(inner(x))))
        (matrix,) = matrices(encoder)
        z = codes(encoder)
        assert_close(run(plain(encoder), z), relu(z @ matrix.T) @ matrix.T)

    @pytest.mark.slow
    def test_a_long_encoder_is_mirrored(self):
        def wire(x):
            for _ in range(400):
                x = layers.Dense(2, use_bias=False)(x)
            return x

        assert len(tied_of(mirror(functional(wire)))) == 400


class TestNames:
    def test_layers_are_named_after_those_they_mirror(self):
        parts = (
            layers.Dense(5, name="one"),
            layers.ReLU(name="act"),
            layers.Dense(3, name="two"),
        )
        decoder = mirror(sequential(*parts), output_activation="relu")
        names = [each.name for each in decoder.layers]
        assert names == ["code", "two_mirror", "act_activation", "one_mirror"]

    def test_the_decoder_is_named_after_the_encoder(self):
        encoder = keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="images")
        assert mirror(encoder).name == "images_mirror"

    def test_the_decoder_takes_the_name_it_is_given(self):
        assert mirror(sequential(layers.Dense(2)), name="decoder").name == "decoder"


class TestGain:
    @pytest.mark.parametrize(("gain", "own"), [(True, 6 + 5 + 5 + 3), (False, 6 + 5)])
    def test_it_costs_one_weight_for_each_unit_of_a_kernel(self, gain, own):
        encoder = sequential(layers.Dense(5, "relu"), layers.Dense(3))
        decoder = mirror(encoder, gain=gain)
        both = join(encoder, decoder).count_params()
        assert both - encoder.count_params() == own

    def test_it_is_there_by_default(self):
        (mirror_kernel,) = tied_of(mirror(sequential(layers.Dense(2))))
        assert mirror_kernel.gain.shape == (2,)


class NotFunctional(keras.Model):
    def __init__(self) -> None:
        super().__init__(name="mine")
        self.dense = layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


def with_two(ends: str) -> keras.Model:
    one, two = keras.Input((3,)), keras.Input((3,))
    if ends == "inputs":
        return keras.Model([one, two], one + two)
    return keras.Model(one, [layers.Dense(2)(one), layers.Dense(2)(one)])


def attention() -> keras.Model:
    attend = layers.MultiHeadAttention(2, 3, name="attention")
    return functional(lambda x: attend(x, x), shape=(4, 6))


class TestErrors:
    @pytest.mark.parametrize(
        ("encoder", "message"),
        [
            (
                lambda: keras.Sequential([layers.Dense(3)], name="mine"),
                "Sequential 'mine'.*Input",
            ),
            (NotFunctional, "NotFunctional 'mine'.*Functional"),
            (lambda: layers.Dense(3, name="mine"), "Dense 'mine'"),
            (lambda: "mine", "received str"),
            (lambda: with_two("inputs"), "has 2: mirror its parts one by one"),
            (
                lambda: with_two("outputs"),
                "one output, or `code`, the name of one; .* pass code=",
            ),
        ],
    )
    def test_what_is_no_encoder_with_a_graph_is_named(self, encoder, message):
        with pytest.raises(ValueError, match=message):
            mirror(encoder())

    @pytest.mark.parametrize(
        ("encoder", "message"),
        [
            (
                lambda: sequential(
                    layers.ConvLSTM1D(3, 2, name="memory"), shape=(4, 5, 2)
                ),
                r"'memory' \(ConvLSTM1D\)",
            ),
            (
                attention,
                (
                    r"'attention'"
                    r" \(MultiHeadAttention\).*mirror.register\(MultiHeadAttention\)"
                ),
            ),
            (
                lambda: functional(lambda x: layers.Multiply(name="gate")([x, x])),
                r"'gate' \(Mul",
            ),
            (
                lambda: functional(NotFunctional()),
                r"'mine' \(NotFunctional\): write it as a",
            ),
            (lambda: functional(keras.ops.sin), r"operation '.*' \(Sin\): use a layer"),
            (
                lambda: functional(lambda x: x + layers.Dense(1)(x)),
                r"sum of tensors of one shape.*\(6,\), \(1,\)",
            ),
            (lambda: functional(lambda x: x + 1.0), "leave constants to the bias"),
            (
                lambda: functional(
                    lambda x: sum(with_two("outputs")(layers.Dense(3)(x)))
                ),
                "2: use its",
            ),
        ],
    )
    def test_what_has_no_rule_is_named_with_what_to_do(self, encoder, message):
        with pytest.raises(ValueError, match=message):
            mirror(encoder())

    def test_two_axes_of_unknown_length_cannot_be_restored(self):
        encoder = sequential(layers.Reshape((-1,), name="flat"), shape=(None, None, 3))
        with pytest.raises(ValueError, match=r"'flat' \(Reshape\).*at most one axis"):
            mirror(encoder)


class Doubled(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return 2 * inputs


class DoubledAgain(Doubled):
    pass


class Rotation(layers.Layer):
    """Its mirror shares its kernel."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")

    def call(self, inputs: Any) -> Any:
        return inputs @ self.kernel


@pytest.fixture
def rules():
    """The rules as they were before the test, afterwards."""
    before = dict(RULES)
    yield
    RULES.clear()
    RULES.update(before)


@pytest.mark.usefixtures("rules")
class TestRegister:
    @pytest.mark.parametrize("cls", [Doubled, DoubledAgain])
    def test_a_rule_is_for_a_class_and_those_derived_from_it(self, cls):
        @mirror.register(Doubled)
        def halved(layer, seen):
            return layers.Rescaling(0.5, name=seen.name)

        encoder = sequential(cls())
        z = codes(encoder)
        np.testing.assert_array_equal(run(mirror(encoder), z), z / 2)

    def test_the_rule_of_the_nearer_class_counts(self):
        mirror.register(Doubled)(lambda layer, seen: layers.Rescaling(0.5))
        mirror.register(DoubledAgain)(lambda layer, seen: [])
        encoder = sequential(DoubledAgain())
        z = codes(encoder)
        np.testing.assert_array_equal(run(mirror(encoder), z), z)

    def test_several_layers_are_applied_in_turn(self):
        mirror.register(Doubled)(
            lambda layer, seen: [layers.Rescaling(1.0, 3.0), layers.Rescaling(0.5)]
        )
        encoder = sequential(Doubled())
        z = codes(encoder)
        assert_close(run(mirror(encoder), z), (z + 3) / 2)

    def test_a_rule_can_be_replaced(self):
        mirror.register(layers.LayerNormalization)(lambda layer, seen: [])
        assert len(mirror(sequential(layers.LayerNormalization())).layers) == 1

    def test_a_layer_with_a_kernel_has_the_activations_moved_past_it(self):
        mirror.register(Rotation, kernel=True)(
            lambda layer, seen: keras_tied.tie(
                layer, activation=seen.activation, name=seen.name
            )
        )
        encoder = sequential(
            layers.Dense(4, "relu"), Rotation(), layers.Activation("tanh")
        )
        (matrix,), rotation = (
            matrices(encoder),
            np.array(encoder.layers[1].get_weights()[0]),
        )
        z = codes(encoder)
        assert_close(run(plain(encoder), z), relu(z @ rotation.T) @ matrix.T)

    def test_a_rule_is_told_the_shapes_and_what_to_make(self):
        told = []

        @mirror.register(Doubled)
        def noted(layer, seen):
            told.append(seen)
            return []

        mirror(sequential(layers.Dense(3, "relu"), Doubled(name="double")), gain=False)
        (seen,) = told
        shown = (
            seen.input_shape,
            seen.output_shape,
            seen.name,
            seen.gain,
            seen.activation,
        )
        assert shown == ((3,), (3,), "double_mirror", False, None)

    def test_a_rule_that_does_not_restore_the_shape_is_an_error(self):
        mirror.register(Doubled)(lambda layer, seen: layers.RepeatVector(2))
        with pytest.raises(
            ValueError, match=r"'double' \(Doubled\) gives the shape \(2, 6\)"
        ):
            mirror(sequential(Doubled(name="double")))


class TestPrecision:
    @pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
    def test_the_decoder_computes_as_the_encoder_does(self, policy):
        encoder = sequential(
            layers.Conv1D(4, 3, activation="relu", dtype=policy),
            layers.MaxPooling1D(2, dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(3, dtype=policy),
            shape=(11, 2),
        )
        decoder = mirror(encoder, output_activation="sigmoid")
        assert decoder.outputs[0].dtype == encoder.outputs[0].dtype

    def test_half_precision_has_variables_in_full_and_trains(self):
        encoder = sequential(
            layers.Dense(5, "relu", dtype="mixed_bfloat16"),
            layers.Dense(3, dtype="mixed_bfloat16"),
        )
        model = join(encoder, mirror(encoder))
        model.compile("adam", "mse")
        X = np.random.default_rng(0).normal(size=(32, WIDTH)).astype("float32")
        loss = model.fit(X, X, epochs=3, verbose=0).history["loss"]
        assert np.all(np.isfinite(loss))
        assert {each.dtype for each in model.weights} == {"float32"}


class TestPCA:
    @pytest.mark.parametrize("use_bias", [False, True])
    def test_a_linear_mirror_with_the_principal_axes_reconstructs_as_pca_does(
        self, use_bias
    ):
        X = load_digits().data / 16
        X = X if use_bias else X - X.mean(axis=0)
        pca = PCA(10).fit(X)
        axes = pca.components_.T
        encoder = sequential(layers.Dense(10, use_bias=use_bias), shape=(64,))
        decoder = plain(encoder)
        encoder.layers[0].kernel.assign(axes)
        if use_bias:
            encoder.layers[0].bias.assign(-pca.mean_ @ axes)
            decoder.layers[-1].bias.assign(pca.mean_)
        reconstructed = run(decoder, run(encoder, X.astype("float32")))
        expected = pca.inverse_transform(pca.transform(X))
        np.testing.assert_allclose(reconstructed, expected, atol=1e-5)


def dense_stack() -> keras.Model:
    return sequential(
        *(layers.Dense(12, "relu"), layers.Dense(8), layers.ReLU(), layers.Dense(3)),
        shape=(20,),
    )


def convolutional() -> keras.Model:
    """The encoder half of the convolutional autoencoder on keras.io."""
    parts = []
    for filters in (16, 8, 8):
        parts.append(layers.Conv2D(filters, 3, activation="relu", padding="same"))
        parts.append(layers.MaxPooling2D(2, padding="same"))
    return sequential(*parts, shape=(28, 28, 1))


def build_strided() -> keras.Model:
    def normalization() -> layers.Layer:
        return layers.BatchNormalization(
            momentum=0.9
        )  # after 200 steps 0.99 has not settled

    parts = [layers.Conv2D(6, 3, strides=2), normalization(), layers.LeakyReLU()]
    parts += [layers.Conv2D(8, 3, strides=2, padding="same"), normalization()]
    parts += [layers.PReLU(shared_axes=(1, 2)), layers.Flatten(), layers.Dense(8)]
    return sequential(*parts, shape=(45, 37, 3))


def sequences() -> keras.Model:
    parts = [layers.Conv1D(8, 5, strides=3, activation="relu"), layers.MaxPooling1D(2)]
    parts += [layers.Conv1D(8, 3, activation="relu"), layers.Flatten(), layers.Dense(6)]
    return sequential(*parts, shape=(101, 5))


def volumes() -> keras.Model:
    parts = [layers.Conv3D(4, 2, activation="relu"), layers.AveragePooling3D(2)]
    return sequential(*parts, layers.Flatten(), layers.Dense(5), shape=(6, 7, 5, 2))


def residual() -> keras.Model:
    def wire(x):
        x = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
        h = layers.Conv2D(6, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(6, 3, padding="same")(h)])
        x = layers.Activation("relu")(x)
        short = layers.Conv2D(8, 1, strides=2)(x)
        x = short + layers.Conv2D(8, 3, strides=2, padding="same")(x)
        return layers.Dense(6)(layers.Flatten()(layers.ReLU()(x)))

    return functional(wire, shape=(11, 11, 2))


def transformer() -> keras.Model:
    def wire(x):
        h = layers.EinsumDense("abc,cde->abde", (None, 3, 4), bias_axes="de")(x)
        h = layers.EinsumDense("abde,dec->abc", (None, 12), bias_axes="c")(h)
        x = layers.LayerNormalization()(x + h)
        h = layers.EinsumDense(
            "abc,cd->abd", (None, 24), activation="gelu", bias_axes="d"
        )(x)
        x = x + layers.EinsumDense("abd,dc->abc", (None, 12), bias_axes="c")(h)
        return layers.Dense(8)(layers.Flatten()(layers.LayerNormalization()(x)))

    return functional(wire, shape=(10, 12))


def with_nested() -> keras.Model:
    inner = sequential(layers.Dense(10, "relu"), layers.Dense(8, "relu"), shape=(12,))
    wire = [layers.Dense(12, "relu"), inner, layers.Dense(3)]
    return functional(lambda x: wire[2](wire[1](wire[0](x))), shape=(20,))


def renormalize() -> keras.Model:
    scale = layers.Normalization()
    scale.adapt(smooth((20,)))
    return sequential(scale, layers.Dense(12, "relu"), layers.Dense(3), shape=(20,))


ENCODERS = [
    *(dense_stack, convolutional, build_strided, sequences, volumes),
    *(residual, transformer, with_nested, renormalize),
]


def smooth(shape: tuple[int, ...], rows: int = 64) -> np.ndarray:
    """Rows of three degrees of freedom: sums of slow waves over space, different by
    channel.
    """
    rng = np.random.default_rng(0)
    *sizes, channels = shape if len(shape) > 1 else (*shape, 1)
    places = np.stack(
        np.meshgrid(*(np.linspace(0, 1, n) for n in sizes), indexing="ij"), axis=-1
    )
    directions, phases = (
        rng.normal(size=(3, len(sizes))),
        rng.uniform(0, 2 * np.pi, (3, channels)),
    )
    waves = np.sin(
        3 * np.einsum("...s,ks->k...", places, directions)[..., None]
        + phases.reshape(3, *[1] * len(sizes), channels)
    )
    amounts = rng.uniform(-1, 1, (rows, 3))
    return np.tensordot(amounts, waves, 1).reshape(rows, *shape).astype("float32")


def kernels_are_tied_within(model: keras.Model) -> bool:
    held = {id(each) for each in model._flatten_layers()}
    return all(id(each.tied_to) in held for each in tied_of(model))


@pytest.fixture(
    scope="module",
    params=[
        dense_stack,
        *(pytest.param(make, marks=pytest.mark.slow) for make in ENCODERS[1:]),
    ],
    ids=lambda make: make.__name__,
)
def trained(request) -> tuple[keras.Model, keras.Model, keras.Model, np.ndarray]:
    """An encoder, its mirror, both joined, and the rows that they were trained on for
    200 steps.
    """
    keras.utils.set_random_seed(0)
    encoder = request.param()
    decoder = mirror(encoder)
    model = join(encoder, decoder)
    X = smooth(encoder.input_shape[1:])
    model.compile(keras.optimizers.Adam(0.005), "mse")
    model.fit(X, X, batch_size=16, epochs=50, verbose=0)
    return encoder, decoder, model, X


class TestEncoders:
    def test_the_mirror_gives_back_the_shape_of_the_input(self, trained):
        encoder, decoder, model, _ = trained
        assert decoder.input_shape == encoder.output_shape
        assert decoder.output_shape == encoder.input_shape == model.output_shape

    def test_200_steps_of_adam_beat_the_mean_by_half(self, trained):
        *_, model, X = trained
        error = np.mean((model.predict(X, batch_size=16, verbose=0) - X) ** 2)
        assert error <= 0.5 * np.var(X, axis=0).mean()

    def test_saved_and_loaded_it_reconstructs_the_same_and_is_tied(
        self, trained, tmp_path
    ):
        *_, model, X = trained
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert_close(run(loaded, X[:2]), run(model, X[:2]))
        assert loaded.count_params() == model.count_params()
        assert kernels_are_tied_within(loaded)

    def test_the_decoder_is_saved_and_loaded_by_itself(self, trained, tmp_path):
        encoder, decoder, _, X = trained
        decoder.save(tmp_path / "decoder.keras")
        loaded = keras.models.load_model(tmp_path / "decoder.keras")
        code = run(encoder, X[:2])
        assert_close(run(loaded, code), run(decoder, code))

    def test_its_clone_is_tied_to_its_own_encoder(self, trained, tmp_path):
        *_, model, X = trained
        clone = keras.models.clone_model(model)
        model.save_weights(tmp_path / "model.weights.h5")
        clone.load_weights(tmp_path / "model.weights.h5")
        assert_close(run(clone, X[:2]), run(model, X[:2]))
        assert kernels_are_tied_within(clone)

    def test_each_kernel_is_counted_once(self, trained):
        encoder, decoder, model, _ = trained
        mirror_kernel = tied_of(decoder)
        assert len({id(each.tied_to) for each in mirror_kernel}) == len(mirror_kernel)
        kernels = sum(int(np.prod(each.tied_to.kernel.shape)) for each in mirror_kernel)
        assert (
            model.count_params()
            == encoder.count_params() + decoder.count_params() - kernels
        )


def fitting(draw: Callable[[Any], Any], shape: tuple[int, ...]) -> list[layers.Layer]:
    """Layers of every kind that may come after a tensor of this shape, their settings
    drawn.
    """
    rank = len(shape) - 1
    found = [
        *(layers.Dropout(0.1), layers.LayerNormalization(), layers.Rescaling(2.0)),
        *(
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Activation("sigmoid"),
        ),
        layers.Dense(
            draw(st.integers(1, 4)), draw(st.sampled_from(["relu", None, "tanh"]))
        ),
    ]
    if rank == 0:
        return [*found, layers.RepeatVector(3), layers.Reshape((shape[0], 1))]
    found += [
        layers.Flatten(),
        layers.Permute((*range(2, rank + 2), 1)),
        layers.PReLU(),
    ]

    def of_rank(kind: str, *args: Any, **kwargs: Any) -> None:
        found.append(getattr(layers, f"{kind}{rank}D")(*args, **kwargs))

    window = {
        "strides": draw(st.integers(1, 3)),
        "padding": draw(st.sampled_from(["valid", "same"])),
    }
    size = draw(st.integers(1, min(3, *shape[:rank])))
    of_rank("Conv", draw(st.integers(1, 4)), size, **window)
    of_rank("DepthwiseConv", size, depth_multiplier=draw(st.integers(1, 2)), **window)
    of_rank("MaxPooling", size, **window)
    of_rank("AveragePooling", size, **window)
    of_rank("ZeroPadding", 1)
    of_rank("UpSampling", 2)
    of_rank("GlobalMaxPooling")
    if min(shape[:rank]) > 2:
        of_rank("Cropping", 1)
    return found


def drawn_encoder(draw: Callable[[Any], Any], depth: int = 5) -> keras.Model:
    """A Sequential encoder of vectors, sequences or images, of layers of every kind."""
    shape = tuple(draw(st.lists(st.integers(2, 7), min_size=1, max_size=3)))
    encoder = sequential(draw(st.sampled_from(fitting(draw, shape))), shape=shape)
    for _ in range(draw(st.integers(0, depth - 1))):
        if np.prod(encoder.output_shape[1:]) < 500:
            encoder.add(draw(st.sampled_from(fitting(draw, encoder.output_shape[1:]))))
    return encoder


class TestAnyEncoder:
    @given(data=st.data())
    def test_its_mirror_gives_back_the_shape_of_its_input(self, data):
        encoder = drawn_encoder(data.draw)
        assert (
            mirror(encoder, output_activation="tanh").output_shape
            == encoder.input_shape
        )

    @pytest.mark.slow
    @given(data=st.data())
    @settings(max_examples=10, deadline=None)
    def test_joined_with_its_mirror_it_has_each_kernel_once(self, data):
        encoder = drawn_encoder(data.draw)
        both = join(encoder, mirror(encoder)).weights
        kernels = [
            [id(w) for w in found if w.name == "kernel"]
            for found in (both, encoder.weights)
        ]
        assert sorted(kernels[0]) == sorted(kernels[1])

    @pytest.mark.slow
    @given(data=st.data())
    @settings(max_examples=6, deadline=None)
    def test_its_mirror_is_saved_and_loaded_by_itself(self, tmp_path_factory, data):
        encoder = drawn_encoder(data.draw, depth=3)
        decoder, path = randomize(mirror(encoder)), tmp_path_factory.mktemp("decoder")
        decoder.save(path / "decoder.keras")
        code = codes(encoder)
        loaded = keras.models.load_model(path / "decoder.keras")
        assert_close(run(loaded, code), run(decoder, code))
