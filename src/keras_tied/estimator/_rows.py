"""Rows through a model, in blocks of one shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from keras_tied.autoencoder import Autoencoder

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


def autoencoded(model: Autoencoder, rows: Array, n: int, n_features: int) -> tuple[Array, Array]:
    """The codes of one of the `blocks` of `n` rows, and the rows that are made of them.

    The halves take turns: what is compiled for them serves all that is asked of a model.
    """
    codes = through(model.encoder, rows, n, n_features)
    return codes, through(model.decoder, codes, n, n_features)


def restored(model: Autoencoder, rows: Array, n: int) -> Array:
    """What a model makes of some of `n` rows, in the shape of `rows`."""
    n_features = math.prod(rows.shape[1:])
    parts = blocks(len(rows), n_features)
    made = [autoencoded(model, rows[part], n, n_features)[1] for part in parts]
    return np.concatenate(made).reshape(rows.shape)


def _size(n: int, n_features: int) -> int:
    if n <= FEW:
        return FEW
    return int(max(FEW, 2 ** int(np.log2(NUMBERS / max(n_features, 1)))))
