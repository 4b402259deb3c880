"""Histograms of the columns, as bars that need no script."""

from typing import NamedTuple

import numpy as np

from keras_tied._text import format_quantity, format_share
from keras_tied._types import Array
from keras_tied.report._columns import Column, format_features, slice_columns
from keras_tied.report._contents import Contents
from keras_tied.report._whole import LARGEST

MOST_BINS = 30
MOST_CLASSES = 12  # the most frequent ones


class Histogram(NamedTuple):
    """The bars of a column, what is at their two ends, and the share of its missing values."""

    column: str
    bars: list[tuple[str, float]]  # what a bar counts, and its height as a share of the highest
    ends: tuple[str, str]
    missing: float


def draw_histograms(report: Contents) -> list[Histogram]:
    """Count the values of each column, but for rows with a value far outside of its column."""
    X, histograms = report.X[~report.is_far], []
    parts = zip(report.columns, slice_columns(report.columns), report.missing, strict=True)
    for column, part, missing in parts:
        rows = X[~np.isnan(X[:, part]).any(axis=1), part]
        count = _count_classes if column.kind in ("category", "truth") else _count_numbers
        names, counts, ends = count(column, rows) if len(rows) else ([], np.ones(1), ("-", ""))
        heights = (counts / counts.max()).tolist()
        texts = [f"{n}: {format_quantity(k, 'row')}" for n, k in zip(names, counts, strict=False)]
        bars = list(zip(texts, heights, strict=False))
        histograms.append(Histogram(column.title, bars, ends, float(missing)))
    return histograms


def _count_numbers(column: Column, rows: Array) -> tuple[list[str], Array, tuple[str, str]]:
    """Count numbers or days in bins of equal width, of whole ones if they are whole."""
    values, whole = np.clip(rows[:, 0], -LARGEST, LARGEST), int(column.kind == "whole")
    low, high = float(values.min()), float(values.max())
    width = (high - low + whole) / MOST_BINS or 1.0
    width = np.ceil(width) if whole else width
    n = int((high - low) // width) + 1 if whole else max(1, round((high - low) / width))
    edges = low + width * np.arange(n + 1)
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    first, last = ([format_features(column, x) for x in e[:, None]] for e in (edges, edges - whole))
    pairs = zip(first[:-1], last[1:], strict=True)
    names = [a if a == b else f"{a} to {b}" for a, b in pairs]
    return names, counts, (first[0], format_features(column, np.array([high])))


def _count_classes(column: Column, rows: Array) -> tuple[list[str], Array, tuple[str, str]]:
    """Count categories, the most frequent first, or what is false and true."""
    if column.kind == "truth":
        classes, places = np.array([[0.0], [1.0]]), (rows[:, 0] >= 0.5).astype(int)
    else:
        classes, places = np.eye(column.n_features), rows.argmax(axis=1)
    counts = np.bincount(places, minlength=len(classes))
    order = np.argsort(-counts, kind="stable")
    names, counts = [format_features(column, classes[i]) for i in order], counts[order]
    shares = (f"({format_share(k / len(rows))})".replace(" ", "\xa0") for k in counts.tolist())
    texts = [f"{name} {share}" for name, share in zip(names, shares, strict=True)]
    n = len(names)
    last = f"{MOST_CLASSES} of {n} categories" if n > MOST_CLASSES else f"{n} categories"
    ends = texts[0], texts[1] if n == 2 else last
    return names[:MOST_CLASSES], counts[:MOST_CLASSES], ends
