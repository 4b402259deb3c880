"""Rows through a model, in blocks of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FEW = 256
"""Rows in a block where there are no more than that."""
NUMBERS = 2**20
"""About so many numbers are in a block where there are more rows."""


def blocks(n: int, n_features: int) -> Iterator[slice]:
    """Cut `n` rows into blocks, of which the last may be smaller."""
    size = _size(n, n_features)
    for begin in range(0, n, size):
        yield slice(begin, min(n, begin + size))


def through(model: keras.Model, rows: Array, n: int, n_features: int) -> Array:
    """What a model gives for one of the `blocks` of `n` rows.

    JAX and TensorFlow compile anew for every number of rows: a smaller block is filled up.
    """
    missing = _size(n, n_features) - len(rows)
    full = np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)]) if missing else rows
    return np.asarray(model.predict_on_batch(full))[: len(rows)]


def _size(n: int, n_features: int) -> int:
    if n <= FEW:
        return FEW
    return int(max(FEW, 2 ** int(np.log2(NUMBERS / max(n_features, 1)))))
