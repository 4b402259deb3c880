"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

from keras_tied.report._columns import Column
from keras_tied.report._drift import Drift
from keras_tied.report._report import Report, name_model
from keras_tied.report._whole import Planes, Tally, Whole

__all__ = ["Column", "Drift", "Planes", "Report", "Tally", "Whole", "name_model"]
