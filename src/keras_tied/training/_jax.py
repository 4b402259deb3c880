"""Epochs on the JAX backend: a loop inside one compiled program."""

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from keras_tied.training._features_first import features_first, pays

CAPACITY = 4096
"""The most epochs that one call can train, and log."""


class FullBatch:
    """Trains with the model's own `train_step` and `test_step`, in a loop that XLA compiles."""

    def __init__(self, model: keras.Model, train: Any, validation: Any) -> None:
        self.model = model
        model.reset_metrics()
        self.state = tuple([variable.value for variable in group] for group in self._groups())
        batches = [train] if validation is None else [train, validation]
        # An autoencoder's targets are its inputs: one array on the device, not two.
        arrays = {id(array): jnp.asarray(array) for batch in batches for array in batch}
        self.data = [arrays[key] for key in arrays]
        places = {key: place for place, key in enumerate(arrays)}
        self.batches = [tuple(places[id(array)] for array in batch) for batch in batches]
        self.program = self._compiled()

    def _groups(self) -> list[list[keras.Variable]]:
        return [
            self.model.trainable_variables,
            self.model.non_trainable_variables,
            self.model.optimizer.variables,
            self.model.metrics_variables,
        ]

    def _epoch(self, state: Any, *data: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        *weights, fresh_metrics = state
        batches = [tuple(data[place] for place in batch) for batch in self.batches]
        logs, (*weights, _) = self.model.train_step((*weights, fresh_metrics), batches[0])
        if len(batches) > 1:
            trainable, non_trainable, _ = weights
            values, _ = self.model.test_step((trainable, non_trainable, fresh_metrics), batches[1])
            logs |= {f"val_{name}": value for name, value in values.items()}
        return (*weights, fresh_metrics), logs

    def _compiled(self) -> Any:
        epoch, data = self._epoch, self.data
        widths = [variable.shape[-1] for variable in self.model.variables if variable.shape]
        if all(pays(array, widths) for array in data):
            epoch = features_first(epoch, self.state, *data, tall=range(1, 1 + len(data)))
            self.data = data = [array.T for array in data]
        _, shapes = jax.eval_shape(epoch, self.state, *data)
        empty = {name: jnp.zeros(CAPACITY, value.dtype) for name, value in shapes.items()}

        def run(state: Any, epochs: Any, data: list[jax.Array]) -> Any:
            def step(index: Any, carry: Any) -> Any:
                state, logs = carry
                state, values = epoch(state, *data)
                put = jax.lax.dynamic_update_index_in_dim
                return state, {n: put(logs[n], values[n], index, axis=0) for n in logs}

            return jax.lax.fori_loop(0, epochs, step, (state, empty))

        return jax.jit(run).lower(self.state, 1, data).compile()

    def run(self, epochs: int) -> dict[str, "np.ndarray[Any, Any]"]:
        """Train for so many epochs; see `loop.Engine`."""
        epochs = min(epochs, CAPACITY)
        self.state, logs = self.program(self.state, epochs, self.data)
        return {name: np.asarray(values)[:epochs] for name, values in logs.items()}

    def sync(self) -> None:
        """Bring the model's variables up to date."""
        for variables, values in zip(self._groups()[:3], self.state[:3], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
