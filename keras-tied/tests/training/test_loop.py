"""Callbacks, interruptions and failures of `fit`, and what JAX compiles for it."""

import gc
import itertools
import signal
import weakref

import keras
import numpy as np
import pytest
from keras.callbacks import ReduceLROnPlateau, TerminateOnNaN
from keras.initializers import GlorotUniform
from keras.layers import Dense
from keras.optimizers import SGD
from numpy.testing import assert_allclose, assert_equal

from keras_tied.layers import TiedDense
from keras_tied.training import Watcher, fit

from ..autoencoder.networks import chain
from .conftest import Acts

EPOCHS = 12
ON_JAX = keras.backend.backend() == "jax"


def build_model(optimizer=None):
    encoder = Dense(2, "sigmoid", kernel_initializer=GlorotUniform(seed=3))
    model = chain(encoder, TiedDense(encoder), shape=(4,))
    model.compile(optimizer or SGD(0.1, momentum=0.95), "mse")
    return model


def train(model, x, **settings):
    """All rows in one batch, as an autoencoder, unless the settings say more."""
    settings = {
        "y": x,
        "batch_size": 60,
        "epochs": EPOCHS,
        "verbose": 0,
        **settings,
    }
    return fit(model, x, **settings)


class Recorder(Watcher):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(("begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((logs["loss"], epoch))


# The other is one epoch a call of JAX's loop, where many were to be trained.
@pytest.mark.parametrize("places", [2**20, 1] if ON_JAX else [2**20])
def test_a_watcher_sees_each_epoch_begin_and_end_once(rows, places, monkeypatch):
    if ON_JAX:
        monkeypatch.setattr("keras_tied.training._jax.trainer.PLACES", places)
    recorder = Recorder()
    size = 16 if ON_JAX else 60
    history = train(
        build_model(),
        rows,
        callbacks=[recorder],
        batch_size=size,
        epochs=50,
    )
    expected = []
    for epoch, loss in enumerate(history.history["loss"]):
        expected += [("begin", epoch), (loss, epoch)]
    assert recorder.seen == expected
    assert history.epoch == list(range(50))


def stream(rows):
    pairs = itertools.repeat((rows, rows))
    return {
        "x": (pair for pair in pairs),
        "y": None,
        "batch_size": None,
        "steps_per_epoch": 1,
        "shuffle": False,
    }


@pytest.mark.parametrize("streamed", [False, True])
def test_ctrl_c_ends_with_the_epoch_and_gives_the_history_so_far(
    rows, streamed, ctrl_c
):
    settings = stream(rows) if streamed else {"x": rows}
    history = train(
        build_model(),
        callbacks=[Acts(11, ctrl_c)],
        epochs=2000,
        **settings,
    )
    assert 12 <= len(history.history["loss"]) < 2000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_twice_raises_at_once_and_leaves_the_model_as_after_that_epoch(
    rows, ctrl_c
):
    expected = build_model()
    train(expected, rows, epochs=7)
    model = build_model()
    with pytest.raises(KeyboardInterrupt):
        train(
            model,
            rows,
            callbacks=[Acts(6, lambda: ctrl_c() or ctrl_c())],
        )
    pairs = zip(model.get_weights(), expected.get_weights(), strict=True)
    for found, wanted in pairs:
        assert_allclose(found, wanted, rtol=1e-4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


FAILURES = {
    "one batch": lambda x: {"x": x},
    "batches": lambda x: {"x": x, "batch_size": 16},
    "streamed": stream,
    "with a callback": lambda x: {
        "x": x,
        "callbacks": [ReduceLROnPlateau("loss", patience=1000)],
    },
}


@pytest.mark.parametrize("way", FAILURES)
def test_a_loss_that_overflows_is_an_error_and_the_last_finite_weights_are_kept(
    rows, way
):
    model = build_model(SGD(1e6))
    rows = 100 * rows
    message = r"epoch \d+.*learning rate of 1e\+06.*try"
    with pytest.raises(FloatingPointError, match=message) as error:
        train(model, epochs=100, **FAILURES[way](rows))

    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    losses = model.history.history.get("loss", [])
    assert f"epoch {len(losses) + 1} at" in str(error.value)
    assert np.isfinite(losses).all()


def test_weights_that_overflow_in_one_step_go_back_to_those_before(rows):
    model = build_model(SGD(1e38))
    before = model.get_weights()
    with pytest.raises(FloatingPointError):
        train(model, 30 * rows, epochs=8, batch_size=len(rows))
    assert_equal(model.get_weights(), before)


def test_nan_in_the_data_is_an_error_that_leaves_the_weights_alone(rows):
    rows[3, 2] = np.nan
    model = build_model()
    before = model.get_weights()
    message = r"loss was nan in epoch 1 .*check the data"
    with pytest.raises(FloatingPointError, match=message):
        train(model, rows)
    assert_equal(model.get_weights(), before)


def test_terminate_on_nan_stops_without_an_error(rows):
    rows[0, 0] = np.nan
    history = train(build_model(), rows, callbacks=[TerminateOnNaN()])
    assert len(history.history["loss"]) == 1


def test_a_model_that_was_trained_can_be_collected(rows):
    model = build_model()
    train(model, rows, epochs=3)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
