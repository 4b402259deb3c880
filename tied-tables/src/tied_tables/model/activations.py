"""The activations of the estimator's own networks, each with its slope."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from tied_tables._types import Array

Activation: TypeAlias = Callable[[Array, Array | None], None]
"""Overwrites an array with the function's values, and a second one with its slopes."""


def _elu(x: Array, slope: Array | None) -> None:
    below = np.expm1(np.minimum(x, 0))
    if slope is not None:
        slope[...] = np.where(x < 0, below + 1, 1)
    np.copyto(x, below, where=x < 0)


def _relu(x: Array, slope: Array | None) -> None:
    if slope is not None:
        np.greater(x, 0, out=slope)
    np.maximum(x, 0, out=x)


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


def _tanh(x: Array, slope: Array | None) -> None:
    np.tanh(x, out=x)
    if slope is not None:
        np.multiply(x, x, out=slope)
        np.subtract(1, slope, out=slope)


ACTIVATIONS: dict[str, Activation] = {
    "elu": _elu,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "silu": _silu,
    "tanh": _tanh,
}
"""By the names that Keras has for them."""
