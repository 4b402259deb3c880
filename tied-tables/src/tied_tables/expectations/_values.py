"""Cells as numbers or texts, whatever the type of their column."""

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from tied_tables._types import Array
from tied_tables.columns import NUMERIC_KINDS, NumberText, find_kind, is_number

Value: TypeAlias = str | int | float


def align(values: Sequence[Value], cells: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return values and the cells of a column, both as texts or both as float64."""
    known = pa.array(values)
    if pa.types.is_string(known.type):
        return known, cells.cast(pa.string())
    pair = np.array(values, np.float64), read_numbers(cells)
    # Arrow takes -0 and 0 for different numbers.
    known, numbers = (pa.array(each + 0.0, from_pandas=True) for each in pair)
    return known, numbers


def write_marks(na: Collection[str]) -> list[str]:
    """Return texts of a missing value as files write them: 9999 is 9999.0, too."""
    decimals = [str(float(mark)) for mark in na if is_number(mark)]
    return list(dict.fromkeys([*na, *decimals]))


def read_numbers(cells: pa.Array) -> Array:
    """Return numbers, (rows,) float64; NaN for what is none."""
    if find_kind(cells.type) in NUMERIC_KINDS:
        return np.asarray(cells.cast(pa.float64(), safe=False))
    return NumberText().parse(cells.cast(pa.string()))
