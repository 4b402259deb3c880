"""The loss that L-BFGS minimises, on the JAX backend: a compiled function of a vector."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from keras_tied.training._jax import compile_cache
from keras_tied.training._jax.trainer import JaxEpochs, Program
from keras_tied.training._lbfgs_search import is_seed, unflattened


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
        self.at: Any = None
        self.reached: Any = None
        self.seen: dict[str, float] = {}

    def weights(self) -> Any:
        """The weights; see `Objective`."""
        return np.concatenate([np.asarray(v, np.float64).ravel() for v in self.state[0]])

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        """Loss and gradient; see `Objective`."""
        logs, self.seen, gradient, self.reached = self._call(weights)
        self.at = np.array(weights)
        return logs, gradient

    def accept(self) -> None:
        """Keep what else changed; see `Objective`."""
        trainable, _, *others = self.state
        self.state = (trainable, self.reached, *others)

    def validate(self, weights: Any) -> dict[str, float]:
        """The rows held out; see `Objective`."""
        if not np.array_equal(weights, self.at):
            self.evaluate(weights)
        return self.seen

    def push(self, weights: Any) -> None:
        """Let the model hold the weights; see `Objective`."""
        values = [jnp.asarray(v, jnp.float32) for v in unflattened(weights, self.shapes)]
        self.epochs.state = (values, *self.state[1:])
        self.epochs.push()

    def _call(self, weights: Any) -> tuple[dict[str, float], dict[str, float], Any, Any]:
        """What is logged of the rows and of those held out, the gradient, and the rest's state."""
        arguments = jnp.asarray(np.asarray(weights, np.float32)), self.state, self.epochs.arrays

        def compiled(arguments: Any) -> Any:
            program = self.epochs.program(widen=False)

            def call(vector: Any, state: Any, arrays: Any) -> Any:
                state = (unflattened(vector, self.shapes), *state[1:3], program.fresh)
                return self._evaluate(program, state, arrays)

            return compile_cache.compiled(call, arguments, program.constants())

        program = self.epochs.compiled("objective", compiled, arguments)
        logs, seen, gradient, reached = program(*arguments)
        return _numbers(logs), _numbers(seen), np.asarray(gradient, np.float64), reached

    def _evaluate(self, program: Program, state: Any, arrays: Any) -> Any:
        """All of it in one program: rows that are held out are often the same, weighed otherwise.

        Then they go through the network once. A search tries few weights that it does not take.
        """
        (step,) = program.train_steps.values()
        logs, after = step(state, program.train.batch(arrays, 0, program.train.last, None))
        _, non_trainable, optimizer, _ = after
        gradient = jnp.concatenate([optimizer[place].ravel() for place in self.gradients])
        values = zip(self.seeds, state[1], non_trainable, strict=True)
        reached = [before if seed else after for seed, before, after in values]
        seen: dict[str, Any] = {}
        for part in program.validation:
            _, seen = program.validate(part, (state[0], reached, *state[2:]), arrays)
        return logs, seen, gradient, reached


def _numbers(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
