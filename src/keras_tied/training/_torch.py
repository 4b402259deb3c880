"""Epochs on the PyTorch backend: a plain loop, without what Keras's `fit` does around a step."""

from typing import Any

import keras
import numpy as np


class FullBatch:
    """Trains with the model's own `train_step` and `test_step`."""

    def __init__(self, model: keras.Model, train: Any, validation: Any) -> None:
        self.model = model
        batches = [train] if validation is None else [train, validation]
        self.batches = [
            tuple(keras.ops.convert_to_tensor(array) for array in batch) for batch in batches
        ]

    def _epoch(self) -> dict[str, float]:
        self.model.reset_metrics()
        logs = dict(self.model.train_step(self.batches[0]))
        if len(self.batches) > 1:
            self.model.reset_metrics()
            values = self.model.test_step(self.batches[1])
            logs |= {f"val_{name}": value for name, value in values.items()}
        return {name: float(value) for name, value in logs.items()}

    def run(self, epochs: int) -> dict[str, "np.ndarray[Any, Any]"]:
        """Train for so many epochs; see `loop.Engine`."""
        logs = [self._epoch() for _ in range(epochs)]
        return {name: np.array([values[name] for values in logs]) for name in logs[0]}

    def sync(self) -> None:
        """Nothing to do: the steps work on the model's variables themselves."""
