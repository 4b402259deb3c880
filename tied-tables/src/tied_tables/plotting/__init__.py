"""Figures in Matplotlib: the input, the code, the reconstruction and the cost."""

from tied_tables.plotting._display import AutoencoderDisplay
from tied_tables.plotting._figure import FORMATS, new_figure

__all__ = ["FORMATS", "AutoencoderDisplay", "new_figure"]
