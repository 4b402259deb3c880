"""Callbacks: which of them a loop over many epochs can serve, and the loop's own."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Model
from keras.callbacks import Callback

from keras_tied._keras_internals import advance_start, flatten_layers

STEPS = ("batch", "train_batch", "test", "test_batch")

SAVERS = (
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.OrbaxCheckpoint,
    keras.callbacks.BackupAndRestore,
)


class Watcher(Callback):
    """A callback that only reads the logs it is given.

    For any other, training comes back to Python after every epoch. For a `Watcher`,
    `fit` runs many epochs in a bunch, a few bunches a second, then calls
    `on_epoch_begin` and `on_epoch_end` for each. It can stop training with
    `self.model.stop_training = True`: the model is as it was then.

    Examples:
        >>> from keras_tied.training import Watcher
        >>> class Print(Watcher):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"epoch {epoch}: {logs['loss']:.3g}")
    """


READERS = (
    keras.callbacks.History,
    keras.callbacks.ProgbarLogger,
    keras.callbacks.CSVLogger,
)


class CountUnits(Callback):
    """Writes into the logs, after each epoch, how many units are active, and dead.

    Of the `AuxK` layers of a model, nested ones too: `active_units`,
    the running mean of how many numbers of a row's code are not 0 (L0), and
    `dead_units`, how many units were 0 for every row of the last `window` batches. Of
    several such layers each with its name before it. Put it before callbacks that shall
    see these logs.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import AuxK, KSparse
        >>> from keras_tied.training import CountUnits, fit
        >>> inputs = keras.Input((8,))
        >>> scores = keras.layers.Dense(32)(inputs)
        >>> decoder = AuxK(keras.layers.Dense(8))
        >>> outputs = decoder(KSparse(4)(scores), rows=inputs, scores=scores)
        >>> model = keras.Model(inputs, outputs)
        >>> model.compile("adam", "mse")
        >>> rows = keras.random.normal((64, 8), seed=0)
        >>> history = fit(model, rows, rows, callbacks=[CountUnits()], verbose=0)
        >>> [round(number) for number in history.history["active_units"]]
        [4]
    """

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        layers: list[Any] = flatten_layers(self.model)
        counting = [layer for layer in layers if hasattr(layer, "dead_units")]
        for layer in counting:
            prefix = f"{layer.name}_" if len(counting) > 1 else ""
            logs[f"{prefix}active_units"] = layer.active_units
            logs[f"{prefix}dead_units"] = layer.dead_units


def flatten_callbacks(callbacks: Any) -> list[Callback]:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks = callbacks.callbacks
    return keras.tree.flatten(callbacks) if callbacks else []


def works_within_epochs(callback: Callback) -> bool:
    """Whether a callback acts at steps, or in evaluation, where the loop goes on."""
    if isinstance(callback, SAVERS):
        return bool(callback.save_freq != "epoch")
    if isinstance(callback, keras.callbacks.ProgbarLogger):
        return False
    for step in STEPS:
        for name in (f"on_{step}_begin", f"on_{step}_end"):
            method = getattr(callback, name)
            function = getattr(method, "__func__", method)
            if function is not getattr(Callback, name):
                return True
    return False


def only_reads_logs(callback: Callback) -> bool:
    """Whether a callback leaves the model as it is, except for `stop_training`."""
    if type(callback) is keras.callbacks.EarlyStopping:
        return not callback.restore_best_weights
    return isinstance(callback, Watcher | Bar) or type(callback) in READERS


class Bar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, for epochs that are reported once they are over."""

    seconds = 0.0  # the duration of each epoch that is reported late

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        super().on_epoch_begin(epoch, logs)
        advance_start(self.progbar, self.seconds)


class Guard(Callback):
    """Ends Keras's own `fit` as the loop ends: after Ctrl-C, or at a NaN."""

    def __init__(self, is_interrupted: Callable[[], bool]) -> None:
        super().__init__()
        self.is_interrupted = is_interrupted
        self.weights: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.weights = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        weights = self.model.get_weights()
        if not math.isfinite(loss) or not all_finite(weights):
            if self.model.stop_training:
                return  # a TerminateOnNaN has stopped it
            if self.weights:  # which a model that is built in training lacks at first
                self.model.set_weights(self.weights)
            raise make_divergence_error(self.model, epoch, loss)
        self.weights = weights
        if self.is_interrupted():
            self.model.stop_training = True


def all_finite(arrays: list[Any]) -> bool:
    return all(np.isfinite(np.asarray(array, np.float32)).all() for array in arrays)


def make_divergence_error(model: Model, epoch: int, loss: float) -> FloatingPointError:
    """The error for an epoch, from 0, that ended with a loss or weights not finite."""
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    what = "weights were not finite" if math.isfinite(loss) else f"loss was {loss}"
    origin = "from before training" if epoch == 0 else f"of epoch {epoch}"
    return FloatingPointError(
        f"Training of '{model.name}' stopped: the {what} in epoch {epoch + 1} at a"
        f" learning rate of {rate:.3g}; the model keeps the last finite weights,"
        f" {origin}: try a learning rate of {rate / 10:.3g}, clipnorm=1.0 in the"
        " optimizer, or check the data for NaN and very large values."
    )
