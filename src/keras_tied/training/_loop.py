"""The loop of `fit`: bunches of epochs, with callbacks in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_tied._keras_internals import find_initial_epoch
from keras_tied.training._callbacks import Bar, make_divergence_error, only_reads_logs
from keras_tied.training._checkpoint import Checkpoint
from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import SECONDS_BETWEEN_VISITS, Epochs, Logs, list_logs
from keras_tied.training.lbfgs import LBFGS, search

FIRST_BUNCH = 8


@dataclass
class Loop:
    """Runs bunches of epochs, with callbacks in between."""

    model: keras.Model
    trainer: Epochs
    train: BatchedRows
    callbacks: list[keras.callbacks.Callback]
    verbose: Any
    is_interrupted: Callable[[], bool]
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        self.only_read = all(map(only_reads_logs, self.callbacks))
        self.was_interrupted = False

    def run(self, begin: int, end: int) -> keras.callbacks.History:
        model = self.model
        self.bar = Bar()
        has_bar = any(
            isinstance(c, keras.callbacks.ProgbarLogger) for c in self.callbacks
        )
        callbacks = (
            self.callbacks
            if has_bar or self.verbose == 0
            else [*self.callbacks, self.bar]
        )
        progress = {"verbose": self.verbose, "epochs": end, "steps": self.train.steps}
        self.hooks = keras.callbacks.CallbackList(
            callbacks, True, model=model, **progress
        )
        model.stop_training = False
        self.hooks.on_train_begin()
        begin = find_initial_epoch(model, begin)
        if isinstance(model.optimizer, LBFGS):
            self.hooks.on_train_end(self._run_search(begin, end))
            return model.history
        bar = keras.callbacks.ProgbarLogger
        self.noted = [
            each for each in self.hooks.callbacks if not isinstance(each, bar)
        ]
        start = self.checkpoint.restore(self.noted) if self.checkpoint else None
        if start is not None:
            self.trainer.pull()
        try:
            logs = self._run_bunches(begin if start is None else start, end)
        finally:
            if self.only_read:
                self.trainer.push()
            if end > begin:
                model.optimizer.finalize_variable_values(model.trainable_weights)
        self.hooks.on_train_end(logs)
        if self.checkpoint and not self.was_interrupted:
            self.checkpoint.delete()
        return model.history

    def _run_search(self, epoch: int, end: int) -> dict[str, Any]:
        optimizer, logs = self.model.optimizer, {}
        objective = self.trainer.make_objective()

        def report(new_logs: dict[str, Any], weights: Any) -> bool:
            nonlocal epoch, logs
            logs = new_logs
            self.hooks.on_epoch_begin(epoch)
            if not self.only_read:
                objective.push(weights)
            self._report(epoch, [logs], True)
            epoch += 1
            return not (self.model.stop_training or self.is_interrupted())

        optimizer.only_differentiates = True
        weights = objective.get_weights()
        try:
            first, _ = objective.evaluate(weights)
            if not np.isfinite(first["loss"]):
                raise make_divergence_error(self.model, epoch, first["loss"])
            weights = search(objective, optimizer, end - epoch, report)
            if not logs and end > epoch:  # the start was an optimum, up to rounding
                report(first | objective.validate(weights), weights)
        finally:
            optimizer.only_differentiates = False
            if self.only_read:
                objective.push(weights)
        return logs

    def _run_bunches(self, epoch: int, end: int) -> dict[str, Any]:
        bunch = FIRST_BUNCH if self.train.steps == 1 else 1
        logs: dict[str, Any] = {}
        while (
            epoch < end
        ):  # as Keras, an epoch even where a callback stops before the first
            count = min(bunch, end - epoch) if self.only_read else 1
            has_begun = count == 1
            self.bar.seconds = 0.0
            if has_begun:
                self.hooks.on_epoch_begin(epoch)
            if not self.only_read:
                self.trainer.pull()
            start = time.perf_counter()
            values = self.trainer.run(count, self._visit)
            seconds = time.perf_counter() - start
            count = len(next(iter(values.values())))
            self.bar.seconds = seconds / count
            epochs: list[dict[str, Any]] = [{} for _ in range(count)]
            for name, column in values.items():
                for epoch_logs, value in zip(epochs, list_logs(column), strict=True):
                    epoch_logs[name] = value
            failure = self._first_failure(values, count)
            if not self.only_read:
                self.trainer.push()
            n_reported = self._report(epoch, epochs[:failure], has_begun)
            if failure is not None and not self.model.stop_training:
                self._recover(failure)
                loss = epochs[failure].get("loss", 0.0)
                raise make_divergence_error(self.model, epoch + failure, loss)
            if n_reported < count:
                self.trainer.rewind(n_reported)
            epoch += n_reported
            logs = epochs[n_reported - 1]
            pace = SECONDS_BETWEEN_VISITS / max(seconds, 1e-9)
            bunch = max(1, min(8 * count, int(count * pace)))
            self.was_interrupted = self.is_interrupted()
            if self.was_interrupted:
                self.model.stop_training = True
            if self.checkpoint and (
                self.checkpoint.file.is_due or self.was_interrupted
            ):
                if self.only_read:
                    self.trainer.push()
                self.checkpoint.save(epoch, self.noted)
            if self.model.stop_training:
                break
        return logs

    def _report(self, epoch: int, epochs: list[dict[str, Any]], has_begun: bool) -> int:
        """Call back for each epoch until one stops training, or raises; return how many ended."""
        n_ended = 0
        try:
            for index, logs in enumerate(epochs):
                if not has_begun:
                    self.hooks.on_epoch_begin(epoch + index)
                n_ended = index + 1
                self.hooks.on_epoch_end(epoch + index, logs)
                if self.model.stop_training:
                    break
        except BaseException:
            if n_ended < len(epochs):
                self.trainer.rewind(n_ended)
            raise
        return n_ended

    def _visit(self, step: int, logs: dict[str, float]) -> None:
        if self.verbose != 0:
            self.bar.on_train_batch_end(step - 1, logs)

    def _first_failure(self, values: Logs, count: int) -> int | None:
        """The first epoch of a bunch with a loss, or the last one with weights, not finite."""
        bad = ~np.isfinite(values.get("loss", np.zeros(count)))
        if bad.any():
            return int(bad.argmax())
        return None if self.trainer.is_finite() else count - 1

    def _recover(self, failure: int) -> None:
        """Give the model the last weights that are finite and have a finite loss.

        The loss of an epoch is that of the weights before its steps, so the weights
        after the last epoch with a finite loss can be bad, and those before it cannot.
        """
        self.trainer.rewind(failure)
        if not self.trainer.is_finite() or not np.isfinite(self.trainer.compute_loss()):
            self.trainer.rewind(failure - 1)
        self.trainer.push()
