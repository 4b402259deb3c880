"""`Report`: the rows of a table, their code and reconstruction, as one HTML page."""

from tied_tables.report._drift import Drift
from tied_tables.report._report import (
    About,
    Report,
    describe_model,
    require_libraries,
)
from tied_tables.report._rows import Rows
from tied_tables.report._whole import Whole

__all__ = [
    "About",
    "Drift",
    "Report",
    "Rows",
    "Whole",
    "describe_model",
    "require_libraries",
]
