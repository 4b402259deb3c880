"""What the loop asks of a backend, epochs and a loss to minimise, and how steps in place do it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import Parts, map_once

SECONDS_BETWEEN_VISITS = 0.2

Logs = dict[str, "np.ndarray[Any, Any]"]
Visit = Callable[
    [int, dict[str, float]], object
]  # of the steps made in this epoch, and the logs


class Run(NamedTuple):
    """The state and the orders of the rows that a run began with, and its number of epochs."""

    state: Any
    orders: Any
    epochs: int


class Objective(ABC):
    """The loss of a model on all rows, as a function of its weights in one vector."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.shapes: list[tuple[int, ...]] = [
            tuple(variable.shape) for variable in model.trainable_variables
        ]

    def get_weights(self) -> Any:
        return _flatten(self.model.trainable_variables)

    @abstractmethod
    def evaluate(self, weights: Any) -> tuple[dict[str, Any], Any]:
        """The model's logs for the training rows, and the gradient of the loss."""

    @abstractmethod
    def accept(self) -> None:
        """Keep the other variables, such as moving averages, of the last evaluation."""

    @abstractmethod
    def validate(self, weights: Any) -> dict[str, Any]:
        """The model's logs for the validation rows."""

    @abstractmethod
    def push(self, weights: Any) -> None:
        """Write the weights to the model's variables."""


class Epochs(ABC):
    """Trains a model, many epochs at a call, and can return to an earlier state."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.runs: deque[Run] = deque(maxlen=2)

    @abstractmethod
    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for at most so many epochs; return the logs, one array of epochs for each name."""

    @abstractmethod
    def repeat(self, run: Run, epochs: int) -> Logs:
        """Set the state that a run began with, and train for its first epochs."""

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run; -1 is one before it began."""
        if epochs < 0 and len(self.runs) > 1:
            epochs += self.runs[0].epochs
            self.repeat(self.runs[0], epochs)
        else:
            self.repeat(self.runs[-1], max(epochs, 0))

    def pull(self) -> None:  # noqa: B027
        """Read the model's variables."""

    def push(self) -> None:  # noqa: B027
        """Write the model's variables."""

    @abstractmethod
    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""

    @abstractmethod
    def compute_loss(self) -> float:
        """The loss of the first batch of rows."""

    @abstractmethod
    def make_objective(self) -> Objective:
        """What L-BFGS minimises."""


class InPlace(Epochs):
    """Epochs of one batch, by the model's own steps, which change its variables."""

    def __init__(self, model: keras.Model, parts: Parts) -> None:
        super().__init__(model)
        data = [rows.data for rows in parts if rows]
        self.batches = map_once(keras.ops.convert_to_tensor, data)

    def run(self, epochs: int, visit: Visit) -> Logs:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        values = [(v, keras.ops.convert_to_numpy(v).copy()) for v in variables]
        self.runs.append(Run(values, None, epochs))
        return self.run_epochs(epochs)

    def repeat(self, run: Run, epochs: int) -> Logs:
        for variable, value in run.state:
            variable.assign(value)
        return self.run_epochs(epochs) if epochs > 0 else {}

    def is_finite(self) -> bool:
        return all_finite(
            [keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables]
        )

    def compute_loss(self) -> float:
        self.model.reset_metrics()
        return float(self.model.test_step(self.batches[0]).get("loss", 0.0))

    def make_objective(self) -> Objective:
        return InPlaceObjective(self)

    def train(self) -> dict[str, Any]:
        self.model.reset_metrics()
        return flatten_logs(self.model.train_step(self.batches[0]))

    def validate(self) -> dict[str, Any]:
        if len(self.batches) == 1:
            return {}
        self.model.reset_metrics()
        logs = flatten_logs(self.model.test_step(self.batches[1]))
        return {f"val_{name}": value for name, value in logs.items()}

    def compile_step(
        self, step: Callable[[], dict[str, Any]]
    ) -> Callable[[], dict[str, Any]]:
        return lambda: to_epoch_logs(step())

    def run_epochs(self, epochs: int) -> Logs:
        epoch = self.compile_step(lambda: self.train() | self.validate())
        logs = [epoch() for _ in range(epochs)]
        return {name: np.array([values[name] for values in logs]) for name in logs[0]}


def flatten_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """The logs of a step in one dict, with those of metrics whose result is a dict, as Keras's."""
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat |= flatten_logs(value) if isinstance(value, dict) else {name: value}
    return flat


def list_logs(column: Any) -> list[Any]:
    """What is logged of a metric in each epoch: a number, or an array where it is a vector."""
    return column.tolist() if column.ndim == 1 else list(column)


def to_epoch_logs(values: Mapping[str, Any]) -> dict[str, Any]:
    """The logs of one epoch, for what a step returns."""
    arrays = {name: keras.ops.convert_to_numpy(value) for name, value in values.items()}
    return {name: list_logs(array[None])[0] for name, array in arrays.items()}


class InPlaceObjective(Objective):
    """The loss on TensorFlow and PyTorch, whose steps change the model's variables."""

    def __init__(self, epochs: InPlace) -> None:
        super().__init__(epochs.model)
        self.train = epochs.compile_step(epochs.train)
        self.evaluate_validation = epochs.compile_step(epochs.validate)
        self._others = [(v, _read(v)) for v in self.model.non_trainable_variables]

    def evaluate(self, weights: Any) -> tuple[dict[str, Any], Any]:
        self.push(weights)
        for variable, value in self._others:
            variable.assign(value)
        logs = self.train()
        return logs, _flatten(self.model.optimizer.gradients)

    def accept(self) -> None:
        self._others = [(v, old if is_seed(v) else _read(v)) for v, old in self._others]

    def validate(self, weights: Any) -> dict[str, Any]:
        self.push(weights)
        return self.evaluate_validation()

    def push(self, weights: Any) -> None:
        values = split_vector(weights, self.shapes)
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value.astype("float32"))


def is_seed(variable: keras.Variable) -> bool:
    return "seed_generator_state" in variable.name


def split_vector(vector: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()
    begins = [0, *ends[:-1]]
    places = zip(begins, ends, shapes, strict=True)
    return [vector[begin:end].reshape(shape) for begin, end, shape in places]


def _flatten(variables: list[Any]) -> Any:
    return np.concatenate([_read(v).astype(np.float64).ravel() for v in variables])


def _read(variable: keras.Variable) -> Any:
    """A copy of the value of a variable."""
    return np.array(keras.ops.convert_to_numpy(variable))
