"""L-BFGS by SciPy, with losses and gradients from a model's own compiled step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_tied._blas import blas_limit
from keras_tied._processes import read_whole
from keras_tied.training._epochs import InPlace
from keras_tied.training.lbfgs import LBFGS


class Objective(ABC):
    """The loss of a model on all rows, as a function of its weights in one vector."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.shapes = [tuple(variable.shape) for variable in model.trainable_variables]

    def get_weights(self) -> Any:
        return _flatten(self.model.trainable_variables)

    @abstractmethod
    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        """The model's logs for the training rows, and the gradient of the loss."""

    @abstractmethod
    def accept(self) -> None:
        """Keep the other variables, such as moving averages, of the last evaluation."""

    @abstractmethod
    def validate(self, weights: Any) -> dict[str, float]:
        """The model's logs for the validation rows."""

    @abstractmethod
    def push(self, weights: Any) -> None:
        """Write the weights to the model's variables."""


class InPlaceObjective(Objective):
    """The loss on TensorFlow and PyTorch, whose steps change the model's variables."""

    def __init__(self, epochs: InPlace) -> None:
        super().__init__(epochs.model)
        self.train = epochs.compile_step(epochs.train)
        self.evaluate_validation = epochs.compile_step(epochs.validate)
        self._others = [(v, read_whole(v).copy()) for v in self.model.non_trainable_variables]

    def evaluate(self, weights: Any) -> tuple[dict[str, float], Any]:
        self.push(weights)
        for variable, value in self._others:
            variable.assign(value)
        logs = self.train()
        return logs, _flatten(self.model.optimizer.gradients)

    def accept(self) -> None:
        self._others = [
            (variable, value if is_seed(variable) else read_whole(variable).copy())
            for variable, value in self._others
        ]

    def validate(self, weights: Any) -> dict[str, float]:
        self.push(weights)
        return self.evaluate_validation()

    def push(self, weights: Any) -> None:
        values = split_vector(weights, self.shapes)
        for variable, value in zip(self.model.trainable_variables, values, strict=True):
            variable.assign(value.astype("float32"))


def search(
    objective: Objective,
    optimizer: LBFGS,
    iterations: int,
    report: Callable[[dict[str, float], Any], bool],
) -> Any:
    """Minimise; return the weights of the last iteration.

    `report` takes the logs and the weights after each iteration, and returns whether to go on.
    """
    from scipy.optimize import minimize  # takes a while, and few need it

    start = objective.get_weights()
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
        last["accepted"] = weights.copy()
        if not report(last["logs"] | objective.validate(weights), weights):
            raise StopIteration

    last["accepted"] = start
    tolerances = {"maxcor": optimizer.memory, "ftol": optimizer.tolerance, "gtol": 0.0}
    # SciPy's own products are tiny; BLAS threads would only compete with XLA's.
    with blas_limit.limit_to_one():
        minimize(
            evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=on_iteration,
            options={"maxiter": iterations, "maxfun": 1_000_000_000, **tolerances},
        )
    return last["accepted"]


def is_seed(variable: keras.Variable) -> bool:
    return "seed_generator_state" in variable.name


def split_vector(vector: Any, shapes: list[tuple[int, ...]]) -> list[Any]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()
    begins = [0, *ends[:-1]]
    places = zip(begins, ends, shapes, strict=True)
    return [vector[begin:end].reshape(shape) for begin, end, shape in places]


def _flatten(variables: list[Any]) -> Any:
    return np.concatenate([read_whole(v).astype(np.float64).ravel() for v in variables])
