"""The sizes of the hidden layers of the estimator's own networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_tied.estimator._held_out import FEW_ROWS

UNITS, MOST_UNITS, FEWEST_UNITS = 48, 512, 8
ROWS_PER_UNIT = 8
"""At least: fewer rows, fewer units."""
LAYERS, FEWER_LAYERS = 3, 2
MANY_FEATURES = 32
"""With more features, or few rows, a third layer gained nothing on the tables of the choice."""
FEWEST_AXES = 64


def count_axes(n_components: int) -> int:
    """The principal axes that a network learns from where a row has more than twice as many."""
    return max(FEWEST_AXES, 2 * n_components)


def choose_hidden_units(sizes: Any, n: int, n_features: int) -> list[int]:
    """The units of the hidden layers for `hidden_layer_sizes` and `n` rows."""
    if isinstance(sizes, str):
        most = max(FEWEST_UNITS, n // ROWS_PER_UNIT)
        size = min(max(UNITS, 2 * n_features), MOST_UNITS, most)
        deep = n_features <= MANY_FEATURES and n >= FEW_ROWS
        layers = LAYERS if deep else FEWER_LAYERS
        return [size + size % 2] * layers
    array = np.atleast_1d(np.asarray(sizes))
    if array.ndim > 1 or any(size != int(size) or size < 1 for size in array):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a sequence of "
            "such numbers."
        )
    return [int(size) for size in array]
