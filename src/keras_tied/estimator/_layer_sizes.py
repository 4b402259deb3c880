"""The sizes of the hidden layers of the estimator's own networks."""

from __future__ import annotations

from typing import Any

import numpy as np

UNITS, MOST_UNITS, FEWEST_UNITS = 64, 512, 8
ROWS_PER_UNIT = 8


def choose_hidden_units(sizes: Any, n: int, n_features: int) -> list[int]:
    """The units of the hidden layers for `hidden_layer_sizes` and `n` rows."""
    if isinstance(sizes, str):
        most = max(FEWEST_UNITS, n // ROWS_PER_UNIT)
        size = min(max(UNITS, 2 * n_features), MOST_UNITS, most)
        return [size + size % 2]
    array = np.atleast_1d(np.asarray(sizes))
    if array.ndim > 1 or any(size != int(size) or size < 1 for size in array):
        raise ValueError(
            f"hidden_layer_sizes={sizes!r} must be 'auto', a number of units, or a sequence of "
            "such numbers."
        )
    return [int(size) for size in array]
