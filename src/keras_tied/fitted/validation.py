"""Checks of numbers that come from a file; a message begins with the name of a field."""

from typing import Any

import numpy as np

from keras_tied._types import Array


def require(holds: object, otherwise: str) -> None:
    """Raise `ValueError` unless something holds."""
    if not holds:
        raise ValueError(otherwise)


def require_shape(
    shape: tuple[int, ...], dtype: Any = np.float64, **arrays: Array
) -> None:
    """Require a shape and a dtype of some arrays, by their names."""
    for name, array in arrays.items():
        given = f"the shape {array.shape} and the dtype {array.dtype}"
        expected = f"{shape} and {np.dtype(dtype)}"
        fits = array.shape == shape and array.dtype == dtype
        require(fits, f"{name} has {given}, not {expected}")


def require_finite(
    shape: tuple[int, ...], dtype: Any = np.float64, **arrays: Array
) -> None:
    """Require finite numbers of a shape and a dtype of some arrays, by their names."""
    require_shape(shape, dtype, **arrays)
    for name, array in arrays.items():
        is_finite = np.isfinite(array).all()
        require(is_finite, f"{name} has numbers that are not finite")
