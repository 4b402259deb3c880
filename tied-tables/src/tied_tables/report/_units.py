"""What the units of a code follow, and how far they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from tied_tables._text import format_number, format_value
from tied_tables._types import Array
from tied_tables.columns import Column, Kind
from tied_tables.report._colours import colour_by_number, find_range, pick
from tied_tables.report._columns import (
    LARGEST_SHOWN,
    LONGEST_NAME,
    correlate,
    format_name,
    slice_columns,
)
from tied_tables.report._rows import Rows

MOST_LISTED_UNITS = 32
MOST_DRIVERS = 5  # columns that are named for each unit
N_STEPS = 200  # of a slider
N_NEAREST = 5

Driver = tuple[str, float]  # the name of a column, and the correlation


def describe_units(rows: Rows, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return what each unit follows, and its range, in rows that are ordinary."""
    correlations = correlate(rows.X, rows.code)
    units = []
    for place, correlation in enumerate(correlations):
        drivers = find_drivers(columns, correlation)
        name = f"unit {place + 1}"
        follows = ", ".join(f"{driver} ({r:.2f})" for driver, r in drivers[:2])
        unit = {
            "name": name,
            "follows": f"{name.capitalize()} follows {follows}",
            "drivers": drivers,
        }
        units.append(unit | _describe_range(rows.code[:, place]))
    return units


def find_drivers(columns: Sequence[Column], correlation: Array) -> list[Driver]:
    """Return the columns that a unit follows, the closest first.

    Each is taken by the one of its features that the unit follows most; correlation is
    that with each feature, (features,).
    """
    drivers = []
    for column, part in slice_columns(columns):
        strongest = int(np.abs(correlation[part]).argmax())
        name = format_name(column)
        if column.kind is Kind.text:
            name = f"{name}: {format_value(column.labels[strongest], LONGEST_NAME)}"
        drivers.append((name, round(float(correlation[part][strongest]), 3)))
    drivers.sort(key=lambda driver: -abs(driver[1]))
    return drivers[:MOST_DRIVERS]


def _describe_range(values: Array) -> dict[str, Any]:
    """Return the range of a unit, for its slider and its colours."""
    finite = np.clip(values[np.isfinite(values)], -LARGEST_SHOWN, LARGEST_SHOWN)
    ordered = np.sort(finite)
    low, high = find_range(ordered)

    def write(ends: Array) -> list[str]:
        return list(map(format_number, ends.tolist()))

    return {
        "least": low,
        "middle": pick(ordered, 0.5),
        "most": high,
        "step": (high - low) / N_STEPS or 1,
        "colours": colour_by_number(finite, write),
    }


def find_nearest(code: Array) -> list[list[int]]:
    """Return for each row those with the nearest codes, (n, components), nearest first.

    Distances are in standard deviations of each component.
    """
    within = np.clip(
        np.nan_to_num(code.astype(np.float64)), -LARGEST_SHOWN, LARGEST_SHOWN
    )
    spread = within.std(axis=0)
    points = within / np.where(spread > 0, spread, 1.0)
    n_found = min(N_NEAREST + 1, len(points))
    _, nearest = cKDTree(points).query(points, k=range(1, n_found + 1))
    return [
        [place for place in found if place != row][:N_NEAREST]
        for row, found in enumerate(nearest.tolist())
    ]
