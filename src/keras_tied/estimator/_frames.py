"""Frames with columns of any kind: what their columns are, and their numbers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array

from keras_tied._table_errors import TableError
from keras_tied._text import format_quantity, list_some
from keras_tied._types import Array
from keras_tied.columns import (
    REMEDY,
    Columns,
    FrameSchema,
    MisreadValues,
    has_kinds,
    read_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa


def learn_columns(X: Any, categorical_features: Any) -> Columns | None:
    """What the columns of a frame or an array are; None if all are numbers."""
    by_dtype = isinstance(categorical_features, str)
    if by_dtype and not has_kinds(X):
        return None
    X = _check_array(X)
    (frame, categories), batch = FrameSchema.learn(X), read_rows(X)
    if batch.num_rows < 2:
        raise ValueError(
            f"Found a frame with {batch.num_rows} sample(s), while a minimum of 2 is"
            " required."
        )
    if not by_dtype:
        categories = _find_columns(
            categorical_features, frame.names, batch.schema.names
        )
    columns, facts = Columns.survey(batch, categorical=categories)
    try:
        columns.require_usable(facts)
    except TableError as error:
        reason = str(error).replace(
            REMEDY, "correct them, or name it in categorical_features"
        )
        raise TableError(reason) from None
    restored = {
        of.name for of in columns.restored if (of.copy_of, of.value) != (None, None)
    }
    lost = [
        f"{name!r} ({why})"
        for name, why in columns.left_out.items()
        if name not in restored
    ]
    if lost:
        were = "column of X was" if len(lost) == 1 else "columns of X were"
        warnings.warn(f"{len(lost)} {were} left out: {list_some(lost)}.", stacklevel=6)
    return replace(columns, frame=frame)


def encode(columns: Columns, X: Any) -> Array:
    """The numbers of a frame or an array, `(n, d)` float32, with NaN where one is missing."""
    unseen, misread = MisreadValues(), MisreadValues()
    numbers = columns.encode(read_rows(_check_array(X)), unseen=unseen, misread=misread)
    merged = {column.name for column in columns.used if column.other}
    lost = [
        f"{format_quantity(n, 'value')} of column {name!r} in no category that fit has"
        f" seen ({unseen.describe(name)})"
        for name, n in unseen.counts.items()
        if name not in merged
    ]
    lost += [f"of column {name!r} {misread.describe(name)}" for name in misread.counts]
    if lost:
        warnings.warn(
            f"X holds values that count as missing: {list_some(lost)}.", stacklevel=6
        )
    return numbers


def find_differences(columns: Columns, X: Any) -> pa.RecordBatch:
    """The rows of a frame, with a warning of columns that are no longer what they always were."""
    rows = read_rows(X)
    differences = columns.find_differences(rows).items()
    if lost := [
        f"{format_quantity(int(is_other.sum()), 'value')} of column {name!r} "
        f"({columns.left_out.get(name)} in training)"
        for name, is_other in differences
        if is_other.any()
    ]:
        warnings.warn(
            f"X differs from what it was, and is kept: {list_some(lost)}.", stacklevel=5
        )
    return rows


def _check_array(X: Any) -> Any:
    """A frame as it is, and anything else as an array of numbers."""
    if hasattr(X, "__arrow_c_stream__"):
        return X
    return check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")


def _find_columns(features: Any, given: tuple[Any, ...], names: list[str]) -> list[str]:
    """The columns that names, places or a mask stand for, by the names of their batch."""
    chosen = np.asarray(features)
    if chosen.dtype.kind == "b" and len(chosen) == len(names):
        return [
            name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen
        ]
    if chosen.dtype.kind in "iu" and (not len(chosen) or -len(names) <= chosen.min()):
        if not len(chosen) or chosen.max() < len(names):
            return [names[place] for place in chosen.tolist()]
    elif set(chosen.tolist()) <= set(given):
        return [
            name
            for name, of_frame in zip(names, given, strict=True)
            if of_frame in chosen
        ]
    raise ValueError(
        f"categorical_features={features!r} are neither names nor places of the"
        f" {len(names)} columns of X, nor a mask of as many; give one of these, or"
        " 'from_dtype'."
    )
