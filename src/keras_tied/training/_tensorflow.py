"""Epochs on the TensorFlow backend: a loop inside one graph."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_tied.training._epoch import one_epoch


class FullBatch:
    """Trains with the model's own `train_step` and `test_step`, in a loop that TensorFlow runs."""

    def __init__(self, model: keras.Model, train: Any, validation: Any) -> None:
        self.model = model
        batches = [train] if validation is None else [train, validation]
        self.batches = [tuple(tf.constant(array) for array in batch) for batch in batches]
        epoch = tf.function(self._epoch)
        outputs = epoch.get_concrete_function().structured_outputs
        signature = {name: tf.TensorSpec(v.shape, v.dtype) for name, v in outputs.items()}

        @tf.function
        def run(epochs: Any) -> Any:
            return tf.map_fn(
                lambda _: epoch(),
                tf.range(epochs),
                fn_output_signature=signature,
                parallel_iterations=1,
            )

        self.program = run

    def _epoch(self) -> dict[str, Any]:
        logs = one_epoch(self.model, self.batches)
        return {name: tf.convert_to_tensor(value) for name, value in logs.items()}

    def run(self, epochs: int) -> dict[str, "np.ndarray[Any, Any]"]:
        """Train for so many epochs; see `loop.Engine`."""
        logs = self.program(tf.constant(epochs))
        return {name: values.numpy() for name, values in logs.items()}

    def sync(self) -> None:
        """Nothing to do: the graph works on the model's variables themselves."""
