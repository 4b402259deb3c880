"""What the loop asks of a backend: epochs.

The class here makes one step an epoch, by the model's own steps, which change its
variables: as TensorFlow and PyTorch do it. JAX has another of the same methods.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import Model, Variable

from keras_tied._types import Array
from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import BatchedRows, map_once

SECONDS_BETWEEN_VISITS = 0.2

Logs = dict[str, Array]  # of each metric, an array of epochs
EpochLogs = dict[str, Any]
Visit = Callable[[int, EpochLogs], object]  # the steps made in this epoch, and the logs


class Epochs:
    """Trains a model, many epochs at a call, and can return to an earlier state."""

    def __init__(
        self,
        model: Model,
        parts: Iterable[BatchedRows | None] = (),
    ) -> None:
        self.model = model
        data = [rows.data for rows in parts if rows]
        self.batches = map_once(keras.ops.convert_to_tensor, data)
        self.start: Any = None  # the state that the last run began with
        self.step = self.run_epoch
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.step = tf.function(self.run_epoch)

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for at most so many epochs; return the logs."""
        variables = [*self.model.variables, *self.model.optimizer.variables]
        self.start = read_all(variables)
        return self.run_epochs(epochs)

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run."""
        assign_all(self.start)
        self.run_epochs(epochs)

    def pull(self) -> None:
        """Read the model's variables."""

    def push(self) -> None:
        """Write the model's variables."""

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""
        return all_finite([read(v) for v in self.model.trainable_variables])

    def run_epoch(self) -> EpochLogs:
        """Train for an epoch, and validate; the logs are tensors."""
        self.model.reset_metrics()
        logs = flatten_logs(self.model.train_step(self.batches[0]))
        for rows in self.batches[1:]:
            self.model.reset_metrics()
            logs |= name_validation(flatten_logs(self.model.test_step(rows)))
        return logs

    def run_epochs(self, epochs: int) -> Logs:
        """Train for so many epochs; return the logs."""
        columns: dict[str, list[Any]] = {}
        for _ in range(epochs):
            for name, value in self.step().items():
                number = keras.ops.convert_to_numpy(value)
                columns.setdefault(name, []).append(number)
        return {name: np.array(column) for name, column in columns.items()}


def flatten_logs(logs: Mapping[str, Any]) -> EpochLogs:
    """The logs of a step in one dict, with those of metrics whose result is a dict."""
    flat: EpochLogs = {}
    for name, value in logs.items():
        flat |= flatten_logs(value) if isinstance(value, dict) else {name: value}
    return flat


def name_validation(logs: Mapping[str, Any]) -> EpochLogs:
    return {f"val_{name}": value for name, value in logs.items()}


def split_epochs(logs: Logs) -> list[EpochLogs]:
    """The logs of each epoch: of a metric a number, or an array if it is a vector."""
    columns = [
        column.tolist() if column.ndim == 1 else list(column)
        for column in logs.values()
    ]
    return [dict(zip(logs, row, strict=True)) for row in zip(*columns, strict=True)]


def is_seed(variable: Variable) -> bool:
    return "seed_generator_state" in variable.name


def read(variable: Variable) -> Array:
    """A copy of the value of a variable."""
    return np.array(keras.ops.convert_to_numpy(variable))


def read_all(variables: list[Variable]) -> list[tuple[Variable, Array]]:
    return [(variable, read(variable)) for variable in variables]


def assign_all(values: Iterable[tuple[Variable, Array]]) -> None:
    for variable, value in values:
        variable.assign(value)
