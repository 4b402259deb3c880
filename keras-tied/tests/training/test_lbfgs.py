import keras
import numpy as np
import pytest
from keras.callbacks import Callback, TerminateOnNaN
from keras.constraints import UnitNorm
from keras.layers import BatchNormalization, GaussianNoise
from keras.ops import convert_to_numpy
from keras.regularizers import L2
from keras.utils import set_random_seed
from numpy.testing import assert_allclose, assert_equal
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from tests.marks import for_each

from keras_tied.training import LBFGS, fit

from .conftest import Stops, build_tied


@pytest.fixture
def rows(rng):
    mixed = rng.normal(size=(80, 4)) @ rng.normal(size=(4, 6))
    return mixed.astype("float32")


def build_model(*between, optimizer="lbfgs", **settings):
    set_random_seed(2)
    model = build_tied(*between, units=3, gain=True, **settings)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def train(model, rows, **settings):
    settings = {"y": rows, "epochs": 12, "verbose": 0, **settings}
    return fit(model, rows, **settings)


def loss_and_gradient(weights, x):
    """Of the tied network above, by hand: kernel, bias, gain and output bias."""
    kernel, bias, gain, output_bias = np.split(
        weights,
        [18, 21, 24],
    )
    kernel = kernel.reshape(6, 3)
    code = np.tanh(x @ kernel + bias)
    residual = (code * gain) @ kernel.T + output_bias - x
    upward = 2 * residual / residual.size
    inward = upward @ kernel
    through = inward * gain * (1 - code**2)
    gradient = upward.T @ (code * gain) + x.T @ through
    slopes = [
        gradient,
        through.sum(0),
        (inward * code).sum(0),
        upward.sum(0),
    ]
    return np.mean(residual**2), np.concatenate([slope.ravel() for slope in slopes])


def test_its_steps_are_those_of_scipy_with_a_gradient_by_hand(rows):
    model = build_model()
    x = rows.astype(np.float64)
    start = np.concatenate([weight.ravel() for weight in model.get_weights()])
    first, _ = loss_and_gradient(start, x)
    options = {"maxiter": 12, "maxcor": 20, "ftol": 0, "gtol": 0}
    found = minimize(
        lambda weights: [value / first for value in loss_and_gradient(weights, x)],
        start.astype(np.float64),
        method="L-BFGS-B",
        jac=True,
        options=options,
    )
    losses = train(model, rows).history["loss"]
    assert losses[-1] == pytest.approx(found.fun * first, rel=1e-3)


def test_a_linear_network_ends_at_the_error_of_pca(rows):
    model = build_model(activation=None)
    losses = train(model, rows, epochs=1000).history["loss"]
    pca = PCA(3).fit(rows)
    residual = pca.inverse_transform(pca.transform(rows)) - rows
    assert losses[-1] == pytest.approx(np.mean(residual**2), rel=1e-4)
    assert len(losses) < 1000


class Measures(Callback):
    """Keeps the errors of the model on some rows after each epoch."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows
        self.errors = []

    def on_epoch_end(self, epoch, logs=None):
        outputs = convert_to_numpy(self.model(self.rows))
        self.errors.append(outputs - self.rows)
        mae = convert_to_numpy(self.model.get_metrics_result()["mae"])
        assert mae == pytest.approx(logs["mae"])


def test_the_logs_are_those_of_the_weights_after_the_iteration(rows):
    measures = Measures(rows)
    model = build_model()
    history = train(
        model,
        rows,
        validation_data=(rows, rows),
        callbacks=[measures],
    )
    assert history.epoch == list(range(12))
    assert np.all(np.diff(history.history["loss"]) <= 0)
    squares = [np.mean(error**2) for error in measures.errors]
    distances = [np.mean(np.abs(error)) for error in measures.errors]
    assert_allclose(history.history["loss"], squares, rtol=1e-4)
    assert_allclose(history.history["val_mae"], distances, rtol=1e-4)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="Keras refuses it there")
def test_weights_that_train_no_more_stay_and_the_others_go_on(rows):
    model = build_model()
    first = train(model, rows).history["loss"]
    last = model.layers[-1]
    last.trainable = False
    before = convert_to_numpy(last.bias).copy()
    assert train(model, rows).history["loss"][-1] < first[-1]
    assert_equal(convert_to_numpy(last.bias), before)


def test_it_stops_with_the_weights_of_the_last_iteration_and_goes_on(rows):
    model = build_model()
    first = train(model, rows, callbacks=[Stops(6)]).history["loss"]
    assert len(first) == 7
    loss, _ = model.evaluate(rows, rows, verbose=0)
    assert loss == pytest.approx(first[-1])
    second = train(model, rows).history["loss"]
    assert second[0] < first[-1]


def test_regularisers_normalisation_and_noise_are_part_of_the_loss(rows):
    normalization = BatchNormalization(momentum=0.5)
    noise = GaussianNoise(0.01)
    regularizer = L2(0.01)
    model = build_model(normalization, noise, kernel_regularizer=regularizer)
    losses = train(model, rows, epochs=30).history["loss"]
    assert losses[-1] < losses[0]
    mean = convert_to_numpy(normalization.moving_mean)
    assert np.abs(mean).min() > 0
    kernel, *_ = model.get_weights()
    assert losses[-1] > 0.01 * np.sum(kernel**2) > 0


def test_an_optimum_from_the_start_is_told_once():
    zeros = np.zeros((20, 6), "float32")
    model = build_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    history = train(model, zeros, validation_data=(zeros, zeros)).history
    assert (history["loss"], history["val_loss"]) == ([0.0], [0.0])


def test_it_is_saved_with_the_model(rows, tmp_path):
    model = build_model(optimizer=LBFGS(memory=7, tolerance=1e-6))
    losses = train(model, rows).history["loss"]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert train(loaded, rows).history["loss"][0] < losses[-1]


REFUSALS = {
    "stream": (
        lambda rows: fit(
            build_model(),
            ((rows, rows) for _ in range(3)),
            verbose=0,
        ),
        "generator is not an array in memory: change that, give arrays",
    ),
    "callback": (
        lambda rows: train(build_model(), rows, callbacks=[TerminateOnNaN()]),
        "TerminateOnNaN has methods for single steps",
    ),
    "constraint": (
        lambda rows: train(build_model(kernel_constraint=UnitNorm()), rows),
        r"not support the constraint of 'dense.*/kernel'",
    ),
    "Keras's own fit": (
        lambda rows: build_model().fit(rows, rows, verbose=0),
        r"train it with keras_tied\.training\.fit",
    ),
    "memory": (
        lambda rows: LBFGS(memory=0),
        "memory of at least 1 and a tolerance of at least 0",
    ),
    "tolerance": (
        lambda rows: LBFGS(tolerance=-1.0),
        "memory of at least 1 and a tolerance of at least 0",
    ),
}


@for_each(REFUSALS, "call", "message")
def test_an_error_says_what_to_do(call, message, rows):
    with pytest.raises(ValueError, match=message):
        call(rows)


class Fails(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        raise RuntimeError("an error of its own")


def test_an_error_of_a_callback_is_that_of_the_callback(rows):
    with pytest.raises(RuntimeError, match="an error of its own"):
        fit(
            build_model(),
            rows,
            rows,
            epochs=3,
            callbacks=[Fails()],
            verbose=0,
        )


def test_nan_is_an_error_that_leaves_the_weights_alone(rows):
    rows[2, 3] = np.nan
    inner = build_model()
    model = keras.Sequential([inner.inputs[0], BatchNormalization(), inner])
    model.compile(LBFGS(), "mse")
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="check the data"):
        train(model, rows)
    assert_equal(model.get_weights(), before)
