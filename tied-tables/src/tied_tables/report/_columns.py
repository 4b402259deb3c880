"""Columns as a page shows them, and how closely the units of a code follow them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tied_tables._reasons import format_given, format_suggestion
from tied_tables._text import format_share, format_value
from tied_tables._types import Array
from tied_tables.columns import Column, Kind, NumberText, Times, list_values

LONGEST_NAME = 60  # characters of a name that are shown
DAY_SECONDS = 86_400
# Larger numbers are drawn there; a sum of many of them still fits single precision.
LARGEST_SHOWN = 1e34
CLASSES = (Kind.boolean, Kind.text)
MISSING_LABEL = "missing"


def format_name(column: Column) -> str:
    """Format the name of a column as it is shown."""
    return format_value(column.name, LONGEST_NAME)


def name_features(column: Column) -> list[str]:
    """Name the features of a column: by its categories, or all as the column."""
    if column.kind is Kind.text:
        return column.features
    return [column.name] * len(column.features)


def slice_columns(columns: Sequence[Column]) -> list[tuple[Column, slice]]:
    """Return each column with the place of its features."""
    sizes = [len(column.features) for column in columns]
    ends = np.cumsum(sizes)
    parts = map(slice, ends - sizes, ends)
    return list(zip(columns, parts, strict=True))


def format_cells(column: Column, features: Array) -> list[str]:
    """Format the values of a column for its features, (n, features)."""
    if column.kind is Kind.text:
        values = column.decode(features, named=False, days={})
        return list(map(_format, list_values(values)))
    numbers = features[:, 0]
    if column.kind is Kind.time:
        numbers = column.find_days(features, {}) - column.origin
    return format_numbers(column, numbers)


def format_numbers(column: Column, numbers: Array) -> list[str]:
    """Format the first feature, (n,), of a column that is no category."""
    form = column.form
    if isinstance(form, Times):
        values = form.write(column.wrap(numbers + column.origin))
        return list(map(_format, list_values(values)))
    if isinstance(form, NumberText) and form.places is None:
        numbers = np.array([float(f"{number:.3g}") for number in numbers.tolist()])
    numbers = _narrow(column, numbers)
    values = column.decode(numbers[:, None], named=False, days={})
    return list(map(_format, list_values(values)))


def _narrow(column: Column, numbers: Array) -> Array:
    """Return numbers in the precision that a model has of a column."""
    within = np.clip(numbers, -LARGEST_SHOWN, LARGEST_SHOWN)
    return within.astype(np.float64 if column.double else np.float32)


def _format(value: object) -> str:
    """Format a value of Arrow; numbers have three digits, whole ones all."""
    if value is None:
        return MISSING_LABEL
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_suggestion(value)
    return format_given(value) if isinstance(value, int) else format_value(value, 60)


def list_numbers(column: Column, features: Array) -> list[float | None] | None:
    """Return what sorts the values of a column; None if they are classes.

    Of times these are the seconds since 1970, of the clock that is shown; None stands
    for a missing value.
    """
    if column.kind in CLASSES:
        return None
    if isinstance(column.form, Times):
        days = column.find_days(features, {}) + column.form.offset
        seconds = np.round(np.clip(days, -1e9, 1e9) * DAY_SECONDS, 3)
        return [None if math.isnan(second) else second for second in seconds.tolist()]
    numbers = _narrow(column, features[:, 0])
    # The shortest decimals of single precision are those of the table.
    return [None if np.isnan(number) else float(str(number)) for number in numbers]


def format_typical(column: Column, rows: Array) -> str:
    """Format the median, or the most frequent category with its share."""
    if not len(rows):
        return "-"
    if column.kind is Kind.text:
        counts = np.bincount(rows.argmax(axis=1))
        largest = int(counts.argmax())
        name = format_value(column.labels[largest], 30)
        share = counts[largest] / len(rows)
        return f"{name} ({format_share(share)})"
    if column.kind is Kind.boolean:
        share = (rows[:, 0] >= 0.5).mean()
        return f"{format_share(share)} true"
    median = np.median(rows[:, :1], axis=0)  # (1,)
    if column.kind is Kind.time:
        return format_numbers(column, median)[0]
    return format_suggestion(float(median[0]))


def correlate(X: Array, code: Array) -> Array:
    """Correlate units with features (Pearson), `(units, features)`; 0 if constant."""
    correlations = np.zeros((code.shape[1], X.shape[1]))
    for feature, present in enumerate(~np.isnan(X.T)):
        values, units = X[present, feature], code[present]  # (m,), (m, units)
        if len(values) > 1 and np.ptp(values) > 0:
            with np.errstate(all="ignore"):  # of units that are constant
                pairs = np.corrcoef(values, units, rowvar=False)
            correlations[:, feature] = pairs[0, 1:]
    return np.nan_to_num(correlations)
