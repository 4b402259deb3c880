"""The loss that L-BFGS minimises, on the JAX backend: a compiled function of a vector."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from keras_tied.training._jax.program import Program
from keras_tied.training._jax.trainer import JaxEpochs
from keras_tied.training._lbfgs_search import Objective, is_seed, split_vector


class JaxObjective(Objective):
    """The loss of all rows, by the model's own steps; see `_lbfgs_search.Objective`."""

    def __init__(self, epochs: JaxEpochs) -> None:
        super().__init__(epochs.model)
        self.epochs = epochs
        self.state = epochs.state
        _, non_trainable, optimizer, _ = epochs.variables
        self.seeds = [is_seed(variable) for variable in non_trainable]
        places = {id(variable): place for place, variable in enumerate(optimizer)}
        self.gradients = [places[id(v)] for v in epochs.model.optimizer.gradients]
        self.point: Any = None
        self.next_variables: Any = None
        self.validation_logs: dict[str, float] = {}

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        arguments = np.asarray(weights, np.float32), self.state, self.epochs.arrays
        program = self.epochs.get_program("objective", self._compile, arguments)
        logs, validation_logs, gradient, self.next_variables = program(*arguments)
        self.validation_logs, self.point = _to_floats(validation_logs), np.array(weights)
        return _to_floats(logs), np.asarray(gradient, np.float64)

    def accept(self) -> None:
        trainable, _, *others = self.state
        self.state = (trainable, self.next_variables, *others)

    def validate(self, weights: Any) -> dict[str, float]:
        if not np.array_equal(weights, self.point):
            self.evaluate(weights)
        return self.validation_logs

    def push(self, weights: Any) -> None:
        values = [jnp.asarray(v, jnp.float32) for v in split_vector(weights, self.shapes)]
        self.epochs.state = (values, *self.state[1:])
        self.epochs.push()

    def _compile(self, arguments: Any) -> Any:
        program = self.epochs.program(widen=False)

        def call(vector: Any, state: Any, arrays: Any) -> Any:
            state = (split_vector(vector, self.shapes), *state[1:3], program.fresh)
            return self._evaluate(program, state, arrays)

        return self.epochs.compile(call, program, arguments, (..., ..., ..., self.state[1]))

    def _evaluate(self, program: Program, state: Any, arrays: Any) -> Any:
        """Evaluate training and validation rows in one program.

        They are often the same rows with other weights, and XLA then computes the network once.
        """
        (step,) = program.train_steps.values()
        logs, after = step(state, program.train.batch(arrays, 0, program.train.last, None))
        _, non_trainable, optimizer, _ = after
        gradient = jnp.concatenate([optimizer[place].ravel() for place in self.gradients])
        values = zip(self.seeds, state[1], non_trainable, strict=True)
        variables = [before if seed else after for seed, before, after in values]
        _, validation_logs = program.validate((state[0], variables, *state[2:]), arrays)
        return logs, validation_logs, gradient, variables


def _to_floats(logs: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}
