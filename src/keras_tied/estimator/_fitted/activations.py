"""Keras's activations in NumPy, for arrays of shape `(units, rows)` that they overwrite."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tied._types import Array

Activation = Callable[[Array], object]


def _selu(x: Array) -> None:
    np.copyto(x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), where=x < 0)
    x *= 1.0507009873554805


def _gelu(x: Array) -> None:
    from scipy.special import erf  # for this one alone, as the import takes a tenth of a second

    x *= 0.5 * (1 + erf(x * np.float32(np.sqrt(0.5))))


def _clip_line(slope: float) -> Activation:
    """The activation that rises with a slope from 0 to 1."""

    def overwrite(x: Array) -> None:
        x *= slope
        x += 0.5
        np.clip(x, 0, 1, out=x)

    return overwrite


def _sigmoid(x: Array) -> None:
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5


def _multiply(gate: Activation) -> Activation:
    """The activation x gate(x)."""

    def overwrite(x: Array) -> None:
        factor = x.copy()
        gate(factor)
        x *= factor

    return overwrite


def _softmax(x: Array) -> None:
    _log_softmax(x)
    np.exp(x, out=x)


def _log_softmax(x: Array) -> None:
    x -= x.max(axis=0)
    x -= np.log(np.exp(x).sum(axis=0))


def _squareplus(x: Array) -> None:
    x += np.sqrt(np.square(x) + 4)
    x *= 0.5


ACTIVATIONS: dict[str, Activation] = {
    "elu": lambda x: np.copyto(x, np.expm1(np.minimum(x, 0)), where=x < 0),
    "exponential": lambda x: np.exp(x, out=x),
    "gelu": _gelu,
    "hard_shrink": lambda x: np.copyto(x, 0, where=np.abs(x) <= 0.5),
    "hard_sigmoid": _clip_line(1 / 6),
    "hard_silu": _multiply(_clip_line(1 / 6)),
    "hard_tanh": lambda x: np.clip(x, -1, 1, out=x),
    "leaky_relu": lambda x: np.maximum(x, 0.2 * x, out=x),
    "linear": lambda x: None,
    "log_sigmoid": lambda x: np.negative(np.logaddexp(0, -x), out=x),
    "log_softmax": _log_softmax,
    "mish": lambda x: np.multiply(x, np.tanh(np.logaddexp(0, x)), out=x),
    "relu": lambda x: np.maximum(x, 0, out=x),
    "relu6": lambda x: np.clip(x, 0, 6, out=x),
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _multiply(_sigmoid),
    "soft_shrink": lambda x: np.subtract(x, np.clip(x, -0.5, 0.5), out=x),
    "softmax": _softmax,
    "softplus": lambda x: np.logaddexp(0, x, out=x),
    "softsign": lambda x: np.divide(x, 1 + np.abs(x), out=x),
    "sparse_plus": lambda x: np.copyto(x, np.square(np.maximum(x, -1) + 1) / 4, where=x < 1),
    "sparse_sigmoid": _clip_line(0.5),
    "squareplus": _squareplus,
    "tanh": lambda x: np.tanh(x, out=x),
    "tanh_shrink": lambda x: np.subtract(x, np.tanh(x), out=x),
}
"""All that Keras has a name for, but `glu`, `sparsemax` and `threshold`."""
ACTIVATIONS["celu"] = ACTIVATIONS["elu"]  # the same where alpha is 1
ACROSS_UNITS = frozenset({"softmax", "log_softmax"})
"""Those whose value for one unit depends on the other units."""
ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(config: Any) -> str | None:
    """The key in `ACTIVATIONS`, or None, of a name or of what Keras serializes a function to."""
    match config:
        case str(name) | {"class_name": "function", "module": "builtins", "config": str(name)}:
            name = ALIASES.get(name, name)
            return name if name in ACTIVATIONS else None
    return None
