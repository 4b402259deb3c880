"""Epochs on the PyTorch backend: a plain loop, without what Keras's `fit` does around a step."""

from typing import Any

import keras
import numpy as np

from keras_tied.training._epoch import one_epoch


class FullBatch:
    """Trains with the model's own `train_step` and `test_step`."""

    def __init__(self, model: keras.Model, train: Any, validation: Any) -> None:
        self.model = model
        batches = [train] if validation is None else [train, validation]
        self.batches = [
            tuple(keras.ops.convert_to_tensor(array) for array in batch) for batch in batches
        ]

    def run(self, epochs: int) -> dict[str, "np.ndarray[Any, Any]"]:
        """Train for so many epochs; see `loop.Engine`."""
        logs = [self._epoch() for _ in range(epochs)]
        return {name: np.array([values[name] for values in logs]) for name in logs[0]}

    def _epoch(self) -> dict[str, float]:
        logs = one_epoch(self.model, self.batches)
        return {name: float(value) for name, value in logs.items()}

    def sync(self) -> None:
        """Nothing to do: the steps work on the model's variables themselves."""
