"""The loop of `fit`: epochs in bunches, with callbacks in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_tied.training._callbacks import Bar, diverged, only_reads_logs
from keras_tied.training._data import Rows
from keras_tied.training._epochs import SECONDS_BETWEEN_VISITS, Epochs, InPlace, Logs
from keras_tied.training._lbfgs_search import InPlaceObjective, Objective, search
from keras_tied.training.lbfgs import LBFGS

FIRST_BUNCH = 8


class Loop:
    """Epochs in bunches, with callbacks in between."""

    def __init__(
        self,
        model: keras.Model,
        taken: Epochs,
        train: Rows,
        callbacks: list[keras.callbacks.Callback],
        verbose: Any,
        interrupted: Callable[[], bool],
    ) -> None:
        self.model, self.taken, self.train = model, taken, train
        self.callbacks, self.verbose, self.interrupted = callbacks, verbose, interrupted
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
            return not (self.model.stop_training or self.interrupted())

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
            if self.interrupted():
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


def _objective(taken: Epochs) -> Objective:
    if isinstance(taken, InPlace):
        return InPlaceObjective(taken)
    from keras_tied.training._jax.objective import JaxObjective
    from keras_tied.training._jax.trainer import JaxEpochs

    assert isinstance(taken, JaxEpochs)
    return JaxObjective(taken)
