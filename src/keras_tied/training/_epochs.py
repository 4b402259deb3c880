"""What the loop asks of a backend: epochs, and a loss to minimise.

The classes here make one step an epoch, by the model's own steps, which change its
variables: as TensorFlow and PyTorch do it. JAX has others of the same methods.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

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


class Run(NamedTuple):
    """The state and the orders of the rows that a run began with, and its epochs."""

    state: Any
    orders: Any
    epochs: int


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
        self.runs: deque[Run] = deque(maxlen=2)

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for at most so many epochs; return the logs."""
        variables = [*self.model.variables, *self.model.optimizer.variables]
        start = _read_all(variables)
        self.runs.append(Run(start, None, epochs))
        return self.run_epochs(epochs)

    def repeat(self, run: Run, epochs: int) -> Logs:
        """Set the state that a run began with, and train for its first epochs."""
        _assign(run.state)
        return self.run_epochs(epochs)

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run; -1: one before."""
        run = self.runs[-1]
        if epochs < 0 and len(self.runs) > 1:
            run = self.runs[0]
            epochs += run.epochs
        self.repeat(run, max(epochs, 0))

    def pull(self) -> None:
        """Read the model's variables."""

    def push(self) -> None:
        """Write the model's variables."""

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""
        return all_finite([_read(v) for v in self.model.trainable_variables])

    def run_epoch(self) -> EpochLogs:
        """Train for an epoch, and validate; the logs are tensors."""
        self.model.reset_metrics()
        logs = flatten_logs(self.model.train_step(self.batches[0]))
        for rows in self.batches[1:]:
            self.model.reset_metrics()
            logs |= name_validation(flatten_logs(self.model.test_step(rows)))
        return logs

    def run_epochs(self, epochs: int) -> Logs:
        columns: dict[str, list[Any]] = {}
        for _ in range(epochs):
            for name, value in self.run_epoch().items():
                number = keras.ops.convert_to_numpy(value)
                columns.setdefault(name, []).append(number)
        return {name: np.array(column) for name, column in columns.items()}


class Objective:
    """The loss of a model on all rows, as a function of its weights in one vector."""

    def __init__(self, epochs: Epochs) -> None:
        self.model = epochs.model
        self.epochs = epochs
        trainable = self.model.trainable_variables
        self.shapes = [tuple(variable.shape) for variable in trainable]
        self._others = _read_all(self.model.non_trainable_variables)

    def get_weights(self) -> Array:
        return _flatten(self.model.trainable_variables)

    def evaluate(self, weights: Array) -> tuple[EpochLogs, Array]:
        """The model's logs, and the gradient of the loss of the training rows."""
        self.push(weights)
        _assign(self._others)
        self.epochs.pull()
        (logs,) = split_epochs(self.epochs.run_epochs(1))
        self.epochs.push()
        return logs, _flatten(self.model.optimizer.gradients)

    def accept(self) -> None:
        """Keep the other variables, such as moving averages, of the last evaluation."""
        for place, (variable, _) in enumerate(self._others):
            if not is_seed(variable):
                self._others[place] = variable, _read(variable)

    def push(self, weights: Array) -> None:
        """Write the weights to the model's variables."""
        values = split_vector(weights.astype("float32"), self.shapes)
        _assign(zip(self.model.trainable_variables, values, strict=True))


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


def split_vector(
    vector: Any,
    shapes: Iterable[tuple[int, ...]],
) -> list[Any]:
    arrays = []
    begin = 0
    for shape in shapes:
        end = begin + math.prod(shape)
        arrays.append(vector[begin:end].reshape(shape))
        begin = end
    return arrays


def _flatten(variables: list[Variable]) -> Array:
    vectors = [value.ravel() for _, value in _read_all(variables)]
    return np.concatenate(vectors, dtype=np.float64)


def _read(variable: Variable) -> Array:
    """A copy of the value of a variable."""
    return np.array(keras.ops.convert_to_numpy(variable))


def _read_all(variables: list[Variable]) -> list[tuple[Variable, Array]]:
    return [(variable, _read(variable)) for variable in variables]


def _assign(values: Iterable[tuple[Variable, Array]]) -> None:
    for variable, value in values:
        variable.assign(value)
