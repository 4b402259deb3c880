"""The Jacobian of each of some independent rows, on every backend. See README.md here."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def jacobians(function: Callable[[Any], Any], x: Any) -> Any:
    """The Jacobian of each row, `(batch, lines, *row)`; by columns where those are fewer."""
    backends = {"jax": _with_jax, "tensorflow": _with_tensorflow, "torch": _with_torch}
    return backends[keras.backend.backend()](function, x)


def _with_jax(function: Callable[[Any], Any], x: Any) -> Any:
    import jax

    code, pull = jax.vjp(function, x)
    if _is_narrower(x, code):
        _, push = jax.linearize(function, x)
        return jax.vmap(push, out_axes=1)(_directions(x))
    return jax.vmap(lambda line: pull(line)[0], out_axes=1)(_directions(code))


def _with_torch(function: Callable[[Any], Any], x: Any) -> Any:
    from torch.func import vjp, vmap

    code, pull = vjp(function, x)
    if _is_narrower(x, code):
        _, push = vjp(lambda line: pull(line)[0], ops.zeros_like(code))
        return vmap(lambda column: push(column)[0], out_dims=1)(_directions(x))
    return vmap(lambda line: pull(line)[0], out_dims=1)(_directions(code))


def _with_tensorflow(function: Callable[[Any], Any], x: Any) -> Any:
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO
    with tf.GradientTape(watch_accessed_variables=False) as by_line:
        with tf.GradientTape(watch_accessed_variables=False) as by_row:
            by_row.watch(x)
            code = function(x)
            lines = ops.reshape(code, (ops.shape(code)[0], -1))
        if _is_narrower(x, code):
            line = tf.zeros_like(code)
            by_line.watch(line)
            pulled = by_row.gradient(code, x, line, unconnected_gradients=zero)
            pulled = ops.reshape(pulled, (ops.shape(pulled)[0], -1))
    if _is_narrower(x, code):
        return by_line.batch_jacobian(pulled, line, unconnected_gradients=zero)
    return by_row.batch_jacobian(lines, x, unconnected_gradients=zero)


def _is_narrower(x: Any, code: Any) -> bool:
    """Whether rows have fewer numbers than codes; a length that is not known is taken as great."""
    row, code = (math.prod(n or math.inf for n in tensor.shape[1:]) for tensor in (x, code))
    return bool(row < code)


def _directions(rows: Any) -> Any:
    """The unit vectors along each number of a row, `(numbers of a row, *rows.shape)`."""
    shape = tuple(rows.shape)
    width = math.prod(shape[1:])
    units = ops.reshape(ops.eye(width, dtype=rows.dtype), (width, 1, *shape[1:]))
    return ops.broadcast_to(units, (width, *shape))
