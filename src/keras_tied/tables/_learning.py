"""Which columns of a table are used, what they hold, and why the others are not."""

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from keras_tied.tables._column import Column
from keras_tied.tables._errors import TableError, quoted
from keras_tied.tables._kinds import Kind, kind

MOST_CATEGORIES = 20
RAREST = 0.01
"""A category has a number of its own if at least so large a share of the rows are in it."""
ALL_DIFFERENT = 0.8
"""Text of which more than this share differ is a name or an id, and no category."""


def chosen(
    sample: pa.RecordBatch,
    columns: Sequence[str] | None,
    exclude: Collection[str],
    label: str | None,
    id: str | None,
) -> tuple[list[Column], dict[str, str]]:
    """The columns to use, in the table's order, and for each other one why it is not used."""
    names = sample.schema.names
    asked = [*(columns or []), *exclude, *[name for name in (label, id) if name is not None]]
    if missing := [name for name in dict.fromkeys(asked) if name not in names]:
        raise TableError(f"the table has no column {quoted(missing)}; it has {quoted(names)}.")
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
        elif isinstance(found := _learn_column(name, values), Column):
            used.append(found)
        else:
            left_out[name] = found
    if not used:
        reasons = [f"{name!r} ({reason})" for name, reason in list(left_out.items())[:8]]
        raise TableError(f"no column can be used: {', '.join(reasons)}; give one of numbers.")
    return used, left_out


def _learn_column(name: str, values: pa.Array) -> Column | str:
    """A column to use, or why it is not."""
    found = kind(values.type)
    if found is Kind.time:
        return "a date or time: turn it into numbers, such as days, to use it"
    if found is Kind.other:
        return f"values of type {values.type}"
    if _all_missing(values):
        return f"no value in {len(values)} rows"
    return _category(name, values) if found is Kind.text else Column(name, found)


def _all_missing(values: pa.Array) -> bool:
    return bool(pc.all(values.is_null(nan_is_null=True)).as_py())


def _category(name: str, values: pa.Array) -> Column | str:
    counted = pc.value_counts(values.drop_null())
    counts = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    n_rows = sum(counts.values())
    if len(counts) > max(2, ALL_DIFFERENT * n_rows):
        return f"text of which nearly every value differs, {len(counts)} in {n_rows} rows"
    common = [text for text, times in counts.items() if times >= RAREST * n_rows]
    common = sorted(common, key=lambda text: (-counts[text], text))[:MOST_CATEGORIES]
    if not common:
        return f"text of {len(counts)} categories, all of which are rare"
    return Column(name, Kind.text, tuple(sorted(common)), other=len(common) < len(counts))
