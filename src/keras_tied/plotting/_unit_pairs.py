"""A grid of the pairs of units of a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from keras_tied.drawing import Groups, Shades
from keras_tied.plotting._figure import INK, remove_frame
from keras_tied.plotting._points import scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 0.04


def draw_unit_pairs(
    axes: Axes, code: NDArray[np.floating], labels: Groups | Shades | None
) -> NDArray[np.bool_]:
    """Draw each pair of units once, below the diagonal of a grid in these axes.

    Args:
        axes: empty axes, of which the title stays.
        code: (n, units) the codes, of 3 units or more.
        labels: the labels to colour by, or None.

    Returns:
        (n,) whether a code lies outside of what is drawn, in any of the pairs.
    """
    is_outside = np.zeros(len(code), bool)
    n = code.shape[1] - 1
    side = (1 - (n - 1) * _GAP) / n
    axes.set_axis_off()
    for row in range(n):
        for column in range(row + 1):
            place = column * (side + _GAP), (n - 1 - row) * (side + _GAP), side, side
            pair = axes.inset_axes(place)
            remove_frame(pair)
            pair.tick_params(length=0, labelbottom=False, labelleft=False)
            is_outside |= scatter(pair, code[:, [column, row + 1]], labels, scale=side)
            if column == 0:
                pair.set_ylabel(f"unit {row + 2}", fontsize=9, color=INK)
            if row == n - 1:
                pair.set_xlabel(f"unit {column + 1}", fontsize=9, color=INK)
    return is_outside
