from . import columns, comparison, datasets, io, plotting, report, rows
from ._version import __version__
from .estimator import TiedAutoencoder
from .model.file import load

__all__ = [
    "TiedAutoencoder",
    "__version__",
    "columns",
    "comparison",
    "datasets",
    "io",
    "load",
    "plotting",
    "report",
    "rows",
]
