"""Rows of numbers, a boolean and categories."""

import numpy as np
from numpy.random import default_rng

from tied_tables._layout import BOOLEAN, CATEGORY, NUMBER, Layout

N_COLUMNS = 5
LAYOUT = Layout(
    np.array([0, 1, 2, 2, 2, 3, 4, 4]),
    np.array([NUMBER, BOOLEAN, *[CATEGORY] * 3, NUMBER, *[CATEGORY] * 2]),
)


def draw_classes(n, seed=0, missing=0.0):
    """Numbers, a boolean and categories that follow them, with noise."""
    rng = default_rng(seed)
    z, noise, other = rng.normal(size=(3, n))
    level = np.digitize(
        z + 0.3 * noise,
        [-0.5, 0.8],
    )
    two = z + other
    X = np.column_stack(
        [
            z,
            noise > 0.5,
            np.eye(3)[level],
            z**2 + noise,
            two <= 0,
            two > 0,
        ]
    )
    gaps = rng.uniform(size=(n, N_COLUMNS)) < missing
    X[gaps[:, LAYOUT.columns]] = np.nan
    return X


def both(shares):
    """The shares of the classes of a column: a boolean is the second of two."""
    if shares.shape[-1] > 1:
        return shares
    return np.hstack([1 - shares, shares])
