import keras
import pytest
from keras.layers import Dense

from keras_tied.layers import TiedDense
from keras_tied.training import Watcher


def build_tied(*between, units=4, activation="tanh", gain=False, **settings):
    """6-4-6, with more layers around the code."""
    inputs = keras.Input((6,))
    encoder = Dense(units, activation, **settings)
    code = encoder(inputs)
    for layer in between:
        code = layer(code)
    return keras.Model(inputs, TiedDense(encoder, gain=gain)(code))


class Acts(Watcher):
    """Does something at the end of an epoch, of which a checkpoint knows nothing."""

    def __init__(self, epoch, action):
        super().__init__()
        self._epoch = epoch
        self._action = action

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self._epoch:
            self._action()


class Stops(Watcher):
    """Stops after an epoch; after -1, before the first."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_train_begin(self, logs=None):
        self.model.stop_training = self.at == -1

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training |= epoch == self.at


@pytest.fixture
def rows(rng):
    return rng.uniform(size=(60, 4)).astype("float32")


@pytest.fixture
def at_every_chance(monkeypatch):
    """Write checkpoints as often as a fit looks whether one is due."""
    from keras_tied.training import _checkpoint

    monkeypatch.setattr(_checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(_checkpoint, "SHARE", 0.0)
