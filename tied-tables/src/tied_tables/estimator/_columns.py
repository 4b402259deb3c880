"""What the columns of frames are, and their numbers, for an estimator."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tied_tables._column_words import describe_left_out, require_usable
from tied_tables._text import format_quantity, list_some
from tied_tables._types import Array
from tied_tables.columns import (
    NUMERIC_KINDS,
    Columns,
    Doubts,
    Frame,
    Role,
    find_kind,
    read_rows,
)
from tied_tables.estimator._remedies import REMEDIES

if TYPE_CHECKING:
    import pyarrow as pa

OURS = ("tied_tables.", "sklearn.")  # the modules between the user and a warning


def learn_columns(X: Any, categorical_features: Any) -> Columns | None:
    """What the columns of a frame or an array are; None if all are numbers."""
    by_dtype = isinstance(categorical_features, str)
    frame = Frame.read(X)
    kinds = set(map(find_kind, frame.rows.schema.types))
    # Frames of pandas and polars were seen to have others by their dtypes.
    if by_dtype and frame.library == "pyarrow" and kinds.issubset(NUMERIC_KINDS):
        return None
    n_rows = frame.rows.num_rows
    if n_rows < 2:
        raise ValueError(
            f"Found a frame with {n_rows} sample(s), while a minimum of 2 is required."
        )
    categorical = None
    if not by_dtype:
        names = frame.rows.schema.names
        categorical = _find_columns(categorical_features, frame.names, names)
    columns, facts = Columns.survey_frame(frame, categorical)
    require_usable(columns, facts, REMEDIES)
    lost = [
        f"{name!r} ({reason})"
        for name, reason in describe_left_out(columns, REMEDIES).items()
        if columns.left_out[name].role is not Role.constant
    ]
    were = "column of X was" if len(lost) == 1 else "columns of X were"
    _warn_of(f"{len(lost)} {were} left out", lost)
    marks = [
        f"{mark!r} in column {column.name!r}"
        for column in columns.used
        for mark in column.marks
    ]
    _warn_of("Texts in X are treated as missing", marks)
    return columns


def encode(columns: Columns, X: Any, *, double: bool) -> Array:
    """The numbers of a frame or an array, `(n, d)`, with NaN where one is missing.

    They are in double precision, or in that of the columns.
    """
    if double:
        used = tuple(replace(column, double=True) for column in columns.used)
        columns = replace(columns, used=used)
    doubts = Doubts()
    rows = columns.read_frame(X)
    numbers = columns.encode(rows, doubts=doubts)
    unseen, misread = doubts.unseen, doubts.misread
    merged = {column.name for column in columns.used if column.other}
    lost = []
    for name, n in unseen.counts.items():
        if name not in merged:
            values = f"{format_quantity(n, 'value')} of column {name!r}"
            lost.append(
                f"{values} in categories not seen in fit ({unseen.describe(name)})"
            )
    lost += [f"{misread.describe(name)} of column {name!r}" for name in misread.counts]
    _warn_of("Values of X are treated as missing", lost)
    return numbers


def find_differences(columns: Columns, X: Any) -> pa.RecordBatch:
    """The rows of a frame; warn of columns that are not what they were in training."""
    rows = read_rows(X)
    kept = []
    reasons = describe_left_out(columns, REMEDIES)
    for name, is_other in columns.find_differences(rows).items():
        if is_other.any():
            values = format_quantity(int(is_other.sum()), "value")
            kept.append(f"{values} of column {name!r} ({reasons[name]} in training)")
    _warn_of("Values of X differ from training and are kept", kept)
    return rows


def _warn_of(what: str, items: Sequence[str]) -> None:
    """Warn of some things, if there are any, at the line of the user's code."""
    if not items:
        return
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals["__name__"].startswith(OURS):
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{what}: {list_some(items)}.", stacklevel=level)


def _find_columns(
    features: Any,
    given_names: Sequence[Any],
    names: list[str],
) -> list[str]:
    """The columns that names, places or a mask stand for, by their batch's names."""
    chosen = np.asarray(features)
    if not len(chosen):
        return []
    if chosen.dtype.kind in "biu":
        with suppress(IndexError):
            return [str(name) for name in np.array(names)[chosen]]
    elif set(chosen.tolist()) <= set(given_names):
        pairs = zip(given_names, names, strict=True)
        return [name for given_name, name in pairs if given_name in chosen]
    raise ValueError(
        f"categorical_features={features!r} must be names or indices of the"
        f" {len(names)} columns of X, a boolean mask of that length, or 'from_dtype'."
    )
