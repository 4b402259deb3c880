"""Empty figures, and the style of their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")  # the endings of the files that the command writes figures to

INK, GREY, FAINT = "#222222", "#8A8F96", "#DDDDDD"

_SIZE = (9.0, 8.8)
_FALLBACK_FONTS = ("Noto Sans CJK SC", "Arial Unicode MS", "Microsoft YaHei", "Malgun Gothic")
"""Of Linux, macOS and Windows, for letters that Matplotlib's own font lacks."""
_WINDOWLESS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")
"""The canvases of Matplotlib that only write files."""


def new_figure(size: tuple[float, float] = _SIZE) -> Figure:
    """Make a figure without pyplot, of a width and height in inches; by default for four panels.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    _require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(dpi=160, figsize=size)


def lay_out(figure: Figure | None, size: tuple[float, float] = _SIZE) -> Figure:
    """Return an empty figure, a new one for None, with room around what is drawn into it."""
    figure = new_figure(size) if figure is None else figure
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    return figure


def new_window() -> Figure:
    """Make a figure for the four panels in a window, which ``matplotlib.pyplot.show()`` opens.

    Raises:
        ImportError: If Matplotlib, or its library for windows, is not installed.
        RuntimeError: If Matplotlib is set to a backend that has no windows, which it chooses by
            itself where there is no display.
    """
    _require_matplotlib()
    from matplotlib import pyplot

    if pyplot.get_backend().lower() in _WINDOWLESS:
        raise RuntimeError(
            f"Matplotlib's backend here is {pyplot.get_backend()!r}, which opens no window; save "
            "the figure to a file instead, or choose another backend with MPLBACKEND."
        )
    return pyplot.figure(figsize=_SIZE)


def remove_frame(axes: Axes) -> None:
    """Remove the frame of the axes, and draw a pale grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=INK, labelsize=10)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def label_axes(axes: Axes, title: str, x: str, y: str) -> None:
    """Set the title and the names of the axes, which are not read as formulas."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(x, fontsize=11, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=11, color=INK, parse_math=False)


def add_fallback_fonts(figure: Figure) -> None:
    """Let the texts of a figure take letters that their font lacks from other installed fonts."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    installed = set(get_font_names())
    fallbacks = [font for font in _FALLBACK_FONTS if font in installed]
    for text in figure.findobj(Text):
        text.set_fontfamily([*text.get_fontfamily(), *fallbacks])


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'figures need Matplotlib, which is not installed; run pip install "keras-tied[plot]".'
        ) from error
