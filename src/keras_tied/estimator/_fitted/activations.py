"""Keras's activations in NumPy, for arrays of shape `(units, rows)` that they overwrite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tied._types import Array

Activation = Callable[[Array], None]


def _ufunc(ufunc: np.ufunc, *arguments: Any) -> Activation:
    """The activation that is one call of NumPy."""

    def overwrite(x: Array) -> None:
        ufunc(x, *arguments, out=x)

    return overwrite


def _clip(low: float, high: float) -> Activation:
    def overwrite(x: Array) -> None:
        np.clip(x, low, high, out=x)

    return overwrite


def _linear(x: Array) -> None:
    pass


def _elu(x: Array) -> None:
    np.copyto(x, np.expm1(np.minimum(x, 0)), where=x < 0)


def _selu(x: Array) -> None:
    np.copyto(x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), where=x < 0)
    x *= 1.0507009873554805


def _gelu(x: Array) -> None:
    from scipy.special import erf  # for this one alone, as the import takes a tenth of a second

    x *= 0.5 * (1 + erf(x * np.float32(np.sqrt(0.5))))


def _hard_shrink(x: Array) -> None:
    x[np.abs(x) <= 0.5] = 0


def _hard_sigmoid(x: Array) -> None:
    x *= 1 / 6
    x += 0.5
    np.clip(x, 0, 1, out=x)


def _hard_silu(x: Array) -> None:
    gate = x.copy()
    _hard_sigmoid(gate)
    x *= gate


def _leaky_relu(x: Array) -> None:
    np.maximum(x, 0.2 * x, out=x)


def _log_sigmoid(x: Array) -> None:
    np.negative(np.logaddexp(0, -x), out=x)


def _softmax(x: Array) -> None:
    _log_softmax(x)
    np.exp(x, out=x)


def _log_softmax(x: Array) -> None:
    x -= x.max(axis=0)
    x -= np.log(np.exp(x).sum(axis=0))


def _mish(x: Array) -> None:
    x *= np.tanh(np.logaddexp(0, x))


def _sigmoid(x: Array) -> None:
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5


def _silu(x: Array) -> None:
    gate = x.copy()
    _sigmoid(gate)
    x *= gate


def _soft_shrink(x: Array) -> None:
    x -= np.clip(x, -0.5, 0.5)


def _softplus(x: Array) -> None:
    np.logaddexp(0, x, out=x)


def _softsign(x: Array) -> None:
    x /= 1 + np.abs(x)


def _sparse_plus(x: Array) -> None:
    np.copyto(x, np.square(np.maximum(x, -1) + 1) / 4, where=x < 1)


def _sparse_sigmoid(x: Array) -> None:
    x += 1
    x *= 0.5
    np.clip(x, 0, 1, out=x)


def _squareplus(x: Array) -> None:
    x += np.sqrt(np.square(x) + 4)
    x *= 0.5


def _tanh_shrink(x: Array) -> None:
    x -= np.tanh(x)


ACTIVATIONS: dict[str, Activation] = {
    "celu": _elu,  # the same where alpha is 1
    "elu": _elu,
    "exponential": _ufunc(np.exp),
    "gelu": _gelu,
    "hard_shrink": _hard_shrink,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_tanh": _clip(-1, 1),
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "log_sigmoid": _log_sigmoid,
    "log_softmax": _log_softmax,
    "mish": _mish,
    "relu": _ufunc(np.maximum, 0),
    "relu6": _clip(0, 6),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "soft_shrink": _soft_shrink,
    "softmax": _softmax,
    "softplus": _softplus,
    "softsign": _softsign,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "squareplus": _squareplus,
    "tanh": _ufunc(np.tanh),
    "tanh_shrink": _tanh_shrink,
}
"""All that Keras has a name for, but `glu`, `sparsemax` and `threshold`."""
ACROSS_UNITS = frozenset({"softmax", "log_softmax"})
"""Those whose value for one unit depends on the other units."""
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(config: Any) -> str | None:
    """The key in `ACTIVATIONS` of an activation as a file stores it, None where it has none.

    Args:
        config: a name, or what `keras.saving.serialize_keras_object` gives for a function.
    """
    match config:
        case {"class_name": "function", "module": "builtins", "config": str() as name}:
            config = name
    if not isinstance(config, str):
        return None
    name = ALIASES.get(config, config)
    return name if name in ACTIVATIONS else None
