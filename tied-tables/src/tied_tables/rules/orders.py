"""Dates that follow one another, and numbers that are never above others.

An order is found where another row's value would often be on the wrong side.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Annotated, NamedTuple

import numpy as np
import pyarrow as pa
from msgspec import Meta

from tied_tables._text import format_exceptions
from tied_tables._types import Array
from tied_tables.columns import Times, decide_times
from tied_tables.rules._doubt import Doubt
from tied_tables.rules.kinds import TextCodes
from tied_tables.rules.numbers import LEAST_READ, Numbers
from tied_tables.rules.relations import Relation

MOST_TIME_COLUMNS = 12
ORDER_SAMPLE_ROWS = 2_000  # that all pairs of columns are looked at in
MOST_SAMPLE_EXCEPTIONS = 0.03


class Order(NamedTuple):
    """A column whose values are never above those of another one.

    Attributes:
        lower: the column with the earlier dates, or the smaller numbers.
        upper: the other one.
        n_rows: the rows that have both values.
        n_exceptions: those in which the lower value is above the upper one.
        times: how dates of both columns are written, or None for numbers.

    Examples:
        >>> from tied_tables.rules import Order
        >>> print(Order("ordered", "paid", 500, 1))
        ordered <= paid: 99.8 % of 500 rows, 1 exception
    """

    lower: str
    upper: str
    n_rows: Annotated[int, Meta(ge=1)]
    n_exceptions: Annotated[int, Meta(ge=0)]
    times: tuple[Times, Times] | None = None

    def __str__(self) -> str:
        """The order in words."""
        counts = format_exceptions(self.n_rows, self.n_exceptions)
        return f"{self.lower} <= {self.upper}: {counts}"


class OrderLimits(NamedTuple):
    """What an order has to show.

    Attributes:
        min_rows: that have both values.
        most_exceptions: as a share of them.
        least_chance: the share of exceptions among values of different rows.
    """

    min_rows: int
    most_exceptions: float
    least_chance: float


TIME_LIMITS = OrderLimits(50, 0.02, 0.05)
NUMBER_LIMITS = OrderLimits(500, 0.002, 0.3)


class TimeColumn(NamedTuple):
    """A column of dates.

    Attributes:
        name: its name.
        times: how its dates are written.
        days: since 1970, (rows,) float64; NaN where there is none.
    """

    name: str
    times: Times
    days: Array


def find_times(columns: Sequence[TextCodes]) -> list[TimeColumn]:
    """Return the columns of enough dates for an order, 95 % of their texts or more."""
    found = []
    for column in columns:
        if column.n_present < TIME_LIMITS.min_rows:
            continue
        texts = column.texts.take(pa.array(np.flatnonzero(column.counts)))
        times, _ = decide_times(texts, None) if len(texts) else (None, None)
        if times is None or times.is_clock:  # 23:30 may be before 0:10
            continue
        days = read_days(column, times)
        if np.count_nonzero(~np.isnan(days)) >= LEAST_READ * column.n_present:
            found.append(TimeColumn(column.name, times, days))
    return found[:MOST_TIME_COLUMNS]


def read_days(column: TextCodes, times: Times) -> Array:
    """Return the days since 1970 of each row, (rows,); NaN where there is no date."""
    days = times.parse(column.texts)
    if (
        len(days) and np.isnan(days).all()
    ):  # as where they are written in another way elsewhere
        day_first = {"%d": True, "%m": False}.get(times.format[:2])
        other_times, _ = decide_times(column.texts, day_first)
        if other_times is not None:
            days = other_times.parse(column.texts)
    return np.append(days, np.nan)[column.codes]


def find_orders(
    times: Sequence[TimeColumn],
    numbers: Sequence[Numbers],
    relations: Sequence[Relation],
) -> list[Order]:
    """Return the orders of dates and of numbers, without those that follow from others.

    Columns of one relation are no order: `net + vat = gross` says more.
    """
    orders = [*_list_time_orders(times), *_list_number_orders(numbers)]
    for relation in relations:
        orders = [
            order
            for order in orders
            if not {order.lower, order.upper} <= relation.names
        ]
    pairs = {(order.lower, order.upper) for order in orders}
    return [order for order in orders if not _is_implied(order, pairs)]


def _cut_to_days(pair: Sequence[Times], lower: Array, upper: Array) -> list[Array]:
    """Return the days of two columns, whole ones if either has no time of day."""
    days = [lower, upper]
    if all("%M" in times.format for times in pair):
        return days
    return [np.floor(d + times.offset) for times, d in zip(pair, days, strict=True)]


def _list_time_orders(times: Sequence[TimeColumn]) -> Iterator[Order]:
    for lower, upper in permutations(times, 2):
        forms = lower.times, upper.times
        first, second = _cut_to_days(forms, lower.days, upper.days)
        if counts := _prove(first, second, TIME_LIMITS):
            yield Order(lower.name, upper.name, *counts, forms)


def _list_number_orders(numbers: Sequence[Numbers]) -> Iterator[Order]:
    for lower, upper in permutations(numbers, 2):
        if counts := _prove(lower.values, upper.values, NUMBER_LIMITS):
            yield Order(lower.name, upper.name, *counts)


def _prove(lower: Array, upper: Array, limits: OrderLimits) -> tuple[int, int] | None:
    """Count rows and exceptions of an order, a sample first; None if there is none."""
    step = 1 + len(lower) // ORDER_SAMPLE_ROWS
    is_above = lower[::step] > upper[::step]
    if np.count_nonzero(is_above) > MOST_SAMPLE_EXCEPTIONS * len(is_above):
        return None
    is_known = ~np.isnan(lower + upper)
    lower, upper = lower[is_known], upper[is_known]
    n_rows = len(lower)
    n_exceptions = int(np.count_nonzero(lower > upper))
    n_below = int(np.count_nonzero(lower < upper))
    most = limits.most_exceptions * n_rows
    # Where few are below, the columns are the same.
    if n_rows < limits.min_rows or n_exceptions > most or n_below <= most:
        return None
    if _measure_chance(lower, upper) < limits.least_chance:
        return None
    return n_rows, n_exceptions


def _measure_chance(lower: Array, upper: Array) -> float:
    """Return the share of rows with a value above the upper one of another row."""
    n = len(lower)
    shares = [np.mean(lower > np.roll(upper, shift)) for shift in (1, n // 3, n // 2)]
    return float(np.mean(shares))


def _is_implied(order: Order, pairs: set[tuple[str, str]]) -> bool:
    """Whether there is a column between the two of an order."""
    return any(
        lower == order.lower and (middle, order.upper) in pairs
        for lower, middle in pairs
    )


def find_order_errors(
    orders: Sequence[Order],
    columns: Mapping[str, TextCodes],
    numbers: Mapping[str, Numbers],
) -> Iterator[Doubt]:
    """Doubt one cell of each row that breaks an order.

    That is the one that stands in most broken orders; of two, the one whose value is
    less usual: nearer to the ends of its column.
    """
    broken_by_row: dict[int, list[Order]] = {}
    values: dict[str, Array] = {}
    for order in orders:
        pair = _read_pair(order, columns, numbers)
        if pair is None:
            continue
        lower, upper = pair
        values[order.lower], values[order.upper] = pair
        for row in np.flatnonzero(lower > upper).tolist():
            broken_by_row.setdefault(row, []).append(order)
    extremes = {name: _measure_extremes(column) for name, column in values.items()}
    for row, broken in broken_by_row.items():
        names = [name for order in broken for name in (order.lower, order.upper)]
        doubted = max(names, key=lambda name: (names.count(name), extremes[name][row]))
        order = next(each for each in broken if doubted in (each.lower, each.upper))
        texts = {}
        for name in (order.lower, order.upper):
            texts[name] = columns[name].texts[int(columns[name].codes[row])].as_py()
        cells = ", ".join(f"{name} {text}" for name, text in texts.items())
        reason = f"{order}; this row has {cells}; one of these is wrong"
        yield Doubt(row + 1, doubted, texts[doubted], None, reason)


def _read_pair(
    order: Order, columns: Mapping[str, TextCodes], numbers: Mapping[str, Numbers]
) -> list[Array] | None:
    """Return the values of an order's columns, or None if one is not there."""
    names = order.lower, order.upper
    if order.times is None:
        known = [numbers[name].values for name in names if name in numbers]
        return known if len(known) == 2 else None
    if not columns.keys() >= set(names):
        return None
    days = [
        read_days(columns[name], times)
        for name, times in zip(names, order.times, strict=True)
    ]
    return _cut_to_days(order.times, *days)


def _measure_extremes(values: Array) -> Array:
    """Return how far the rank of each value is from the middle, (rows,)."""
    present = np.sort(values[~np.isnan(values)])
    first, last = (np.searchsorted(present, values, side) for side in ("left", "right"))
    extremes: Array = np.abs(first + last - len(present))
    return extremes
