"""L-BFGS by SciPy, with losses and gradients from a model's own compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from keras_tied._blas import blas_limit
from keras_tied.training._epochs import InPlace
from keras_tied.training.lbfgs import LBFGS


class Objective(Protocol):
    """The loss of a model on all rows, as a function of its weights."""

    def weights(self) -> Any:
        """The weights, one after the other in a vector."""

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        """What the model logs, and the gradient of its loss."""

    def accept(self) -> None:
        """Keep what else the last evaluation changed, such as moving averages."""

    def validate(self, weights: Any) -> dict[str, float]:
        """What the model logs for the rows held out."""

    def push(self, weights: Any) -> None:
        """Let the model's variables hold the weights."""


class InPlaceObjective:
    """The loss on TensorFlow and PyTorch, whose steps work on the model's variables."""

    def __init__(self, epochs: InPlace) -> None:
        self.model = epochs.model
        self.train = epochs.compiled(epochs.train)
        self.evaluate_others = epochs.compiled(epochs.validate)
        self.shapes = [tuple(variable.shape) for variable in self.model.trainable_variables]
        self.kept = [(v, _numpy(v).copy()) for v in self.model.non_trainable_variables]

    def weights(self) -> Any:
        """The weights; see `Objective`."""
        return _flat(self.model.trainable_variables)

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        """Loss and gradient; see `Objective`."""
        self.push(weights)
        for variable, value in self.kept:
            variable.assign(value)
        logs = self.train()
        return logs, _flat(self.model.optimizer.gradients)

    def accept(self) -> None:
        """Keep what else changed; see `Objective`."""
        self.kept = [
            (variable, value if is_seed(variable) else _numpy(variable).copy())
            for variable, value in self.kept
        ]

    def validate(self, weights: Any) -> dict[str, float]:
        """The rows held out; see `Objective`."""
        self.push(weights)
        return self.evaluate_others()

    def push(self, weights: Any) -> None:
        """Let the model hold the weights; see `Objective`."""
        values = unflattened(weights, self.shapes)
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value.astype("float32"))


def search(
    objective: Objective,
    optimizer: LBFGS,
    iterations: int,
    report: Callable[[dict[str, float], Any], bool],
) -> Any:
    """Minimise, and give the weights of the last iteration.

    Args:
        objective: what to minimise.
        optimizer: its memory and tolerance.
        iterations: the most iterations.
        report: is called with the logs and the weights after each, and says whether to go on.
    """
    from scipy.optimize import minimize  # takes a while, and few need it

    start = objective.weights()
    last: dict[str, Any] = {}

    def evaluate(weights: Any) -> tuple[float, Any]:
        logs, gradient = objective.evaluate(weights)
        last.update(weights=weights.copy(), logs=logs)
        scale = last.setdefault("scale", 1.0 / max(abs(logs["loss"]), 1e-30))
        if not np.isfinite(logs["loss"]):
            return np.inf, np.zeros_like(gradient)
        return scale * logs["loss"], scale * gradient

    def on_iteration(intermediate_result: Any) -> None:
        weights = intermediate_result.x
        if not np.array_equal(weights, last["weights"]):
            evaluate(weights)
        objective.accept()
        last["reached"] = weights.copy()
        if not report(last["logs"] | objective.validate(weights), weights):
            raise StopIteration

    last["reached"] = start
    # SciPy's own products are tiny: more threads would wait for each other, and keep XLA's out.
    with blas_limit.limit_to_one():
        minimize(
            evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=on_iteration,
            options={
                "maxiter": iterations,
                "maxfun": 1_000_000_000,
                "maxcor": optimizer.memory,
                "ftol": optimizer.tolerance,
                "gtol": 0.0,
            },
        )
    return last["reached"]


def is_seed(variable: keras.Variable) -> bool:
    """Whether it is the state of a generator of random numbers."""
    return "seed_generator_state" in variable.name


def unflattened(vector: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
    """The arrays of these shapes that lie one after the other in a vector."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()
    begins = [0, *ends[:-1]]
    places = zip(begins, ends, shapes, strict=True)
    return [vector[begin:end].reshape(shape) for begin, end, shape in places]


def _flat(variables: list[Any]) -> Any:
    return np.concatenate([_numpy(variable).astype(np.float64).ravel() for variable in variables])


def _numpy(variable: keras.Variable) -> Any:
    return keras.ops.convert_to_numpy(variable)
