from . import columns, comparison, datasets, io, plotting, report, rows
from ._version import __version__
from .estimator import TiedAutoencoder
from .frames import check, corrections
from .model.file import load

__all__ = [
    "TiedAutoencoder",
    "__version__",
    "check",
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
