"""The autoencoder in NumPy: its gradient derived by hand, both paths of the kernel included."""

import numpy as np
from numpy.typing import ArrayLike

from keras_tied.reference._autoencoder import (
    Array,
    Engine,
    HandWrittenAutoencoder,
    Logs,
    Weights,
    check_rows,
    check_weights,
)


class NumpyAutoencoder(HandWrittenAutoencoder):
    """A tied autoencoder of one hidden layer, with nothing but NumPy.

    With sigmoid(z) = 1 / (1 + exp(-z)), it minimises the mean of (X̂ - X)² over all entries, where

        code = sigmoid(X W + b),    X̂ = code Wᵀ + c,

    by gradient descent with momentum on all rows at once, as ``keras.optimizers.SGD`` does it:

        v ← momentum · v - rate · gradient,    w ← w + v,    rate = learning_rate / (1 + decay · t)

    at step t = 0, 1, ... (the decay is Keras 1's, ``InverseTimeDecay`` today). The network and
    these settings are those of the 2017 article series on autoencoders in NumPy, Theano and Keras;
    `loss_and_gradient` has the gradient.

    Args:
        n_components: Units of the code.
        learning_rate, momentum, decay: Of the rates above: > 0, in [0, 1), and ≥ 0.
        epochs: Steps of training, at least 1.
        dtype: "float32" or "float64", of all arrays.
        random_state: Seed or ``numpy.random.Generator`` for the start; None for another each time.

    Attributes:
        kernel_, code_bias_, output_bias_: W, b and c, as of `Weights`.
        history_: ``{"loss": [...]}`` and, if rows to validate on were given, ``"val_loss"``: one
            number an epoch. As in Keras, "loss" is taken before the epoch's step and "val_loss"
            after it.

    Examples:
        >>> import numpy as np
        >>> from keras_tied.reference import NumpyAutoencoder
        >>> X = np.random.default_rng(0).uniform(size=(100, 4))
        >>> autoencoder = NumpyAutoencoder(2, epochs=200, random_state=0).fit(X)
        >>> autoencoder.inverse_transform(autoencoder.transform(X)).shape
        (100, 4)
        >>> autoencoder.history_["loss"][-1] < autoencoder.history_["loss"][0]
        True
    """

    def _start_engine(self, X: Array, X_val: Array | None, start: Weights) -> Engine:
        network = _Network(X, self.n_components)
        validation_network = None if X_val is None else _Network(X_val, self.n_components)
        weights, momentum = start, self.momentum
        velocities = Weights(*map(np.zeros_like, start))

        def step(learning_rate: float) -> Logs:
            # What overflows shows in the loss, which the caller checks.
            with np.errstate(over="ignore", invalid="ignore"):
                logs = {"loss": network.loss(weights)}
                gradient = network.gradient(weights)
                for weight, velocity, slope in zip(weights, velocities, gradient, strict=True):
                    velocity *= momentum
                    velocity -= learning_rate * slope
                    weight += velocity
                if validation_network is not None:
                    logs["val_loss"] = validation_network.loss(weights)
            return logs

        return step, lambda: weights


def loss_and_gradient(
    X: ArrayLike, kernel: ArrayLike, code_bias: ArrayLike, output_bias: ArrayLike
) -> tuple[float, Weights]:
    """The reconstruction error of the rows X, and its gradient in the weights.

    With code = sigmoid(X W + b) and R = code Wᵀ + c - X, for n rows of d features the loss is
    Σ R² / (n d). Let G = 2 R / (n d) be its derivative in the reconstruction, and
    D = (G W) ∘ code ∘ (1 - code) that in X W + b. The kernel is used twice, so that its gradient
    has two terms:

        ∂loss/∂W = Gᵀ code + Xᵀ D      (through the decoder, and through the encoder)
        ∂loss/∂b = Σ D over the rows
        ∂loss/∂c = Σ G over the rows

    This is backpropagation (Rumelhart, Hinton & Williams, Nature 1986) with a shared weight. The
    NumPy article of the 2017 series leaves out the decoder's term, and its error stalls at ten
    times what the Theano article, which differentiates symbolically, arrives at.

    Args:
        X: (n, n_features) finite numbers, n ≥ 1.
        kernel: (n_features, n_components) finite numbers, W.
        code_bias: (n_components,) finite numbers, b.
        output_bias: (n_features,) finite numbers, c.

    Returns:
        The loss and its gradient, in float32 if all arguments are float32, else in float64.

    Raises:
        ValueError: If an argument is not numeric, not finite, or of another shape.

    Examples:
        >>> from keras_tied.reference import loss_and_gradient
        >>> loss, gradient = loss_and_gradient([[1.0, 3.0]], [[0.0], [0.0]], [0.0], [0.0, 1.0])
        >>> loss, gradient.kernel.tolist(), gradient.output_bias.tolist()
        (2.5, [[-0.5], [-1.0]], [-1.0, -2.0])
    """
    arguments = [np.asarray(argument) for argument in (X, kernel, code_bias, output_bias)]
    dtype = np.float32 if all(a.dtype == np.float32 for a in arguments) else np.float64
    rows = check_rows(X, "X", dtype)
    n_components = np.atleast_1d(kernel).shape[-1]
    weights = check_weights((kernel, code_bias, output_bias), rows.shape[1], n_components, dtype)
    network = _Network(rows, n_components)
    return network.loss(weights), network.gradient(weights)


class _Network:
    """The forward and backward passes over fixed rows, in arrays that are allocated once."""

    def __init__(self, X: Array, n_components: int) -> None:
        # Features by rows: of few features and many rows, the contiguous lines are long.
        self._X = np.ascontiguousarray(X.T)
        self._code = np.empty((n_components, len(X)), X.dtype)
        self._residual = np.empty_like(self._X)
        self._delta = np.empty_like(self._code)
        self._squares = np.empty_like(self._X)

    def loss(self, weights: Weights) -> float:
        kernel, code_bias, output_bias = weights
        code, residual = self._code, self._residual
        np.matmul(kernel.T, self._X, out=code)
        code += code_bias[:, None]
        _sigmoid(code)
        np.matmul(kernel, code, out=residual)
        residual += output_bias[:, None]
        residual -= self._X
        # NumPy's own sums, here and below, not BLAS's dot products: at these sizes those may start
        # threads, which save nothing, and cost fiftyfold where other work fills the cores.
        return float(np.square(residual, out=self._squares).mean())

    def gradient(self, weights: Weights) -> Weights:
        """The gradient at the weights for which `loss` was called last."""
        kernel, code, residual, delta = weights.kernel, self._code, self._residual, self._delta
        residual *= 2.0 / residual.size
        through_decoder = residual @ code.T
        np.matmul(kernel.T, residual, out=delta)
        delta *= code
        np.subtract(1.0, code, out=code)
        delta *= code
        through_encoder = self._X @ delta.T
        kernel_slope = through_decoder + through_encoder
        return Weights(kernel_slope, delta.sum(axis=1), residual.sum(axis=1))


def _sigmoid(z: Array) -> None:
    """Turn z into 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2, which never overflows."""
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5
