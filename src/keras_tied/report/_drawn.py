"""Choose the rows to draw, and the features to list for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

N_CONTRIBUTIONS = 3
"""Features that are listed for each row."""


@dataclass(frozen=True)
class DrawnRows:
    """The rows that are drawn, in the order of the table.

    Attributes:
        rows: their numbers in the table, counted from 0.
        worst: which of `rows` have the largest errors, largest first.
    """

    rows: NDArray[np.intp]
    worst: NDArray[np.intp]


def choose_rows(errors: NDArray[np.float64], most: int, n_worst: int, seed: int) -> DrawnRows:
    """Choose all rows, or the worst ones and random others, `most` in all."""
    order = np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable")
    worst = order[:n_worst]
    rows = np.arange(len(errors))
    if len(errors) > most:
        others = np.random.default_rng(seed).permutation(order[n_worst:])
        rows = np.sort(np.concatenate([worst, others[: max(0, most - len(worst))]]))
    return DrawnRows(rows, np.searchsorted(rows, worst))


def find_contributions(
    feature_errors: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find the features that contribute most to the error of each row, and their shares.

    Args:
        feature_errors: (n, features) squared errors, NaN where a value is missing.

    Returns:
        Both (n, at most `N_CONTRIBUTING`), the largest share first; a share is 0 for a feature
        that contributes nothing.

    Examples:
        >>> features, shares = find_contributions(np.array([[1.0, 3.0], [np.nan, 2.0]]))
        >>> features.tolist(), shares.tolist()
        ([[1, 0], [1, 0]], [[0.75, 0.25], [1.0, 0.0]])
    """
    present = np.nan_to_num(feature_errors)
    n = min(N_CONTRIBUTIONS, present.shape[1])
    features = np.argsort(-present, axis=1, kind="stable")[:, :n]
    totals = present.sum(axis=1, keepdims=True)
    shares = np.take_along_axis(present, features, axis=1) / np.where(totals > 0, totals, 1.0)
    return features, shares
