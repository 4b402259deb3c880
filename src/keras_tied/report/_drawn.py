"""Choose the rows to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DrawnRows:
    """The rows that are drawn, in the order of the table.

    Attributes:
        rows: their numbers among the rows of the report, counted from 0.
        worst: which of `rows` are the oddest, the oddest first.
    """

    rows: NDArray[np.intp]
    worst: NDArray[np.intp]


def choose_rows(scores: NDArray[np.float64], most: int, n_worst: int, seed: int) -> DrawnRows:
    """Choose all rows, or the oddest ones and random others, `most` in all."""
    order = np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable")
    worst = order[:n_worst]
    rows = np.arange(len(scores))
    if len(scores) > most:
        others = np.random.default_rng(seed).permutation(order[n_worst:])
        rows = np.sort(np.concatenate([worst, others[: max(0, most - len(worst))]]))
    return DrawnRows(rows, np.searchsorted(rows, worst))
