"""Histograms of the columns, as bars that need no script."""

import numpy as np

from keras_tied._text import format_quantity, format_share
from keras_tied._types import Array
from keras_tied.report._columns import Column, format_features, slice_columns
from keras_tied.report._report import Report
from keras_tied.report._whole import LARGEST

MOST_BINS = 30
MOST_CLASSES = 12  # the most frequent ones

# A column: its name, what each bar counts with its height as a share of the highest,
# what is at the two ends, and the share of the values that is missing.
Histogram = tuple[str, list[tuple[str, float]], tuple[str, str], float]


def draw_histograms(report: Report) -> list[Histogram]:
    """Count the values of each column, but for rows with a value far outside of its column."""
    X, histograms = report.X[~report.is_far], []
    parts = zip(
        report.columns, slice_columns(report.columns), report.missing, strict=True
    )
    for column, part, missing in parts:
        rows, bars, ends = X[~np.isnan(X[:, part]).any(axis=1), part], [], ("-", "-")
        if len(rows):
            is_class = column.kind in ("category", "truth")
            names, counts, ends = (_count_classes if is_class else _count_numbers)(
                column, rows
            )
            pairs, most = zip(names, counts.tolist(), strict=True), max(counts)
            bars = [
                (f"{name}: {format_quantity(n, 'row')}", n / most) for name, n in pairs
            ]
        histograms.append((column.title, bars, ends, float(missing)))
    return histograms


def _count_numbers(
    column: Column, rows: Array
) -> tuple[list[str], Array, tuple[str, str]]:
    """Count numbers or days in bins of equal width, of whole ones if they are whole."""
    values, whole = np.clip(rows[:, 0], -LARGEST, LARGEST), int(column.kind == "whole")
    low, high = float(values.min()), float(values.max())
    width = (high - low + whole) / MOST_BINS or 1.0
    width = np.ceil(width) if whole else width
    n = min(MOST_BINS, int((high - low) // width) + 1)
    edges = low + width * np.arange(n + 1)
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    texts = [
        [format_features(column, x) for x in e[:, None]] for e in (edges, edges - whole)
    ]
    pairs = zip(texts[0][:-1], texts[1][1:], strict=True)
    ends = texts[0][0], format_features(column, np.array([high]))
    return [a if a == b else f"{a} to {b}" for a, b in pairs], counts, ends


def _count_classes(
    column: Column, rows: Array
) -> tuple[list[str], Array, tuple[str, str]]:
    """Count categories, or what is true and false, the most frequent first."""
    is_truth = column.kind == "truth"
    classes = np.array([[0.0], [1.0]]) if is_truth else np.eye(column.n_features)
    places = (rows[:, 0] >= 0.5).astype(int) if is_truth else rows.argmax(axis=1)
    counts = np.bincount(places, minlength=len(classes))
    order, n = np.argsort(-counts, kind="stable")[:MOST_CLASSES], len(classes)
    names, counts = [format_features(column, classes[i]) for i in order], counts[order]
    shares = (
        f"({format_share(k / len(rows))})".replace(" ", "\xa0") for k in counts.tolist()
    )
    texts = [f"{name} {share}" for name, share in zip(names, shares, strict=True)]
    rest = (
        f"{MOST_CLASSES} of {n} categories" if n > MOST_CLASSES else f"{n} categories"
    )
    return names, counts, (texts[0], texts[1] if n == 2 else rest)
