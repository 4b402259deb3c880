"""Figures in Matplotlib: the input, the code, the reconstruction and the cost."""

from keras_tied.plotting._display import AutoencoderDisplay
from keras_tied.plotting._figure import FORMATS, new_figure

__all__ = ["FORMATS", "AutoencoderDisplay", "new_figure"]
