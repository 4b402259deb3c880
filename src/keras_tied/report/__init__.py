"""`Report`: the rows of a table, their code and reconstruction, as one self-contained HTML page."""

from keras_tied.report._report import Report

__all__ = ["Report"]
