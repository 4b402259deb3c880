"""The interface of a backend to the loop, and its implementation for mutable variables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from keras_tied.training._callbacks import all_finite
from keras_tied.training._data import BatchedRows, map_once

SECONDS_BETWEEN_VISITS = 0.2

Logs = dict[str, "np.ndarray[Any, Any]"]
Visit = Callable[[int, dict[str, float]], object]
"""Takes the number of steps made in the current epoch, and the last logs."""


class Epochs(Protocol):
    """Trains a model, many epochs at a call."""

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for at most so many epochs; return the logs, one array of epochs for each name."""

    def rewind(self, epochs: int) -> None:
        """Return to the state after so many epochs of the last run; -1 is one before it began."""

    def pull(self) -> None:
        """Read the model's variables."""

    def push(self) -> None:
        """Write the model's variables."""

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""

    def compute_loss(self) -> float:
        """The loss of the first batch of rows."""


class InPlace:
    """Epochs of one batch, whose steps change the model's variables.

    Args:
        model: a compiled and built model.
        train: the rows to train on.
        validation: the rows for validation, if there are any.
    """

    def __init__(
        self, model: keras.Model, train: BatchedRows, validation: BatchedRows | None
    ) -> None:
        self.model = model
        parts = [train.data, validation.data] if validation else [train.data]
        self.batches = map_once(keras.ops.convert_to_tensor, parts)
        self.runs: deque[tuple[list[tuple[keras.Variable, Any]], int]] = deque(maxlen=2)

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for so many epochs; see `Epochs`."""
        self.runs.append((self._copy_values(), epochs))
        return self._run(epochs)

    def rewind(self, epochs: int) -> None:
        """Return to an earlier state; see `Epochs`."""
        values, _ = self.runs[-1]
        if epochs < 0:
            values, before = self.runs[0]
            epochs += before if len(self.runs) > 1 else 0
        for variable, value in values:
            variable.assign(value)
        if epochs > 0:
            self._run(epochs)

    def pull(self) -> None:
        """Do nothing: the steps change the model's variables."""

    def push(self) -> None:
        """Do nothing: the steps change the model's variables."""

    def is_finite(self) -> bool:
        """Whether no weight is a NaN or an infinity; see `Epochs`."""
        return all_finite([keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables])

    def compute_loss(self) -> float:
        """The loss of the rows; see `Epochs`."""
        self.model.reset_metrics()
        return float(self.model.test_step(self.batches[0]).get("loss", 0.0))

    def train(self) -> dict[str, Any]:
        """Train on the one batch; return the logs."""
        self.model.reset_metrics()
        return dict(self.model.train_step(self.batches[0]))

    def validate(self) -> dict[str, Any]:
        """Evaluate the validation batch, if there is one; return the logs."""
        logs: dict[str, Any] = {}
        for batch in self.batches[1:]:
            self.model.reset_metrics()
            values = self.model.test_step(batch)
            logs |= {f"val_{name}": value for name, value in values.items()}
        return logs

    def compile_step(self, step: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, float]]:
        """A function that makes a step and returns floats."""
        return lambda: {name: float(value) for name, value in step().items()}

    def _run(self, epochs: int) -> Logs:
        raise NotImplementedError

    def _copy_values(self) -> list[tuple[keras.Variable, Any]]:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return [(variable, keras.ops.convert_to_numpy(variable).copy()) for variable in variables]
