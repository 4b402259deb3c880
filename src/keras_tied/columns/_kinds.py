"""The kinds of values in a column, and their Arrow types."""

from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa


class Kind(StrEnum):
    """The kind of the values in a column."""

    boolean = "boolean"
    integer = "integer"
    number = "number"
    text = "text"
    time = "time"
    empty = "empty"
    other = "other"


def find_kind(dtype: pa.DataType) -> Kind:
    """Return the kind of an Arrow type."""
    of = pa.types
    if of.is_dictionary(dtype):
        return find_kind(dtype.value_type)
    if of.is_boolean(dtype):
        return Kind.boolean
    if of.is_integer(dtype):
        return Kind.integer
    if of.is_floating(dtype) or of.is_decimal(dtype):
        return Kind.number
    if of.is_string(dtype) or of.is_large_string(dtype) or of.is_string_view(dtype):
        return Kind.text
    if of.is_temporal(dtype):
        return Kind.time
    return Kind.empty if of.is_null(dtype) else Kind.other


def simplify_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type that batches have for a type: every kind of text is a string."""
    if pa.types.is_dictionary(dtype):
        return simplify_type(dtype.value_type)
    if find_kind(dtype) is Kind.text:
        return pa.string()
    return pa.float32() if pa.types.is_float16(dtype) else dtype


def merge_types(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, or None if their kinds differ."""
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    kinds = {find_kind(first), find_kind(second)}
    if kinds == {Kind.integer}:
        return pa.int64()
    return pa.float64() if kinds <= {Kind.integer, Kind.number} else None


LONGEST_TEXT = 2**12
"""Characters of a category, a constant or a unit, which a model's file holds and writes in rows."""


def make_distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ, and are not empty: a, "", a, a_2 become a, column2, a_3, a_2."""
    given, distinct, numbers = set(names), dict[str, None](), dict[str, int]()
    for index, name in enumerate(names):
        new = name = name or f"column{index + 1}"
        number = numbers.get(name, 1)  # those below it are taken
        while new in distinct or (number > 1 and new in given):
            number += 1
            new = f"{name}_{number}"
        distinct[new], numbers[name] = None, number
    return list(distinct)
