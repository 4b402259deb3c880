"""What the loop asks of a backend: epochs.

The class here makes one step an epoch, by the model's own steps, which change its
variables: as TensorFlow and PyTorch do it. JAX has another of the same methods.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import Model, Variable

from keras_tied._keras_internals import flatten_logs, results_or_logs
from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import BatchedRows, flatten, map_once

# The values of variables: trainable, other, the optimizer's, and the metrics'.
State = tuple[list[Any], ...]
EpochLogs = dict[str, Any]  # of an epoch: numbers, arrays, and dicts of these
Visit = Callable[[int, EpochLogs], object]  # the steps made in this epoch, and the logs


class Epochs:
    """Trains a model, many epochs at a call, and can return to an earlier state."""

    def __init__(
        self,
        model: Model,
        parts: Iterable[BatchedRows | None] = (),
        shuffle: bool | str = False,
    ) -> None:
        self.model = model
        self.shuffle = bool(shuffle)
        self.variables = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
        self.start: State = ()  # that the last run began with, and
        self.random: Any = None  # NumPy's random state then
        data = [rows.data for rows in parts if rows]
        self.batches = map_once(keras.ops.convert_to_tensor, data)
        self.steps = model.train_step, model.test_step
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            self.steps = tuple(map(tf.function, self.steps))

    def run(self, epochs: int, visit: Visit) -> list[EpochLogs]:
        """Train for at most so many epochs; return the logs of each."""
        self.note_start()
        return self.train(epochs)

    def note_start(self) -> None:
        self.start = self.read()
        self.random = np.random.get_state()  # noqa: NPY002

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run."""
        self.write(self.start)
        np.random.set_state(self.random)  # noqa: NPY002
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
            tensors = self.run_epoch()
            logs.append(join_logs(keras.tree.map_structure(_to_number, tensors)))
        return logs

    def run_epoch(self) -> list[Any]:
        """Train for an epoch, and validate; the logs of both are tensors."""
        logs = []
        train, *validation = self.batches
        batches = [self.reorder(train), *validation]
        for step, batch in zip(self.steps, batches, strict=False):
            self.model.reset_metrics()
            logs.append(results_or_logs(self.model, step(batch)))
        return logs

    def reorder(self, batch: Any) -> Any:
        """All rows, in a new order, which layers that mix them may see."""
        if not self.shuffle:
            return batch
        count = max(map(len, flatten(batch)))
        order = np.random.permutation(count)  # noqa: NPY002
        return map_once(lambda rows: keras.ops.take(rows, order, axis=0), batch)


def _to_number(tensor: Any) -> Any:
    array = keras.ops.convert_to_numpy(tensor)
    return array if array.ndim else array.item()


def join_logs(logs: list[Any]) -> EpochLogs:
    """The logs of an epoch from those of training, and of validation if there is one.

    A metric whose result is a dict is laid open in the latter alone: Keras orders the
    names of an epoch later.
    """
    train, *validation = logs
    joined = dict(train)
    for each in validation:
        flat = flatten_logs(each)
        joined |= {f"val_{name}": value for name, value in flat.items()}
    return joined


def is_seed(variable: Variable) -> bool:
    return "seed_generator_state" in variable.name
