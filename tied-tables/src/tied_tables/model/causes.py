"""The columns that make rows odd, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tied_tables._reasons import (
    ORDINARY,
    Cause,
    describe_reason,
    format_given,
    format_suggestion,
    round_suggestion,
)
from tied_tables._types import Array
from tied_tables.columns import Column, Columns, NumberText, get_value
from tied_tables.model.explanation import Attribution
from tied_tables.model.value import TableModel

if TYPE_CHECKING:
    from tied_tables.rules import Order

MOST_CAUSES = 3  # that are named for each row that is explained


def find_causes(
    columns: Columns,
    rows: pa.RecordBatch,
    numbers: Array,
    attribution: Attribution,
    orders: Sequence[Order] = (),
) -> list[list[Cause]]:
    """Return the columns that make each row odd, the oddest first.

    Args:
        columns: that the model uses.
        rows: n rows as they stand in the table.
        numbers: those that stand for the rows, `(n, d)`.
        attribution: of these numbers.
        orders: that what is expected in a column keeps, beside the row's own values.
    """
    order = np.argsort(-attribution.shares, axis=1, kind="stable")
    likely_numbers = columns.snap(attribution.expected)
    keep_orders(columns, orders, numbers, likely_numbers)
    expected = columns.decode(likely_numbers)
    used, layout = columns.used, columns.layout
    causes = []
    names = columns.names
    for row in range(len(order)):
        row_causes = []
        for column in order[row]:
            name = names[column]
            share = float(attribution.shares[row, column])
            if share <= 0:
                break
            values = rows[name]
            place = layout.starts[column]
            number = numbers[row, place]
            likely = format_likely(
                used[column], likely_numbers[row, place], expected[name], row
            )
            is_same = likely == format_likely(used[column], number, values, row)
            row_causes.append(
                Cause(
                    name,
                    share,
                    format_given(get_value(values, row)),
                    None if is_same else likely,
                    float(attribution.ratios[row, column]),
                )
            )
        # A value that would stay is no reason, unless there is no other.
        suggested = [cause for cause in row_causes if cause.expected is not None]
        causes.append((suggested or row_causes)[:MOST_CAUSES])
    return causes


def keep_orders(
    columns: Columns, orders: Sequence[Order], numbers: Array, expected: Array
) -> None:
    """Move what is expected in the columns of orders to where these hold.

    That is never past the row's own value in the other column, or what is expected
    there.

    Args:
        columns: that the numbers stand for.
        orders: of these columns, or others.
        numbers: those of the rows, `(n, d)`, NaN where one is missing.
        expected: in their place, `(n, d)`; changed in place.
    """
    places = {name: place for place, name in enumerate(columns.names)}
    orders = [order for order in orders if {order.lower, order.upper} <= places.keys()]
    ordered = {name for order in orders for name in (order.lower, order.upper)}
    first = dict(zip(columns.names, columns.layout.starts.tolist(), strict=True))
    # The numbers of dates are days since the first of their column.
    origins = {column.name: column.origin for column in columns.used}
    is_open = np.isnan(numbers)
    known = np.where(is_open, expected, numbers)

    def move(name: str, values: Array) -> None:
        place = first[name]
        expected[:, place] = values
        known[:, place] = np.where(is_open[:, place], values, known[:, place])

    def find_other(name: str, other: str) -> Array:
        """Return the values of another column, as numbers of the first."""
        values: Array = known[:, first[other]] + (origins[other] - origins[name])
        return values

    for lower, upper, *_ in orders * 2:  # once more, as one may move what another keeps
        move(lower, np.fmin(expected[:, first[lower]], find_other(lower, upper)))
        move(upper, np.fmax(expected[:, first[upper]], find_other(upper, lower)))
    for column, part in columns.parts:
        if column.name in ordered and column.since in ordered:
            previous = find_other(column.name, column.since)
            expected[:, part.stop - 1] = expected[:, part.start] - previous


def describe_reasons(
    fitted: TableModel,
    names: Sequence[str],
    causes: list[list[Cause]],
    attribution: Attribution,
) -> tuple[list[str], Array]:
    """Put in words why rows are odd.

    Args:
        fitted: the fitted value.
        names: of the columns that it uses.
        causes: of n rows.
        attribution: of the same rows.

    Returns:
        A clause for each row, and how rare it would be with what is expected in the
        first column of its causes, `(n,)`: one row in how many.
    """
    firsts = [
        names.index(row_causes[0].column) if row_causes else 0 for row_causes in causes
    ]
    every_row = np.arange(len(causes))
    corrected = fitted.find_rarity(attribution.scores[every_row, firsts])
    is_ordinary = (corrected < ORDINARY).tolist()
    is_alone = len(names) == 1
    reasons = [
        describe_reason(row_causes, is_cured, is_alone)
        for row_causes, is_cured in zip(causes, is_ordinary, strict=True)
    ]
    return reasons, corrected


def list_causes(causes: list[list[Cause]], n: int) -> dict[str, Any]:
    """Return columns of a table that name the first n causes of each row."""
    columns = {}
    for place in range(n):
        place_causes = [row[place] if place < len(row) else None for row in causes]
        names = [cause and cause.column for cause in place_causes]
        shares = [cause.share if cause else 0.0 for cause in place_causes]
        expected = [cause and cause.suggestion for cause in place_causes]
        number = place + 1
        columns[f"column{number}"] = pa.array(names, pa.string())
        columns[f"share{number}"] = pa.array(shares, pa.float32())
        columns[f"expected{number}"] = pa.array(expected, pa.string())
    return columns


def format_likely(column: Column, number: float, values: pa.Array, row: int) -> str:
    """Format a value that is about what is expected, of which `number` is the first.

    A number that is written as text has as many digits as another.
    """
    form = column.form
    if isinstance(form, NumberText) and not form.is_whole:
        return format_given(form.write_short(round_suggestion(number)))
    return format_suggestion(get_value(values, row))
