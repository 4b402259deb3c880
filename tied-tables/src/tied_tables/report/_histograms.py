"""Histograms of the columns: bars that need no script, which the page's one names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tied_tables._types import Array
from tied_tables.report._columns import PageColumn, slice_columns
from tied_tables.report._whole import LARGEST

if TYPE_CHECKING:
    from tied_tables.report._report import Report

MOST_BINS = 30
MOST_CLASSES = 12  # the most frequent ones


class Histogram(NamedTuple):
    """How many rows have which values of a column."""

    counts: list[int]  # of each bar
    # the edges of the bars, one more than these; or the classes that they count
    places: list[float]
    # the least and the largest number that is not far outside the column
    least: float = 0.0
    largest: float = 0.0
    # whether the first and the last bar count others, too
    has_less: bool = False
    has_more: bool = False
    n_rows: int = 0  # that have a class, which may have no bar


def draw_histograms(report: Report) -> list[Histogram]:
    """Count the values of each column; those far outside it are in bars at its ends."""
    histograms = []
    for column, part in slice_columns(report.columns):
        features = report.rows.X[:, part]
        is_present = ~np.isnan(features).any(axis=1)
        features = features[is_present]
        if not len(features):
            histogram = Histogram([], [])
        elif column.kind in ("category", "truth"):
            histogram = _count_classes(column, features)
        else:
            is_far = report.far_values[is_present, part.start]
            histogram = _count_numbers(column, features[:, 0], is_far)
        histograms.append(histogram)
    return histograms


def _count_numbers(column: PageColumn, values: Array, is_far: Array) -> Histogram:
    """Count numbers or days in bins of equal width, of whole ones if they are whole."""
    values = np.clip(values, -LARGEST, LARGEST)
    ordinary = values if is_far.all() else values[~is_far]
    low = float(ordinary.min())
    high = float(ordinary.max())
    step = int(column.kind == "whole")  # from the last number of a bin to the next bin
    width = (high - low + step) / MOST_BINS or 1.0
    if step:
        width = np.ceil(width)
    n_widths = int((high - low) // width)
    n_bins = min(MOST_BINS, n_widths + 1)
    edges = low + width * np.arange(n_bins + 1)
    inside = np.clip(values, low, edges[-1])
    counts, _ = np.histogram(inside, edges)
    return Histogram(
        counts=counts.tolist(),
        places=edges.tolist(),
        least=low,
        largest=high,
        has_less=bool(values.min() < low),
        has_more=bool(values.max() > high),
    )


def _count_classes(column: PageColumn, features: Array) -> Histogram:
    """Count categories, or what is true and false, the most frequent first."""
    if column.kind == "truth":
        places = (features[:, 0] >= 0.5).astype(int)
        counts = np.bincount(places, minlength=2)
    else:
        places = features.argmax(axis=1)
        counts = np.bincount(places, minlength=column.n_features)
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    return Histogram(counts[order].tolist(), order.tolist(), n_rows=len(features))
