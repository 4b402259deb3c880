"""What the loop asks of a backend, and what the backends with variables of their own share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from keras_tied.training._callbacks import all_finite

SECONDS_BETWEEN_VISITS = 0.2

Logs = dict[str, "np.ndarray[Any, Any]"]
Visit = Callable[[int, dict[str, float]], object]
"""Is told of the steps made in an epoch that is under way, and of what was logged last."""


class Epochs(Protocol):
    """Trains a model, many epochs at a call."""

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for at most so many epochs, and give each logged value after each of them."""

    def rewind(self, epochs: int) -> None:
        """Go back to where the last run had made so many epochs; -1 is one before it began."""

    def pull(self) -> None:
        """Take over what the model's variables hold."""

    def push(self) -> None:
        """Let the model's variables hold what was trained."""

    def finite(self) -> bool:
        """Whether no weight is a NaN or an infinity."""

    def loss(self) -> float:
        """The loss of the first batch of rows."""


class InPlace:
    """Epochs of one batch, whose steps work on the model's variables themselves.

    Args:
        model: a compiled and built model.
        batches: the rows to train on, and those for validation, if there are any.
    """

    def __init__(self, model: keras.Model, batches: list[Any]) -> None:
        self.model, self.batches = model, batches
        self.runs: deque[tuple[list[tuple[keras.Variable, Any]], int]] = deque(maxlen=2)

    def run(self, epochs: int, visit: Visit) -> Logs:
        """Train for so many epochs; see `Epochs`."""
        self.runs.append((self._values(), epochs))
        return self._run(epochs)

    def rewind(self, epochs: int) -> None:
        """Go back into the last run; see `Epochs`."""
        values, _ = self.runs[-1]
        if epochs < 0:
            values, before = self.runs[0]
            epochs += before if len(self.runs) > 1 else 0
        for variable, value in values:
            variable.assign(value)
        if epochs > 0:
            self._run(epochs)

    def pull(self) -> None:
        """Nothing to do: the steps work on the model's variables."""

    def push(self) -> None:
        """Nothing to do: the steps work on the model's variables."""

    def finite(self) -> bool:
        """Whether no weight is a NaN or an infinity; see `Epochs`."""
        return all_finite([keras.ops.convert_to_numpy(v) for v in self.model.trainable_variables])

    def loss(self) -> float:
        """The loss of the rows; see `Epochs`."""
        self.model.reset_metrics()
        return float(self.model.test_step(self.batches[0]).get("loss", 0.0))

    def train(self) -> dict[str, Any]:
        """Train on the one batch, and give what was logged."""
        self.model.reset_metrics()
        return dict(self.model.train_step(self.batches[0]))

    def validate(self) -> dict[str, Any]:
        """Evaluate the other batch, if there is one, and give what was logged."""
        logs: dict[str, Any] = {}
        for batch in self.batches[1:]:
            self.model.reset_metrics()
            values = self.model.test_step(batch)
            logs |= {f"val_{name}": value for name, value in values.items()}
        return logs

    def compiled(self, step: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, float]]:
        """A function that makes the step and gives plain numbers."""
        return lambda: {name: float(value) for name, value in step().items()}

    def _run(self, epochs: int) -> Logs:
        raise NotImplementedError

    def _values(self) -> list[tuple[keras.Variable, Any]]:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return [(variable, keras.ops.convert_to_numpy(variable).copy()) for variable in variables]
