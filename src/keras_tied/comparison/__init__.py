"""How well a tied autoencoder, PCA and other installed methods reconstruct a table."""

from keras_tied.comparison._compare import MethodResult, compare
from keras_tied.comparison._held_out import FEWEST_ROWS, NEGLIGIBLE_ERROR, count_most_components
from keras_tied.comparison._widths import Width, choose_width, compare_widths

__all__ = [
    "FEWEST_ROWS",
    "NEGLIGIBLE_ERROR",
    "MethodResult",
    "Width",
    "choose_width",
    "compare",
    "compare_widths",
    "count_most_components",
]
