"""What the adjoint of a layer is, told without the code under test."""

from dataclasses import dataclass

import keras
import numpy as np

BACKEND = keras.backend.backend()


@dataclass(frozen=True)
class Passage:
    """A random input mapped by a linear layer, a random output taken back through it.

    Taken back by the layer under test, and by the backend's automatic differentiation:
    the gradient of ⟨layer(x), y⟩ by x is the adjoint of `layer`, applied to y.
    """

    x: np.ndarray
    y: np.ndarray
    mapped: np.ndarray
    returned: np.ndarray
    differentiated: np.ndarray

    @property
    def adjoint_error(self):
        """|⟨A x, y⟩ - ⟨x, Aᵀ y⟩| / (‖A x‖ ‖y‖)."""
        gap = abs(_inner(self.mapped, self.y) - _inner(self.x, self.returned))
        norms = np.linalg.norm(self.mapped) * np.linalg.norm(self.y)
        return gap / norms if norms else gap

    @property
    def gradient_error(self):
        """‖Aᵀ y - gradient‖ / ‖gradient‖."""
        gap = np.linalg.norm(self.returned - self.differentiated)
        return float(gap / (np.linalg.norm(self.differentiated) or 1))


def _inner(left, right):
    return float(np.vdot(left.astype("float64"), right.astype("float64")))


def passage(layer, tied, shape, rng):
    """The passage through `layer`, for inputs of a shape, and back through `tied`."""
    x = rng.normal(size=shape).astype("float32")
    y = rng.normal(size=layer.compute_output_shape(shape)).astype("float32")

    def there_and_back(x, y):
        def product(x):
            return keras.ops.sum(keras.ops.multiply(layer(x), y))

        return layer(x), tied(y), _differentiate(product, x)

    if BACKEND == "jax":
        import jax

        # Each is compiled for a single run.
        options = {"xla_backend_optimization_level": 0}
        there_and_back = jax.jit(there_and_back, compiler_options=options)
    found = map(keras.ops.convert_to_numpy, there_and_back(x, y))
    return Passage(x, y, *found)


def gradient(function, x):
    """The gradient of a function with one number as its value, by differentiation."""
    return np.array(keras.ops.convert_to_numpy(_differentiate(function, x)))


def _differentiate(function, x):
    if BACKEND == "jax":
        import jax

        return jax.grad(function)(x)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)
    import torch

    x = keras.ops.convert_to_tensor(x).requires_grad_()
    return torch.autograd.grad(function(x), x)[0]


def slopes(function, x, step=1e-6):
    """The gradient of a function of a float64 array, by central differences."""
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        found[index] = (function(x + moved) - function(x - moved)) / (2 * step)
    return found
