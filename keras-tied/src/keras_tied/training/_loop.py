"""The loop of `fit`: bunches of epochs, with callbacks in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import Model
from keras.callbacks import Callback

from keras_tied._keras_internals import find_initial_epoch
from keras_tied.training._callbacks import Bar, make_divergence_error, only_reads_logs
from keras_tied.training._checkpoint import Checkpoint
from keras_tied.training._data import BatchedRows
from keras_tied.training._epochs import EpochLogs, Epochs
from keras_tied.training.lbfgs import LBFGS, search

FIRST_BUNCH = 8
SECONDS_BETWEEN_VISITS = 0.2


@dataclass
class Loop:
    """Runs bunches of epochs, with callbacks in between."""

    model: Model
    trainer: Epochs
    train: BatchedRows
    callbacks: list[Callback]
    verbose: Any
    is_interrupted: Callable[[], bool]
    checkpoint: Checkpoint | None = None

    def run(self, begin: int, end: int) -> keras.callbacks.History:
        model = self.model
        self.bar = Bar()
        callbacks = list(self.callbacks)
        if self.verbose != 0 and not any(map(_is_bar, callbacks)):
            callbacks.append(self.bar)
        self.hooks = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            model=model,
            verbose=self.verbose,
            epochs=end,
            steps=self.train.steps,
        )
        model.stop_training = False
        self.hooks.on_train_begin()
        begin = find_initial_epoch(model, begin)
        if isinstance(model.optimizer, LBFGS):
            logs = self._run_search(begin, end)
        else:
            logs = self._run_bunches(self._restore(begin), end)
            if end > begin:
                model.optimizer.finalize_variable_values(model.trainable_weights)
        self.hooks.on_train_end(logs)
        if self.checkpoint and not self.is_interrupted():
            self.checkpoint.path.unlink(missing_ok=True)
        return model.history

    def _restore(self, begin: int) -> int:
        """The epoch to go on with, after the checkpoint's if there is one."""
        if self.checkpoint is None:
            return begin
        callbacks = [each for each in self.hooks.callbacks if not _is_bar(each)]
        epochs = self.checkpoint.restore(callbacks)
        return begin if epochs is None else epochs

    def _run_search(self, epoch: int, end: int) -> EpochLogs:
        logs: EpochLogs = {}

        def report(new_logs: EpochLogs) -> bool:
            nonlocal epoch, logs
            logs = new_logs
            self.hooks.on_epoch_begin(epoch)
            self._report(epoch, [logs], True)
            epoch += 1
            return not (self.model.stop_training or self.is_interrupted())

        search(self.trainer, epoch, end, report)
        return logs

    def _run_bunches(self, epoch: int, end: int) -> EpochLogs:
        bunch = FIRST_BUNCH if self.train.steps == 1 else 1
        is_watched = all(map(only_reads_logs, self.callbacks))
        logs: EpochLogs = {}
        # As Keras, an epoch even where a callback stops before the first.
        while epoch < end:
            count = min(bunch, end - epoch) if is_watched else 1
            epochs = self._run_bunch(epoch, count)
            epoch += len(epochs)
            logs = epochs[-1] if epochs else logs
            pace = SECONDS_BETWEEN_VISITS / max(self.bar.seconds, 1e-9)
            bunch = max(1, min(8 * count, int(pace)))
            was_interrupted = self.is_interrupted()
            if was_interrupted:
                self.model.stop_training = True
            if self.checkpoint and (self.checkpoint.is_due or was_interrupted):
                self.checkpoint.save(epoch)
            if self.model.stop_training:
                break
        return logs

    def _run_bunch(self, epoch: int, count: int) -> list[EpochLogs]:
        """Train for some epochs at once; the logs of each until one stops."""
        has_begun = count == 1
        self.bar.seconds = 0.0
        if has_begun:
            self.hooks.on_epoch_begin(epoch)
        start = time.perf_counter()
        epochs = self.trainer.run(count, self._visit)
        seconds = time.perf_counter() - start
        self.bar.seconds = seconds / len(epochs)
        failure = self._find_failure(epochs)
        n_reported = self._report(epoch, epochs[:failure], has_begun)
        if failure is not None and not self.model.stop_training:
            self.trainer.rewind(failure)
            if failure and not self.trainer.is_finite():  # by its last step alone
                self.trainer.rewind(failure - 1)
            loss = epochs[failure].get("loss", 0.0)
            raise make_divergence_error(self.model, epoch + failure, loss)
        if n_reported < len(epochs):
            self.trainer.rewind(n_reported)
        return epochs[:n_reported]

    def _report(
        self,
        epoch: int,
        epochs: list[EpochLogs],
        has_begun: bool,
    ) -> int:
        """Call back for each epoch until one stops training; return how many ended."""
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

    def _visit(self, step: int, logs: EpochLogs) -> None:
        if self.verbose != 0:
            self.bar.on_train_batch_end(step - 1, logs)

    def _find_failure(self, epochs: list[EpochLogs]) -> int | None:
        """The first epoch with a loss, or the last one with weights, not finite."""
        for index, logs in enumerate(epochs):
            if not np.isfinite(logs.get("loss", 0.0)):
                return index
        return None if self.trainer.is_finite() else len(epochs) - 1


def _is_bar(callback: Callback) -> bool:
    return isinstance(callback, keras.callbacks.ProgbarLogger)
