"""Epochs on the PyTorch backend: a plain loop, without what Keras's `fit` does around a step."""

from __future__ import annotations

import keras
import numpy as np

from keras_tied.training._data import Rows, each_once
from keras_tied.training._epochs import InPlace, Logs


class TorchEpochs(InPlace):
    """Trains with the model's own `train_step` and `test_step`."""

    def __init__(self, model: keras.Model, train: Rows, validation: Rows | None) -> None:
        parts = [train.data, validation.data] if validation else [train.data]
        super().__init__(model, each_once(keras.ops.convert_to_tensor, parts))

    def _run(self, epochs: int) -> Logs:
        epoch = self.compiled(lambda: self.train() | self.validate())
        logs = [epoch() for _ in range(epochs)]
        return {name: np.array([values[name] for values in logs]) for name in logs[0]}
