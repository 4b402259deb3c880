"""Epochs on the TensorFlow backend: a loop inside one graph."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from keras_tied.training._epochs import InPlace, Logs
from keras_tied.training._rows import Rows, each_once


class TensorFlowEpochs(InPlace):
    """Trains with the model's own `train_step` and `test_step`, in a loop that TensorFlow runs."""

    def __init__(self, model: keras.Model, train: Rows, validation: Rows | None) -> None:
        parts = [train.data, validation.data] if validation else [train.data]
        super().__init__(model, each_once(tf.constant, parts))
        epoch = tf.function(self._tensors)
        outputs = epoch.get_concrete_function().structured_outputs
        signature = {name: tf.TensorSpec(v.shape, v.dtype) for name, v in outputs.items()}

        @tf.function
        def program(epochs: Any) -> Any:
            return tf.map_fn(
                lambda _: epoch(),
                tf.range(epochs),
                fn_output_signature=signature,
                parallel_iterations=1,
            )

        self.program = program

    def _tensors(self) -> dict[str, Any]:
        return {name: tf.convert_to_tensor(value) for name, value in self.epoch().items()}

    def _run(self, epochs: int) -> Logs:
        logs = self.program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}
