"""Rows to learn from, rows that are held out, and errors on these."""

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from keras_tied._types import Array

TEST_SHARE = 0.3
FEWEST_ROWS = 10  # rows that a comparison needs
NEGLIGIBLE_ERROR = 1e-10  # a smaller error is one of rounding, and nothing to divide by


def list_seeds(random_state: int, n_seeds: int) -> range:
    """Return as many seeds, from the first one on."""
    if n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds} must be at least 1.")
    return range(random_state, random_state + n_seeds)


def count_most_components(n_rows: int, n_features: int) -> int:
    """Return the most components that can be compared on a table of this shape: 3 for (20, 4)."""
    return min(n_rows - math.ceil(TEST_SHARE * n_rows), n_features - 1)


def split_rows(X: ArrayLike, n_components: int, random_state: int) -> tuple[Array, Array]:
    """Return the rows to learn from and the held-out rows, standardised."""
    rows = check_array(
        X,
        dtype=[np.float64, np.float32],
        ensure_all_finite="allow-nan",
        ensure_min_samples=FEWEST_ROWS,
        ensure_min_features=2,
        input_name="X",
    )
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=random_state)
    most = count_most_components(*rows.shape)
    if not 1 <= n_components <= most:
        raise ValueError(
            f"n_components={n_components} must be between 1 and {most}, for {train.shape[1]} "
            f"features and {len(train)} rows to learn from."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column may be missing altogether
        scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test)


def mean_square(differences: Array) -> float:
    """Return the mean square of those that are not NaN, or else NaN."""
    squares = np.square(differences, dtype=np.float64)
    return float("nan") if np.isnan(squares).all() else float(np.nanmean(squares))
