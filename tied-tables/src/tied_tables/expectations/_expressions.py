"""Expressions of Polars that compare columns, for Pointblank to evaluate.

They are never run here: the literals are read, the expression is written with them
again, and refused if it differs.
"""

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tied_tables._types import Array
from tied_tables.expectations._values import Value, align, read_numbers
from tied_tables.rules.relations import OPERATIONS, Relation

LOOKUP = (
    "(pl.col({}).replace_strict({}, {}, default=None) == pl.col({})).fill_null(True)"
)
ORDER = "(pl.col({}) <= pl.col({})).fill_null(True)"
EQUATION = "(({} - {}).abs().fill_nan(None) <= {}).fill_null(True)"
LITERAL = re.compile(r'["[]|-?[0-9]')  # how one begins


def write_literals(template: str, *values: Any) -> str:
    """Return a template with texts, lists and numbers in its gaps."""
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    # Pointblank refuses words such as `open(`, also within a text.
    return template.format(*(text.replace("(", r"\u0028") for text in texts))


def read_literals(expression: str) -> list[Any]:
    """Return the texts, lists and numbers in an expression."""
    decoder = json.JSONDecoder()
    literals = []
    place = 0
    while match := LITERAL.search(expression, place):
        literal, place = decoder.raw_decode(expression, match.start())
        literals.append(literal)
    return literals


def write_equation(relation: Relation, tolerance: float) -> str:
    """Return that a result differs from that of its terms by a tolerance at most."""
    gaps = ["{}"] * len(relation.terms)
    formula = relation.describe(gaps).replace(" x ", " * ")
    names = *relation.terms, relation.result
    columns = [write_literals("pl.col({})", name) for name in names]
    return EQUATION.format(formula, "{}", tolerance).format(*columns)


def find_false(rows: pa.RecordBatch, expr: str) -> Array:
    """Return which rows an expression is false for, (rows,) bool.

    Raises a `ValueError` if it is none that these functions write.
    """
    literals = read_literals(expr)
    if len(literals) == 4 and write_literals(LOOKUP, *literals) == expr:
        return _find_mismatches(rows, *literals)
    if len(literals) == 2 and write_literals(ORDER, *literals) == expr:
        return _find_disordered(rows, *literals)
    *terms, result = [each for each in literals if isinstance(each, str)]
    *numbers, tolerance = [each for each in literals if isinstance(each, int | float)]
    factor = numbers[0] if numbers else 1.0
    for operation in (None, *range(len(OPERATIONS))):
        relation = Relation(result, tuple(terms), operation, factor)
        if write_equation(relation, tolerance) == expr:
            return _find_differences(rows, relation, tolerance)
    raise ValueError("it has an expr that rules does not write")


def _find_mismatches(
    rows: pa.RecordBatch,
    determinant: str,
    keys: list[Value],
    values: list[Value],
    dependent: str,
) -> Array:
    """Return which rows have a key, and another value than it has."""
    if len(keys) != len(values):
        raise ValueError("it has keys without values")
    known, cells = align(keys, rows[determinant])
    known_values, found = align(values, rows[dependent])
    expected = known_values.take(pc.index_in(cells, known))
    is_other = pc.not_equal(expected, found)
    return np.asarray(is_other.fill_null(False))


def _find_disordered(rows: pa.RecordBatch, lower: str, upper: str) -> Array:
    """Return in which rows a value is above that of another column."""
    pair = rows[lower], rows[upper]
    if not pa.types.is_temporal(pair[0].type):
        low, high = map(read_numbers, pair)
        if np.isfinite(low).any() or np.isfinite(high).any():
            is_above: Array = low > high
            return is_above
    return np.asarray(pc.greater(*pair).fill_null(False))


def _find_differences(
    rows: pa.RecordBatch, relation: Relation, tolerance: float
) -> Array:
    """Return in which rows the terms give another result."""
    terms = [read_numbers(rows[name]) for name in relation.terms]
    result = read_numbers(rows[relation.result])
    differences = np.abs(relation.compute(terms) - result)
    is_other: Array = differences > tolerance
    return is_other
