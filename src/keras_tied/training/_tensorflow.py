"""Epochs on the TensorFlow backend: a loop inside one graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from keras_tied.training._data import Rows, each_once
from keras_tied.training._epochs import InPlace, Logs


class TensorFlowEpochs(InPlace):
    """Trains with the model's own `train_step` and `test_step`, in a loop that TensorFlow runs."""

    def __init__(self, model: keras.Model, train: Rows, validation: Rows | None) -> None:
        parts = [train.data, validation.data] if validation else [train.data]
        super().__init__(model, each_once(tf.constant, parts))

    def compiled(self, step: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, float]]:
        """A function that makes the step, in a graph, and gives plain numbers."""
        return super().compiled(tf.function(step))

    def _epoch(self) -> dict[str, Any]:
        logs = self.train() | self.validate()
        return {name: tf.convert_to_tensor(value) for name, value in logs.items()}

    @cached_property
    def _program(self) -> Any:
        """A function of a number of epochs that gives what is logged in each."""
        epoch = tf.function(self._epoch)
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

        return program

    def _run(self, epochs: int) -> Logs:
        logs = self._program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}
