"""The colours of the points, on a light page and on a dark one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import NDArray

from keras_tied._text import format_value
from keras_tied.drawing import MOST_COLOURS, Groups, classify_labels, palette

if TYPE_CHECKING:
    from keras_tied.report._report import Report

NEUTRAL = ("#8A8F96", "#7D838B")
"""Of rows without a label, or whose label is one of too many: on a light page, on a dark one."""

# The two of Petroff's colours that are too dark for a dark page.
_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}

# The ends that fade into the page are left out, and the largest number stands out most.
_SHADES_LIGHT = Viridis256[215::-5]
_SHADES_DARK = Viridis256[50::5]
_DENSITY_LIGHT = ("#eef0f2", "#e2e5e9", "#d5d9de", "#c7cdd3", "#b9c0c8", "#abb3bc")
_DENSITY_DARK = ("#1d2024", "#25292e", "#2d3238", "#363c43", "#3f464e", "#49515a")


def describe_palettes() -> dict[str, Any]:
    """Return the colours of shades, densities and groups, each on a light page and a dark one."""
    return {
        "shades": [list(_SHADES_LIGHT), list(_SHADES_DARK)],
        "density": [list(_DENSITY_LIGHT), list(_DENSITY_DARK)],
        "groups": [
            [[*palette(n)], [_LIGHTER.get(colour, colour) for colour in palette(n)]]
            for n in range(MOST_COLOURS + 1)
        ],
        "neutral": list(NEUTRAL),
    }


def describe_labels(report: Report, rows: NDArray[np.intp]) -> dict[str, Any] | None:
    """Return the labels of the drawn rows, as groups or as a number for each; None if none."""
    if report.labels is None:
        return None
    labels = classify_labels(report.labels)
    name = format_value(report.label_name)
    if isinstance(labels, Groups):
        return {
            "name": name,
            "values": labels.values[rows].tolist(),
            "groups": list(labels.names),
            "n_coloured": labels.n_coloured,
        }
    numbers = labels.values[rows].tolist()
    values = [None if number != number else number for number in numbers]
    return {"name": name, "values": values, "groups": None, "n_coloured": 0}
