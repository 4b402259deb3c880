"""The donuts of the article: two noisy rings whose columns are correlated."""

from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

RandomState: TypeAlias = int | np.random.RandomState | None  # as in scikit-learn

RADII = (5.0, 10.0)
N_FEATURES = 4


def make_correlated_donuts(
    n_samples: int = 9000,
    random_state: RandomState = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw rows, (n, 4) float64, from two noisy rings, and labels, (n,) int64.

    A row of label k has a radius r ~ N(5, 1) for k = 0 or N(10, 1) for k = 1, an angle
    θ ~ U(0, 2π), and the features (r cos θ, r sin θ, u r cos θ, v r cos θ), where u and
    v are independent U(0.9, 1.1). These are the numbers that can be read off the
    article's own file.

    Args:
        n_samples: Rows to draw. Of an odd number, label 0 gets one more.
        random_state: As in scikit-learn.

    Raises:
        ValueError: If n_samples is below 1.

    Examples:
        >>> X, y = make_correlated_donuts(5, random_state=0)
        >>> X.shape, y.tolist()
        ((5, 4), [0, 0, 0, 1, 1])
    """
    if n_samples < 1:
        raise ValueError(f"n_samples is {n_samples}; ask for at least 1 row.")
    rng = check_random_state(random_state)
    n_first = (n_samples + 1) // 2
    y = (np.arange(n_samples) >= n_first).astype(np.int64)
    radius = rng.normal(np.take(RADII, y), 1.0)
    angle = rng.uniform(0.0, 2.0 * np.pi, n_samples)
    first, second = radius * np.cos(angle), radius * np.sin(angle)
    factors = rng.uniform(0.9, 1.1, (n_samples, 2))
    copies = first[:, None] * factors
    return np.column_stack([first, second, copies]), y


def check_random_state(random_state: RandomState) -> np.random.RandomState:
    """Return a generator of random numbers: that given, or a new one for a seed."""
    if isinstance(random_state, np.random.RandomState):
        return random_state
    return np.random.RandomState(random_state)


def load_donuts(
    path: str | PathLike[str],
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Read X, (n, 4) float64, and labels, (n,) int64 or None, from an ``.npy`` file.

    Args:
        path: A file written by ``numpy.save``: an (n, 4) array of features, or (n, 5)
            with a label of whole numbers in the last column, as in the article's file.

    Raises:
        OSError, ValueError: If the file cannot be read, or is not such an array of
            finite numbers.
    """
    name = repr(str(path))
    with open(path, "rb") as file:
        try:
            values = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # a damaged header fails in a dozen ways
            raise ValueError(
                f"{name} is not a whole .npy file of plain numbers (one that holds"
                " pickled objects is never unpickled); write it with numpy.save from"
                " an array of floats."
            ) from error
    rows = _check_rows(values, name)
    if rows.shape[1] == N_FEATURES:
        return rows, None
    if rows.shape[1] != N_FEATURES + 1:
        raise ValueError(
            f"{name} has {rows.shape[1]} columns; save 4 columns of features, or 5"
            " where the last is the label."
        )
    label = rows[:, N_FEATURES]
    # Beyond 2^53, a float64 does not hold every whole number.
    is_whole = (label == np.round(label)) & (np.abs(label) <= 2.0**53)
    if not is_whole.all():
        raise ValueError(
            f"{name} has 5 columns, of which the last is taken for the label, and that"
            " holds values that are not whole numbers; save the 4 columns of features"
            " alone."
        )
    return rows[:, :N_FEATURES], label.astype(np.int64)


def prepare(
    X: ArrayLike,
    y: ArrayLike | None = None,
    random_state: RandomState = None,
) -> tuple[NDArray[np.float32], NDArray[Any] | None]:
    """Shuffle the rows and scale each column to [0, 1], as the article does.

    A column x becomes (x - min x) / (max x - min x), over all rows; a constant one
    becomes 0. The result is (n, features) float32, and y in the same order, or None.

    Args:
        X: (n ≥ 1, features) finite numbers.
        y: (n,) labels of any kind, or None.
        random_state: As in scikit-learn.

    Raises:
        ValueError: If X or y is of another form.

    Examples:
        >>> rows = [[1.0, 7.0], [3.0, 7.0], [2.0, 7.0]]
        >>> X, y = prepare(rows, ["a", "c", "b"], random_state=2)
        >>> X.tolist(), y.tolist()
        ([[0.5, 0.0], [1.0, 0.0], [0.0, 0.0]], ['b', 'c', 'a'])
    """
    rows = _check_rows(np.asarray(X), "X")
    labels = None if y is None else np.asarray(y)
    if labels is not None and len(labels) != len(rows):
        raise ValueError(
            f"X has {len(rows)} rows and y has {len(labels)}; give a label a row."
        )
    order = check_random_state(random_state).permutation(len(rows))
    # Halves, because the span of the largest floats would overflow.
    rows = rows[order] / 2.0
    low = rows.min(axis=0)
    span = rows.max(axis=0) - low
    unit_rows = (rows - low) / np.where(span > 0, span, 1.0)
    if labels is not None:
        labels = labels[order]
    return unit_rows.astype(np.float32), labels


def _check_rows(rows: NDArray[Any], name: str) -> NDArray[np.float64]:
    """The rows as float64, if they are a table of finite real numbers."""
    if rows.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} holds values of type {rows.dtype}; give a table of real numbers,"
            " with any text left out or coded as numbers."
        )
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(
            f"{name} has the shape {rows.shape}; give a table of rows and columns with"
            " at least 1."
        )
    rows = rows.astype(np.float64)
    is_finite = np.isfinite(rows).all(axis=0)
    if not is_finite.all():
        bad = np.flatnonzero(~is_finite)
        raise ValueError(
            f"{name} has NaN or infinite values in column {bad[0] + 1} of"
            f" {rows.shape[1]}; remove or fill in those rows."
        )
    return rows
