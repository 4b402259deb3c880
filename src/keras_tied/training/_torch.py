"""Epochs on the PyTorch backend: a plain loop, without what Keras's `fit` does around a step."""

from __future__ import annotations

import numpy as np

from keras_tied.training._epochs import InPlace, Logs


class TorchEpochs(InPlace):
    """Trains with the model's own `train_step` and `test_step`."""

    def _run(self, epochs: int) -> Logs:
        epoch = self.compile_step(lambda: self.train() | self.validate())
        logs = [epoch() for _ in range(epochs)]
        return {name: np.array([values[name] for values in logs]) for name in logs[0]}
