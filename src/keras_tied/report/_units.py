"""What each unit of the code means: the columns that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keras_tied._text import format_value
from keras_tied.report._columns import Column

WEAKEST = 0.3
"""A correlation below this is not named on an axis."""
MOST_NAMED = 2


def correlate(X: NDArray[np.float64], code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of each unit with each feature, `(units, features)`; 0 if constant.

    Missing values (NaN) do not count.

    Examples:
        >>> X = np.array([[1.0, 5.0], [2.0, 5.0], [np.nan, 5.0], [4.0, 5.0]])
        >>> correlate(X, np.array([[2.0], [4.0], [0.0], [8.0]])).round(3).tolist()
        [[1.0, 0.0]]
    """
    present = ~np.isnan(X)
    found = np.zeros((code.shape[1], X.shape[1]))
    for feature, here in enumerate(present.T):
        values, units = X[here, feature], code[here]
        if len(values) < 2:
            continue
        size = np.abs(values).max() or 1.0  # no square overflows
        values = values / size
        a, b = values - values.mean(), units - units.mean(axis=0)
        norm = np.sqrt((a @ a) * np.einsum("ij,ij->j", b, b))
        is_constant = np.isnan(norm) | (a @ a <= 1e-12 * len(a)) | (norm == 0)
        found[:, feature] = np.where(is_constant, 0.0, a @ b / np.where(is_constant, 1.0, norm))
    return np.nan_to_num(found)


def describe_units(
    columns: Sequence[Column], correlations: NDArray[np.float64]
) -> list[list[dict[str, Any]]]:
    """Return for each unit the columns, the strongest first, with their correlation.

    Of a category it is that of the level that the unit follows most, of a time that of its part.
    """
    units = []
    ends = np.cumsum([column.n_features for column in columns])
    for row in correlations:
        drivers: list[dict[str, Any]] = []
        for index, (column, end) in enumerate(zip(columns, ends, strict=True)):
            part = row[end - column.n_features : end]
            strongest = int(np.abs(part).argmax())
            level = ""
            if column.kind == "category" and "levels" in column.form:
                level = format_value(column.form["levels"][strongest], 30)
            drivers.append({"column": index, "level": level, "r": round(float(part[strongest]), 3)})
        units.append(sorted(drivers, key=lambda driver: -abs(driver["r"])))
    return units


def name_axis(unit: int, columns: Sequence[Column], drivers: Sequence[dict[str, Any]]) -> str:
    """Name the axis of a unit, counted from 0, by the columns that it follows most."""
    named = [
        ("-" if driver["r"] < 0 else "")
        + format_value(columns[driver["column"]].name, 24)
        + (f"={driver['level']}" if driver["level"] else "")
        for driver in drivers[:MOST_NAMED]
        if abs(driver["r"]) >= WEAKEST
    ]
    return f"unit {unit + 1}" + (f" ({', '.join(named)})" if named else "")
