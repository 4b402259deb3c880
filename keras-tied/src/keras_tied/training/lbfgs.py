"""`LBFGS`, an optimizer that looks at all rows at once, and its search by SciPy."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Variable

from keras_tied._keras_internals import NAMED_OPTIMIZERS, variable_index
from keras_tied._serializable import serializable
from keras_tied._types import Array
from keras_tied.training._callbacks import make_divergence_error
from keras_tied.training._epochs import EpochLogs, Epochs, is_seed


@serializable
class LBFGS(keras.optimizers.Optimizer):
    """Limited-memory BFGS, on all rows at once, with a strong Wolfe line search.

    For small networks on tables it ends at an optimum in a fraction of the time that
    gradient descent takes, and needs no learning rate. It goes along d = -H ∇f, where H
    approximates the inverse of the Hessian by the last `memory` steps and changes of
    the gradient (Liu & Nocedal, "On the limited memory BFGS method for large scale
    optimization", Mathematical Programming 45, 1989), for a distance that decreases the
    loss enough and flattens its slope along d (Moré & Thuente, "Line search algorithms
    with guaranteed sufficient decrease", ACM TOMS 20, 1994). The search is SciPy's
    (L-BFGS-B, in float64); the loss, its gradient and the metrics come from the model's
    own `train_step`, compiled.

    Train with `keras_tied.training.fit` or `Autoencoder.fit`, where an epoch is an
    iteration, and training ends early at an optimum. The logs are of the weights after
    the iteration. What the model draws at random (dropout, noise) is drawn once and
    kept, as the loss has to be a function of the weights. `batch_size` is not used.
    Weights with constraints are refused. Its name in `model.compile` is "lbfgs".

    Args:
        memory: the number of steps that are remembered. Defaults to 20.
        tolerance: the share of the first loss by which the loss falls in an iteration,
            at least, or training ends. Defaults to 1e-10.
        name: as in Keras. Defaults to "lbfgs".

    Raises:
        ValueError: for a memory below 1 or a negative tolerance.

    Examples:
        >>> import keras, numpy as np
        >>> from keras_tied.training import LBFGS, fit
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile(LBFGS(), loss="mse")
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> history = fit(model, x, x.sum(axis=1), epochs=100, verbose=0)
        >>> bool(history.history["loss"][-1] < 1e-9)
        True
    """

    def __init__(
        self,
        memory: int = 20,
        tolerance: float = 1e-10,
        name: str = "lbfgs",
    ) -> None:
        if memory < 1 or tolerance < 0:
            raise ValueError(
                "LBFGS takes a memory of at least 1 and a tolerance of at least 0;"
                f" received memory={memory} and tolerance={tolerance}."
            )
        super().__init__(learning_rate=1.0, name=name)
        self.memory = memory
        self.tolerance = tolerance
        self.only_differentiates = False

    def build(self, variables: list[Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self.gradients = [
            self.add_variable_from_reference(v, "gradient") for v in variables
        ]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if not self.only_differentiates:
            raise ValueError(
                "LBFGS searches along all rows at once, which keras.Model.fit cannot"
                " do: build the model again, as Keras loses its weights here on JAX,"
                " and train it with keras_tied.training.fit(model, ...) on arrays in"
                " memory."
            )
        self.assign(self.gradients[variable_index(self, variable)], gradient)

    def get_config(self) -> dict[str, Any]:
        return {"memory": self.memory, "tolerance": self.tolerance, "name": self.name}


NAMED_OPTIMIZERS["lbfgs"] = LBFGS


class Objective:
    """The loss of a model on all rows, as a function of its weights in one vector."""

    def __init__(self, epochs: Epochs) -> None:
        self.epochs = epochs
        self.state = self.start = self.last = epochs.read()
        weights, variables, *_ = epochs.variables
        self.seeds = [place for place, each in enumerate(variables) if is_seed(each)]
        optimizer = epochs.model.optimizer
        first = len(optimizer.variables) - len(optimizer.gradients)
        # Not every weight that has a gradient still trains.
        self.gradients = [first + variable_index(optimizer, each) for each in weights]

    def evaluate(self, weights: Array) -> tuple[EpochLogs, Array]:
        """The model's logs, and the gradient of the loss of the training rows."""
        accepted, others, *_ = self.state
        values = _split(weights, accepted)
        self.last, logs = self.epochs.evaluate(values, others)
        _, _, optimizer, _ = self.last
        return logs, _flatten([optimizer[place] for place in self.gradients])

    def accept(self) -> None:
        """Go on from the state after the last evaluation; seeds stay as they are."""
        _, before, *_ = self.start
        _, others, *_ = self.state = self.last
        for place in self.seeds:
            others[place] = before[place]
        self.write()

    def write(self) -> None:
        """Let the model have the state that was accepted."""
        self.epochs.write(self.state)


def _flatten(values: list[Any]) -> Array:
    vectors = [np.asarray(value).ravel() for value in values]
    return np.concatenate(vectors, dtype=np.float64)


def _split(weights: Array, values: list[Any]) -> list[Array]:
    """A vector as arrays of the shapes and dtypes of some values."""
    ends = np.cumsum([value.size for value in values])
    parts = zip(np.split(weights, ends[:-1]), values, strict=True)
    return [part.reshape(value.shape).astype(value.dtype) for part, value in parts]


def search(
    epochs: Epochs,
    begin: int,
    end: int,
    report: Callable[[EpochLogs], bool],
) -> None:
    """Minimise, with a report after each epoch, which returns whether to go on."""
    # They take a while to import, and few need them.
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    optimizer = epochs.model.optimizer
    objective = Objective(epochs)
    optimizer.only_differentiates = True
    start = point = _flatten(objective.start[0])
    logs, _ = objective.evaluate(start)
    first = logs
    scale = 1.0 / max(abs(first["loss"]), 1e-30)

    def evaluate(weights: Array) -> tuple[float, Array]:
        nonlocal point, logs
        logs, gradient = objective.evaluate(weights)
        point = weights.copy()
        loss = logs["loss"]
        if not np.isfinite(loss):
            return np.inf, np.zeros_like(gradient)
        return scale * loss, scale * gradient

    def on_iteration(intermediate_result: Any) -> None:
        weights = intermediate_result.x
        if not np.array_equal(weights, point):
            evaluate(weights)
        objective.accept()
        if not report(logs):
            raise StopIteration

    options = {
        "maxiter": end - begin,
        "maxfun": 1_000_000_000,
        "maxcor": optimizer.memory,
        "ftol": optimizer.tolerance,
        "gtol": 0.0,
    }
    try:
        if not np.isfinite(first["loss"]):
            raise make_divergence_error(epochs.model, begin, first["loss"])
        # SciPy's own products are tiny; BLAS threads would only compete with XLA's.
        with threadpool_limits(1, user_api="blas"):
            minimize(
                evaluate,
                start,
                jac=True,
                method="L-BFGS-B",
                callback=on_iteration,
                options=options,
            )
    finally:
        optimizer.only_differentiates = False
        objective.write()
    if objective.state is objective.start and end > begin:
        report(first)  # it was an optimum, up to rounding
