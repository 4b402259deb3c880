"""`fit`: many epochs of a compiled Keras model as one program."""

import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import keras
import numpy as np

SECONDS_BETWEEN_VISITS = 0.2
FIRST_BUNCH = 8
ENGINES = {"jax": "_jax", "tensorflow": "_tensorflow", "torch": "_torch"}

Logs = dict[str, "np.ndarray[Any, Any]"]


class Engine(Protocol):
    """Trains a model on one batch an epoch, several epochs at a call."""

    def run(self, epochs: int) -> Logs:
        """Train for so many epochs, and give each logged value after each of them."""

    def sync(self) -> None:
        """Bring the model's variables up to date."""


class Watcher(keras.callbacks.Callback):
    """A callback that only reads the logs it is given.

    Any other callback may look at the model or change it, so training comes back to Python after
    every epoch for it. For a `Watcher`, `fit` runs many epochs in a bunch, a few bunches a second,
    and then calls `on_epoch_begin` and `on_epoch_end` for each epoch of the bunch. Setting
    `model.stop_training` takes effect at the end of the bunch.

    Examples:
        >>> from keras_tied.training import Watcher
        >>> class Print(Watcher):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         print(f"epoch {epoch}: {logs['loss']:.3g}")
    """


def fit(
    model: keras.Model,
    x: Any,
    y: Any = None,
    *,
    epochs: int = 1,
    validation_data: Any = None,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    verbose: int = 0,
) -> keras.callbacks.History:
    """Train a compiled Keras model with all rows in one batch, many epochs at a time.

    Gives what `model.fit(x, y, batch_size=len(x))` gives, with the model's own optimizer, loss and
    metrics, without going back to Python after every epoch. On the JAX backend the epochs run in
    one compiled program, features first where the data is narrow; on TensorFlow in one graph; on
    PyTorch in a plain loop.

    Args:
        model: a compiled `keras.Model`.
        x: the rows, an array of shape `(n_samples, ...)`.
        y: the targets, an array with as many rows. Defaults to `x`: an autoencoder needs none.
        epochs: how often to go through the data. Defaults to 1.
        validation_data: `x_val` or `(x_val, y_val)`, evaluated after every epoch.
        callbacks: Keras callbacks, called at the beginnings and ends of training and of epochs
            (not of batches). For any that is not a `Watcher`, or one of Keras's own that only
            read the logs, training stops after every single epoch, which costs time.
        verbose: 0, 1 or 2, as in Keras. Defaults to 0.

    Returns:
        The `History`: the training loss before each epoch's step, as Keras reports it, metrics,
        and their `val_` counterparts after it.

    Raises:
        ValueError: if the model is not compiled, if the numbers of rows differ, or for validation
            data of another form.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_tied.training import fit
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
        >>> history = fit(model, np.eye(4), epochs=50)
        >>> len(history.history["loss"])
        50
    """
    if not model.compiled:
        raise ValueError(
            f"Model '{model.name}' has no optimizer and loss yet: call compile() first."
        )
    train = _pair(x, y)
    validation = None if validation_data is None else _validation(validation_data)
    for inputs, targets in filter(None, (train, validation)):
        if len(inputs) != len(targets):
            raise ValueError(
                f"x has {len(inputs)} rows and y has {len(targets)}: give them the same number."
            )
    hooks = keras.callbacks.CallbackList(
        list(callbacks or ()),
        add_history=True,
        add_progbar=verbose != 0,
        verbose=verbose,
        epochs=epochs,
        steps=1,
        model=model,
    )
    model.stop_training = False
    hooks.on_train_begin()
    engine = _engine(model, train, validation)
    _train(model, engine, hooks, epochs)
    hooks.on_train_end()
    return model.history


def _train(model: keras.Model, engine: Engine, hooks: Any, epochs: int) -> None:
    watched_only = all(_only_watches(callback) for callback in hooks.callbacks)
    done, bunch = 0, FIRST_BUNCH
    try:
        while done < epochs and not model.stop_training:
            start = time.perf_counter()
            logs = engine.run(min(bunch, epochs - done) if watched_only else 1)
            seconds = time.perf_counter() - start
            if not watched_only:
                engine.sync()
            done = _report(hooks, done, logs)
            bunch = max(1, min(8 * bunch, int(bunch * SECONDS_BETWEEN_VISITS / seconds)))
    finally:
        engine.sync()
        model.optimizer.finalize_variable_values(model.trainable_weights)


def _report(hooks: Any, done: int, logs: Logs) -> int:
    names = list(logs)
    for values in zip(*(column.tolist() for column in logs.values()), strict=True):
        hooks.on_epoch_begin(done)
        hooks.on_epoch_end(done, dict(zip(names, values, strict=True)))
        done += 1
    return done


def _only_watches(callback: keras.callbacks.Callback) -> bool:
    harmless = (Watcher, keras.callbacks.History, keras.callbacks.ProgbarLogger)
    return isinstance(callback, (*harmless, keras.callbacks.CSVLogger))


def _pair(x: Any, y: Any = None) -> tuple[Any, Any]:
    x = _array(x)
    return x, x if y is None else _array(y)


def _array(values: Any) -> "np.ndarray[Any, Any]":
    """As Keras takes it: floating-point numbers in its `floatx`, integers as they are."""
    array = np.asarray(values)
    return array.astype(keras.config.floatx()) if np.issubdtype(array.dtype, np.floating) else array


def _validation(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple):
        return _pair(data)
    if len(data) != 2:
        raise ValueError(
            f"validation_data has {len(data)} parts: give x_val, or (x_val, y_val), without "
            "sample weights."
        )
    return _pair(*data)


def _engine(model: keras.Model, train: Any, validation: Any) -> Engine:
    # No epoch of Keras's own fit: it builds what is not built yet of model, metrics and optimizer.
    model.fit(train[0][:1], train[1][:1], epochs=0, verbose=0)
    module = import_module(f"keras_tied.training.{ENGINES[keras.backend.backend()]}")
    engine: Engine = module.FullBatch(model, train, validation)
    return engine
