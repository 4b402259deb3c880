"""The labels of rows, as groups or as shades of a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_COLOURS = 10
"""More colours are hard to distinguish."""
MOST_GROUPS = 2 * MOST_COLOURS
"""Groups that are told apart: each colour is there as a circle and as a square."""
LARGEST_SHADE = 1e300
"""Differences of larger numbers may overflow."""

MISSING = "missing"

# Okabe and Ito (2008), "Color Universal Design": distinct with any kind of colour vision.
_OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
# Petroff (2021), "Accessible Color Sequences for Data Visualization", the sequence of ten.
_PETROFF = (
    *("#3F90DA", "#FFA90E", "#BD1F01", "#94A4A2", "#832DB6"),
    *("#A96B59", "#E76300", "#B9AC70", "#717581", "#92DADD"),
)


@dataclass(frozen=True)
class Groups:
    """Rows that have one of a few labels.

    Attributes:
        names: the groups; all that are not told apart are in the last ones.
        n_coloured: how many of the groups are told apart, by a colour and a marker.
        index: (n,) the group of each row.
    """

    names: tuple[str, ...]
    n_coloured: int
    index: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp]) -> Groups:
        """Return the labels of some of the rows."""
        return replace(self, index=self.index[rows])

    @property
    def colours(self) -> tuple[str, ...]:
        """A colour for each of the groups that are told apart."""
        colours = palette(min(self.n_coloured, MOST_COLOURS))
        return tuple(colours[group % MOST_COLOURS] for group in range(self.n_coloured))

    @property
    def markers(self) -> tuple[str, ...]:
        """Matplotlib's marker for each of the groups: a square for the second of a colour."""
        squares = range(MOST_COLOURS, self.n_coloured)
        return tuple("s" if group in squares else "o" for group in range(len(self.names)))


@dataclass(frozen=True)
class Shades:
    """Rows that have a number each.

    Attributes:
        values: (n,) the numbers, NaN where one is missing.
    """

    values: NDArray[np.float64]

    def take(self, rows: NDArray[np.intp]) -> Shades:
        """Return the labels of some of the rows."""
        return Shades(self.values[rows])


def palette(n: int) -> tuple[str, ...]:
    """Return n colours, at most ten, that are distinct with any kind of colour vision.

    Examples:
        >>> palette(2)
        ('#0072B2', '#E69F00')
    """
    return (_OKABE_ITO if n <= len(_OKABE_ITO) else _PETROFF)[:n]


def classify_labels(
    labels: ArrayLike, format_label: Callable[[Any], str] | None = None
) -> Groups | Shades:
    """Turn labels into groups, or into shades of a number.

    More than `MOST_COLOURS` different numbers are shades. Everything else is groups, of which the
    `MOST_GROUPS` most frequent are told apart; None, NaN and the empty text are missing.

    Args:
        labels: (n,) numbers, texts or truth values.
        format_label: turns a label into text. Defaults to the shortest text.

    Examples:
        >>> classify_labels(["b", "a", "b", None]).names
        ('a', 'b', 'missing')
        >>> classify_labels([0.1 * i for i in range(100)]).values.shape
        (100,)
    """
    values = np.asarray(labels)
    if values.dtype.kind in "iuf":
        distinct = np.unique(values[~np.isnan(values)])
        if len(distinct) > MOST_COLOURS:
            numbers = np.where(np.isinf(values), np.nan, values).astype(np.float64)
            return Shades(np.clip(numbers, -LARGEST_SHADE, LARGEST_SHADE))
    format_label = format_label or _format_label
    missing = np.array([_is_missing(value) for value in values.tolist()], dtype=bool)
    present = values[~missing]
    if values.dtype.kind not in "biuf":
        present = present.astype(str)
    distinct_labels, group_index, counts = np.unique(
        present, return_inverse=True, return_counts=True
    )
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_GROUPS])
    names = [format_label(label) for label in distinct_labels[frequent].tolist()]
    group_of = np.full(len(distinct_labels), len(frequent), dtype=np.intp)
    group_of[frequent] = np.arange(len(frequent))
    n_others = len(distinct_labels) - len(frequent)
    if n_others:
        names.append(f"{n_others} others")
    index = np.full(len(values), len(names), dtype=np.intp)
    index[~missing] = group_of[group_index]
    if missing.any():
        names.append(MISSING)
    return Groups(tuple(names), len(frequent), index)


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or value != value


def _format_label(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
