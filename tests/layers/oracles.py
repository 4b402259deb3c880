"""What the adjoint of a layer is, told without the code under test."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np


@dataclass(frozen=True)
class Passage:
    """A random input mapped by a linear layer, and a random output taken back through
    it.

    Taken back by the layer under test, and by the backend's automatic differentiation:
    the gradient of ⟨layer(x), y⟩ by x is the adjoint of `layer`, applied to y.
    """

    x: np.ndarray
    mapped: np.ndarray
    y: np.ndarray
    returned: np.ndarray
    differentiated: np.ndarray

    @property
    def adjoint_error(self) -> float:
        """|⟨A x, y⟩ - ⟨x, Aᵀ y⟩| / (‖A x‖ ‖y‖)."""
        gap = abs(_inner(self.mapped, self.y) - _inner(self.x, self.returned))
        norms = np.sqrt(_inner(self.mapped, self.mapped) * _inner(self.y, self.y))
        return gap / norms if norms else gap

    @property
    def gradient_error(self) -> float:
        """‖Aᵀ y - gradient‖ / ‖gradient‖."""
        gap = np.linalg.norm(self.returned - self.differentiated)
        return float(gap / (np.linalg.norm(self.differentiated) or 1))


def passage(
    layer: Any, tied: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> Passage:
    """The passage through `layer`, for inputs of that shape, and
    back through `tied`.
    """
    x = rng.normal(size=shape).astype("float32")
    y = rng.normal(size=layer.compute_output_shape(shape)).astype("float32")
    function = {"jax": _with_jax, "tensorflow": _with_tensorflow, "torch": _with_torch}
    found = function[keras.backend.backend()](layer, tied, x, y)
    mapped, returned, differentiated = map(keras.ops.convert_to_numpy, found)
    return Passage(x, mapped, y, returned, differentiated)


def _inner(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.vdot(left.astype("float64"), right.astype("float64")))


def _with_jax(layer: Any, tied: Any, x: Any, y: Any) -> Any:
    import jax

    def there_and_back(x: Any, y: Any) -> Any:
        mapped, pull_back = jax.vjp(layer, x)
        return mapped, tied(y), pull_back(y)[0]

    # Each is compiled for a single run.
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(there_and_back, compiler_options=options)(x, y)


def _with_tensorflow(layer: Any, tied: Any, x: Any, y: Any) -> Any:
    import tensorflow as tf

    x, y = tf.constant(x), tf.constant(y)
    with tf.GradientTape() as tape:
        tape.watch(x)
        mapped = layer(x)
    return mapped, tied(y), tape.gradient(mapped, x, y)


def _with_torch(layer: Any, tied: Any, x: Any, y: Any) -> Any:
    import torch

    x, y = (
        keras.ops.convert_to_tensor(x).requires_grad_(),
        keras.ops.convert_to_tensor(y),
    )
    mapped = layer(x)
    return mapped, tied(y), torch.autograd.grad(mapped, x, y)[0]


def gradient(function: Any, x: np.ndarray) -> np.ndarray:
    """The gradient of a function with one number as its value, by automatic
    differentiation.
    """
    if keras.backend.backend() == "jax":
        import jax

        found = jax.grad(function)(x)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        found = tape.gradient(value, x)
    else:
        import torch

        x = keras.ops.convert_to_tensor(x).requires_grad_()
        found = torch.autograd.grad(function(x), x)[0]
    return np.array(keras.ops.convert_to_numpy(found))


def slopes(function: Any, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The gradient of a function of a float64 array, by central differences."""
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        found[index] = (function(x + moved) - function(x - moved)) / (2 * step)
    return found
