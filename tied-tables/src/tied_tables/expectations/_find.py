"""Which steps nearly all rows of a table pass."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._text import format_quantity, format_value, list_some
from tied_tables._types import Array
from tied_tables.columns import NUMERIC_KINDS, Columns, Kind, find_kind
from tied_tables.expectations._expressions import (
    LOOKUP,
    ORDER,
    write_equation,
    write_literals,
)
from tied_tables.expectations._steps import Step, drop_marked_cells, list_failing
from tied_tables.expectations._values import Value, read_numbers
from tied_tables.io import Source
from tied_tables.model.fences import fit_fences
from tied_tables.rules import Rules, find_kinds
from tied_tables.rules.kinds import MIN_GROUP_ROWS, TextCodes
from tied_tables.rules.numbers import read_numbers as read_amounts

LEAST_SHARE = 0.97  # of the rows, that pass a step
FEWEST_VALUES = 50  # of a column, for a set or a format
MOST_VALUES = 20  # of a set
MOST_MARGIN = 0.5  # of the range of numbers, on either side of which others may be
LEAST_COVERED = 0.5  # of the rows, by the values of a column that determines
LONGEST_EXPRESSION = 2**19  # in characters
SHAPE = str.maketrans(
    digits + ascii_uppercase + ascii_lowercase, "9" * 10 + "A" * 26 + "a" * 26
)
PATTERN = str.maketrans(
    {"9": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
    | {mark: f"\\{mark}" for mark in r"\.^$*+?()[]{}|"}
)


def find_steps(
    source: Source,
    sample: pa.RecordBatch,
    kinds: Mapping[str, Kind],
    columns: Columns,
    rules: Rules,
    na: Collection[str] = (),
) -> list[Step]:
    """Return what at least 97 % of the rows pass, counted in all rows.

    Args:
        source: all rows.
        sample: some of them, from which steps are proposed.
        kinds: what `read_kinds` gives.
        columns: those that are used.
        rules: what was found among the columns.
        na: texts of a missing value, beside those that always are.

    Examples:
        >>> import pyarrow as pa
        >>> from tied_tables.columns import Columns
        >>> from tied_tables.expectations import find_steps, read_kinds
        >>> from tied_tables.io import hold_rows
        >>> from tied_tables.rules import Rules
        >>> rows = pa.record_batch({"town": [*["Bern", "Rome"] * 50, "Rom"]})
        >>> columns, _ = Columns.survey(rows)
        >>> rules = Rules.find(pa.Table.from_batches([rows]))
        >>> source = hold_rows(rows)
        >>> kinds = read_kinds(source, columns)
        >>> for step in find_steps(source, rows, kinds, columns, rules):
        ...     print(step.brief)
        town is never missing
        town is one of Bern, Rome (1 exception when written)
    """
    sample = _cast_numbers(drop_marked_cells(sample, na), kinds)
    kinds = {name: kinds[name] for name in sample.schema.names}
    numeric = [name for name, kind in kinds.items() if kind in NUMERIC_KINDS]
    text = [name for name, kind in kinds.items() if kind is Kind.text]
    values = sample.select(numeric + text)
    proposed = [
        *_propose_complete(sample),
        *_propose_values(values, {column.name for column in columns.used}),
        *_propose_lookups(values, rules, na),
        *_propose_equations(numeric, rules),
        *_propose_orders(kinds, rules),
    ]
    steps = []
    for step in proposed:
        n_failing = len(list_failing(step, source, na))
        if n_failing > (1 - LEAST_SHARE) * source.n_rows:
            continue
        if n_failing:
            exceptions = format_quantity(n_failing, "exception")
            step = step._replace(brief=f"{step.brief} ({exceptions} when written)")
        steps.append(step)
    return steps


def _cast_numbers(rows: pa.RecordBatch, kinds: Mapping[str, Kind]) -> pa.RecordBatch:
    """Return rows with the columns of numbers as such, also where they are text."""
    columns = {}
    for name, cells in zip(rows.schema.names, rows.columns, strict=True):
        is_text = find_kind(cells.type) is Kind.text
        is_number = is_text and kinds[name] is Kind.number
        columns[name] = cells.cast(pa.float64()) if is_number else cells
    return pa.record_batch(columns)


def _make_step(name: str, method: str, words: str, **arguments: Any) -> Step:
    """Return a step about a column, in words that follow its name."""
    brief = f"{format_value(name)} {words}"
    return Step(method, {"columns": name, **arguments}, brief)


def _propose_complete(sample: pa.RecordBatch) -> Iterator[Step]:
    """Yield that columns without gaps have none."""
    for name in sample.column_names:
        if not sample[name].null_count:
            yield _make_step(name, "col_vals_not_null", "is never missing")


def _propose_values(sample: pa.RecordBatch, used: Collection[str]) -> Iterator[Step]:
    """Yield a set, a format or limits for the values of each column.

    Columns that are not used, such as row numbers, have no limits.
    """
    for kinds in find_kinds(pa.Table.from_batches([sample])):
        if kinds.n_present < FEWEST_VALUES:
            continue
        cells = sample[kinds.name]
        step = _propose_set(kinds, cells.type)
        if step is None and find_kind(cells.type) is Kind.text:
            # Those of numbers with a unit say nothing of their sizes.
            step = None if _are_amounts(kinds) else _propose_format(kinds)
        elif step is None and kinds.name in used:
            step = _propose_limits(kinds.name, cells)
        if step is not None:
            yield step


def _propose_set(kinds: TextCodes, dtype: pa.DataType) -> Step | None:
    """Return the values of a column that repeat, if they are few and nearly all.

    A text that does not may be misspelt; a number is one of a tail.
    """
    codes = np.flatnonzero(kinds.counts >= MIN_GROUP_ROWS)
    least = LEAST_SHARE if find_kind(dtype) is Kind.text else 1
    n_rows = kinds.counts[codes].sum()
    if len(codes) > MOST_VALUES or n_rows < least * kinds.n_present:
        return None
    known = _list_values(kinds, codes, dtype)
    words = f"is one of {list_some(list(map(format_value, known)))}"
    return _make_step(kinds.name, "col_vals_in_set", words, set=[*known, None])


def _list_values(kinds: TextCodes, codes: Array, dtype: pa.DataType) -> list[Value]:
    """Return texts of a column as values of its type."""
    values: list[Value] = kinds.texts.take(codes).cast(dtype).to_pylist()
    return values


def _are_amounts(kinds: TextCodes) -> bool:
    """Whether texts are numbers with decimals or a unit."""
    numbers = read_amounts(kinds)
    return numbers is not None and bool(numbers.places or numbers.form.unit)


def _propose_format(kinds: TextCodes) -> Step | None:
    """Return the most frequent format of a column of text, if it has digits."""
    shapes = Counter(text.translate(SHAPE) for text in kinds.texts.to_pylist())
    [(shape, _)] = shapes.most_common(1)
    if "9" not in shape:
        return None
    pattern = f"^{shape.translate(PATTERN)}$"
    words = f"is written as {format_value(shape)}"
    return _make_step(
        kinds.name, "col_vals_regex", words, pattern=pattern, na_pass=True
    )


def _propose_limits(name: str, cells: pa.Array) -> Step | None:
    """Return beyond which numbers a column has hardly any values, if it shows.

    They are not further from its values than half of their range.
    """
    numbers = read_numbers(cells)
    fences = fit_fences(numbers[:, None])
    [low], [high] = fences.low, fences.high
    if not np.isfinite(high - low):
        return None
    usual = numbers[(numbers >= low) & (numbers <= high)]
    least, most = usual.min(), usual.max()
    margin = MOST_MARGIN * (most - least)
    low = float(f"{max(low, least - margin):.3g}")
    high = float(f"{min(high, most + margin):.3g}")
    if np.nanmin(numbers) >= 0:
        low = max(low, 0.0)
    words = f"is between {low:,.12g} and {high:,.12g}"
    return _make_step(
        name, "col_vals_between", words, left=low, right=high, na_pass=True
    )


def _propose_lookups(
    sample: pa.RecordBatch, rules: Rules, na: Collection[str]
) -> Iterator[Step]:
    """Yield the most telling rule for each column."""
    groups_of = {rule.dependency: rule.groups for rule in rules.rules}
    for dependency in rules.dependencies:
        a, b = dependency[:2]
        is_frequent = dependency.n_rows >= LEAST_COVERED * sample.num_rows
        if not is_frequent or not {a, b}.issubset(sample.column_names):
            continue
        groups = groups_of[dependency]
        is_certain = 2 * groups.tops > groups.sizes
        is_certain &= ~_is_mark(rules.kinds[a], na)
        is_certain &= ~_is_mark(rules.kinds[b], na)[groups.majority]
        codes = np.flatnonzero(is_certain)
        keys = _list_values(rules.kinds[a], codes, sample[a].type)
        majority = groups.majority[codes]
        values = _list_values(rules.kinds[b], majority, sample[b].type)
        expression = write_literals(LOOKUP, a, keys, values, b)
        if len(expression) <= LONGEST_EXPRESSION:
            brief = f"{format_value(a)} determines {format_value(b)}"
            yield Step("col_vals_expr", {"expr": expression}, brief)


def _is_mark(kinds: TextCodes, na: Collection[str]) -> Array:
    """Return which texts of a column stand for a missing value, (texts,) bool."""
    return np.asarray(pc.is_in(kinds.texts, pa.array(na, pa.string())))


def _propose_equations(numeric: Sequence[str], rules: Rules) -> Iterator[Step]:
    """Yield the relations of columns that are numbers in the file."""
    for relation in rules.relations:
        if relation.names.issubset(numeric):
            rounding = 0.51 * 10.0 ** -rules.numbers[relation.result].places
            expression = write_equation(relation, rounding)
            brief = format_value(relation.formula)
            yield Step("col_vals_expr", {"expr": expression}, brief)


def _propose_orders(kinds: Mapping[str, Kind], rules: Rules) -> Iterator[Step]:
    """Yield the orders of columns whose values can be compared as they are.

    Texts can where they are dates that begin with the year, written alike.
    """
    for order in rules.orders:
        pair = {kinds.get(order.lower), kinds.get(order.upper)}
        is_typed = pair <= {*NUMERIC_KINDS} or pair == {Kind.time}
        if not is_typed and order.times is not None:
            [first, second] = order.times
            is_sorted = first.format.startswith("%Y-%m-%d") and not first.other_formats
            is_typed = first == second and is_sorted
        if is_typed:
            expression = write_literals(ORDER, order.lower, order.upper)
            brief = f"{format_value(order.lower)} <= {format_value(order.upper)}"
            yield Step("col_vals_expr", {"expr": expression}, brief)
