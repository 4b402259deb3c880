"""The labels of rows, as groups or as shades of a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from keras_tied._text import LONGEST, format_value

MOST_COLOURS = 10
"""More colours are hard to distinguish."""
MOST_GROUPS = 2 * MOST_COLOURS
"""Groups that are told apart: each colour is there as a circle and as a square."""
LARGEST_SHADE = 1e300
"""Differences of larger numbers may overflow."""

# Okabe and Ito (2008), "Color Universal Design": distinct with any kind of colour vision.
_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
# Petroff (2021), "Accessible Color Sequences for Data Visualization", the sequence of ten.
_PETROFF = (
    *("#3F90DA", "#FFA90E", "#BD1F01", "#94A4A2", "#832DB6"),
    *("#A96B59", "#E76300", "#B9AC70", "#717581", "#92DADD"),
)


@dataclass(frozen=True)
class Labels:
    """The groups that rows belong to, or a number for each row.

    Attributes:
        values: (n,) the place of each row's group, or its number, NaN where one is missing.
        groups: the names of the groups, None for numbers; all that are not told apart come last.
        n_coloured: how many of the groups are told apart, by a colour and a marker.
    """

    values: NDArray[Any]
    groups: tuple[str, ...] | None = None
    n_coloured: int = 0

    def take(self, rows: NDArray[np.intp]) -> Labels:
        """Return the labels of some of the rows."""
        return replace(self, values=self.values[rows])


def palette(n: int) -> tuple[str, ...]:
    """Return n colours, at most ten, that are distinct with any kind of colour vision."""
    return (_OKABE_ITO if n <= len(_OKABE_ITO) else _PETROFF)[:n]


def classify_labels(labels: ArrayLike, longest: int = LONGEST) -> Labels:
    """Turn labels into groups, or into shades of a number.

    More than `MOST_COLOURS` different numbers are shades. Everything else is groups, of which the
    `MOST_GROUPS` most frequent are told apart; None, NaN and the empty text are missing.

    The name of a group has at most `longest` characters.

    Examples:
        >>> classify_labels(["b", "a", "b", None]).groups
        ('a', 'b', 'missing')
        >>> classify_labels([0.1 * i for i in range(100)]).values.shape
        (100,)
    """
    rows = np.asarray(labels)
    if rows.dtype.kind in "iuf" and len(np.unique(rows[~np.isnan(rows)])) > MOST_COLOURS:
        numbers = np.where(np.isinf(rows), np.nan, rows).astype(np.float64)
        return Labels(np.clip(numbers, -LARGEST_SHADE, LARGEST_SHADE))
    missing = np.array([_is_missing(label) for label in rows.tolist()], dtype=bool)
    present = rows[~missing]
    if rows.dtype.kind not in "biuf":
        present = present.astype(str)
    distinct, places, counts = np.unique(present, return_inverse=True, return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_GROUPS])
    names = [format_value(label, longest) for label in distinct[frequent].tolist()]
    group_of = np.full(len(distinct), len(frequent), dtype=np.intp)
    group_of[frequent] = np.arange(len(frequent))
    if len(distinct) > len(frequent):
        names.append(f"{len(distinct) - len(frequent)} others")
    groups = np.full(len(rows), len(names), dtype=np.intp)
    groups[~missing] = group_of[places]
    if missing.any():
        names.append("missing")
    return Labels(groups, tuple(names), len(frequent))


def _is_missing(label: Any) -> bool:
    return label is None or label == "" or label != label
