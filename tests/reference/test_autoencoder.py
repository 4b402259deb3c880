"""What holds for both engines, NumPy and PyTensor."""

import ast
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

import keras_tied.reference
from keras_tied.reference import NotFittedError, NumpyAutoencoder, PyTensorAutoencoder

ENGINES = [
    pytest.param(NumpyAutoencoder, id="numpy"),
    pytest.param(
        PyTensorAutoencoder,
        id="pytensor",
        marks=[
            pytest.mark.slow,  # PyTensor compiles for seconds
            pytest.mark.skipif(
                find_spec("pytensor") is None,
                reason='pip install "keras-tied[pytensor]"',
            ),
        ],
    ),
]


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def rows():
    """Five features in [0, 1] of which two numbers and some
    noise explain everything.
    """
    rng = np.random.default_rng(0)
    rows = rng.uniform(size=(300, 2)) @ rng.uniform(size=(2, 5)) + rng.normal(
        0, 0.02, (300, 5)
    )
    return ((rows - rows.min(0)) / np.ptp(rows, axis=0)).astype("float32")


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(1)
    shapes = (5, 2), (2,), (5,)
    return tuple(rng.uniform(-0.5, 0.5, shape).astype("float32") for shape in shapes)


def reconstruct(X, kernel, code_bias, output_bias):
    code = 1 / (1 + np.exp(-(np.float64(X) @ kernel + code_bias)))
    return code @ kernel.T + output_bias


def mse(X, *weights):
    return np.mean((reconstruct(X, *weights) - X) ** 2)


def learned(autoencoder):
    return autoencoder.kernel_, autoencoder.code_bias_, autoencoder.output_bias_


def stock_keras_history(rows, held_out, start, momentum, decay):
    """Train by Keras's own fit a model whose kernel is used twice, without any tied
    layer.
    """
    import keras

    class Stock(keras.Model):
        def build(self, shape):
            self.encoder = keras.layers.Dense(2, activation="sigmoid")
            self.encoder.build(shape)
            self.output_bias = self.add_weight(shape=(shape[-1],), name="output_bias")

        def call(self, x):
            decoder = keras.ops.transpose(self.encoder.kernel)
            return keras.ops.matmul(self.encoder(x), decoder) + self.output_bias

    model = Stock()
    model.build(rows.shape)
    model.encoder.set_weights(start[:2])
    model.output_bias.assign(start[2])
    rate = keras.optimizers.schedules.InverseTimeDecay(
        0.1, decay_steps=1, decay_rate=decay
    )
    model.compile(optimizer=keras.optimizers.SGD(rate, momentum=momentum), loss="mse")
    return model.fit(
        rows,
        rows,
        batch_size=len(rows),
        epochs=200,
        shuffle=False,
        validation_data=(held_out, held_out),
        validation_batch_size=len(held_out),
        verbose=0,
    ).history


@pytest.fixture(
    scope="module", params=[(0.95, 1e-5), (0.5, 0.1)], ids=["articles", "other"]
)
def stock_keras(request, rows, start):
    momentum, decay = request.param
    history = stock_keras_history(rows[:200], rows[200:], start, momentum, decay)
    return {"momentum": momentum, "decay": decay}, history


def test_costs_equal_those_of_stock_keras_fit(engine, stock_keras, rows, start):
    settings, expected = stock_keras
    autoencoder = engine(2, epochs=200, **settings)
    history = autoencoder.fit(rows[:200], rows[200:], initial_weights=start).history_
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-3)
    np.testing.assert_allclose(history["val_loss"], expected["val_loss"], rtol=1e-3)


def test_the_theano_articles_settings_reach_its_cost(engine, donut_file):
    X = np.load(donut_file, allow_pickle=False)[:, :4]
    X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
    autoencoder = engine(2, momentum=0.9, decay=0.0, epochs=9500, random_state=0).fit(X)
    assert autoencoder.history_["loss"][-1] <= 1.3e-4


def test_first_loss_is_that_of_the_initial_weights(engine, rows, start):
    history = engine(2, epochs=1).fit(rows, initial_weights=start).history_
    assert history["loss"] == pytest.approx([mse(rows, *start)], rel=1e-5)


def test_last_val_loss_is_that_of_the_learned_weights(engine, rows, start):
    autoencoder = engine(2, epochs=3).fit(rows[:200], rows[200:], initial_weights=start)
    expected = mse(rows[200:], *learned(autoencoder))
    assert autoencoder.history_["val_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_loss_is_the_val_loss_of_an_epoch_before_if_the_rows_are_the_same(engine, rows):
    history = engine(2, epochs=20, random_state=0).fit(rows, rows).history_
    np.testing.assert_allclose(history["loss"][1:], history["val_loss"][:-1], rtol=1e-5)


def test_history_has_no_val_loss_without_rows_for_it(engine, rows):
    assert list(engine(2, epochs=1).fit(rows).history_) == ["loss"]


def test_error_is_never_below_that_of_pca_of_the_same_width(engine, rows):
    pca = PCA(2).fit(rows.astype("float64"))
    optimum = np.mean((pca.inverse_transform(pca.transform(rows)) - rows) ** 2)
    autoencoder = engine(2, epochs=2000, dtype="float64", random_state=0).fit(rows)
    assert optimum <= min(autoencoder.history_["loss"]) < 10 * optimum


def test_transform_is_the_sigmoid_of_the_affine_map(engine, rows, start):
    autoencoder = engine(2, epochs=1).fit(rows, initial_weights=start)
    kernel, code_bias, _ = learned(autoencoder)
    expected = 1 / (1 + np.exp(-(rows @ kernel + code_bias)))
    np.testing.assert_allclose(autoencoder.transform(rows), expected, rtol=1e-5)


def test_inverse_transform_decodes_with_the_transposed_kernel(engine, rows, start):
    autoencoder = engine(2, epochs=1).fit(rows, initial_weights=start)
    decoded = autoencoder.inverse_transform(autoencoder.transform(rows))
    expected = reconstruct(rows, *learned(autoencoder))
    np.testing.assert_allclose(decoded, expected, rtol=1e-5)


def test_codes_of_extreme_rows_saturate_without_a_warning(engine, rows):
    autoencoder = engine(1, epochs=1, random_state=0).fit(rows)
    codes = autoencoder.transform(
        np.outer([-1e30, 1e30], autoencoder.kernel_.sum(axis=1))
    )
    assert codes.ravel().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_learned_has_the_dtype_asked_for(engine, rows, dtype):
    autoencoder = engine(2, epochs=2, dtype=dtype).fit(rows)
    code = autoencoder.transform(rows)
    arrays = [*learned(autoencoder), code, autoencoder.inverse_transform(code)]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_default_kernel_is_glorot_uniform(engine, rows):
    autoencoder = engine(2, learning_rate=1e-30, epochs=1, random_state=0)
    kernel = autoencoder.fit(np.tile(rows, 100)).kernel_
    limit = np.sqrt(6 / (500 + 2))
    assert np.abs(kernel).max() == pytest.approx(limit, rel=0.02)
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)


def test_default_biases_start_at_zero(engine, rows):
    autoencoder = engine(2, learning_rate=1e-30, epochs=1).fit(rows)
    assert np.abs([*autoencoder.code_bias_, *autoencoder.output_bias_]).max() < 1e-25


def test_equal_random_states_give_equal_results(engine, rows):
    one, other = (engine(2, epochs=50, random_state=7).fit(rows) for _ in range(2))
    assert one.history_ == other.history_
    np.testing.assert_array_equal(one.kernel_, other.kernel_)


def test_other_random_states_give_other_starts(engine, rows):
    one, other = (engine(2, epochs=1, random_state=seed).fit(rows) for seed in (0, 1))
    assert one.history_ != other.history_


def test_fit_leaves_its_arguments_alone(engine, rows, start):
    arguments = [rows.copy(), *(weight.copy() for weight in start)]
    engine(2, epochs=5).fit(
        arguments[0], arguments[0], initial_weights=tuple(arguments[1:])
    )
    for after, before in zip(arguments, [rows, *start], strict=True):
        np.testing.assert_array_equal(after, before)


def test_on_epoch_hears_of_every_epoch_what_the_history_keeps(engine, rows):
    heard = []
    autoencoder = engine(2, epochs=3, random_state=0)
    autoencoder.fit(
        rows, rows, on_epoch=lambda epoch, logs: heard.append((epoch, logs))
    )
    history = autoencoder.history_
    assert heard == [
        (
            epoch,
            {"loss": history["loss"][epoch], "val_loss": history["val_loss"][epoch]},
        )
        for epoch in range(3)
    ]


def test_rows_may_be_lists_of_integers(engine):
    autoencoder = engine(1, epochs=1).fit([[0, 1], [1, 0]])
    assert autoencoder.transform([[1, 1]]).shape == (1, 1)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"X has the shape \(2,\); give a table"),
        (
            np.zeros((0, 4)),
            r"X has the shape \(0, 4\); give a table of at least one row",
        ),
        (
            np.zeros((4, 0)),
            r"X has the shape \(4, 0\); give a table of at least one row and one",
        ),
        (
            [[0.0, np.nan], [np.inf, 1.0]],
            "X has 2 values that are not finite in float32",
        ),
        ([[1e300]], "X has 1 values that are not finite in float32"),
        ([["a", "b"]], "X has the dtype <U1; give real numbers only"),
        (
            np.array([[1, None]], dtype=object),
            "X has the dtype object; give real numbers only",
        ),
        ([[1j]], "X has the dtype complex128; give real numbers only"),
    ],
)
def test_fit_rejects_rows_that_are_not_a_finite_table(engine, X, message):
    with pytest.raises(ValueError, match=message):
        engine().fit(X)


def test_fit_rejects_validation_rows_of_another_width(engine, rows):
    with pytest.raises(ValueError, match="X_val has 3 columns; give it 5"):
        engine().fit(rows, rows[:, :3])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            (np.zeros((2, 5)), np.zeros(2), np.zeros(5)),
            r"kernel has the shape \(2, 5\).*\(5, 2\)",
        ),
        (
            (np.zeros((5, 2)), np.zeros(3), np.zeros(5)),
            r"code_bias has the shape \(3,\).*\(2,\)",
        ),
        (
            (np.zeros((5, 2)), np.zeros(2), np.zeros(4)),
            r"output_bias has the shape \(4,\).*\(5,\)",
        ),
        (
            (np.full((5, 2), np.nan), np.zeros(2), np.zeros(5)),
            "kernel has 10 values that are not",
        ),
        (
            (np.zeros((5, 2)), np.zeros(2)),
            "initial_weights holds 2 arrays; give the kernel",
        ),
    ],
)
def test_fit_rejects_initial_weights_that_do_not_fit(engine, rows, weights, message):
    with pytest.raises(ValueError, match=message):
        engine(2).fit(rows, initial_weights=weights)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {"n_components": 0},
            "n_components must be a whole number of at least 1, not 0",
        ),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"),
        ({"learning_rate": 0.0}, "learning_rate must be finite and above 0, not 0.0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, not 1.0"),
        ({"decay": -1.0}, "decay must be finite and at least 0, not -1.0"),
        ({"dtype": "int8"}, "dtype must be one of .*, not 'int8'"),
    ],
)
def test_fit_rejects_settings_out_of_range(engine, rows, setting, message):
    with pytest.raises(ValueError, match=message):
        engine(**setting).fit(rows)


def test_fit_says_when_training_diverges(engine, rows):
    with pytest.raises(
        FloatingPointError, match=r"learning_rate=1000.0 diverged at epoch \d+"
    ):
        engine(2, learning_rate=1000.0, epochs=200, random_state=0).fit(rows)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
@pytest.mark.parametrize("error", [NotFittedError, ValueError, AttributeError])
def test_use_before_fit_is_a_not_fitted_error(engine, method, error):
    with pytest.raises(
        error, match=f"This {engine.__name__} is not fitted yet; call fit first"
    ):
        getattr(engine(), method)([[0.0]])


def test_transform_rejects_rows_of_another_width(engine, rows):
    autoencoder = engine(2, epochs=1).fit(rows)
    with pytest.raises(ValueError, match="X has 4 columns; give it 5"):
        autoencoder.transform(rows[:, :4])


def test_inverse_transform_rejects_codes_of_another_width(engine, rows):
    autoencoder = engine(2, epochs=1).fit(rows)
    with pytest.raises(ValueError, match="code has 5 columns; give it 2"):
        autoencoder.inverse_transform(rows)


def test_reference_uses_nothing_of_the_rest_of_the_package():
    modules = set()
    for file in Path(keras_tied.reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules.update(name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module)
    ours = {
        name
        for name in modules
        if name.split(".")[0] in {"keras_tied", "keras", "sklearn"}
    }
    assert {name.rpartition(".")[0] for name in ours} == {"keras_tied.reference"}
