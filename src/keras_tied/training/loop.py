"""`fit`: many epochs of a compiled Keras model as one program."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from keras_tied.training._callbacks import (
    Bar,
    Guard,
    diverged,
    interrupts,
    only_reads_logs,
    works_within_epochs,
)
from keras_tied.training._epochs import SECONDS_BETWEEN_VISITS, Epochs, InPlace, Logs
from keras_tied.training._lbfgs import InPlaceObjective, Objective, is_seed, search
from keras_tied.training._rows import Rows, rows, split, weights_of_classes
from keras_tied.training.lbfgs import LBFGS

FIRST_BUNCH = 8


def fit(
    model: keras.Model,
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
) -> keras.callbacks.History:
    """Train a compiled Keras model as `model.fit` does, many steps and epochs at a time.

    Takes what `keras.Model.fit` takes and gives what it gives, with the model's own `train_step`,
    optimizer, loss and metrics: the same history and weights up to rounding, and the same order of
    the rows after `keras.utils.set_random_seed`. On the JAX backend, for arrays in memory, steps
    and epochs run in one compiled program; it comes back to Python a few times a second, and a
    second `fit` of the same shapes finds it compiled. Where all rows are one batch, epochs are also
    taken together on TensorFlow (in one graph) and on PyTorch (in a plain loop). Everything else is
    left to Keras's `fit`: streamed data, `steps_per_epoch`, `validation_freq`, models that run
    eagerly, and callbacks that work at single steps.

    Ctrl-C stops training at the end of the epoch and returns the history so far; a second one
    raises `KeyboardInterrupt`.

    Args:
        model: a compiled `keras.Model`.
        x: the inputs: an array of shape `(n_samples, ...)`, several of them in a list or dict, or
            anything else that Keras's `fit` takes.
        y: the targets, with as many rows. Defaults to none.
        batch_size: rows a step; the last batch may be smaller. Defaults to Keras's 32.
        epochs: how often to go through the rows. Defaults to 1.
        verbose: "auto", 0, 1 or 2, as in Keras. Defaults to "auto".
        callbacks: Keras callbacks. One that may look at the model or change it is called after
            every single epoch with the model as it is then, which costs time; one that only reads
            the logs can say so by being a `Watcher`. Keras's `CSVLogger`, and `EarlyStopping`
            without `restore_best_weights`, count as such.
        validation_split: the share of the rows, the last, to hold out. Defaults to 0.
        validation_data: what to evaluate after every epoch: `x_val`, `(x_val, y_val)` or
            `(x_val, y_val, sample_weight)`.
        shuffle: whether to draw a new order of the rows in each epoch; "batch" for an order within
            each batch. Defaults to `True`.
        class_weight: weights of the classes in `y`.
        sample_weight: weights of the rows.
        initial_epoch: the number of the first epoch. Defaults to 0.
        steps_per_epoch: as in Keras.
        validation_steps: as in Keras.
        validation_batch_size: rows a step of validation. Defaults to `batch_size`.
        validation_freq: as in Keras.

    Returns:
        The `History`.

    Raises:
        ValueError: if the model is not compiled, and for what Keras refuses.
        FloatingPointError: as soon as an epoch ends with a loss or weights that are not finite.
            The model keeps the last weights whose loss was.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_tied.training import fit
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
        >>> x = np.eye(4)
        >>> history = fit(model, x, x, epochs=50, verbose=0)
        >>> len(history.history["loss"])
        50
    """
    if not model.compiled:
        raise ValueError(
            f"Model '{model.name}' has no optimizer and loss yet: call compile() first."
        )
    callbacks = keras.tree.flatten(callbacks) if callbacks else []
    plain = (
        steps_per_epoch is None
        and validation_steps is None
        and validation_freq == 1
        and not any(map(works_within_epochs, callbacks))
    )
    data = (x, y, sample_weight, class_weight, batch_size)
    held_out = (validation_split, validation_data, validation_batch_size)
    parts = _parts(data, held_out) if plain else None
    if isinstance(model.optimizer, LBFGS):
        parts = _all_at_once(model, parts, callbacks)
    taken = None if parts is None else _epochs(model, *parts, shuffle)
    with interrupts() as asked:
        if taken is None:
            return keras.Model.fit(
                model,
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=[*callbacks, Guard(asked)],
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
            )
        assert parts is not None
        loop = _Loop(model, taken, parts[0], callbacks, verbose, asked)
        return loop.run(initial_epoch, epochs)


class _Loop:
    """Epochs in bunches, with callbacks in between."""

    def __init__(
        self,
        model: keras.Model,
        taken: Epochs,
        train: Rows,
        callbacks: list[keras.callbacks.Callback],
        verbose: Any,
        asked: Callable[[], bool],
    ) -> None:
        self.model, self.taken, self.train = model, taken, train
        self.callbacks, self.verbose, self.asked = callbacks, verbose, asked
        self.only_read = all(map(only_reads_logs, callbacks))

    def run(self, begin: int, end: int) -> keras.callbacks.History:
        """Train from epoch `begin` to epoch `end`, and give the history."""
        model = self.model
        self.bar = Bar()
        self.hooks = keras.callbacks.CallbackList(
            [*self.callbacks, self.bar] if self.verbose != 0 else self.callbacks,
            add_history=True,
            verbose=self.verbose,
            epochs=end,
            steps=self.train.steps,
            model=model,
        )
        model.stop_training = False
        self.hooks.on_train_begin()
        if isinstance(model.optimizer, LBFGS):
            logs = self._search(begin, end)
        else:
            logs = self._bunches(begin, end)
        self.hooks.on_train_end(logs)
        return model.history

    def _search(self, epoch: int, end: int) -> dict[str, float]:
        """Iterations of L-BFGS, each as an epoch."""
        optimizer, logs = self.model.optimizer, {}
        objective = _objective(self.taken)

        def report(seen: dict[str, float], weights: Any) -> bool:
            nonlocal epoch, logs
            logs = seen
            self.hooks.on_epoch_begin(epoch)
            if not self.only_read:
                objective.push(weights)
            self._report(epoch, [logs], True)
            epoch += 1
            return not (self.model.stop_training or self.asked())

        optimizer.only_differentiates = True
        weights = objective.weights()
        try:
            first, _ = objective.evaluate(weights)
            if not np.isfinite(first["loss"]):
                raise diverged(self.model, epoch, first["loss"])
            weights = search(objective, optimizer, end - epoch, report)
            if not logs and end > epoch:  # it began at an optimum, as far as numbers tell
                report(first | objective.validate(weights), weights)
        finally:
            optimizer.only_differentiates = False
            if self.only_read:
                objective.push(weights)
        return logs

    def _bunches(self, epoch: int, end: int) -> dict[str, float]:
        """Epochs of gradient descent, a bunch at a time."""
        try:
            return self._train(epoch, end)
        finally:
            if self.only_read:
                self.taken.push()
            if end > epoch:
                self.model.optimizer.finalize_variable_values(self.model.trainable_weights)

    def _train(self, epoch: int, end: int) -> dict[str, float]:
        bunch = FIRST_BUNCH if self.train.steps == 1 else 1
        logs: dict[str, float] = {}
        while epoch < end and not self.model.stop_training:
            count = min(bunch, end - epoch) if self.only_read else 1
            begun = count == 1
            self.bar.seconds = 0.0
            if begun:
                self.hooks.on_epoch_begin(epoch)
            if not self.only_read:
                self.taken.pull()
            start = time.perf_counter()
            values = self.taken.run(count, self._visit)
            seconds = time.perf_counter() - start
            count = len(next(iter(values.values())))
            self.bar.seconds = seconds / count
            columns = [column.tolist() for column in values.values()]
            epochs = [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]
            failed = self._first_failure(values, count)
            if not self.only_read:
                self.taken.push()
            reported = self._report(epoch, epochs[:failed], begun)
            if failed is not None and not self.model.stop_training:
                self._recover(failed)
                raise diverged(self.model, epoch + failed, epochs[failed].get("loss", 0.0))
            if reported < count:
                self.taken.rewind(reported)
            epoch += reported
            logs = epochs[reported - 1]
            pace = SECONDS_BETWEEN_VISITS / max(seconds, 1e-9)
            bunch = max(1, min(8 * count, int(count * pace)))
            if self.asked():
                self.model.stop_training = True
        return logs

    def _report(self, epoch: int, epochs: list[dict[str, float]], begun: bool) -> int:
        """Call back for each epoch until one stops the training, and give how many that were."""
        for index, logs in enumerate(epochs):
            if not begun:
                self.hooks.on_epoch_begin(epoch + index)
            self.hooks.on_epoch_end(epoch + index, logs)
            if self.model.stop_training:
                return index + 1
        return len(epochs)

    def _visit(self, step: int, logs: dict[str, float]) -> None:
        if self.verbose != 0:
            self.bar.on_train_batch_end(step - 1, logs)

    def _first_failure(self, values: Logs, count: int) -> int | None:
        """The first epoch of a bunch whose loss, or whose weights at the end, are not finite."""
        bad = ~np.isfinite(values.get("loss", np.zeros(count)))
        if bad.any():
            return int(bad.argmax())
        return None if self.taken.finite() else count - 1

    def _recover(self, failed: int) -> None:
        """Give the model the last weights that are finite, and whose loss is.

        The loss of an epoch is that of the weights before its steps: those after the last epoch of
        a finite loss can be bad already, and those before it cannot.
        """
        self.taken.rewind(failed)
        if not self.taken.finite() or not np.isfinite(self.taken.loss()):
            self.taken.rewind(failed - 1)
        self.taken.push()


def _parts(data: tuple[Any, ...], held_out: tuple[Any, ...]) -> tuple[Rows, Rows | None] | None:
    """The rows to train on and to evaluate, or None if they are not arrays in memory."""
    x, y, sample_weight, class_weight, batch_size = data
    share, validation_data, validation_batch_size = held_out
    if validation_data is None and share:
        halves = split((x, y, sample_weight), share)
        if halves is None:
            return None
        (x, y, sample_weight), validation_data = halves
    if class_weight is not None:
        if sample_weight is not None:
            return None
        sample_weight = weights_of_classes(y, class_weight)
    train = rows(x, y, sample_weight, batch_size)
    if train is None or validation_data is None:
        return None if train is None else (train, None)
    if isinstance(validation_data, (list, tuple)) and len(validation_data) > 3:
        return None
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(validation_data)
    validation = rows(x, y, sample_weight, validation_batch_size or batch_size)
    return None if validation is None else (train, validation)


def _all_at_once(
    model: keras.Model,
    parts: tuple[Rows, Rows | None] | None,
    callbacks: list[keras.callbacks.Callback],
) -> tuple[Rows, Rows | None]:
    """The same rows, each part in one batch, as L-BFGS takes them."""
    steps = [type(callback).__name__ for callback in callbacks if works_within_epochs(callback)]
    if parts is None:
        cause = f"{steps[0]} works at single steps" if steps else "x is no array in memory"
        raise ValueError(
            f"LBFGS searches along all rows at once, and {cause}: give arrays (without "
            "steps_per_epoch and validation_freq), and callbacks that work at epochs, or another "
            "optimizer."
        )
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            raise ValueError(
                f"LBFGS cannot hold '{variable.path}' to its constraint: compile '{model.name}' "
                "with another optimizer, or without the constraint."
            )
    train, validation = (part and replace(part, batch_size=part.count) for part in parts)
    assert train is not None
    return train, validation


def _objective(taken: Epochs) -> Objective:
    if isinstance(taken, InPlace):
        return InPlaceObjective(taken)
    from keras_tied.training._jax import JaxEpochs
    from keras_tied.training._jax_objective import JaxObjective

    assert isinstance(taken, JaxEpochs)
    return JaxObjective(taken)


def _epochs(
    model: keras.Model, train: Rows, validation: Rows | None, shuffle: bool | str
) -> Epochs | None:
    """What trains the model many epochs at a time, or None if only Keras's `fit` can."""
    backend = keras.backend.backend()
    limited = keras.config.max_epochs() or keras.config.max_steps_per_epoch()
    if model.run_eagerly or limited or keras.distribution.distribution() is not None:
        return None
    single = train.steps == 1 and (validation is None or validation.steps == 1)
    # Random numbers for each row depend on the order of the rows, and on PyTorch on the loader.
    random = any(map(is_seed, model.variables)) and not isinstance(model.optimizer, LBFGS)
    if backend != "jax" and (not single or random):
        return None
    if backend == "jax" and (not model.jit_compile or keras.config.is_nnx_enabled()):
        return None
    # No epoch of Keras's own fit: it builds what is not built yet of model, metrics and optimizer.
    # It is given all rows, as it draws an order of them for that, and so all later ones are drawn
    # alike.
    x, y, weight = keras.utils.unpack_x_y_sample_weight(train.data)
    keras.Model.fit(
        model,
        x,
        y,
        sample_weight=weight,
        batch_size=train.batch_size,
        shuffle=shuffle,
        epochs=0,
        verbose=0,
    )
    model.optimizer.build(model.trainable_variables)
    if backend == "jax":
        from keras_tied.training._jax import JaxEpochs

        return JaxEpochs(model, train, validation, shuffle)
    if backend == "tensorflow":
        from keras_tied.training._tensorflow import TensorFlowEpochs

        return TensorFlowEpochs(model, train, validation)
    from keras_tied.training._torch import TorchEpochs

    return TorchEpochs(model, train, validation)
