from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from keras_tied import Autoencoder, mirror
from keras_tied.layers import tie

DIGITS = (load_digits().data[:300] / 16).astype("float32")


def rows(n: int = 300, features: int = 6, seed: int = 0) -> np.ndarray:
    """Correlated rows, not centred, with one feature far larger than the others."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, features)) @ rng.normal(size=(features, features))
    return (mixed * [5, *[1] * (features - 1)] + rng.normal(size=features)).astype(
        "float32"
    )


def pca_errors(x: np.ndarray, width: int) -> np.ndarray:
    """The squared errors of scikit-learn's reconstruction."""
    flat = x.reshape(len(x), -1).astype("float64")
    pca = PCA(width, svd_solver="full").fit(flat)
    return (pca.inverse_transform(pca.transform(flat)) - flat) ** 2


def dense(
    *widths: int, activation: Any = "tanh", last: Any = None
) -> list[keras.layers.Layer]:
    keras.utils.set_random_seed(0)
    activations = [activation] * (len(widths) - 1) + [last]
    return [keras.layers.Dense(*each) for each in zip(widths, activations, strict=True)]


def build_model(
    shape: tuple[int, ...], *layers: Any, gain: bool = True, **kwargs: Any
) -> Autoencoder:
    encoder = keras.Sequential([keras.Input(shape), *layers], name="encoder")
    return Autoencoder(encoder, mirror(encoder, gain=gain, **kwargs))


def make_started_model(x: np.ndarray, *widths: int, **kwargs: Any) -> Autoencoder:
    model = build_model(x.shape[1:], *dense(*widths, **kwargs))
    model.start_from_pca(x)
    return model


def errors(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """The squared errors of what the model makes of the rows, called eagerly."""
    return (keras.ops.convert_to_numpy(model(x)).astype("float64") - x) ** 2


def assert_starts_at_pca(model: Autoencoder, x: np.ndarray, width: int) -> None:
    ratio = errors(model, x).mean() / pca_errors(x, width).mean()
    assert 1 - 1e-4 < ratio < 1 + 1e-3 + 1e-4


slow = pytest.mark.slow
RARER = (
    "softsign hard_tanh hard_sigmoid relu6 leaky_relu elu selu mish softplus".split()
)


@pytest.mark.parametrize(
    "activation",
    [
        *("linear", "tanh", "sigmoid", "relu", "silu", "gelu"),
        *(pytest.param(activation, marks=slow) for activation in RARER),
    ],
)
def test_error_is_that_of_pca(activation):
    assert_starts_at_pca(
        make_started_model(DIGITS, 80, 5, activation=activation), DIGITS, 5
    )


@pytest.mark.slow
@pytest.mark.parametrize("widths", [(5,), (5, 5), (12, 7, 5), (7, 12, 9, 5)], ids=str)
@pytest.mark.parametrize("activation", [pytest.param("tanh", marks=slow), "relu"])
def test_error_is_that_of_pca_at_any_depth_and_width(widths, activation):
    model = make_started_model(DIGITS, *widths, activation=activation, last=activation)
    assert_starts_at_pca(model, DIGITS, 5)


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "silu"])
def test_error_is_that_of_pca_for_rows_of_any_location_and_scale(activation):
    for scale in (1e-3, 1.0, 1e3):
        x = scale * rows()
        assert_starts_at_pca(make_started_model(x, 9, 2, activation=activation), x, 2)


def test_error_is_that_of_pca_for_other_rows_too():
    x, others = rows(), rows(seed=0)[::-1] + 0.1
    pca = PCA(2).fit(x)
    expected = np.mean((pca.inverse_transform(pca.transform(others)) - others) ** 2)
    found = errors(make_started_model(x, 9, 2), others).mean()
    assert found == pytest.approx(expected, rel=2e-3)


def test_rows_that_pca_reconstructs_are_reconstructed():
    plane = rows()[:, :2] @ np.random.default_rng(0).normal(size=(2, 6)).astype(
        "float32"
    )
    model = make_started_model(plane, 9, 3)
    assert errors(model, plane).mean() < 1e-6 * plane.var(axis=0).mean()


def test_linear_layers_need_no_gain():
    model = build_model((6,), *dense(8, 4, 2, activation=None), gain=False)
    model.start_from_pca(rows())
    assert_starts_at_pca(model, rows(), 2)
    kernel = keras.ops.convert_to_numpy(model.encoder.layers[0].kernel)[:, :2]
    np.testing.assert_allclose(kernel.T @ kernel, np.eye(2), atol=1e-5)


def test_code_of_a_linear_encoder_is_the_scores_of_pca_around_another_origin():
    x = rows()
    model = make_started_model(x, 2)
    scores, code = PCA(2).fit_transform(x), model.encode(x)
    correlation = np.abs(np.corrcoef(scores.T, code.T)[:2, 2:])
    np.testing.assert_allclose(correlation, np.eye(2), atol=1e-4)


@pytest.mark.slow
def test_images_are_flattened_and_rescaled():
    images = (DIGITS * 16).reshape(-1, 8, 8, 1)
    layers = [keras.layers.Rescaling(1 / 16), keras.layers.Flatten(), *dense(20, 4)]
    model = build_model((8, 8, 1), *layers)
    model.start_from_pca(images)
    assert_starts_at_pca(model, images, 4)


def test_behind_a_normalization_it_is_pca_of_the_normalised_rows():
    x = rows()
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    model = build_model((6,), normalization, *dense(9, 2))
    model.start_from_pca(x)
    deviation = x.std(axis=0)
    found = errors(model, x) / deviation**2
    assert found.mean() == pytest.approx(pca_errors(x / deviation, 2).mean(), rel=2e-3)


def test_activations_and_dropout_may_be_layers_of_their_own():
    layers = [*dense(9, 3, 2, activation=None)]
    layers[1:1] = [keras.layers.LeakyReLU(), keras.layers.Dropout(0.1)]
    layers[4:4] = [keras.layers.Activation("silu"), keras.layers.GaussianNoise(0.1)]
    model = build_model((6,), keras.layers.GaussianNoise(0.1), *layers)
    model.start_from_pca(rows())
    assert_starts_at_pca(model, rows(), 2)


def curve() -> np.ndarray:
    """Rows near a curve, which a line through the scores of PCA does not follow."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, (200, 1))
    return (np.hstack([t, t**2, np.abs(t)]) + rng.normal(0, 0.02, (200, 3))).astype(
        "float32"
    )


RATES = {"relu": 1e-2, "elu": 1e-2, "silu": 3e-3, "tanh": 1e-3, "sigmoid": 1e-2}


@pytest.mark.parametrize(
    ("activation", "rate"),
    [
        pytest.param(*item, marks=[slow] * (item[0] not in ("relu", "tanh")))
        for item in RATES.items()
    ],
)
def test_error_falls_from_there(activation, rate):
    model = make_started_model(curve(), 12, 1, activation=activation)
    model.compile(keras.optimizers.SGD(rate))
    losses = model.fit(curve(), batch_size=200, epochs=40, verbose=0).history["loss"]
    assert np.all(np.diff(losses) < 1e-6 * losses[0])
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("activation", "widths"),
    [
        *((activation, (12, 1)) for activation in RATES),
        ("relu", (6, 9, 1)),
        ("silu", (6, 9, 1)),
    ],
)
def test_units_that_carry_no_score_learn(activation, widths):
    """The error has a slope along the gains of such units, by central differences."""
    x = curve()
    model = make_started_model(x, *widths, activation=activation)
    gain = model.decoder.layers[-1].gain
    start = keras.ops.convert_to_numpy(gain).copy()
    slopes = []
    for unit in range(1, 1 + (widths[0] - 1) // 2 * 2):
        sides = []
        for step in (
            start[0] / 2,
            -start[0] / 2,
        ):  # gains are as large as that of the score
            gain.assign(np.where(np.arange(widths[0]) == unit, step, start))
            sides.append(errors(model, x).mean())
        slopes.append((sides[0] - sides[1]) / errors(model, x).mean())
    assert np.median(np.abs(slopes)) > 5e-7
    assert np.abs(slopes).max() > 1e-5


def test_relu_network_that_starts_from_pca_gets_far_better():
    model = build_model((3,), *dense(12, 1, activation="relu"))
    model.compile(keras.optimizers.Adam(0.01))
    losses = model.fit(curve(), epochs=40, start="pca", verbose=0).history["loss"]
    assert losses[-1] < 0.5 * pca_errors(curve(), 1).mean()


def test_fit_starts_from_the_rows_that_are_not_held_out():
    x = rows(100)
    fitted, by_hand = build_model((6,), *dense(2)), build_model((6,), *dense(2))
    fitted.compile(keras.optimizers.SGD(0.0))
    fitted.fit(x, validation_split=0.3, start="pca", verbose=0)
    by_hand.start_from_pca(x[:70])
    for pair in zip(fitted.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-6)


def branched() -> Autoencoder:
    inputs = keras.Input((6,))
    hidden = keras.layers.Dense(6)(inputs)
    code = keras.layers.Dense(2)(keras.layers.Add()([inputs, hidden]))
    return Autoencoder(keras.Model(inputs, code, name="branched"))


def half_tied() -> Autoencoder:
    encoder = keras.Sequential([keras.Input((6,)), *dense(2, 2)])
    layers = [
        tie(encoder.layers[1], transpose=False),
        tie(encoder.layers[0], gain=True),
    ]
    return Autoencoder(encoder, keras.Sequential([keras.Input((2,)), *layers]))


def build_changed_model(change: str, *args: Any) -> Autoencoder:
    """A model after a method of the encoder's layer was called."""
    model = build_model((6,), keras.layers.Dense(2, name="changed"))
    getattr(model.encoder.layers[0], change)(*args)
    return model


@keras.saving.register_keras_serializable(package="keras_tied_tests")
def parity(x: Any) -> Any:
    return keras.ops.sign(keras.ops.sin(1e6 * x))


ERRORS: dict[str, tuple[Callable[[], Autoencoder], str]] = {
    "no gain": (
        lambda: build_model((6,), *dense(4, 2), gain=False),
        (
            r"'dense.*_mirror' has none: build the decoder with `mirror\(encoder,"
            r" gain=True\)`"
        ),
    ),
    "output activation": (
        lambda: build_model((6,), *dense(4, 2), output_activation="sigmoid"),
        "'dense.*_mirror' is followed by one: leave `output_activation` out",
    ),
    "no bias": (
        lambda: build_model((6,), keras.layers.Dense(2, use_bias=False, name="bare")),
        "'bare.*' has no bias: build it with use_bias=True",
    ),
    "narrow": (
        lambda: build_model(
            (6,), keras.layers.Dense(2, name="narrow"), keras.layers.Dense(3)
        ),
        "'narrow' has 2 units: give it at least 3",
    ),
    "convolution": (
        lambda: build_model(
            (6, 1), keras.layers.Conv1D(2, 3, name="conv"), keras.layers.Flatten()
        ),
        r"'conv' \(Conv1D\) in 'encoder' is another layer",
    ),
    "normalisation": (
        lambda: build_model(
            (6,), *dense(4), keras.layers.BatchNormalization(name="bn"), *dense(2)
        ),
        r"'bn' \(BatchNormalization\) in 'encoder' is another layer",
    ),
    "branches": (branched, "'branched' .* is not: write it as a Sequential model"),
    "quantized": (
        lambda: build_changed_model("quantize", "int8"),
        (
            "'changed' is quantized or has an adapter: call `quantize` or `enable_lora`"
            " after it"
        ),
    ),
    "adapter": (
        lambda: build_changed_model("enable_lora", 2),
        (
            "'changed' is quantized or has an adapter: call `quantize` or `enable_lora`"
            " after it"
        ),
    ),
    "other decoder": (half_tied, "tied to all of them, in reverse"),
    "softmax": (
        lambda: build_model((6,), *dense(4, 2, last="softmax"), *dense(2)),
        "found no region in which the activations",
    ),
    "no straight line": (
        lambda: build_model((6,), *dense(4, 2, activation=parity)),
        "found no region in which the activations",
    ),
    "wide code": (
        lambda: build_model((6,), *dense(7)),
        "at most 6 components, and the code has 7",
    ),
    "axes": (
        lambda: build_model((2, 6), *dense(2)),
        r"gives it \(300, 2, 6\): put a Flatten layer",
    ),
}


@pytest.mark.parametrize(("make", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_error_names_the_layer_and_what_to_do(make, message):
    model = make()
    x = np.random.default_rng(0).normal(size=(300, *model.encoder.input_shape[1:]))
    with pytest.raises(ValueError, match=message):
        model.start_from_pca(x)


@pytest.mark.parametrize("x", [iter([rows()]), rows()[0]], ids=["iterator", "one row"])
def test_rows_that_are_no_array_are_an_error(x):
    with pytest.raises(ValueError, match=r"all rows in one array of shape \(n, 6\)"):
        build_model((6,), *dense(2)).start_from_pca(x)
