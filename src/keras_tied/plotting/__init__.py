"""Figures in Matplotlib: the input, the code, the reconstruction and the cost."""

from keras_tied.plotting._comparison import comparison, width_curve
from keras_tied.plotting._display import AutoencoderDisplay, four_panels
from keras_tied.plotting._figure import FORMATS, new_figure, new_window

__all__ = [
    "FORMATS",
    "AutoencoderDisplay",
    "comparison",
    "four_panels",
    "new_figure",
    "new_window",
    "width_curve",
]
