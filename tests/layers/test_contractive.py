"""The contractive penalty against central differences of what the encoder gives."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_tied import mirror
from keras_tied.layers import Contractive, TiedDense, squared_jacobian_norm
from keras_tied.layers.contractive import jacobians

from .cases import arrays, find, kernel_variable, normal, outputs, randomize
from .oracles import assert_close, compiled

slow = pytest.mark.slow
ROWS = normal(6, 4)


class Doubled(keras.Model):
    """Is called otherwise than its graph says."""

    def call(self, inputs):
        return 2 * super().call(inputs)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = dense()

    def call(self, inputs):
        return 2 * self.inner(inputs)


def dense(activation="tanh", units=3, **options):
    return layers.Dense(units, activation, **options)


def stack(*parts):
    return keras.Sequential([*parts, dense(name="code")])


def doubled():
    inputs = keras.Input((4,))
    return Doubled(inputs, dense()(inputs))


ENCODERS = {
    "linear": lambda: dense("linear"),
    "sigmoid": lambda: dense("sigmoid"),
    "tanh": lambda: dense("tanh"),
    "relu": lambda: dense("relu"),
    "without bias": lambda: dense("sigmoid", use_bias=False),
    "gelu": lambda: dense("gelu"),
    "softmax": lambda: dense("softmax"),
    "model of one layer": lambda: stack(),
    "nested model": lambda: keras.Sequential([stack()]),
    "other call": doubled,
    "subclass": Subclassed,
    "deep": lambda: stack(dense("silu", 5)),
    "wide": lambda: stack(dense("silu", 5), dense("gelu", 6)),
    "normalization": lambda: stack(dense(), layers.BatchNormalization()),
    "dropout": lambda: stack(dense(), layers.Dropout(0.5)),
}
SEQUENCES = {
    "steps": lambda: dense("sigmoid"),
    "steps, not closed": lambda: dense("gelu"),
    "convolution": lambda: stack(layers.Conv1D(3, 2), layers.Flatten()),
    "recurrent": lambda: layers.GRU(2),
}


def built(kind):
    """An encoder with random weights."""
    encoder = {**ENCODERS, **SEQUENCES}[kind]()
    encoder(rows(kind))
    randomize(encoder, 2)
    return encoder


def rows(kind):
    return normal(6, 5, 2) if kind in SEQUENCES else ROWS


def norms(encoder, x=ROWS):
    found = compiled(lambda x: squared_jacobian_norm(encoder, x))(x)
    return arrays(found)[0]


def by_differences(encoder, x=ROWS):
    """The squared norm of each row's Jacobian, from outputs nearby."""
    total = np.zeros(len(x))
    for index in np.ndindex(x.shape[1:]):
        step = np.zeros_like(x)
        step[:, *index] = 1e-2
        (up,) = outputs(encoder, x + step)
        (down,) = outputs(encoder, x - step)
        slopes = (up - down).reshape(len(x), -1) / 2e-2
        total += np.sum(slopes**2, axis=1)
    return total


@pytest.mark.parametrize(
    "kind", [*ENCODERS, *(pytest.param(kind, marks=slow) for kind in SEQUENCES)]
)
def test_norm_is_that_of_the_differences_of_codes(kind):
    encoder, x = built(kind), rows(kind)
    assert_close(norms(encoder, x), by_differences(encoder, x), 3e-3)


def test_norm_with_an_adapter_is_that_of_the_adapted_kernel():
    encoder = built("linear")
    encoder.enable_lora(2)
    randomize(encoder, 1)
    expected = np.sum(arrays(encoder.kernel)[0] ** 2)
    assert_close(norms(encoder), np.full(6, expected))


@pytest.mark.parametrize(
    ("units", "fewer"),
    [
        (6, 4),
        (3, 3),
        (4, 4),
    ],
)
def test_passes_are_as_many_as_a_row_or_a_code_has_numbers(units, fewer):
    encoder = dense(units=units)
    found = jacobians(encoder, ops.convert_to_tensor(ROWS))
    assert found.shape == (6, fewer, max(4, units))


@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_rows_are_cast_to_what_the_encoder_computes_in(dtype):
    encoder, x = built("tanh"), np.round(ROWS)
    assert_close(norms(encoder, x.astype(dtype)), norms(encoder, x))


@pytest.mark.parametrize("kind", ["sigmoid", "deep"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_norm_in_half_precision_is_near_that_in_single_precision(kind, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    encoder = built(kind)
    keras.config.set_dtype_policy(before)
    found = norms(encoder)
    assert found.dtype == "float32"
    assert_close(found, norms(built(kind)), 0.1)


def test_norm_in_half_precision_does_not_overflow():
    encoder = layers.Dense(3, kernel_initializer="ones", dtype="float16")
    encoder.build((None, 4))
    encoder.kernel.assign(200 * encoder.kernel)
    assert_close(norms(encoder), np.full(6, 12 * 200.0**2))


def test_look_at_the_encoder_leaves_no_trace():
    activity = layers.ActivityRegularization(0.5)
    encoder = stack(activity, layers.BatchNormalization(), layers.Dropout(0.5))
    encoder(ROWS, training=True)
    before = arrays([encoder.losses, encoder.get_weights()])
    squared_jacobian_norm(encoder, ROWS)
    after = arrays([encoder.losses, encoder.get_weights()])
    for pair in zip(after, before, strict=True):
        assert_close(*pair, 0)
    wrapped = Contractive(encoder)
    wrapped(ROWS, training=True)
    assert len(wrapped.losses) == 2


def contractive(kind, **options):
    wrapper = Contractive(built(kind), name="wrap", **options)
    return keras.Sequential([keras.Input((4,)), wrapper])


KINDS = pytest.mark.parametrize("kind", ["sigmoid", "model of one layer", "deep"])


@KINDS
def test_it_gives_what_the_encoder_gives(kind):
    model = contractive(kind)
    assert_close(model(ROWS), model.get_layer("wrap").layer(ROWS), 0)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("factor", [0.0, 0.3])
@KINDS
def test_training_alone_adds_the_mean_norm_times_the_factor(kind, factor):
    model = contractive(kind, factor=factor)
    model(ROWS, training=True)
    expected = factor * norms(model.get_layer("wrap").layer).mean()
    assert_close(sum(model.losses), expected)
    model(ROWS)
    assert model.losses == []


@KINDS
def test_a_step_moves_the_kernel_by_the_slope_of_the_mean_norm(kind):
    """Along a random direction, in a compiled step on nothing but the penalty."""
    model = contractive(kind, factor=1.0)
    encoder = model.get_layer("wrap").layer
    kernel = kernel_variable(getattr(encoder, "layers", [encoder])[0])
    (before,) = arrays(kernel)
    direction = normal(*kernel.shape, seed=3)
    means = []
    for step in (1e-2, -1e-2):
        kernel.assign(before + step * direction)
        means.append(norms(encoder).mean(dtype="float64"))
    kernel.assign(before)

    model.compile(keras.optimizers.SGD(1.0), lambda _, code: 0.0 * ops.sum(code))
    targets = np.zeros((6, 3))
    loss = model.train_on_batch(ROWS, targets)
    assert_close(loss, np.mean(means), 1e-2)
    (after,) = arrays(kernel)
    moved = np.sum((before - after) * direction)
    assert_close(moved, (means[0] - means[1]) / 2e-2, 1e-2)
    assert float(model.test_on_batch(ROWS, targets)) == 0


def test_layers_called_afterwards_are_still_in_training():
    noise = layers.Dropout(0.9, seed=1)
    model = keras.Sequential([Contractive(stack()), noise])
    found = arrays([model(ROWS, training=True), model(ROWS)])
    assert [np.all(each) for each in found] == [False, True]


@pytest.mark.parametrize("kind", ["model of one layer", "deep"])
@pytest.mark.parametrize("how", ["saved", "cloned"])
def test_decoder_tied_inside_is_copied_with_its_encoder(kind, how, tmp_path):
    wrapped = contractive(kind)
    code = find(wrapped, "code")
    out = TiedDense(code, gain=True, name="out")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            *wrapped.layers,
            out,
        ]
    )
    randomize(model, 1)
    ids = [id(weight) for weight in model.weights]
    assert len(ids) == len(set(ids))
    if how == "saved":
        model.save(tmp_path / "model.keras")
        copy = keras.saving.load_model(tmp_path / "model.keras")
    else:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
    assert_close(copy(ROWS), model(ROWS), 1e-6)
    assert find(copy, "out").tied_to is find(copy, "code") is not code


@KINDS
def test_mirror_is_that_of_the_encoder_within(kind):
    wrapped = contractive(kind)
    inputs = keras.Input((4,))
    plain = keras.Model(inputs, wrapped.get_layer("wrap").layer(inputs))
    code = normal(6, 3)
    assert_close(mirror(wrapped)(code), mirror(plain)(code))
