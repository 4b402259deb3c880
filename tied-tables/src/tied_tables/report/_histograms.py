"""Histograms of the columns: bars that need no script, and what each of them counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tied_tables._text import format_quantity, format_share, format_value
from tied_tables._types import Array
from tied_tables.columns import Column, Kind
from tied_tables.report._columns import (
    CLASSES,
    LARGEST_SHOWN,
    LONGEST_NAME,
    format_numbers,
    slice_columns,
)

if TYPE_CHECKING:
    from tied_tables.report._report import Report

MOST_BINS = 30
MOST_CLASSES = 12  # the most frequent ones
CLOCK_PART = re.compile(r"[T ]\d{1,2}:\d\d.*$")


class Histogram(NamedTuple):
    """How many rows have which values of a column."""

    counts: list[int]  # of each bar
    names: list[str]  # what each bar counts
    ends: tuple[str, str] = ("-", "-")  # what stands below the first and the last bar

    @property
    def titles(self) -> list[str]:
        """What each bar counts, and how many."""
        return [
            f"{name}: {format_quantity(count, 'row')}"
            for name, count in zip(self.names, self.counts, strict=True)
        ]


def draw_histograms(report: Report) -> list[Histogram]:
    """Count the values of each column; those far outside it are in bars at its ends."""
    histograms = []
    for column, part in slice_columns(report.columns):
        features = report.rows.X[:, part]
        is_present = ~np.isnan(features).any(axis=1)
        features = features[is_present]
        if not len(features):
            histogram = Histogram([], [])
        elif column.kind in CLASSES:
            histogram = _count_classes(column, features)
        else:
            is_far = report.far_values[is_present, part.start]
            histogram = _count_numbers(column, features[:, 0], is_far)
        histograms.append(histogram)
    return histograms


def _count_numbers(column: Column, values: Array, is_far: Array) -> Histogram:
    """Count numbers or days in bins of equal width, of whole ones if they are whole."""
    values = np.clip(values, -LARGEST_SHOWN, LARGEST_SHOWN)
    ordinary = values if is_far.all() else values[~is_far]
    low = float(ordinary.min())
    high = float(ordinary.max())
    step = int(
        column.kind is Kind.integer
    )  # from the last number of a bin to the next bin
    width = (high - low + step) / MOST_BINS or 1.0
    if step:
        width = np.ceil(width)
    n_widths = int((high - low) // width)
    n_bins = min(MOST_BINS, n_widths + 1)
    edges = low + width * np.arange(n_bins + 1)
    inside = np.clip(values, low, edges[-1])
    counts, _ = np.histogram(inside, edges)
    places = np.concatenate([edges[:-1], edges[1:] - step, [low, high]])
    texts = format_numbers(column, places)
    if column.kind is Kind.time and width > 2:  # bars of days need no time of day
        texts = [CLOCK_PART.sub("", text) for text in texts]
    firsts, lasts, ends = texts[:n_bins], texts[n_bins:-2], texts[-2:]
    names = [
        first if first == last else f"{first} to {last}"
        for first, last in zip(firsts, lasts, strict=True)
    ]
    less = " or less" if values.min() < low else ""
    more = " or more" if values.max() > high else ""
    names[0] += less
    names[-1] += more
    return Histogram(counts.tolist(), names, (ends[0] + less, ends[1] + more))


def _count_classes(column: Column, features: Array) -> Histogram:
    """Count categories, or what is true and false, the most frequent first."""
    if column.kind is Kind.boolean:
        labels = format_numbers(column, np.array([0.0, 1.0]))
        places = (features[:, 0] >= 0.5).astype(int)
    else:
        labels = [format_value(label, LONGEST_NAME) for label in column.labels]
        places = features.argmax(axis=1)
    counts = np.bincount(places, minlength=len(labels))
    order = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    names = [labels[place] for place in order]
    frequent = counts[order].tolist()
    first, last = (
        f"{names[bar]} ({format_share(frequent[bar] / len(features))})"
        for bar in (0, -1)
    )
    if len(labels) > 2:
        shown = f"{len(names)} of " if len(labels) > len(names) else ""
        last = f"{shown}{len(labels)} categories"
    return Histogram(frequent, names, (first, last))
