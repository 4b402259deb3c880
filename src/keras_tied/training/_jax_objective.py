"""The loss that L-BFGS minimises, on the JAX backend: a compiled function of a vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keras_tied.training import _programs
from keras_tied.training._jax import JaxEpochs
from keras_tied.training._lbfgs import is_seed, unflattened


class JaxObjective:
    """The loss of all rows, by the model's own steps; see `_lbfgs.Objective`."""

    def __init__(self, epochs: JaxEpochs) -> None:
        self.epochs = epochs
        self.state = epochs.state
        self.shapes = [value.shape for value in epochs.state[0]]
        _, non_trainable, optimizer, _ = epochs.variables
        self.seeds = [is_seed(variable) for variable in non_trainable]
        places = {id(variable): place for place, variable in enumerate(optimizer)}
        self.gradients = [places[id(v)] for v in epochs.model.optimizer.gradients]
        self.reached: Any = None

    def weights(self) -> Any:
        """The weights; see `Objective`."""
        return np.concatenate([np.asarray(v, np.float64).ravel() for v in self.state[0]])

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        """Loss and gradient; see `Objective`."""
        logs, gradient, self.reached = self._call("gradient", self._gradient, weights)
        return _numbers(logs), np.asarray(gradient, np.float64)

    def accept(self) -> None:
        """Keep what else changed; see `Objective`."""
        trainable, kept, *others = self.state
        values = zip(self.seeds, kept, self.reached, strict=True)
        kept = [before if seed else after for seed, before, after in values]
        self.state = (trainable, kept, *others)

    def validate(self, weights: Any) -> dict[str, float]:
        """The rows held out; see `Objective`."""
        if len(self.epochs.parts) == 1:
            return {}
        return _numbers(self._call("validation", self._validation, weights))

    def push(self, weights: Any) -> None:
        """Let the model hold the weights; see `Objective`."""
        values = [jnp.asarray(v, jnp.float32) for v in unflattened(weights, self.shapes)]
        self.epochs.state = (values, *self.state[1:])
        self.epochs.push()

    def _call(self, kind: str, function: Callable[..., Any], weights: Any) -> Any:
        arguments = jnp.asarray(weights, jnp.float32), self.state, self.epochs.arrays

        def compiled(arguments: Any) -> Any:
            program = self.epochs.program(widen=False)

            def call(vector: Any, state: Any, arrays: Any) -> Any:
                weights = unflattened(vector, self.shapes)
                state = (weights, *state[1:3], program.fresh)
                return function(program, state, arrays)

            return _programs.compiled(call, arguments, program.constants())

        return self.epochs.compiled(kind, compiled, arguments)(*arguments)

    def _gradient(self, program: Any, state: Any, arrays: Any) -> Any:
        (step,) = program.train_steps.values()
        logs, state = step(state, program.train.batch(arrays, 0, program.train.last, None))
        _, non_trainable, optimizer, _ = state
        gradient = [optimizer[place].ravel() for place in self.gradients]
        return logs, jnp.concatenate(gradient), non_trainable

    def _validation(self, program: Any, state: Any, arrays: Any) -> Any:
        (part,) = program.validation
        _, logs = program.validate(part, state, arrays)
        return logs


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
