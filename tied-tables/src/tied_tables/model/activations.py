"""The activations of the estimator's own networks, each with its slope."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tied_tables._types import Array

Activation: TypeAlias = Callable[[Array, Array | None], None]
"""Overwrites an array with the function's values, and a second one with its slopes."""

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _elu(x: Array, slope: Array | None, alpha: float = 1.0) -> None:
    below = alpha * np.expm1(np.minimum(x, 0))
    if slope is not None:
        slope[...] = np.where(x < 0, below + alpha, 1)
    np.copyto(x, below, where=x < 0)


def _gelu(x: Array, slope: Array | None) -> None:
    from scipy.special import erf  # for this one alone: it takes a tenth of a second

    factor = np.float32(np.sqrt(0.5))
    share = 0.5 * (1 + erf(x * factor))
    if slope is not None:
        root = np.sqrt(2 * np.pi)
        density = np.exp(-0.5 * x * x) / root
        slope[...] = share + x * density
    x *= share


def _relu(x: Array, slope: Array | None) -> None:
    if slope is not None:
        np.greater(x, 0, out=slope)
    np.maximum(x, 0, out=x)


def _selu(x: Array, slope: Array | None) -> None:
    _elu(x, slope, SELU_ALPHA)
    x *= SELU_SCALE
    if slope is not None:
        slope *= SELU_SCALE


def _sigmoid(x: Array, slope: Array | None) -> None:
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5
    if slope is not None:
        np.multiply(x, 1 - x, out=slope)


def _silu(x: Array, slope: Array | None) -> None:
    # With t = tanh(x / 2), the sigmoid is (1 + t) / 2.
    x *= 0.5
    t = np.tanh(x)
    product = x * t
    if slope is not None:
        np.multiply(product, t, out=slope)
        np.subtract(x, slope, out=slope)
        slope += t
        slope += 1
        slope *= 0.5
    x += product


def _softplus(x: Array, slope: Array | None) -> None:
    if slope is not None:
        slope[...] = x
        _sigmoid(slope, None)
    np.logaddexp(0, x, out=x)


def _tanh(x: Array, slope: Array | None) -> None:
    np.tanh(x, out=x)
    if slope is not None:
        np.multiply(x, x, out=slope)
        np.subtract(1, slope, out=slope)


ACTIVATIONS: dict[str, Activation] = {
    "elu": _elu,
    "gelu": _gelu,
    "relu": _relu,
    "selu": _selu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "softplus": _softplus,
    "tanh": _tanh,
}
"""By the names that Keras has for them."""
