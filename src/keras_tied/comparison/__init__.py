"""How well a tied autoencoder, PCA and other installed methods reconstruct a table."""

from keras_tied.comparison._compare import Compared, compare
from keras_tied.comparison._held_out import NEGLIGIBLE_ERROR
from keras_tied.comparison._widths import Width, choose_width, compare_widths

__all__ = [
    "NEGLIGIBLE_ERROR",
    "Compared",
    "Width",
    "choose_width",
    "compare",
    "compare_widths",
]
