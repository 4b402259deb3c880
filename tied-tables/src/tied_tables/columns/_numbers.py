"""Decide on columns of numbers, truth values, and dates and times."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tied_tables._types import Array
from tied_tables.columns._arrow import count_values
from tied_tables.columns._column import (
    Column,
    find_step,
    find_step_of_days,
    format_cell,
)
from tied_tables.columns._facts import (
    ROWS_TO_COUNT,
    ColumnChoice,
    Fact,
    leave_out_constant,
    list_examples,
)
from tied_tables.columns._kinds import NUMERIC_KINDS, Kind
from tied_tables.columns._names import find_doubt
from tied_tables.columns._number_text import PERCENT, NumberText
from tied_tables.columns._remarks import Remark, Topic
from tied_tables.columns._times import Times, find_cycles, find_first_hour

FEWEST_SENTINELS = 2
SMALLEST_GAP = 9.0
SENTINEL_DATES = frozenset(  # that programs write where there is none
    "1753-01-01 1899-12-30 1899-12-31 1900-01-01 1970-01-01 2099-12-31"
    " 9999-12-31".split()
)
# Of single precision: half a whole number, and the share of a standard deviation.
LARGEST_LOSS, LARGEST_LOSS_OF_SPREAD = 0.5, 1e-3


def decide_numbers(
    column: Column,
    values: pa.Array,
    choice: ColumnChoice,
    doubt: Remark | None = None,
) -> Fact:
    """Decide on values that a column reads; the doubt is about its form."""
    numbers = replace(column, double=True).parse(values)
    is_missing = np.isnan(numbers)
    present = numbers[~is_missing]
    column = _learn(column, values, present)
    if column.kind in NUMERIC_KINDS and not column.double:
        numbers = numbers.astype(np.float32)
        present = numbers[~is_missing]
    read = values.filter(~is_missing)
    examples = list_examples(read)
    reads_as = column.description
    if isinstance(column.form, Times) and column.form.format:
        reads_as += f" such as {examples[0]}"
    different = np.unique(present[:ROWS_TO_COUNT])
    n_misread = len(column.find_misread(values, numbers))
    sentinel = _find_sentinel(column.kind, values, numbers)
    units = _find_units(column, read, present)
    fact = Fact(
        column.name,
        reads_as,
        column,
        missing=int(is_missing.sum()) - n_misread,
        misread=n_misread,
        distinct=len(different),
        examples=examples,
        remarks=tuple(filter(None, (doubt, sentinel, *units))),
    )
    if len(different) == 1 and present.min() == present.max():
        return leave_out_constant(fact, read)
    if column.kind is Kind.time and choice.dates == "off":
        return replace(fact, column=None, reason=Remark(Topic.times_off))
    if choice.by_name(column.name) and column.kind is Kind.integer:
        maybe = find_doubt(column.name, different)
        if maybe is not None:
            return replace(fact, remarks=(*fact.remarks, maybe))
    return fact


def _learn(column: Column, values: pa.Array, present: Array) -> Column:
    """Return a column with what its numbers have in common."""
    if column.kind is Kind.boolean:
        return column
    if column.kind is Kind.time:
        return _learn_times(column, present)
    double = _needs_double(present)
    if not double:
        present = present.astype(np.float32)
    is_integral = False
    if column.kind is Kind.number and types.is_primitive(values.type):
        is_integral = np.array_equal(present, np.rint(present))
    step = find_step(np.unique(present[:ROWS_TO_COUNT]))
    return replace(column, double=double, whole=is_integral, step=step)


def _learn_times(column: Column, present: Array) -> Column:
    """Return a column with the beginning, the step and the cycles of its days."""
    origin = find_first_hour(present) if column.is_clock else present.min()
    different = np.unique(present[:ROWS_TO_COUNT])
    days = column.wrap(different - origin)
    step = find_step_of_days(days - days.min(), origin)
    if step:  # else the day of times of day begins before the first
        origin += days.min() % step
    return replace(column, origin=float(origin), step=step, cycles=find_cycles(present))


def _needs_double(numbers: Array) -> bool:
    """Whether single precision would lose much of what numbers differ by."""
    with np.errstate(over="ignore"):
        losses = np.abs(numbers.astype(np.float32) - numbers)
        most = min(LARGEST_LOSS, LARGEST_LOSS_OF_SPREAD * numbers.std())
    return bool(losses.max() > most)


def _find_units(column: Column, read: pa.Array, numbers: Array) -> list[Remark]:
    """Return the spellings of a unit, and whether only some have a percent sign."""
    form = column.form
    if not isinstance(form, NumberText) or not (form.suffix or form.percents):
        return []
    units = form.extract_units(column.clean(read))
    counts = Counter(count_values(units))
    counts.pop("", None)
    ones = count_values(units.filter(pa.array(numbers == 1)))
    singular = {word: n for word, n in ones.items() if f"{word}s" in counts}
    counts -= Counter(singular)
    if len(counts) > 1:
        pairs = counts.most_common()
        return [Remark(Topic.unit_spelling, word, n=n) for word, n in pairs]
    n_percent = counts[PERCENT]
    is_plain = np.asarray(pc.equal(units, "")) & (numbers != 0)
    n_total = n_percent + int(is_plain.sum())
    if 0 < n_percent < n_total:
        return [Remark(Topic.percent, n=n_percent, total=n_total)]
    return []


def _find_sentinel(kind: Kind, values: pa.Array, numbers: Array) -> Remark | None:
    """Return a value that may stand for a missing one, such as -99."""
    present = numbers[~np.isnan(numbers)].astype(np.float64)
    n_rows = len(present)
    for mark in (present.min(), present.max()):
        different = present[present != mark]
        times = n_rows - len(different)
        is_possible = times >= FEWEST_SENTINELS and len(different) > 0
        if not is_possible or not _is_sentinel(kind, mark):
            continue
        if np.abs(different - mark).min() >= max(np.ptp(different), SMALLEST_GAP):
            row = int((numbers == mark).argmax())
            text = format_cell(values, row)
            return Remark(Topic.sentinel, text, n=times, total=n_rows)
    return None


def _is_sentinel(kind: Kind, number: float) -> bool:
    if kind is Kind.time:
        return str(np.datetime64(int(number), "D")) in SENTINEL_DATES
    return re.fullmatch("-?99+", f"{number:.10g}") is not None
