from . import columns, comparison, datasets, io, plotting, report, rows
from ._version import __version__
from .estimator import TiedAutoencoder
from .frames import corrections
from .model.file import load

__all__ = [
    "TiedAutoencoder",
    "__version__",
    "columns",
    "comparison",
    "corrections",
    "datasets",
    "io",
    "load",
    "plotting",
    "report",
    "rows",
]
