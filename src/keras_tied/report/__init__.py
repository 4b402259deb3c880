"""`Report`: the rows of a table, their code and reconstruction, as one HTML page."""

from keras_tied.report._columns import PageColumn
from keras_tied.report._drift import Drift
from keras_tied.report._report import (
    About,
    Report,
    describe_model,
    require_libraries,
)
from keras_tied.report._rows import Rows
from keras_tied.report._whole import Whole

__all__ = [
    "About",
    "Drift",
    "PageColumn",
    "Report",
    "Rows",
    "Whole",
    "describe_model",
    "require_libraries",
]
