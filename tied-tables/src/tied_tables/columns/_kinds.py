"""The kinds of values in a column, and their Arrow types."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa
from pyarrow import types


class Kind(StrEnum):
    """The kind of the values in a column."""

    boolean = "boolean"
    integer = "integer"
    number = "number"
    text = "text"
    time = "time"
    empty = "empty"
    other = "other"


TESTS = (
    (types.is_boolean, Kind.boolean),
    (types.is_integer, Kind.integer),
    (types.is_floating, Kind.number),
    (types.is_decimal, Kind.number),
    (types.is_string, Kind.text),
    (types.is_large_string, Kind.text),
    (types.is_string_view, Kind.text),
    (types.is_interval, Kind.other),
    (types.is_temporal, Kind.time),
    (types.is_null, Kind.empty),
)
NUMERIC_KINDS = (Kind.integer, Kind.number)
# The most characters of a category, a constant or a unit: a model's file holds it.
LONGEST_TEXT = 2**12


def find_kind(dtype: pa.DataType) -> Kind:
    """Return the kind of an Arrow type."""
    if types.is_dictionary(dtype):
        return find_kind(dtype.value_type)
    for is_of_kind, kind in TESTS:
        if is_of_kind(dtype):
            return kind
    return Kind.other


def simplify_type(dtype: pa.DataType) -> pa.DataType:
    """Return the type that batches have for a type: all text is a string."""
    if types.is_dictionary(dtype):
        return simplify_type(dtype.value_type)
    if find_kind(dtype) is Kind.text:
        return pa.string()
    if types.is_binary_view(dtype):
        return pa.binary()
    return pa.float32() if types.is_float16(dtype) else dtype


def simplify_rows(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows in the types that batches have."""
    fields = [(field.name, simplify_type(field.type)) for field in rows.schema]
    columns = list(map(unpack_views, rows.columns))
    rows = pa.record_batch(columns, names=rows.schema.names)
    return rows.cast(pa.schema(fields))


def unpack_views(values: pa.Array) -> pa.Array:
    """Return a dictionary of views of text, which Arrow cannot cast, as one of text."""
    dtype = values.type
    if not types.is_dictionary(dtype) or not types.is_string_view(dtype.value_type):
        return values
    texts = values.dictionary.cast(pa.string())
    return pa.DictionaryArray.from_arrays(values.indices, texts, ordered=dtype.ordered)


def rename_rows(rows: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Return rows with other names, and with the metadata of their schema."""
    renamed = rows.rename_columns(list(names))
    return renamed.replace_schema_metadata(rows.schema.metadata)


def merge_types(first: pa.DataType, second: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, or None if their kinds differ."""
    if first == second or types.is_null(second):
        return first
    if types.is_null(first):
        return second
    kinds = {find_kind(first), find_kind(second)}
    if kinds == {Kind.integer}:
        return pa.int64()
    return pa.float64() if kinds.issubset(NUMERIC_KINDS) else None


def trim_names(names: Sequence[str]) -> list[str]:
    """Return names without blanks at their ends, but where two would be the same."""
    trimmed = [name.strip() for name in names]
    counts = Counter(trimmed)
    pairs = zip(names, trimmed, strict=True)
    return [new if new and counts[new] == 1 else name for name, new in pairs]


def make_distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ: a, "", a, a_2 become a, column2, a_3, a_2."""
    all_names = set(names)
    distinct: dict[str, None] = {}
    numbers: dict[str, int] = {}  # the last number that a name was given
    for index, name in enumerate(names):
        name = name or f"column{index + 1}"
        number = numbers.get(name, 1)
        candidate = name
        # A name with a number must not be one that another column has been given.
        while candidate in distinct or (number > 1 and candidate in all_names):
            number += 1
            candidate = f"{name}_{number}"
        distinct[candidate] = None
        numbers[name] = number
    return list(distinct)
