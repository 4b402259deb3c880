"""What the adjoint of a layer is, told without the code under test."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from numpy.linalg import norm

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
        left = _inner(self.mapped, self.y)
        right = _inner(self.x, self.returned)
        gap = abs(left - right)
        norms = norm(self.mapped) * norm(self.y)
        return gap / norms if norms else gap

    @property
    def gradient_error(self):
        """‖Aᵀ y - gradient‖ / ‖gradient‖."""
        gap = norm(self.returned - self.differentiated)
        return gap / (norm(self.differentiated) or 1)


def _inner(left, right):
    left = left.astype("float64")
    return np.vdot(left, right)


def passage(layer, tied, shape, rng):
    """The passage through `layer`, for inputs of a shape, and back through `tied`."""
    x = rng.normal(size=shape).astype("float32")
    output_shape = layer.compute_output_shape(shape)
    y = rng.normal(size=output_shape).astype("float32")

    def there_and_back(x, y):
        def product(x):
            return ops.sum(layer(x) * y)

        return layer(x), tied(y), _differentiate(product, x)

    if BACKEND == "jax":
        import jax

        # Each is compiled for a single run.
        options = {"xla_backend_optimization_level": 0}
        there_and_back = jax.jit(there_and_back, compiler_options=options)
    found = there_and_back(x, y)
    return Passage(x, y, *map(ops.convert_to_numpy, found))


def gradient(function, x):
    """The gradient of a function with one number as its value, by differentiation."""
    found = _differentiate(function, x)
    return np.array(ops.convert_to_numpy(found))


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

    x = ops.convert_to_tensor(x).requires_grad_()
    value = function(x)
    return torch.autograd.grad(value, x)[0]


def slopes(function, x, step=1e-6):
    """The gradient of a function of a float64 array, by central differences."""
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        rise = function(x + moved) - function(x - moved)
        found[index] = rise / (2 * step)
    return found
