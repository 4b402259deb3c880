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
    decay = keras.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=1e-3)
    options = {"optimizer": keras.optimizers.SGD(decay, momentum=0.95), "loss": "mse", **options}
    model.compile(**options)
    return model


def assert_same_history(history, expected):
    assert set(history.history) == set(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("gain", [False, True])
def test_history_and_weights_are_those_of_keras(rows, gain):
    train, validation = rows[:40], rows[40:]
    ours, theirs = compiled_model(gain), compiled_model(gain)

    history = fit(ours, train, epochs=EPOCHS, validation_data=validation)
    expected = theirs.fit(
        train,
        train,
        batch_size=40,
        epochs=EPOCHS,
        validation_data=(validation, validation),
        validation_batch_size=20,
        verbose=0,
    )

    assert_same_history(history, expected)
    for got, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_metrics_and_another_target_are_those_of_keras(rows):
    targets = rows[:, ::-1].copy()
    options = {"optimizer": "adam", "loss": "mae", "metrics": ["mse"]}
    ours, theirs = compiled_model(**options), compiled_model(**options)
    for model in (ours, theirs):
        model.optimizer = keras.optimizers.Adam(0.05)

    history = fit(ours, rows, targets, epochs=EPOCHS)

    expected = theirs.fit(rows, targets, batch_size=60, epochs=EPOCHS, verbose=0)
    assert_same_history(history, expected)


def test_a_wide_model_gives_the_history_of_keras(rng):
    x = rng.uniform(size=(30, 100)).astype("float32")

    def model():
        inputs = keras.Input((100,))
        encoder = keras.layers.Dense(
            5, "tanh", kernel_initializer=keras.initializers.GlorotUniform(seed=1)
        )
        model = keras.Model(inputs, TiedDense(encoder)(encoder(inputs)))
        model.compile(keras.optimizers.SGD(0.1), "mse")
        return model

    expected = model().fit(x, x, batch_size=30, epochs=EPOCHS, verbose=0)
    assert_same_history(fit(model(), x, epochs=EPOCHS), expected)


def test_integer_inputs_and_targets_give_the_history_of_keras(rng):
    words = rng.integers(0, 50_000, size=(40, 3))

    def model():
        start = keras.initializers.RandomNormal(seed=5)
        embedding = keras.layers.Embedding(50_000, 2, embeddings_initializer=start)
        inputs = keras.Input((3,), dtype="int32")
        model = keras.Model(inputs, TiedDense(embedding)(embedding(inputs)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1.0), loss)
        return model

    expected = model().fit(words, words, batch_size=40, epochs=3, verbose=0)
    assert_same_history(fit(model(), words, epochs=3), expected)


def test_training_twice_goes_on_where_it_stopped(rows):
    in_one, in_two = compiled_model(), compiled_model()

    expected = fit(in_one, rows, epochs=2 * EPOCHS).history["loss"]

    losses = [fit(in_two, rows, epochs=EPOCHS).history["loss"] for _ in range(2)]
    np.testing.assert_allclose(np.concatenate(losses), expected, rtol=1e-5)


def test_a_watcher_sees_every_epoch_once_in_order(rows):
    class Recorder(Watcher):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, logs["loss"]))

    recorder = Recorder()
    history = fit(compiled_model(), rows, epochs=700, callbacks=[recorder])

    assert recorder.seen == list(enumerate(history.history["loss"]))


def test_another_callback_sees_the_model_as_after_that_epoch(rows):
    class Measure(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.losses = []

        def on_epoch_end(self, epoch, logs=None):
            outputs = keras.ops.convert_to_numpy(self.model(rows))
            self.losses.append(np.mean((outputs - rows) ** 2))

    measure = Measure()
    history = fit(compiled_model(), rows, epochs=EPOCHS, validation_data=rows, callbacks=[measure])

    np.testing.assert_allclose(measure.losses, history.history["val_loss"], rtol=1e-4)


def test_early_stopping_stops_and_restores_the_best_weights(rows):
    model = compiled_model(optimizer=keras.optimizers.SGD(5.0))
    stop = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)

    history = fit(model, rows, epochs=200, validation_data=rows, callbacks=[stop])

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
        fit(model, rows, epochs=EPOCHS, callbacks=[Interrupt()])

    moved = [np.abs(a - b).max() for a, b in zip(before, model.get_weights(), strict=True)]
    assert min(moved) > 0


def test_a_model_that_is_not_compiled_is_refused(rows):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)], name="plain")
    with pytest.raises(ValueError, match=r"'plain'.*compile\(\) first"):
        fit(model, rows)


def test_numbers_of_rows_that_differ_are_refused(rows):
    with pytest.raises(ValueError, match="60 rows and y has 59"):
        fit(compiled_model(), rows, rows[1:])


def test_validation_data_of_three_parts_are_refused(rows):
    with pytest.raises(ValueError, match="3 parts: give x_val"):
        fit(compiled_model(), rows, validation_data=(rows, rows, rows))
