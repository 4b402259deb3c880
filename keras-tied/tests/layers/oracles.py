"""What becomes of numbers, told without the code under test."""

import keras
import numpy as np
from keras import ops
from numpy.testing import assert_allclose


def compiled(function):
    """The function, which JAX compiles at once, and quickly, instead of step by step."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def gradient(function, x):
    """The gradient of a function with one number as its value, by automatic
    differentiation.
    """
    if keras.backend.backend() == "jax":
        import jax

        return np.array(compiled(jax.grad(function))(x))
    tensor = ops.convert_to_tensor(x)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = function(tensor)
        return ops.convert_to_numpy(tape.gradient(value, tensor))
    function(tensor.requires_grad_()).backward()
    return ops.convert_to_numpy(tensor.grad)


def pull_back(layer, y, shape):
    """The adjoint of a linear layer, applied to y: the gradient of ⟨layer(x), y⟩ by
    an x of that shape.
    """
    inner = lambda x: ops.sum(ops.multiply(layer(x), y))  # noqa: E731
    return gradient(inner, np.zeros(shape, "float32"))


def slopes(function, x, step=1e-6):
    """The gradient of a function of a float64 array, by central differences."""
    found = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = np.zeros(x.shape)
        moved[index] = step
        rise = function(x + moved) - function(x - moved)
        found[index] = rise / (2 * step)
    return found


def assert_close(found, expected, tolerance=1e-4):
    """Two arrays, of any backend, have one shape and nearly the same numbers."""
    pair = map(ops.convert_to_numpy, (found, expected))
    assert_allclose(*pair, rtol=tolerance, atol=tolerance)
