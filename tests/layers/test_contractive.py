"""The contractive penalty against JAX's Jacobian of the same network written by hand.

JAX is there on every backend, and the networks by hand share nothing with Keras but
their weights.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from keras_tied import mirror
from keras_tied.layers import (
    Contractive,
    MaskingNoise,
    TiedDense,
    squared_jacobian_norm,
)
from keras_tied.layers import contractive as module
from keras_tied.layers.contractive import jacobians

from .cases import arrays, find, outputs, randomize
from .oracles import slopes

slow = pytest.mark.slow
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda z: z,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "exponential": jnp.exp,
    "silu": jax.nn.silu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "softmax": jax.nn.softmax,
}
FEATURES = 4
ENCODERS: dict[str, Callable[[], layers.Layer]] = {
    "one layer": lambda: dense(3, "sigmoid"),
    "a model of one layer": lambda: keras.Sequential(
        [dense(3, "sigmoid")], name="encoder"
    ),
    "deep": lambda: keras.Sequential(
        [dense(5, "silu", "one"), dense(3, "tanh")], name="encoder"
    ),
}
encoders = pytest.mark.parametrize(
    "kind",
    ["one layer", "a model of one layer", "deep"],
)


def dense(units: int, activation: str, name: str = "code") -> layers.Dense:
    return layers.Dense(units, activation, name=name)


def built(encoder: layers.Layer, *shape: int, seed: int = 0) -> layers.Layer:
    """The encoder with random weights."""
    encoder.build((None, *(shape or (FEATURES,))))
    randomize(encoder, seed)
    return encoder


def rows(*shape: int, seed: int = 1) -> np.ndarray:
    shape = shape or (6, FEATURES)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Compiled for a single run, which is quicker than JAX's eager mode."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def norms(encoder: layers.Layer, x: np.ndarray) -> np.ndarray:
    def function(x: Any) -> Any:
        return squared_jacobian_norm(encoder, x)

    if keras.backend.backend() == "jax":
        function = compiled(function)
    return arrays(function(x))[0]


def by_jax(encoder: layers.Layer, x: np.ndarray) -> np.ndarray:
    """The squared norm of each row's Jacobian, of one Dense layer or a Sequential of
    some.
    """
    stack = [
        (
            np.array(layer.kernel),
            np.array(layer.bias),
            ACTIVATIONS[layer.activation.__name__],
        )
        for layer in getattr(encoder, "layers", [encoder])
    ]

    def code(row: Any) -> Any:
        for W, b, f in stack:
            row = f(row @ W + b)
        return row

    found = compiled(jax.vmap(jax.jacfwd(code)))(x)
    return np.sum(np.square(found, dtype="float64"), axis=tuple(range(1, found.ndim)))


def by_differences(encoder: layers.Layer, x: np.ndarray) -> np.ndarray:
    """The squared norm of each row's Jacobian, from outputs nearby."""
    total = np.zeros(len(x))
    for index in np.ndindex(x.shape[1:]):
        step = np.zeros_like(x)
        step[:, *index] = 1e-2
        up, down = (
            outputs(encoder, x + sign * step)[0].astype("float64") for sign in (1, -1)
        )
        total += np.sum(((up - down) / 2e-2).reshape(len(x), -1) ** 2, axis=1)
    return total


@pytest.mark.parametrize(
    "activation",
    [
        *("linear", "sigmoid", "relu", "gelu", "softmax"),
        *(
            pytest.param(name, marks=slow)
            for name in ("tanh", "elu", "softplus", "softsign")
        ),
        *(pytest.param(name, marks=slow) for name in ("exponential", "silu")),
    ],
)
def test_norm_of_one_layer(activation):
    encoder = built(dense(3, activation))
    np.testing.assert_allclose(
        norms(encoder, rows()), by_jax(encoder, rows()), rtol=1e-5
    )


@pytest.mark.slow
@settings(max_examples=6, deadline=None)
@given(
    widths=st.sampled_from([(4, 3), (2, 5, 3), (5, 3, 2), (3, 2, 4), (1, 4, 4, 1)]),
    activation=st.sampled_from(["sigmoid", "tanh", "silu"]),
    seed=st.integers(0, 9),
)
def test_norm_of_a_stack(widths, activation, seed):
    features, *units = widths
    stack = [dense(n, activation, f"layer_{index}") for index, n in enumerate(units)]
    encoder, x = (
        built(keras.Sequential(stack), features, seed=seed),
        rows(3, features, seed=seed),
    )
    np.testing.assert_allclose(
        norms(encoder, x), by_jax(encoder, x), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("make", ["Sequential", "Functional", "nested", "subclassed"])
def test_norm_of_every_kind_of_model(make):
    class Subclassed(keras.Model):
        def __init__(self, layer: layers.Layer) -> None:
            super().__init__()
            self.layer = layer

        def call(self, inputs: Any) -> Any:
            return 2 * self.layer(inputs)

    layer, inputs = dense(3, "tanh"), keras.Input((FEATURES,))
    inner = keras.Model(inputs, layer(inputs))
    encoder = {
        "Sequential": lambda: keras.Sequential([inputs, layer]),
        "Functional": lambda: inner,
        "nested": lambda: keras.Sequential([inputs, inner]),
        "subclassed": lambda: Subclassed(layer),
    }[make]()
    encoder(rows())
    expected = by_jax(layer, rows()) * (4 if make == "subclassed" else 1)
    np.testing.assert_allclose(norms(encoder, rows()), expected, rtol=1e-5)


def test_norm_of_a_model_that_is_called_otherwise_than_its_graph_says():
    class Doubled(keras.Model):
        def call(self, inputs: Any) -> Any:
            return 2 * super().call(inputs)

    inputs, layer = keras.Input((FEATURES,)), dense(3, "tanh")
    encoder = Doubled(inputs, layer(inputs))
    np.testing.assert_allclose(
        norms(encoder, rows()), 4 * by_jax(layer, rows()), rtol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stack", "shape"),
    [
        pytest.param(
            [layers.Conv1D(3, 2, activation="tanh"), layers.Flatten(), layers.Dense(2)],
            (5, 2),
            id="convolution",
        ),
        pytest.param([layers.Dense(3, "sigmoid")], (5, 2), id="steps"),
        pytest.param([layers.Dense(3, "gelu")], (5, 2), id="steps, not closed"),
        pytest.param(
            [layers.Dense(5, "tanh"), layers.BatchNormalization(), layers.Dense(3)],
            (4,),
            id="normalization",
        ),
        pytest.param(
            [layers.Dense(5, "tanh"), layers.Dropout(0.5), layers.Dense(3)],
            (4,),
            id="dropout",
            marks=slow,
        ),
        pytest.param([layers.GRU(2)], (3, 2), id="recurrent"),
    ],
)
def test_norm_of_other_layers(stack, shape):
    encoder = built(
        keras.Sequential([type(each).from_config(each.get_config()) for each in stack]),
        *shape,
    )
    x = rows(3, *shape)
    np.testing.assert_allclose(
        norms(encoder, x), by_differences(encoder, x), rtol=5e-3, atol=1e-4
    )


def test_norm_with_an_adapter_is_that_of_the_adapted_kernel():
    encoder = built(dense(3, "linear"))
    encoder.enable_lora(2)
    randomize(encoder, 1)
    expected = np.sum(arrays(encoder.kernel)[0] ** 2)
    np.testing.assert_allclose(norms(encoder, rows()), np.full(6, expected), rtol=1e-5)


def test_one_dense_layer_takes_no_passes(monkeypatch):
    monkeypatch.setattr(module, "jacobians", None)
    norms(built(keras.Sequential([dense(3, "sigmoid")])), rows())


@pytest.mark.parametrize(
    ("features", "units", "fewer"), [(2, 5, 2), (5, 2, 2), (3, 3, 3)]
)
def test_passes_are_as_many_as_a_row_or_a_code_has_numbers(features, units, fewer):
    encoder, x = built(dense(units, "tanh"), features), rows(4, features)
    found = jacobians(encoder, ops.convert_to_tensor(x))
    assert found.shape == (4, fewer, max(features, units))


def test_rows_are_independent_of_each_other():
    encoder = built(ENCODERS["deep"]())
    one_by_one = np.concatenate([norms(encoder, rows()[n : n + 1]) for n in range(6)])
    np.testing.assert_allclose(norms(encoder, rows()), one_by_one, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_rows_are_cast_to_what_the_encoder_computes_in(dtype):
    encoder, x = built(dense(3, "tanh")), np.round(rows()).astype(dtype)
    found = norms(encoder, x)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, by_jax(encoder, x.astype("float32")), rtol=1e-5)


@encoders
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_norm_under_mixed_precision_is_near_that_in_single_precision(kind, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    encoder = built(ENCODERS[kind]())
    keras.config.set_dtype_policy(before)
    found = norms(encoder, rows())
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, by_jax(encoder, rows()), rtol=0.1)


def test_norm_in_half_precision_does_not_overflow():
    encoder = layers.Dense(
        3, kernel_initializer=keras.initializers.Constant(200.0), dtype="float16"
    )
    encoder.build((None, FEATURES))
    np.testing.assert_array_equal(norms(encoder, rows()), np.full(6, 12 * 200.0**2))


def test_encoder_that_is_not_built():
    with pytest.raises(
        ValueError, match=r"'code' \(Dense\) is not built: build it, or call it"
    ):
        squared_jacobian_norm(dense(3, "tanh"), rows())


def test_encoder_with_two_outputs():
    inputs = keras.Input((FEATURES,))
    encoder = keras.Model(inputs, [dense(2, "tanh")(inputs), inputs], name="encoder")
    with pytest.raises(
        ValueError, match=r"one output; 'encoder' \(Functional\) gives a list: make"
    ):
        squared_jacobian_norm(encoder, rows())


def contractive_model(kind: str, **kwargs: Any) -> keras.Model:
    inputs = keras.Input((FEATURES,))
    return keras.Model(
        inputs, Contractive(built(ENCODERS[kind]()), name="wrap", **kwargs)(inputs)
    )


def inside(model: keras.Model) -> layers.Layer:
    """The encoder that a model has wrapped."""
    return model.get_layer("wrap").layer


def nothing(_: Any, found: Any) -> Any:
    return 0.0 * ops.sum(found)


class TestContractive:
    @encoders
    def test_it_gives_what_the_encoder_gives(self, kind):
        model = contractive_model(kind)
        np.testing.assert_array_equal(
            *outputs(model, rows()), *outputs(inside(model), rows())
        )
        assert model.output_shape == (None, 3)
        assert model.get_layer("wrap").compute_output_shape((7, FEATURES)) == (7, 3)

    @encoders
    def test_training_adds_the_mean_norm_times_the_factor(self, kind):
        model = contractive_model(kind, factor=0.3)
        model(rows(), training=True)
        expected = 0.3 * np.mean(by_jax(inside(model), rows()))
        np.testing.assert_allclose(arrays(model.losses), [expected], rtol=1e-5)

    @encoders
    def test_inference_adds_nothing(self, kind):
        model = contractive_model(kind)
        model(rows(), training=True)
        model(rows())
        assert model.losses == []

    @encoders
    def test_compiled_training_has_the_penalty_in_its_loss_and_evaluation_has_not(
        self, kind
    ):
        model = contractive_model(kind, factor=0.3)
        expected = 0.3 * np.mean(by_jax(inside(model), rows()))
        model.compile(keras.optimizers.SGD(0.0), nothing)
        x, y = rows(), np.zeros((6, 3), "float32")
        np.testing.assert_allclose(model.train_on_batch(x, y), expected, rtol=1e-5)
        model.reset_metrics()
        assert float(model.test_on_batch(x, y)) == 0

    def test_a_factor_of_zero_adds_nothing(self):
        model = contractive_model("one layer", factor=0.0)
        model(rows(), training=True)
        assert model.losses == []

    @pytest.mark.parametrize("run_eagerly", [False, True])
    def test_gradient_by_the_kernel_of_one_layer(self, run_eagerly):
        encoder, x = built(dense(3, "sigmoid")), rows()
        W, b = (
            array.numpy().astype("float64") for array in (encoder.kernel, encoder.bias)
        )

        def penalty(W: np.ndarray) -> float:
            y = 1 / (1 + np.exp(-(x @ W + b)))
            return np.mean(np.sum((y * (1 - y)) ** 2 * np.sum(W**2, axis=0), axis=1))

        self.assert_moved(encoder, encoder, slopes(penalty, W), run_eagerly)

    @pytest.mark.parametrize(
        ("units", "run_eagerly"),
        # Fewer units than features, and more.
        [
            (3, False),
            pytest.param(6, False, marks=slow),
            pytest.param(3, True, marks=slow),
        ],
    )
    def test_gradient_by_the_kernels_of_a_stack(self, units, run_eagerly):
        stack, x = [dense(5, "tanh", "one"), dense(units, "tanh")], rows()
        encoder = built(keras.Sequential(stack))
        V, b, W, c = (array.astype("float64") for array in encoder.get_weights())

        def penalty(V: np.ndarray, W: np.ndarray) -> float:
            hidden = np.tanh(x @ V + b)
            code = np.tanh(hidden @ W + c)
            J = np.einsum("nk,jk,nj,ij->nki", 1 - code**2, W, 1 - hidden**2, V)
            return np.mean(np.sum(J**2, axis=(1, 2)))

        expected = slopes(lambda V: penalty(V, W), V)
        self.assert_moved(encoder, stack[0], expected, run_eagerly)
        encoder.set_weights([V, b, W, c])
        expected = slopes(lambda W: penalty(V, W), W)
        self.assert_moved(encoder, stack[1], expected, run_eagerly)

    def assert_moved(
        self,
        encoder: layers.Layer,
        layer: layers.Dense,
        gradient: np.ndarray,
        run_eagerly: bool,
    ) -> None:
        """One step of gradient descent on the penalty alone moves the kernel by the
        gradient.
        """
        model = keras.Sequential(
            [keras.Input((FEATURES,)), Contractive(encoder, factor=1.0)]
        )
        model.compile(keras.optimizers.SGD(1.0), nothing, run_eagerly=run_eagerly)
        before = layer.kernel.numpy().copy()
        model.train_on_batch(rows(), np.zeros((6, *model.output_shape[1:]), "float32"))
        np.testing.assert_allclose(
            before - layer.kernel.numpy(), gradient, rtol=1e-4, atol=1e-5
        )

    @pytest.mark.slow
    def test_training_makes_the_code_change_less(self):
        model = contractive_model("deep", factor=1.0)
        before = by_jax(inside(model), rows()).mean()
        model.compile(keras.optimizers.SGD(0.05), nothing)
        model.fit(rows(), np.zeros((6, 3), "float32"), epochs=10, verbose=0)
        assert by_jax(inside(model), rows()).mean() < 0.7 * before


class TestAside:
    """The look at the encoder leaves no trace in it, nor in the call that it is part
    of.
    """

    def encoder(self) -> keras.Model:
        stack = [
            layers.Dense(5, "silu", activity_regularizer=keras.regularizers.L2(0.5)),
            layers.BatchNormalization(),
            layers.Dropout(0.5, seed=1),
            dense(3, "tanh"),
        ]
        return built(keras.Sequential(stack))

    @pytest.mark.slow
    def test_losses_of_the_encoder_stay_and_are_not_doubled(self):
        encoder = self.encoder()
        encoder(rows(), training=True)
        before = arrays(encoder.losses)
        squared_jacobian_norm(encoder, rows())
        np.testing.assert_array_equal(arrays(encoder.losses), before)
        wrapped = Contractive(encoder)
        wrapped(rows(), training=True)
        assert len(wrapped.losses) == 2

    def test_state_of_the_encoder_stays(self):
        encoder = self.encoder()
        before = arrays([variable.value for variable in encoder.variables])
        squared_jacobian_norm(encoder, rows())
        after = arrays([variable.value for variable in encoder.variables])
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.slow
    def test_layers_called_afterwards_are_still_in_training(self):
        class Model(keras.Model):
            def __init__(self, encoder: layers.Layer) -> None:
                super().__init__()
                self.wrapped, self.noise = Contractive(encoder), MaskingNoise(1.0)

            def call(self, inputs: Any) -> Any:
                return self.noise(self.wrapped(inputs))

        model = Model(self.encoder())
        assert not np.any(arrays(model(rows(), training=True))[0])
        assert np.all(arrays(model(rows()))[0])


def autoencoder(kind: str) -> keras.Model:
    inputs, encoder = keras.Input((FEATURES,)), ENCODERS[kind]()
    code = Contractive(encoder, factor=0.3, name="wrap")(inputs)
    tied_to = encoder if kind == "one layer" else encoder.layers[-1]
    hidden = TiedDense(tied_to, gain=True, name="out")(code)
    model = keras.Model(inputs, hidden)
    randomize(model, 0)
    return model


class TestTied:
    """A decoder tied to a layer inside Contractive."""

    @encoders
    def test_kernel_is_counted_once(self, kind):
        model = autoencoder(kind)
        own = sum(variable.path.startswith("out") for variable in model.weights)
        assert own == 2  # gain and bias
        assert len({id(variable) for variable in model.weights}) == len(model.weights)

    @encoders
    @pytest.mark.parametrize(
        "how", ["saved", "cloned", pytest.param("rebuilt", marks=slow)]
    )
    def test_copy_is_tied_to_its_own_encoder(self, kind, how, tmp_path):
        model = autoencoder(kind)
        if how == "saved":
            model.save(tmp_path / "model.keras")
            copy = keras.saving.load_model(tmp_path / "model.keras")
        else:
            again = keras.models.clone_model if how == "cloned" else self.rebuilt
            copy = again(model)
            copy.set_weights(model.get_weights())
        np.testing.assert_allclose(
            *outputs(copy, rows()), *outputs(model, rows()), atol=1e-6
        )
        assert find(copy, "out").tied_to is find(copy, "code")
        assert find(copy, "out").tied_to is not find(model, "code")
        assert find(copy, "wrap").factor == 0.3
        before = arrays([variable.value for variable in model.variables])
        copy.compile("sgd", "mse")
        copy.train_on_batch(rows(), outputs(model, rows())[0])
        for one, other in zip(
            before, arrays([v.value for v in model.variables]), strict=True
        ):
            np.testing.assert_array_equal(one, other)

    def rebuilt(self, model: keras.Model) -> keras.Model:
        return keras.models.model_from_json(model.to_json())

    def test_weights_can_be_saved_and_loaded(self, tmp_path):
        model, other = autoencoder("deep"), autoencoder("deep")
        randomize(other, 5)
        model.save_weights(tmp_path / "model.weights.h5")
        other.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_array_equal(*outputs(other, rows()), *outputs(model, rows()))

    def test_wrapper_itself_has_no_kernel(self):
        wrapped = Contractive(built(dense(3, "tanh")), name="wrap")
        wrapped.build((None, FEATURES))
        with pytest.raises(
            ValueError, match=r"cannot be tied to 'wrap' \(Contractive\), which has"
        ):
            TiedDense(wrapped)

    @encoders
    def test_mirror_is_that_of_the_encoder_within(self, kind):
        inputs, encoder = keras.Input((FEATURES,)), built(ENCODERS[kind]())
        wrapped = keras.Model(inputs, Contractive(encoder)(inputs))
        plain = keras.Model(inputs, encoder(inputs))
        decoders = [mirror(each) for each in (wrapped, plain)]
        code = rows(6, 3)
        np.testing.assert_array_equal(*(outputs(each, code)[0] for each in decoders))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "policy"), [("one layer", "mixed_float16"), ("deep", "mixed_bfloat16")]
)
def test_mixed_precision(kind, policy, tmp_path):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    model = autoencoder(kind)
    keras.config.set_dtype_policy(before)
    compute_dtype = policy.removeprefix("mixed_")
    assert model.get_layer("wrap").output.dtype == compute_dtype
    assert (
        keras.backend.standardize_dtype(model(rows(), training=True).dtype)
        == compute_dtype
    )
    expected = 0.3 * by_jax(inside(model), rows()).mean()
    assert keras.backend.standardize_dtype(model.losses[0].dtype) == "float32"
    np.testing.assert_allclose(arrays(model.losses), [expected], rtol=0.05)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(*outputs(loaded, rows()), *outputs(model, rows()))


def test_mask_reaches_the_layer_behind():
    inputs = keras.Input((3,), dtype="int32")
    embedded = layers.Embedding(7, 4, mask_zero=True)(inputs)
    model = keras.Model(inputs, Contractive(dense(2, "tanh"))(embedded))
    ids = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    np.testing.assert_array_equal(arrays(model(ids)._keras_mask)[0], ids != 0)


@pytest.mark.parametrize(
    "given", ["code", None, 3], ids=lambda given: type(given).__name__
)
def test_encoder_that_is_no_layer(given):
    with pytest.raises(
        ValueError, match="Contractive takes a layer or model as its encoder; rec"
    ):
        Contractive(given)


@pytest.mark.parametrize("factor", [-0.1, float("nan")])
def test_negative_factor(factor):
    with pytest.raises(
        ValueError, match="Contractive takes a factor of 0 or more; received factor"
    ):
        Contractive(dense(2, "tanh"), factor=factor)
