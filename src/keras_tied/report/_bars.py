"""The errors by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_tied._text import format_value
from keras_tied.report._columns import sum_columns

if TYPE_CHECKING:
    from keras_tied.report._report import Report
    from keras_tied.report._whole import Whole

N_BARS = 12
"""Columns whose errors are shown at first; of many, those with the largest."""


@dataclass(frozen=True)
class Bar:
    """How well a column is reconstructed.

    Attributes:
        name: of the column.
        error: the mean squared error of its features.
        lost: the share of their variance that is lost, or None where it is not known.
        length: of the bar, between 0 and 1.
    """

    name: str
    error: float
    lost: float | None
    length: float


def rank_columns(report: Report, whole: Whole) -> list[Bar]:
    """Return the columns that have values, the largest error first."""
    sizes = np.array([column.n_features for column in report.columns])
    errors = sum_columns(report.columns, np.asarray(whole.feature_errors, np.float64)) / sizes
    lost = [None] * len(errors)
    if whole.lost is not None:
        lost = (sum_columns(report.columns, whole.lost) / sizes).tolist()
    order = [i for i in np.argsort(-errors, kind="stable").tolist() if np.isfinite(errors[i])]
    largest = max((errors[i] for i in order), default=0.0) or 1.0
    return [
        Bar(
            format_value(report.columns[i].name, 60),
            float(errors[i]),
            lost[i],
            float(errors[i] / largest),
        )
        for i in order
    ]
