"""Histograms of the columns, as bars that need no script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from keras_tied._text import format_quantity, format_share
from keras_tied._types import Array
from keras_tied.report._columns import PageColumn, format_features, slice_columns
from keras_tied.report._whole import LARGEST

if TYPE_CHECKING:
    from keras_tied.report._report import Report

MOST_BINS = 30
MOST_CLASSES = 12  # the most frequent ones


# What bars count, how many rows each has, and what stands at the ends of the axis.
Counts: TypeAlias = tuple[list[str], list[int], tuple[str, str]]


class Histogram(NamedTuple):
    """How many rows have which values of a column."""

    name: str
    bars: Sequence[tuple[str, float]]  # what each counts, and its height, at most 1
    ends: tuple[str, str]
    missing: float  # the share of the values that is missing


def draw_histograms(report: Report) -> list[Histogram]:
    """Count the values of each column; those far outside it are in bars at its ends."""
    X = report.rows.X
    histograms = []
    shares = report.missing.tolist()
    parts = slice_columns(report.columns)
    for (column, part), missing in zip(parts, shares, strict=True):
        features = X[:, part]
        is_missing = np.isnan(features).any(axis=1)
        features = features[~is_missing]
        bars, ends = [], ("-", "-")
        if len(features):
            if column.kind in ("category", "truth"):
                names, counts, ends = _count_classes(column, features)
            else:
                is_far = report.far_values[~is_missing, part.start]
                names, counts, ends = _count_numbers(column, features[:, 0], is_far)
            highest = max(counts)
            for name, n in zip(names, counts, strict=True):
                text = f"{name}: {format_quantity(n, 'row')}"
                bars.append((text, n / highest))
        histograms.append(Histogram(column.title, bars, ends, missing))
    return histograms


def _count_numbers(column: PageColumn, values: Array, is_far: Array) -> Counts:
    """Count numbers or days in bins of equal width, of whole ones if they are whole."""
    ordinary = values if is_far.all() else values[~is_far]
    ordinary = np.clip(ordinary, -LARGEST, LARGEST)
    low, high = float(ordinary.min()), float(ordinary.max())
    step = int(column.kind == "whole")  # from the last number of a bin to the next bin
    width = (high - low + step) / MOST_BINS or 1.0
    if step:
        width = np.ceil(width)
    n_widths = int((high - low) // width)
    n_bins = min(MOST_BINS, n_widths + 1)
    edges = low + width * np.arange(n_bins + 1)
    inside = np.clip(values, low, edges[-1])
    counts, _ = np.histogram(inside, edges)
    firsts = [format_features(column, edge) for edge in edges[:-1, None]]
    lasts = [format_features(column, edge) for edge in edges[1:, None] - step]
    names = []
    for first, last in zip(firsts, lasts, strict=True):
        names.append(first if first == last else f"{first} to {last}")
    last = format_features(column, np.array([high]))
    first = firsts[0]
    if values.min() < low:
        names[0], first = f"{names[0]} or less", f"{first} or less"
    if values.max() > high:
        names[-1], last = f"{names[-1]} or more", f"{last} or more"
    return names, counts.tolist(), (first, last)


def _count_classes(column: PageColumn, features: Array) -> Counts:
    """Count categories, or what is true and false, the most frequent first."""
    if column.kind == "truth":
        classes = np.array([[0.0], [1.0]])
        places = (features[:, 0] >= 0.5).astype(int)
    else:
        classes = np.eye(column.n_features)
        places = features.argmax(axis=1)
    counts = np.bincount(places, minlength=len(classes))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    names = [format_features(column, features) for features in classes[order]]
    counts = counts[order].tolist()

    def describe(place: int) -> str:
        share = format_share(counts[place] / len(features))
        share = share.replace(" ", "\xa0")
        return f"{names[place]} ({share})"

    return names, counts, (describe(0), describe(-1))
