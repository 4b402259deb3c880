"""The donuts of the article: two noisy rings whose columns are correlated."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RADII = (5.0, 10.0)


def make_correlated_donuts(
    n_samples: int = 9000,
    random_state: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw rows, (n, 4) float64, from two noisy rings, and labels, (n,) int64.

    A row of label k has a radius r ~ N(5, 1) for k = 0 or N(10, 1) for k = 1, an angle
    θ ~ U(0, 2π), and the features (r cos θ, r sin θ, u r cos θ, v r cos θ), where u and
    v are independent U(0.9, 1.1). These are the numbers that can be read off the
    article's own file.

    Args:
        n_samples: Rows to draw. Of an odd number, label 0 gets one more.
        random_state: The seed; by default, other numbers each time.

    Raises:
        ValueError: If n_samples is below 1.

    Examples:
        >>> X, y = make_correlated_donuts(5, random_state=0)
        >>> X.shape, y.tolist()
        ((5, 4), [0, 0, 0, 1, 1])
    """
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples} must be at least 1.")
    rng = np.random.RandomState(random_state)
    n_first = (n_samples + 1) // 2
    y = (np.arange(n_samples) >= n_first).astype(np.int64)
    radius = rng.normal(np.take(RADII, y), 1.0)
    angle = rng.uniform(0.0, 2.0 * np.pi, n_samples)
    first, second = radius * np.cos(angle), radius * np.sin(angle)
    factors = rng.uniform(0.9, 1.1, (n_samples, 2))
    copies = first[:, None] * factors
    return np.column_stack([first, second, copies]), y


def prepare(
    X: ArrayLike,
    y: ArrayLike | None = None,
    random_state: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Shuffle the rows and scale each column to [0, 1], as the article does.

    A column x becomes (x - min x) / (max x - min x), over all rows; a constant one
    becomes 0. The result is (n, features) float32, and y in the same order, or None.

    Args:
        X: (n ≥ 1, features) finite numbers.
        y: (n,) labels of any kind, or None.
        random_state: The seed; by default, other numbers each time.

    Raises:
        ValueError: If X or y is of another form.

    Examples:
        >>> rows = [[1.0, 7.0], [3.0, 7.0], [2.0, 7.0]]
        >>> X, y = prepare(rows, ["a", "c", "b"], random_state=2)
        >>> X.tolist(), y.tolist()
        ([[0.5, 0.0], [1.0, 0.0], [0.0, 0.0]], ['b', 'c', 'a'])
    """
    rows = np.asarray(X)
    is_table = rows.ndim == 2 and rows.size > 0 and rows.dtype.kind in "biuf"
    if not is_table or not np.isfinite(rows).all():
        raise ValueError(
            f"X has the shape {rows.shape} and the dtype {rows.dtype}; give a table of"
            " finite real numbers, with at least one row and column."
        )
    labels = None if y is None else np.asarray(y)
    if labels is not None and len(labels) != len(rows):
        raise ValueError(
            f"X has {len(rows)} rows and y has {len(labels)}; give one label for each"
            " row."
        )
    order = np.random.RandomState(random_state).permutation(len(rows))
    # Halves, because the span of the largest floats would overflow.
    rows = rows[order].astype(np.float64) / 2.0
    low = rows.min(axis=0)
    span = rows.max(axis=0) - low
    unit_rows = (rows - low) / np.where(span > 0, span, 1.0)
    if labels is not None:
        labels = labels[order]
    return unit_rows.astype(np.float32), labels
