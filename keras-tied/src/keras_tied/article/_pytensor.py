"""The article's network in PyTensor: its loss stated, the gradient derived from it."""

import warnings
from typing import Any

import numpy as np

from keras_tied.article._numpy import Array, Logs, Weights


class PyTensorDescent:
    """The descent of `NumpyDescent`, as the series' Theano article builds it.

    The loss is a symbolic expression of the weights, which are shared variables;
    PyTensor, the maintained successor of Theano, derives the gradient and compiles loss
    and update into one function, by Numba, which takes some seconds at the first use on
    a machine. Arguments and attributes are those of `NumpyDescent`.

    Raises:
        ImportError: If PyTensor is not installed.
    """

    def __init__(
        self,
        X: Array,
        X_val: Array,
        weights: Weights,
        momentum: float,
    ) -> None:
        try:
            import pytensor
            import pytensor.tensor as pt
        except ModuleNotFoundError as error:
            raise ImportError(
                "PyTensorDescent needs PyTensor, which is not installed; install it"
                ' with pip install "keras-tied[pytensor]".'
            ) from error

        dtype = X.dtype
        learning_rate = pt.scalar("learning_rate", dtype=dtype)
        self.shared = [
            pytensor.shared(value, name) for name, value in weights._asdict().items()
        ]
        # Features by rows, the transpose of the formulas: the compiled loops then run
        # over long contiguous lines, which halves the time of a step.
        rows = pytensor.shared(np.ascontiguousarray(X.T), "X")
        validation_rows = pytensor.shared(np.ascontiguousarray(X_val.T), "X_val")
        loss = _loss(rows, *self.shared)
        # A plain Python number would be a float64 here, and make all that it meets one.
        friction = dtype.type(momentum)
        slopes = pytensor.grad(loss, self.shared)
        updates = []
        new_weights = []
        for weight, slope in zip(self.shared, slopes, strict=True):
            velocity = pytensor.shared(np.zeros_like(weight.get_value()))
            new_velocity = friction * velocity - learning_rate * slope
            new_weight = weight + new_velocity
            updates += [(velocity, new_velocity), (weight, new_weight)]
            new_weights.append(new_weight)
        self.program = pytensor.function(
            [learning_rate],
            [loss, _loss(validation_rows, *new_weights)],
            updates=updates,
            mode="NUMBA",
        )
        with warnings.catch_warnings():
            # Numba warns of every product with a transposed matrix. PyTensor switches
            # that off when it is imported, which does not outlive a
            # warnings.catch_warnings around the import.
            warnings.filterwarnings("ignore", ".*is faster on contiguous arrays")
            # Numba compiles at the first call. This one moves nothing: the velocities
            # are zero.
            self.step(0.0)

    def step(self, learning_rate: float) -> Logs:
        """Change the weights; return "loss" before that and "val_loss" after it."""
        rate = self.shared[0].type.numpy_dtype.type(learning_rate)
        loss, validation_loss = self.program(rate)
        return {"loss": float(loss), "val_loss": float(validation_loss)}

    @property
    def weights(self) -> Weights:
        return Weights(*(each.get_value() for each in self.shared))


def _loss(
    X: Any,
    kernel: Any,
    code_bias: Any,
    output_bias: Any,
) -> Any:
    """The mean squared error of the reconstruction of X, features by rows."""
    import pytensor.tensor as pt

    code = pt.sigmoid(kernel.T @ X + code_bias[:, None])
    reconstruction = kernel @ code + output_bias[:, None]
    return pt.mean(pt.square(reconstruction - X))
