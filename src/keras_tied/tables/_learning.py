"""Choose the columns of a table to use, and learn their categories."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from keras_tied.tables._column import Column
from keras_tied.tables._errors import TableError, quote
from keras_tied.tables._kinds import Kind, find_kind

MOST_CATEGORIES = 20
RAREST = 0.01
"""A category has a number of its own if at least so large a share of the rows are in it."""
ALL_DIFFERENT = 0.8
"""Text of which more than this share differ is a name or an id, and no category."""


def choose_columns(
    sample: pa.RecordBatch,
    columns: Sequence[str] | None,
    exclude: Collection[str],
    label: str | None,
    id: str | None,
) -> tuple[list[Column], dict[str, str]]:
    """Return the columns to use, in the table's order, and why each other is not used."""
    names = sample.schema.names
    requested = [*(columns or []), *exclude, *[name for name in (label, id) if name is not None]]
    if absent := [name for name in dict.fromkeys(requested) if name not in names]:
        raise TableError(f"the table has no column {quote(absent)}; it has {quote(names)}.")
    used, left_out = [], {}
    for name, values in zip(names, sample.columns, strict=True):
        if name == label:
            left_out[name] = "the label"
        elif name == id:
            left_out[name] = "the id"
        elif name in exclude:
            left_out[name] = "excluded"
        elif columns is not None and name not in columns:
            left_out[name] = "not among those asked for"
        elif isinstance(result := _learn_column(name, values), Column):
            used.append(result)
        else:
            left_out[name] = result
    if not used:
        reasons = [f"{name!r} ({reason})" for name, reason in list(left_out.items())[:8]]
        raise TableError(f"no column can be used: {', '.join(reasons)}; give one of numbers.")
    return used, left_out


def _learn_column(name: str, values: pa.Array) -> Column | str:
    """Return a column to use, or the reason why it is not used."""
    kind = find_kind(values.type)
    if kind is Kind.time:
        return "a date or time: turn it into numbers, such as days, to use it"
    if kind is Kind.other:
        return f"values of type {values.type}"
    if _is_empty(values):
        return f"no value in {len(values)} rows"
    return _learn_categories(name, values) if kind is Kind.text else Column(name, kind)


def _is_empty(values: pa.Array) -> bool:
    return bool(pc.all(values.is_null(nan_is_null=True)).as_py())


def _learn_categories(name: str, values: pa.Array) -> Column | str:
    pairs = pc.value_counts(values.drop_null())
    counts = dict(zip(pairs.field(0).to_pylist(), pairs.field(1).to_pylist(), strict=True))
    n_rows = sum(counts.values())
    if len(counts) > max(2, ALL_DIFFERENT * n_rows):
        return f"text of which nearly every value differs, {len(counts)} in {n_rows} rows"
    common = [text for text, times in counts.items() if times >= RAREST * n_rows]
    common = sorted(common, key=lambda text: (-counts[text], text))[:MOST_CATEGORIES]
    if not common:
        return f"text of {len(counts)} categories, all of which are rare"
    return Column(name, Kind.text, tuple(sorted(common)), other=len(common) < len(counts))
