import keras
import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import PCA

from keras_tied.datasets import load_donuts, prepare
from keras_tied.experiment import build_model, split
from keras_tied.training import LBFGS, Watcher, fit

from keras_tied.layers import TiedDense  # isort: skip


@pytest.fixture
def rows(rng):
    return rng.normal(size=(80, 4)).astype("float32") @ rng.normal(size=(4, 6)).astype(
        "float32"
    )


def build_tied(optimizer="lbfgs", between=(), **of_the_kernel):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6,))
    encoder = keras.layers.Dense(3, "tanh", **of_the_kernel)
    code = encoder(inputs)
    for layer in between:
        code = layer(code)
    model = keras.Model(inputs, TiedDense(encoder, gain=True)(code))
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def loss_and_gradient(weights, x):
    """Of the tied network above, by hand."""
    kernel, bias, gain, output_bias = np.split(weights, [18, 21, 24])
    kernel = kernel.reshape(6, 3)
    code = np.tanh(x @ kernel + bias)
    residual = (code * gain) @ kernel.T + output_bias - x
    upward = 2 * residual / residual.size
    inward = upward @ kernel
    through = inward * gain * (1 - code**2)
    gradient = upward.T @ (code * gain) + x.T @ through
    parts = gradient, through.sum(0), (inward * code).sum(0), upward.sum(0)
    return np.mean(residual**2), np.concatenate([part.ravel() for part in parts])


def get_named_weights(model):
    """Kernel, bias, gain and output bias."""
    weights = {variable.path: variable for variable in model.trainable_variables}
    pick = lambda end, tied: next(  # noqa: E731
        keras.ops.convert_to_numpy(v)
        for p, v in weights.items()
        if p.endswith(end) and ("tied" in p) == tied
    )
    return [
        pick("kernel", False),
        pick("bias", False),
        pick("gain", True),
        pick("bias", True),
    ]


def test_its_steps_are_those_of_scipy_with_a_gradient_by_hand(rows):
    model = build_tied()
    start = np.concatenate(
        [weight.ravel() for weight in get_named_weights(model)]
    ).astype(np.float64)
    x = rows.astype(np.float64)
    scale = 1 / loss_and_gradient(start, x)[0]
    options = {"maxiter": 12, "maxcor": 20, "ftol": 0, "gtol": 0}

    def scaled(weights):
        return [scale * value for value in loss_and_gradient(weights, x)]

    found = minimize(scaled, start, method="L-BFGS-B", jac=True, options=options)

    history = fit(model, rows, rows, epochs=12, verbose=0)

    assert history.history["loss"][-1] == pytest.approx(found.fun / scale, rel=1e-3)


def test_a_linear_network_ends_at_the_error_of_pca(rows):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    encoder = keras.layers.Dense(2)
    model = keras.Model(inputs, TiedDense(encoder)(encoder(inputs)))
    model.compile("lbfgs", "mse")

    history = fit(model, rows, rows, epochs=1000, verbose=0)

    pca = PCA(2).fit(rows)
    error = np.mean((pca.inverse_transform(pca.transform(rows)) - rows) ** 2)
    assert history.history["loss"][-1] == pytest.approx(error, rel=1e-4)


def test_the_logs_are_those_of_the_weights_after_the_iteration(rows):
    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            outputs = keras.ops.convert_to_numpy(self.model(rows))
            np.testing.assert_allclose(
                logs["loss"], np.mean((outputs - rows) ** 2), rtol=1e-4
            )
            np.testing.assert_allclose(
                logs["val_mae"], np.abs(outputs - rows).mean(), rtol=1e-4
            )

    history = fit(
        build_tied(),
        rows,
        rows,
        epochs=12,
        validation_data=(rows, rows),
        verbose=0,
        callbacks=[Measure()],
    )
    assert history.epoch == list(range(12))
    assert np.all(np.diff(history.history["loss"]) <= 0)


def test_the_model_holds_the_weights_of_the_last_iteration(rows):
    class Stop(Watcher):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 6

    model = build_tied()
    history = fit(model, rows, rows, epochs=50, verbose=0, callbacks=[Stop()])
    assert len(history.epoch) == 7
    assert model.evaluate(rows, rows, verbose=0)[0] == pytest.approx(
        history.history["loss"][-1]
    )


def test_it_goes_on_from_where_it_stopped(rows):
    model = build_tied()
    first = fit(model, rows, rows, epochs=5, verbose=0).history["loss"]
    second = fit(model, rows, rows, epochs=5, verbose=0).history["loss"]
    assert second[0] < first[-1]


def test_early_stopping_restores_the_best_weights(rows):
    model = build_tied()
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=5, restore_best_weights=True
    )
    history = fit(
        model,
        rows[:40],
        rows[:40],
        epochs=500,
        validation_data=(rows[40:], rows[40:]),
        verbose=0,
        callbacks=[stop],
    )
    best = min(history.history["val_loss"])
    assert model.evaluate(rows[40:], rows[40:], verbose=0)[0] == pytest.approx(
        best, rel=1e-4
    )


def test_regularisers_normalisation_and_noise_are_part_of_the_loss(rows):
    between = [
        keras.layers.BatchNormalization(momentum=0.5),
        keras.layers.GaussianNoise(0.01),
    ]
    model = build_tied(between=between, kernel_regularizer=keras.regularizers.L2(0.01))
    before = [keras.ops.convert_to_numpy(v) for v in between[0].non_trainable_variables]
    history = fit(model, rows, rows, epochs=30, verbose=0).history["loss"]
    assert history[-1] < history[0]
    for variable, value in zip(between[0].non_trainable_variables, before, strict=True):
        assert not np.allclose(keras.ops.convert_to_numpy(variable), value)


def test_weights_of_rows_count(rows):
    doubled, weighted = build_tied(), build_tied()
    weights = np.repeat([1.0, 2.0], 40)
    repeated = np.concatenate([rows, rows[40:]])
    one = (
        fit(doubled, repeated, repeated, epochs=20, verbose=0).history["loss"][-1] * 120
    )
    other = (
        fit(weighted, rows, rows, sample_weight=weights, epochs=20, verbose=0).history[
            "loss"
        ][-1]
        * 80
    )
    assert one == pytest.approx(other, rel=5e-2)


def test_the_articles_network_reaches_its_optimum(donut_file):
    X, _ = prepare(*load_donuts(donut_file), random_state=0)
    train, _ = split(X)
    losses = []
    for seed in range(4):
        model = build_model(np.random.default_rng(seed).uniform(-1, 1, (4, 2)))
        model.compile("lbfgs", "mse")
        losses.append(
            fit(model, train, train, epochs=1000, verbose=0).history["loss"][-1]
        )
    assert max(losses) < 9.8e-5


def test_an_optimum_from_the_start_is_told_once():
    zeros = np.zeros((20, 6), "float32")
    model = build_tied()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    history = fit(
        model, zeros, zeros, validation_data=(zeros, zeros), epochs=10, verbose=0
    )
    assert (history.history["loss"], history.history["val_loss"]) == ([0.0], [0.0])


def test_it_is_saved_with_the_model(rows, tmp_path):
    model = build_tied(LBFGS(memory=7, tolerance=1e-6))
    fit(model, rows, rows, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.optimizer.memory, loaded.optimizer.tolerance) == (7, 1e-6)
    assert fit(loaded, rows, rows, epochs=3, verbose=0).history["loss"][-1] > 0


def test_keras_s_own_fit_is_told_what_to_do(rows):
    with pytest.raises(ValueError, match=r"train with keras_tied\.training\.fit"):
        build_tied().fit(rows, rows, verbose=0)


def test_streams_constraints_and_callbacks_at_steps_are_refused(rows):
    with pytest.raises(
        ValueError, match="generator is no array in memory: leave that out, give arrays"
    ):
        fit(build_tied(), ((rows, rows) for _ in range(3)), verbose=0)
    with pytest.raises(ValueError, match="TerminateOnNaN works at single steps"):
        fit(
            build_tied(),
            rows,
            rows,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            verbose=0,
        )
    with pytest.raises(ValueError, match=r"'dense.*/kernel' to its constraint"):
        fit(
            build_tied(kernel_constraint=keras.constraints.UnitNorm()),
            rows,
            rows,
            verbose=0,
        )


@pytest.mark.parametrize("options", [{"memory": 0}, {"tolerance": -1.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(
        ValueError, match=r"memory of at least 1 and a tolerance of at least 0"
    ):
        LBFGS(**options)


def test_nan_is_an_error_that_leaves_the_weights_alone(rows):
    rows[2, 3] = np.nan
    model = build_tied()
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match="check the data"):
        fit(model, rows, rows, epochs=5, verbose=0)
    for got, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Keras distributes on JAX only"
)
def test_lbfgs_names_the_distribution_that_it_cannot_train_under():
    devices = keras.distribution.list_devices()[:1]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(LBFGS(), "mse")
    rows = np.eye(3, dtype="float32")
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices)
    )
    try:
        with pytest.raises(
            ValueError, match=r"and a keras\.distribution is set: leave"
        ):
            fit(model, rows, rows, verbose=0)
    finally:
        keras.distribution.set_distribution(None)
