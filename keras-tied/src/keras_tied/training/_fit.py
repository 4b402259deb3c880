"""`fit`: `keras.Model.fit` with many epochs in one program, where that is possible."""

import logging
import sys
import warnings
from typing import Any

import keras
from keras import Model
from keras.callbacks import Callback

from keras_tied._keras_internals import build_for_training
from keras_tied._types import StrPath
from keras_tied.training import _data
from keras_tied.training._callbacks import Guard, flatten_callbacks, works_within_epochs
from keras_tied.training._checkpoint import Checkpoint
from keras_tied.training._data import LeftToKerasError, Parts, pack_parts
from keras_tied.training._epochs import Epochs, is_seed
from keras_tied.training._interrupts import interrupts
from keras_tied.training._loop import Loop
from keras_tied.training.lbfgs import LBFGS

logger = logging.getLogger("keras_tied.training")


def fit(
    model: Model,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool | str = True,
    class_weight: dict[int, float] | None = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_steps: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: Any = 1,
    *,
    checkpoint: StrPath | None = None,
) -> keras.callbacks.History:
    """Train a compiled Keras model as `model.fit` does, many epochs at a time.

    Takes the arguments of `keras.Model.fit` and gives what it gives, with the model's
    own `train_step`, optimizer, loss and metrics: the same history and weights up to
    rounding. On JAX, for arrays in memory, steps and epochs run in one compiled
    program, with the same order of the rows after `keras.utils.set_random_seed`; it
    comes back to Python once a second or more, and a second `fit` of the same shapes
    finds it compiled. Where all rows are one batch, epochs are also taken together on
    TensorFlow (each in a graph) and on PyTorch (in a plain loop), in an order that is
    drawn for each, and is not that of Keras. Everything else is left to
    Keras's `fit`: a `keras.distribution`, streamed data, arrays that take more than 0.8
    of the free memory, `steps_per_epoch`, `validation_freq`, `shuffle="batch"`, models
    that run eagerly, and callbacks with per-batch methods. Ctrl-C stops training at
    the end of the epoch and returns the history so far; a second one raises
    `KeyboardInterrupt`.

    Args:
        model: a compiled `keras.Model`.
        x: the inputs, `(n_samples, ...)`: an array, several in a list or dict, or what
            Keras takes.
        y: the targets, with as many rows. Defaults to none.
        batch_size: rows a step; the last batch may be smaller. Defaults to Keras's 32.
        epochs: how often to go through the rows. Defaults to 1.
        verbose: "auto", 0, 1 or 2, as in Keras. Defaults to "auto".
        callbacks: Keras callbacks. One that may look at the model or change it is
            called after every single epoch with the model as it is then, which costs
            time; not so a `Watcher`, a `CSVLogger`, or an `EarlyStopping` without
            `restore_best_weights`.
        validation_split: the share of the rows, the last, to hold out. Defaults to 0.
        validation_data: `x_val`, `(x_val, y_val)` or `(x_val, y_val, sample_weight)`.
        shuffle: whether to draw a new order of the rows in each epoch; "batch" for an
            order within each batch. Defaults to `True`.
        class_weight: weights of the classes in `y`.
        sample_weight: weights of the rows.
        initial_epoch: the number of the first epoch. Defaults to 0.
        steps_per_epoch: as in Keras.
        validation_steps: as in Keras.
        validation_batch_size: rows a step of validation. Defaults to `batch_size`.
        validation_freq: as in Keras.
        checkpoint: a folder. The state of the training is kept in a file in it, written
            about every ten seconds, at the end of an epoch, and whole or not at all.
            Where the process dies or Ctrl-C ends it, the same call in a new process
            goes on there and ends in bitwise the same model and history; the file is
            deleted once the training is over. Callbacks go on with what they have in
            plain attributes and lists of arrays, such as the best weights; give a
            `CSVLogger` `append=True`. Of arrays in memory, with any optimizer but
            `LBFGS`. Defaults to none.

    Raises:
        ValueError: if the model is not compiled, for what Keras refuses, and if
            `checkpoint` holds that of another training, or cannot be kept.
        FloatingPointError: as soon as an epoch ends with a loss or weights that are not
            finite. The model keeps the weights of the epoch before.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_tied.training import fit
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
        >>> history = fit(model, np.eye(4), np.eye(4), epochs=50, verbose=0)
        >>> len(history.history["loss"])
        50
    """
    if not model.compiled:
        raise ValueError(
            f"Model '{model.name}' has no optimizer and loss yet: call compile() first."
        )
    callbacks = flatten_callbacks(callbacks)
    is_search = isinstance(model.optimizer, LBFGS)
    settings = (initial_epoch, epochs, batch_size, validation_batch_size, shuffle)
    trainer = None
    cause = "the optimizer is LBFGS"
    with interrupts() as is_interrupted:
        try:
            _check_epochs(callbacks, steps_per_epoch, validation_steps, validation_freq)
            if shuffle == "batch":
                raise LeftToKerasError("shuffle is 'batch'")
            if is_search:
                _check_constraints(model)
                batch_size = validation_batch_size = sys.maxsize  # all rows in one
                shuffle = False
            parts = pack_parts(
                (x, y, sample_weight, class_weight, batch_size),
                (validation_split, validation_data, validation_batch_size),
            )
            if not is_search:
                _check_memory(parts)
            trainer = _make_trainer(model, parts, shuffle, epochs - initial_epoch)
        except LeftToKerasError as error:
            cause = str(error)
        if is_search and trainer is None:
            raise ValueError(
                f"LBFGS searches along all rows at once, but {cause}: change that, give"
                f" arrays in memory, or compile '{model.name}' with another optimizer."
            )
        if checkpoint is not None and (is_search or trainer is None):
            raise ValueError(
                f"`checkpoint` is not supported here, as {cause}: leave it out, and use"
                " keras.callbacks.BackupAndRestore."
            )
        if trainer is None:
            logger.debug("Using keras.Model.fit: %s", cause)
            return Model.fit(
                model,
                x,
                y,
                batch_size,
                epochs,
                verbose,
                [*callbacks, Guard(is_interrupted)],
                validation_split,
                validation_data,
                shuffle,
                class_weight,
                sample_weight,
                initial_epoch,
                steps_per_epoch,
                validation_steps,
                validation_batch_size,
                validation_freq,
            )
        loop = Loop(model, trainer, parts[0], callbacks, verbose, is_interrupted)
        if checkpoint is not None:
            loop.checkpoint = Checkpoint(checkpoint, model, parts, settings)
        return loop.run(initial_epoch, epochs)


def _check_epochs(
    callbacks: list[Callback],
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_freq: Any,
) -> None:
    """Refuse epochs that are not one pass over the rows, or that stop on the way."""
    for callback in callbacks:
        if works_within_epochs(callback):
            raise LeftToKerasError(
                f"{type(callback).__name__} has methods for single steps"
            )
    if steps_per_epoch is not None or validation_steps is not None:
        raise LeftToKerasError("steps_per_epoch or validation_steps is given")
    if validation_freq != 1:
        raise LeftToKerasError("validation_freq is not 1")


def _check_memory(parts: Parts) -> None:
    n_bytes, free = _data.count_bytes(*parts), _data.free_memory()
    if free is None or n_bytes <= _data.SHARE * free:
        return
    warnings.warn(
        f"The rows take {n_bytes / 2**30:.3g} GiB, but only {free / 2**30:.3g} GiB of"
        " memory are free, so keras.Model.fit streams them, which is slower: give fewer"
        " rows, or a smaller dtype, to train in one program.",
        stacklevel=3,
    )
    raise LeftToKerasError("the rows take more than the free memory")


def _check_constraints(model: Model) -> None:
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            raise ValueError(
                f"LBFGS does not support the constraint of '{variable.path}': compile"
                f" '{model.name}' with another optimizer, or drop the constraint."
            )


def _make_trainer(
    model: Model,
    parts: Parts,
    shuffle: bool | str,
    n_epochs: int,
) -> Epochs:
    """The backend's `Epochs` for a model."""
    train, _ = parts
    _check_model(model, parts)
    # Zero epochs of Keras's own fit build the model, the metrics and the optimizer, but
    # not on TensorFlow. It takes all rows, since it draws an order of them: so the
    # later orders are those of Keras, too.
    x, y, weight = keras.utils.unpack_x_y_sample_weight(train.data)
    Model.fit(
        model, x, y, train.batch_size, 0, 0, shuffle=shuffle, sample_weight=weight
    )
    if not build_for_training(model, train.data):
        raise LeftToKerasError("the model cannot be built before its first step")
    if keras.backend.backend() == "jax":
        from keras_tied.training._jax.trainer import JaxEpochs

        return JaxEpochs(model, parts, shuffle, n_epochs)
    return Epochs(model, parts, shuffle)


def _check_model(model: Model, parts: Parts) -> None:
    """Refuse models whose steps cannot be taken together on this backend."""
    if model.run_eagerly:
        raise LeftToKerasError("the model runs eagerly")
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        raise LeftToKerasError("keras.config limits the epochs")
    if keras.distribution.distribution() is not None:
        raise LeftToKerasError("a keras.distribution is set")
    if keras.backend.backend() == "jax":
        if not model.jit_compile:
            raise LeftToKerasError("jit_compile is False")
        if keras.config.is_nnx_enabled():
            raise LeftToKerasError("NNX is in use")
        return
    if any(rows is not None and rows.steps > 1 for rows in parts):
        raise LeftToKerasError("the rows are more than one batch")
    # Random numbers for each row depend on their order, and on PyTorch on the loader.
    if any(map(is_seed, model.variables)) and not isinstance(model.optimizer, LBFGS):
        raise LeftToKerasError("layers draw random numbers")
