"""What the figures and the page have in common: colours, planes, and the losses to draw."""

from keras_tied.drawing._history import collect_history
from keras_tied.drawing._labels import MOST_COLOURS, Labels, classify_labels, palette
from keras_tied.drawing._plane import (
    DENSE_POINTS,
    MOST_UNITS,
    N_HEXAGONS,
    View,
    choose_view,
    fit_plane,
    pair_with_errors,
)

__all__ = [
    "DENSE_POINTS",
    "MOST_COLOURS",
    "MOST_UNITS",
    "N_HEXAGONS",
    "Labels",
    "View",
    "choose_view",
    "classify_labels",
    "collect_history",
    "fit_plane",
    "pair_with_errors",
    "palette",
]
