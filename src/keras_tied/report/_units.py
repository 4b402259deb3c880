"""What each unit of the code means: the columns that it follows."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from keras_tied._text import format_value
from keras_tied._types import Array
from keras_tied.report._columns import Column, slice_columns

WEAKEST = 0.3
"""A correlation below this is not named on an axis."""
MOST_NAMED = 2


class Driver(TypedDict):
    """A column that a unit follows: its place, the level if it is a category, the correlation."""

    column: int
    level: str
    r: float


def correlate(X: Array, code: Array) -> Array:
    """Correlate each unit with each feature (Pearson), `(units, features)`; 0 if constant."""
    correlations = np.zeros((code.shape[1], X.shape[1]))
    for feature, present in enumerate(~np.isnan(X.T)):
        values, units = X[present, feature], code[present]
        if len(values) < 2:
            continue
        values = values / (np.abs(values).max() or 1.0)  # no square overflows
        a, b = values - values.mean(), units - units.mean(axis=0)
        norm = np.sqrt((a @ a) * np.einsum("ij,ij->j", b, b))
        is_constant = np.isnan(norm) | (a @ a <= 1e-12 * len(a)) | (norm == 0)
        r = np.where(is_constant, 0.0, a @ b / np.where(is_constant, 1.0, norm))
        correlations[:, feature] = r
    return np.nan_to_num(correlations)


def describe_units(columns: Sequence[Column], correlations: Array) -> list[list[Driver]]:
    """Return the columns of each unit, strongest first, by their strongest level or part."""
    units = []
    for row in correlations:
        drivers: list[Driver] = []
        for index, (column, part) in enumerate(zip(columns, slice_columns(columns), strict=True)):
            strongest = int(np.abs(row[part]).argmax())
            level = ""
            if column.kind == "category" and "levels" in column.form:
                level = format_value(column.form["levels"][strongest], 30)
            r = round(float(row[part][strongest]), 3)
            drivers.append({"column": index, "level": level, "r": r})
        units.append(sorted(drivers, key=lambda driver: -abs(driver["r"])))
    return units


def name_axis(unit: int, columns: Sequence[Column], drivers: Sequence[Driver]) -> str:
    """Name the axis of a unit, counted from 0, by the columns that it follows most."""
    names = [
        ("-" if driver["r"] < 0 else "")
        + format_value(columns[driver["column"]].name, 24)
        + (f"={driver['level']}" if driver["level"] else "")
        for driver in drivers[:MOST_NAMED]
        if abs(driver["r"]) >= WEAKEST
    ]
    return f"unit {unit + 1}" + (f" ({', '.join(names)})" if names else "")
