"""What the loop asks of a backend: epochs.

The class here makes one step an epoch, by the model's own steps, which change its
variables: as TensorFlow and PyTorch do it. JAX has another of the same methods.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import Model, Variable

from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import BatchedRows, map_once

# The values of variables: trainable, other, the optimizer's, and the metrics'.
State = tuple[list[Any], ...]
EpochLogs = dict[str, Any]  # of an epoch: a number for each metric, or an array
Visit = Callable[[int, EpochLogs], object]  # the steps made in this epoch, and the logs


class Epochs:
    """Trains a model, many epochs at a call, and can return to an earlier state."""

    def __init__(
        self,
        model: Model,
        parts: Iterable[BatchedRows | None] = (),
    ) -> None:
        self.model = model
        self.variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        self.start: State = ()  # that the last run began with
        data = [rows.data for rows in parts if rows]
        self.batches = map_once(keras.ops.convert_to_tensor, data)
        self.step = self.run_epoch
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.step = tf.function(self.run_epoch)

    def run(self, epochs: int, visit: Visit) -> list[EpochLogs]:
        """Train for at most so many epochs; return the logs of each."""
        self.start = self.read()
        return self.train(epochs)

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run."""
        self.write(self.start)
        self.train(epochs)

    def read(self) -> State:
        """The values of the model's variables."""
        groups = [list(map(self.read_value, group)) for group in self.variables]
        return tuple(groups)

    def read_value(self, variable: Variable) -> Any:
        return np.array(keras.ops.convert_to_numpy(variable))  # a copy

    def write(self, state: State) -> None:
        """Set the model's variables, or those of the first groups."""
        for variables, values in zip(self.variables, state, strict=False):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""
        weights, *_ = self.variables
        return all_finite(list(map(self.read_value, weights)))

    def evaluate(
        self, weights: list[Any], others: list[Any]
    ) -> tuple[State, EpochLogs]:
        """The state after an epoch from such variables, and its logs."""
        self.write((weights, others))
        (logs,) = self.train(1)
        return self.read(), logs

    def train(self, epochs: int) -> list[EpochLogs]:
        """Train from the model's variables on, and set them."""
        logs = []
        for _ in range(epochs):
            tensors = self.step()
            logs.append({name: _to_number(tensors[name]) for name in tensors})
        return logs

    def run_epoch(self) -> EpochLogs:
        """Train for an epoch, and validate; the logs are tensors."""
        self.model.reset_metrics()
        logs = flatten_logs(self.model.train_step(self.batches[0]))
        for rows in self.batches[1:]:
            self.model.reset_metrics()
            logs |= name_validation(flatten_logs(self.model.test_step(rows)))
        return logs


def _to_number(tensor: Any) -> Any:
    array = keras.ops.convert_to_numpy(tensor)
    return array if array.ndim else array.item()


def flatten_logs(logs: Mapping[str, Any]) -> EpochLogs:
    """The logs of a step in one dict, with those of metrics whose result is a dict."""
    flat: EpochLogs = {}
    for name, value in logs.items():
        flat |= flatten_logs(value) if isinstance(value, dict) else {name: value}
    return flat


def name_validation(logs: Mapping[str, Any]) -> EpochLogs:
    return {f"val_{name}": value for name, value in logs.items()}


def is_seed(variable: Variable) -> bool:
    return "seed_generator_state" in variable.name
