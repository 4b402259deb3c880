"""The autoencoder in PyTensor: its loss stated, the gradient derived symbolically."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_tied.article._numpy import (
    Array,
    Engine,
    Logs,
    NumpyAutoencoder,
    Weights,
)


@dataclass(eq=False)  # without it, __post_init__ would not be called
class PyTensorAutoencoder(NumpyAutoencoder):
    """The autoencoder of `NumpyAutoencoder`, as the series' Theano article builds it.

    The loss is a symbolic expression of the weights, which are shared variables;
    PyTensor, the maintained successor of Theano, derives the gradient and compiles loss
    and update into one function, by Numba, which takes some seconds at the first `fit`
    on a machine. Arguments, attributes and methods are those of `NumpyAutoencoder`, and
    so is the result.

    Raises:
        ImportError: On construction, if PyTensor is not installed.

    Examples:
        >>> from keras_tied.article import PyTensorAutoencoder
        >>> PyTensorAutoencoder(2, momentum=0.9)  # doctest: +ELLIPSIS
        PyTensorAutoencoder(n_components=2, learning_rate=0.1, momentum=0.9, ...)
    """

    def __post_init__(self) -> None:
        try:
            import pytensor  # noqa: F401
        except ModuleNotFoundError as error:
            raise ImportError(
                "PyTensorAutoencoder needs PyTensor, which is not installed; install it"
                ' with pip install "keras-tied[pytensor]".'
            ) from error

    def _start_engine(
        self,
        X: Array,
        X_val: Array | None,
        start: Weights,
    ) -> Engine:
        import pytensor
        import pytensor.tensor as pt

        dtype = X.dtype
        learning_rate = pt.scalar("learning_rate", dtype=dtype)
        weights = [
            pytensor.shared(value, name) for name, value in start._asdict().items()
        ]
        velocities = [pytensor.shared(np.zeros_like(value)) for value in start]

        # Features by rows, the transpose of the formulas: the compiled loops then run
        # over long contiguous lines, which halves the time of a step.
        rows = pytensor.shared(np.ascontiguousarray(X.T), "X")
        loss = _loss(rows, *weights)
        # A plain Python number would be a float64 here, and make all that it meets one.
        friction = dtype.type(self.momentum)
        slopes = pytensor.grad(loss, weights)
        updates = []
        new_weights = []
        for weight, velocity, slope in zip(weights, velocities, slopes, strict=True):
            new_velocity = friction * velocity - learning_rate * slope
            new_weight = weight + new_velocity
            updates += [(velocity, new_velocity), (weight, new_weight)]
            new_weights.append(new_weight)
        logs = {"loss": loss}
        if X_val is not None:
            validation_rows = pytensor.shared(np.ascontiguousarray(X_val.T), "X_val")
            logs["val_loss"] = _loss(validation_rows, *new_weights)
        program = pytensor.function(
            [learning_rate], [*logs.values()], updates=updates, mode="NUMBA"
        )

        def step(learning_rate: float) -> Logs:
            values = program(np.asarray(learning_rate, dtype))
            return dict(zip(logs, map(float, values), strict=True))

        with warnings.catch_warnings():
            # Numba warns of every product with a transposed matrix. PyTensor switches
            # that off when it is imported, which does not outlive a
            # warnings.catch_warnings around the import.
            warnings.filterwarnings("ignore", ".*is faster on contiguous arrays")
            # Numba compiles at the first call. This one moves nothing: the velocities
            # are zero.
            step(0.0)
        return step, lambda: Weights(*(weight.get_value() for weight in weights))


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
