"""The article's network in NumPy: its gradient by hand, by both paths of the kernel."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Logs: TypeAlias = dict[str, float]


class Weights(NamedTuple):
    """The numbers that are trained, or the gradient of the loss in them."""

    kernel: Array  # (features, components), W; transposed, of the decoder
    code_bias: Array  # (components,), b
    output_bias: Array  # (features,), c


def loss_and_gradient(X: Array, weights: Weights) -> tuple[float, Weights]:
    """The reconstruction error of the rows X, and its gradient in the weights.

    With code = sigmoid(X W + b) and R = code Wᵀ + c - X, for n rows of d features the
    loss is Σ R² / (n d). Let G = 2 R / (n d) be its derivative in the reconstruction,
    and D = (G W) ∘ code ∘ (1 - code) that in X W + b. The kernel is used twice, so that
    its gradient has two terms:

        ∂loss/∂W = Gᵀ code + Xᵀ D      (through the decoder, and through the encoder)
        ∂loss/∂b = Σ D over the rows
        ∂loss/∂c = Σ G over the rows

    This is backpropagation (Rumelhart, Hinton & Williams, Nature 1986) with a shared
    weight. X is (n, d) with n ≥ 1; the result is in the dtype of X and the weights.

    Examples:
        >>> from keras_tied.article import Weights, loss_and_gradient
        >>> zeros = Weights(np.zeros((2, 1)), np.zeros(1), np.array([0.0, 1.0]))
        >>> loss, gradient = loss_and_gradient(np.array([[1.0, 3.0]]), zeros)
        >>> loss, gradient.kernel.tolist(), gradient.output_bias.tolist()
        (2.5, [[-0.5], [-1.0]], [-1.0, -2.0])
    """
    return _differentiate(np.ascontiguousarray(X.T), weights)


class NumpyDescent:
    """Gradient descent with momentum on all rows at once, in NumPy.

    It takes the steps of ``keras.optimizers.SGD``:

        v ← momentum · v - learning_rate · gradient,    w ← w + v.

    Args:
        X: (n, features) rows to train on.
        X_val: (m, features) rows that the loss is computed of, too.
        weights: what to start from, all of one dtype. They are copied.
        momentum: from 0 to 1.

    Examples:
        >>> from keras_tied.article import NumpyDescent, Weights
        >>> X = np.random.default_rng(0).uniform(size=(9, 2))
        >>> start = Weights(np.ones((2, 1)), np.zeros(1), np.zeros(2))
        >>> descent = NumpyDescent(X, X, start, momentum=0.9)
        >>> logs = descent.step(0.1)
        >>> logs["val_loss"] < logs["loss"]
        True
    """

    def __init__(
        self,
        X: Array,
        X_val: Array,
        weights: Weights,
        momentum: float,
    ) -> None:
        # Features by rows: of few features and many rows, the lines in memory are long.
        self.rows = np.ascontiguousarray(X.T)
        self.validation_rows = np.ascontiguousarray(X_val.T)
        self.weights = Weights(*map(np.array, weights))
        self.velocities = Weights(*map(np.zeros_like, weights))
        self.momentum = momentum

    def step(self, learning_rate: float) -> Logs:
        """Change the weights; return "loss" before that and "val_loss" after it."""
        loss, gradient = _differentiate(self.rows, self.weights)
        parts = zip(self.weights, self.velocities, gradient, strict=True)
        for weight, velocity, slope in parts:
            velocity *= self.momentum
            velocity -= learning_rate * slope
            weight += velocity
        _, residual = _run_forward(self.validation_rows, self.weights)
        return {"loss": loss, "val_loss": _mean_square(residual)}


def _differentiate(X: Array, weights: Weights) -> tuple[float, Weights]:
    """The loss of rows, features by rows, and its gradient in the weights."""
    code, residual = _run_forward(X, weights)
    loss = _mean_square(residual)
    residual *= 2.0 / residual.size
    delta = weights.kernel.T @ residual
    delta *= code
    delta *= 1.0 - code
    through_decoder = residual @ code.T
    through_encoder = X @ delta.T
    kernel = through_decoder + through_encoder
    return loss, Weights(kernel, delta.sum(axis=1), residual.sum(axis=1))


def _run_forward(X: Array, weights: Weights) -> tuple[Array, Array]:
    """The code, and the reconstruction less the rows, features by rows."""
    kernel, code_bias, output_bias = weights
    code = sigmoid(kernel.T @ X + code_bias[:, None])
    residual = kernel @ code
    residual += output_bias[:, None]
    residual -= X
    return code, residual


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-z)) as (1 + tanh(z / 2)) / 2, which never overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * values))


def _mean_square(residual: Array) -> float:
    # NumPy's own sums, here and above, not BLAS's dot products: at these sizes those
    # may start threads, which save nothing, and cost fiftyfold where other work fills
    # the cores.
    return float(np.square(residual).mean())
