"""Epochs on the TensorFlow backend: a loop inside one graph."""

from functools import cached_property
from typing import Any

import tensorflow as tf

from keras_tied.training._epochs import EpochLogs, Epochs, Logs


class TensorFlowEpochs(Epochs):
    def run_epoch(self) -> EpochLogs:
        logs: EpochLogs = self._epoch()
        return logs

    @cached_property
    def _epoch(self) -> Any:
        return tf.function(super().run_epoch)

    @cached_property
    def _program(self) -> Any:
        outputs = self._epoch.get_concrete_function().structured_outputs

        @tf.function
        def program(epochs: Any) -> Any:
            return tf.map_fn(
                lambda _: self._epoch(),
                tf.range(epochs),
                fn_output_signature=tf.nest.map_structure(
                    tf.type_spec_from_value, outputs
                ),
                parallel_iterations=1,
            )

        return program

    def run_epochs(self, epochs: int) -> Logs:
        if epochs == 1:
            return super().run_epochs(epochs)  # quicker than a loop in the graph
        logs = self._program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}
