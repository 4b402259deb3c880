"""Epochs on the TensorFlow backend: a loop inside one graph."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import tensorflow as tf

from keras_tied.training._epochs import InPlace, Logs


class TensorFlowEpochs(InPlace):
    def compile_step(
        self, step: Callable[[], dict[str, Any]]
    ) -> Callable[[], dict[str, Any]]:
        return super().compile_step(tf.function(step))

    def _epoch(self) -> dict[str, Any]:
        logs = self.train() | self.validate()
        return {name: tf.convert_to_tensor(value) for name, value in logs.items()}

    @cached_property
    def _program(self) -> Any:
        epoch = tf.function(self._epoch)
        outputs = epoch.get_concrete_function().structured_outputs
        signature = {
            name: tf.TensorSpec(v.shape, v.dtype) for name, v in outputs.items()
        }
        settings = {"fn_output_signature": signature, "parallel_iterations": 1}

        @tf.function
        def program(epochs: Any) -> Any:
            return tf.map_fn(lambda _: epoch(), tf.range(epochs), **settings)

        return program

    def run_epochs(self, epochs: int) -> Logs:
        logs = self._program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}
