import gc
import itertools
import os
import signal
import weakref

import keras
import numpy as np
import pytest

from keras_tied.layers import TiedDense
from keras_tied.training import Watcher, fit

EPOCHS = 12


@pytest.fixture
def rows(rng):
    return rng.uniform(size=(60, 4)).astype("float32")


def compiled_model(gain=False, **options):
    inputs = keras.Input((4,))
    encoder = keras.layers.Dense(
        2, "sigmoid", kernel_initializer=keras.initializers.GlorotUniform(seed=3)
    )
    outputs = TiedDense(encoder, gain=gain)(encoder(inputs))
    model = keras.Model(inputs, outputs)
    decay = keras.optimizers.schedules.InverseTimeDecay(
        0.1, decay_steps=1, decay_rate=1e-3
    )
    options = {
        "optimizer": keras.optimizers.SGD(decay, momentum=0.95),
        "loss": "mse",
        **options,
    }
    model.compile(**options)
    return model


def full(model, x, validation_data=None, **options):
    """Train with all rows in one batch, as an autoencoder."""
    if validation_data is not None:
        validation_data = (validation_data, validation_data)
    return fit(
        model,
        x,
        x,
        batch_size=len(x),
        validation_data=validation_data,
        validation_batch_size=len(x),
        verbose=0,
        **options,
    )


def test_training_twice_goes_on_where_it_stopped(rows):
    in_one, in_two = compiled_model(), compiled_model()

    expected = full(in_one, rows, epochs=2 * EPOCHS).history["loss"]

    losses = [full(in_two, rows, epochs=EPOCHS).history["loss"] for _ in range(2)]
    np.testing.assert_allclose(np.concatenate(losses), expected, rtol=1e-5)


def test_a_watcher_sees_every_epoch_once_in_order(rows):
    class Recorder(Watcher):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, logs["loss"]))

    recorder = Recorder()
    history = full(compiled_model(), rows, epochs=700, callbacks=[recorder])

    assert recorder.seen == list(enumerate(history.history["loss"]))


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX counts places")
def test_each_epoch_begins_and_ends_once_where_only_one_fits_into_a_call(
    rows, monkeypatch
):
    from keras_tied.training._jax import trainer as _jax

    class Recorder(Watcher):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_begin(self, epoch, logs=None):
            self.seen.append(("begin", epoch))

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append(("end", epoch))

    monkeypatch.setattr(_jax, "PLACES", 1)
    recorder = Recorder()
    fit(
        compiled_model(),
        rows,
        rows,
        batch_size=16,
        epochs=9,
        verbose=0,
        callbacks=[recorder],
    )

    assert recorder.seen == [
        (what, epoch) for epoch in range(9) for what in ("begin", "end")
    ]


def test_terminate_on_nan_stops_without_an_error(rows):
    rows[0, 0] = np.nan
    callbacks = [keras.callbacks.TerminateOnNaN()]
    history = fit(
        compiled_model(), rows, rows, epochs=9, callbacks=callbacks, verbose=0
    )
    assert len(history.history["loss"]) == 1


def test_another_callback_sees_the_model_as_after_that_epoch(rows):
    class Measure(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_epoch_end(self, epoch, logs=None):
            outputs = keras.ops.convert_to_numpy(self.model(rows))
            self.losses.append(np.mean((outputs - rows) ** 2))

    measure = Measure()
    history = full(
        compiled_model(), rows, epochs=EPOCHS, validation_data=rows, callbacks=[measure]
    )

    np.testing.assert_allclose(measure.losses, history.history["val_loss"], rtol=1e-4)


def test_early_stopping_stops_and_restores_the_best_weights(rows):
    model = compiled_model(optimizer=keras.optimizers.SGD(5.0))
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=3, restore_best_weights=True
    )

    history = full(model, rows, epochs=200, validation_data=rows, callbacks=[stop])

    losses = history.history["val_loss"]
    assert len(losses) < 200
    outputs = keras.ops.convert_to_numpy(model(rows))
    assert np.mean((outputs - rows) ** 2) == pytest.approx(min(losses), rel=1e-4)


def test_an_interrupted_training_leaves_the_model_trained_so_far(rows):
    class Interrupt(Watcher):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 5:
                raise KeyboardInterrupt

    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        full(model, rows, epochs=EPOCHS, callbacks=[Interrupt()])

    moved = [
        np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)
    ]
    assert min(moved) > 0


class Failing(Watcher):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 6:
            raise RuntimeError("from the callback")


def train_until_it_fails(train, rows):
    keras.utils.set_random_seed(0)
    model = compiled_model()
    with pytest.raises(RuntimeError, match="from the callback"):
        train(
            model,
            rows,
            rows,
            batch_size=60,
            epochs=EPOCHS,
            callbacks=[Failing()],
            verbose=0,
        )
    return model.get_weights()


def test_a_watcher_that_raises_leaves_the_model_as_after_that_epoch(rows):
    pairs = zip(
        *(train_until_it_fails(t, rows) for t in (fit, keras.Model.fit)), strict=True
    )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


class StoppedBefore(Watcher):
    def on_train_begin(self, logs=None):
        self.model.stop_training = True


@pytest.mark.parametrize("train", [fit, keras.Model.fit])
def test_a_callback_that_stops_before_the_first_epoch_leaves_that_one(rows, train):
    model = compiled_model()
    history = train(
        model, rows, rows, epochs=EPOCHS, callbacks=[StoppedBefore()], verbose=0
    )
    assert history.epoch == [0]


class Adding(Watcher):
    def on_epoch_end(self, epoch, logs=None):
        logs["added"] = 2.0 * epoch


@pytest.mark.parametrize("train", [fit, keras.Model.fit])
def test_what_a_callback_adds_to_the_logs_is_in_the_history(rows, train):
    for make in (
        list,
        lambda callbacks: keras.callbacks.CallbackList(callbacks, add_history=True),
    ):
        model, callbacks = compiled_model(), make([Adding()])
        if not isinstance(callbacks, list):
            callbacks.set_model(model)
        history = train(model, rows, rows, epochs=3, callbacks=callbacks, verbose=0)
        assert history.history["added"] == [0.0, 2.0, 4.0]


def test_loss_scaling_is_built_once(rows):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled_model(optimizer=keras.optimizers.Adam())
    finally:
        keras.config.set_dtype_policy("float32")
    full(model, rows, epochs=2)
    count = len(model.optimizer.variables)
    full(model, rows, epochs=2)
    assert len(model.optimizer.variables) == count


def test_a_model_that_is_not_compiled_is_refused(rows):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="plain")
    with pytest.raises(ValueError, match=r"'plain'.*compile\(\) first"):
        fit(model, rows)


def test_a_watcher_that_stops_leaves_the_model_as_after_that_epoch(rows):
    class Stop(Watcher):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 29

    stopped, short = compiled_model(), compiled_model()
    history = full(stopped, rows, epochs=1000, callbacks=[Stop()])
    full(short, rows, epochs=30)

    assert len(history.history["loss"]) == 30
    for got, wanted in zip(stopped.get_weights(), short.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


class PressesCtrlC(Watcher):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 11:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("default_sigint")
@pytest.mark.parametrize("streamed", [False, True])
def test_ctrl_c_ends_with_the_epoch_and_gives_the_history_so_far(rows, streamed):
    model = compiled_model()
    data = (pair for pair in itertools.repeat((rows, rows)))
    stream = (
        {"x": data, "steps_per_epoch": 1, "shuffle": False}
        if streamed
        else {"x": rows, "y": rows}
    )

    history = fit(model, **stream, epochs=2000, callbacks=[PressesCtrlC()], verbose=0)

    assert 12 <= len(history.history["loss"]) < 2000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_sigint")
def test_ctrl_c_twice_raises_at_once(rows):
    class Twice(Watcher):
        def on_epoch_end(self, epoch, logs=None):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        full(compiled_model(), rows, epochs=100, callbacks=[Twice()])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("way", ["one batch", "batches", "streamed", "with a callback"])
def test_a_loss_that_overflows_is_an_error_and_the_last_sound_weights_are_kept(
    rows, way
):
    model = compiled_model(optimizer=keras.optimizers.SGD(1e6))
    rows = 100 * rows
    options = {"x": rows, "y": rows, "batch_size": 60 if way != "batches" else 16}
    if way == "streamed":
        options = {
            "x": (pair for pair in itertools.repeat((rows, rows))),
            "steps_per_epoch": 1,
        }
        options["shuffle"] = False
    if way == "with a callback":
        options["callbacks"] = [
            keras.callbacks.ReduceLROnPlateau("loss", patience=1000)
        ]

    with pytest.raises(
        FloatingPointError, match=r"epoch \d+.*learning rate of 1e\+06.*try"
    ) as error:
        fit(model, epochs=100, verbose=0, **options)

    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    if way != "streamed":
        assert np.isfinite(model.evaluate(rows, rows, verbose=0))
    told = model.history.history.get("loss", [])
    assert f"epoch {len(told) + 1}," in str(error.value)
    assert np.isfinite(told).all()


def test_nan_in_the_data_is_an_error_that_leaves_the_weights_alone(rows):
    rows[3, 2] = np.nan
    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(
        FloatingPointError, match=r"in epoch 1,.*loss \(nan\).*check the data"
    ):
        full(model, rows, epochs=50)
    for got, wanted in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX compiles a program"
)
@pytest.mark.parametrize("batch_size", [60, 16])
def test_a_second_fit_of_the_same_shapes_does_not_compile_again(
    rows, batch_size, monkeypatch
):
    import jax

    model = compiled_model()
    options = {
        "batch_size": batch_size,
        "epochs": 3,
        "validation_split": 0.2,
        "verbose": 0,
    }
    fit(model, rows, rows, **options)
    compiled = []
    original = jax.stages.Lowered.compile
    monkeypatch.setattr(
        jax.stages.Lowered,
        "compile",
        lambda *a, **k: compiled.append(1) or original(*a, **k),
    )
    doubled = 2 * rows
    fit(model, doubled, doubled, **options | {"epochs": 7})
    assert not compiled


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX compiles a program"
)
@pytest.mark.parametrize("case", ["a long run", "options that XLA lacks"])
def test_a_program_with_other_options_gives_the_same_history(rows, case, monkeypatch):
    from keras_tied.training._jax import compile_cache, trainer

    expected = full(compiled_model(), rows, rows, epochs=EPOCHS).history
    if case == "a long run":
        monkeypatch.setattr(trainer, "SHORT", 0)
    else:
        monkeypatch.setattr(compile_cache, "FAST_OPTIONS", {"xla_cpu_lacks_this": True})
        compile_cache.programs.clear()
    history = full(compiled_model(), rows, rows, epochs=EPOCHS).history

    for name in expected:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-5)


def normalise(data):
    """A model whose program has numbers of the data in it."""
    layer = keras.layers.Normalization()
    layer.adapt(data)
    model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Dense(4, "tanh")])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="only JAX compiles a program"
)
@pytest.mark.parametrize("batch_size", [pytest.param(60, marks=pytest.mark.slow), 16])
def test_another_model_of_the_same_make_does_not_compile_again(
    rows, batch_size, monkeypatch
):
    import jax

    options = {"batch_size": batch_size, "epochs": 3, "verbose": 0}
    first = fit(normalise(rows), rows, rows, **options)
    compiled = []
    original = jax.stages.Lowered.compile
    monkeypatch.setattr(
        jax.stages.Lowered,
        "compile",
        lambda *a, **k: compiled.append(1) or original(*a, **k),
    )
    fit(normalise(rows), rows, rows, **options)
    assert not compiled

    other = normalise(5 * rows - 1)
    theirs = normalise(5 * rows - 1)
    theirs.set_weights(other.get_weights())
    keras.utils.set_random_seed(0)
    history = fit(other, rows, rows, **options)
    keras.utils.set_random_seed(0)
    expected = keras.Model.fit(theirs, rows, rows, **options)
    np.testing.assert_allclose(
        history.history["loss"], expected.history["loss"], rtol=1e-4
    )
    assert compiled
    assert not np.allclose(first.history["loss"], history.history["loss"])


def test_two_runs_with_one_seed_give_bitwise_equal_weights(rows):
    def weights():
        keras.utils.set_random_seed(4)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(8),
                keras.layers.Dense(4),
            ]
        )
        model.compile("adam", "mse")
        fit(model, rows, rows, batch_size=16, epochs=5, verbose=0)
        return model.get_weights()

    for one, other in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_that_was_trained_can_be_collected(rows):
    model = compiled_model()
    full(model, rows, epochs=3)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
