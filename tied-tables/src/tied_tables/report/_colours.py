"""What the colours of the points show: shades of numbers, or groups."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.palettes import Viridis256
from numpy.typing import ArrayLike

from tied_tables._text import format_number
from tied_tables._types import Array
from tied_tables.drawing import MOST_COLOURS, classify_labels, palette

_LIGHTER = {"#832DB6": "#A86BD6", "#BD1F01": "#D8382A"}  # too dark for a dark page
NEUTRAL = ("#8A8F96", "#7D838B")  # of rows without a label, or with one of too many
PALETTES = {  # each on a light page and on a dark one
    # The ends that fade into the page are left out, and the largest number stands out
    # most.
    "shades": [list(Viridis256[215::-5]), list(Viridis256[50::5])],
    "density": [
        ["#eef0f2", "#e2e5e9", "#d5d9de", "#c7cdd3", "#b9c0c8", "#abb3bc"],
        ["#1d2024", "#25292e", "#2d3238", "#363c43", "#3f464e", "#49515a"],
    ],
}
NEARLY_ALL = 0.01  # the share of numbers at each end that have the colour of the end

Colours = dict[str, Any]  # as the script of the page has them


def colour_by_number(
    values: Array,
    write: Callable[[Array], Sequence[str]],
    share: float = NEARLY_ALL,
) -> Colours:
    """Return shades of numbers, (n,), from the lowest to the highest; NaN is missing.

    `write` formats the two numbers at the ends of the legend.
    """
    finite = np.sort(values[np.isfinite(values)])
    low, high = find_range(finite, share)
    room = 0.0 if high > low else 0.5
    ends = write(np.array([low, high]))
    return {"low": low - room, "high": high + room, "ends": list(ends)}


def find_range(ordered: Array, share: float = NEARLY_ALL) -> tuple[float, float]:
    """Return what nearly all of some numbers, in order, lie between."""
    return pick(ordered, share), pick(ordered, 1 - share)


def pick(ordered: Array, share: float) -> float:
    """Return the number that a share of some numbers, in order, is below; 0 of none."""
    if not len(ordered):
        return 0.0
    place = int(share * (len(ordered) - 1) + 0.5)
    return float(ordered[place])


def colour_by_logarithm(numbers: Array) -> Colours:
    """Return shades of scores or errors, which differ by orders of magnitude."""
    positive = numbers[np.isfinite(numbers) & (numbers > 0)]
    smallest = positive.min(initial=np.inf)
    logarithms = np.zeros(len(numbers))
    if np.isfinite(smallest):
        logarithms = np.log10(np.maximum(numbers, smallest))

    def write(ends: Array) -> list[str]:
        powers = 10**ends if np.isfinite(smallest) else ends
        return list(map(format_number, powers.tolist()))

    shown = [
        None if np.isnan(logarithm) else round(logarithm, 4)
        for logarithm in logarithms.tolist()
    ]
    return colour_by_number(logarithms, write) | {"values": shown}


def colour_by_label(labels: ArrayLike) -> Colours:
    """Return groups of rows by their labels, (n,), or shades of many numbers."""
    classes = classify_labels(labels)
    if classes.groups is None:

        def write(ends: Array) -> list[str]:
            return list(map(format_number, ends.tolist()))

        return colour_by_number(classes.values, write, 0.0)
    counts = np.bincount(classes.values, minlength=len(classes.groups))
    light = palette(min(classes.n_coloured, MOST_COLOURS))
    groups = []
    for place, name in enumerate(classes.groups):
        colours = NEUTRAL
        if place < classes.n_coloured:
            colour = light[place % MOST_COLOURS]
            colours = colour, _LIGHTER.get(colour, colour)
        is_square = MOST_COLOURS <= place < classes.n_coloured
        groups.append(
            {
                "name": name,
                "n": f"{counts[place]:,}",
                "colours": colours,
                "is_square": is_square,
            }
        )
    return {
        "low": -0.5,
        "high": len(groups) - 0.5,
        "groups": groups,
        "values": classes.values.tolist(),
    }
