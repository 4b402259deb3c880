"""The colours of the points, on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import NDArray

from keras_tied._labels import Groups, classify_labels
from keras_tied._text import format_number, format_value
from keras_tied.report._drawn import DrawnRows

if TYPE_CHECKING:
    from keras_tied.report._report import Report

NEUTRAL = ("#8A8F96", "#7D838B")
"""Of rows without a label, or whose label is one of too many: on a light page, on a dark one."""

# The two of Petroff's colours that are too dark for a dark page.
_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}

# The ends that fade into the page are left out, and the largest number stands out most.
_SHADES_LIGHT = Viridis256[215::-5]
_SHADES_DARK = Viridis256[50::5]


@dataclass(frozen=True)
class Group:
    """An entry of the legend.

    Attributes:
        name: the label.
        n: how many of the rows that are drawn have it.
        light, dark: its colour.
    """

    name: str
    n: int
    light: str
    dark: str


@dataclass(frozen=True)
class Colours:
    """A number for each row, and the colours from the lowest to the highest.

    Attributes:
        what: the name of what the colours show.
        values: (drawn,) the numbers.
        low, high: the numbers at the ends of the palettes.
        light, dark: the palettes.
        groups: the group of each number, or None for shades.
        ends: the labels at the ends of the shades.
    """

    what: str
    values: NDArray[np.float64]
    low: float
    high: float
    light: Sequence[str]
    dark: Sequence[str]
    groups: Sequence[Group] | None
    ends: tuple[str, str] = ("", "")


def choose_colours(report: Report, errors: NDArray[np.float64], drawn: DrawnRows) -> Colours:
    """Colour the drawn rows by label if there are labels, else by error."""
    if report.labels is None:
        drawn_errors = errors[drawn.rows]
        smallest = np.nanmin(drawn_errors[drawn_errors > 0], initial=np.inf)
        if not np.isfinite(smallest):
            return _make_shades("error", np.zeros(len(drawn_errors)), log=False)
        # Errors differ by orders of magnitude, so that their logarithm is shown.
        return _make_shades("error", np.log10(np.maximum(drawn_errors, smallest)), log=True)
    labels = classify_labels(report.labels, format_value)
    if not isinstance(labels, Groups):
        return _make_shades(format_value(report.label_name), labels.values[drawn.rows], log=False)
    index = labels.index[drawn.rows]
    n_neutral = len(labels.names) - labels.n_coloured
    light = [*labels.colours, *[NEUTRAL[0]] * n_neutral]
    dark = [*(_LIGHTER.get(colour, colour) for colour in labels.colours), *[NEUTRAL[1]] * n_neutral]
    n = np.bincount(index, minlength=len(light)).tolist()
    groups = [Group(*entry) for entry in zip(labels.names, n, light, dark, strict=True)]
    what = format_value(report.label_name)
    return Colours(what, index.astype(float), -0.5, len(light) - 0.5, light, dark, groups)


def _make_shades(what: str, values: NDArray[np.float64], log: bool) -> Colours:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    ends = format_number(10**low if log else low), format_number(10**high if log else high)
    room = 0.0 if high > low else 0.5
    return Colours(
        what, values, low - room, high + room, list(_SHADES_LIGHT), list(_SHADES_DARK), None, ends
    )
