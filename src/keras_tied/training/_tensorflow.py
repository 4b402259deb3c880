"""Epochs on the TensorFlow backend: a loop inside one graph."""

from functools import cached_property
from typing import Any

import tensorflow as tf

from keras_tied.training._epochs import EpochLogs, Epochs, Logs, Step


class TensorFlowEpochs(Epochs):
    def compile_step(self, step: Step) -> Step:
        return super().compile_step(tf.function(step))

    def _epoch(self) -> EpochLogs:
        logs = self.train_and_validate()
        return {name: tf.convert_to_tensor(value) for name, value in logs.items()}

    @cached_property
    def _program(self) -> Any:
        epoch = tf.function(self._epoch)
        outputs = epoch.get_concrete_function().structured_outputs
        signature = {}
        for name, value in outputs.items():
            signature[name] = tf.TensorSpec(value.shape, value.dtype)

        @tf.function
        def program(epochs: Any) -> Any:
            return tf.map_fn(
                lambda _: epoch(),
                tf.range(epochs),
                fn_output_signature=signature,
                parallel_iterations=1,
            )

        return program

    def run_epochs(self, epochs: int) -> Logs:
        logs = self._program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}
