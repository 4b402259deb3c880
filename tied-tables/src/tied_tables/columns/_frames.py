"""Frames of pandas, polars and Arrow as batches of Arrow, and back in their dtypes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct
from pyarrow import types

from tied_tables._table_errors import TableError
from tied_tables._types import Array
from tied_tables.columns._casting import cast_like, make_alike
from tied_tables.columns._kinds import (
    make_distinct,
    simplify_rows,
    trim_names,
    unpack_views,
)

Level: TypeAlias = str | int | float | bool | None
Name: TypeAlias = Level | tuple[Level, ...]  # in pandas it may have levels
LIBRARIES = "numpy", "pandas", "polars", "pyarrow"
ARROW_BACKED = "[pyarrow]"  # ends the name of a dtype of pandas that is Arrow's


class PandasColumn(Struct):
    """What Arrow notes of a column of pandas, as far as it is needed to go back."""

    pandas_type: str
    numpy_type: str


class PandasNotes(Struct):
    """What Arrow notes of a frame of pandas, in the metadata of its schema."""

    columns: list[PandasColumn]
    column_indexes: list[PandasColumn] = []


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame or an array in Arrow, so that it is converted once.

    Attributes:
        given: the frame.
        library: its library.
        names: of its columns.
        batch: its rows, whose columns have distinct texts as names.
    """

    given: Any
    library: Any
    names: list[Name]
    batch: pa.RecordBatch

    @classmethod
    def read(cls, X: Any) -> Frame:
        """A frame or an array in Arrow; the same where it is so already."""
        return X if isinstance(X, Frame) else cls(X, *_read(X))

    @cached_property
    def rows(self) -> pa.RecordBatch:
        """The rows as those of a table: categories are text or whole numbers.

        As scikit-learn does, it refuses infinite numbers, which are misread in files.
        """
        _require_finite(self.batch)
        return simplify_rows(self.batch)


def _require_finite(batch: pa.RecordBatch) -> None:
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        if types.is_floating(values.type):
            is_infinite = np.asarray(pc.is_inf(values).fill_null(False))
            if is_infinite.any():
                row = int(is_infinite.argmax())
                raise TableError(
                    f"column {name!r} has {values[row].as_py()} in row {row + 1};"
                    " correct it, or replace it by NaN."
                )


class FrameSchema(Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of a frame, or of an array, as they were given to `fit`."""

    library: Literal["numpy", "pandas", "polars", "pyarrow"]
    names: tuple[Name, ...]  # of the frame; those of its batches are distinct texts
    # a stream of Arrow without rows: types and all levels of categories
    template: bytes

    @classmethod
    def learn(cls, X: Any) -> tuple[Self, list[str]]:
        """The schema of a frame, and the columns whose dtype is categories."""
        read = Frame.read(X)
        batch = read.batch
        without_rows = batch[:0]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, without_rows.schema) as stream:
            stream.write_batch(without_rows)
        categories = [
            field.name for field in batch.schema if types.is_dictionary(field.type)
        ]
        template = sink.getvalue().to_pybytes()
        return cls(read.library, tuple(read.names), template), categories

    @property
    def without_rows(self) -> pa.RecordBatch:
        """A batch without rows, of the types of the frame."""
        batches = list(pa.ipc.open_stream(self.template))
        if len(batches) != 1 or batches[0].num_rows:
            raise ValueError("the frame has another number of rows than none")
        batches[0].validate(full=True)
        return batches[0]

    def join(self, columns: pa.RecordBatch, like: Any) -> Any:
        """Some columns of the frame, with its dtypes, and the index of `like`."""
        template = self.without_rows
        arrays = {
            name: cast_like(columns[name], template[name])
            for name in columns.column_names
        }
        return self._wrap(arrays, like)

    def fill(
        self,
        X: Any,
        columns: pa.RecordBatch,
        gaps: Mapping[str, Array],
    ) -> Any:
        """A copy of a frame; what is missing in some columns is that of other rows.

        Besides null that is what `gaps` tell of a column.
        """
        read = Frame.read(X)
        X, rows = read.given, read.batch
        names = rows.column_names
        column_names = set(columns.column_names)
        filled = {}
        for name in names:
            values = rows[name]
            is_null = np.asarray(values.is_null(nan_is_null=True))
            is_missing = gaps.get(name, is_null)
            if name not in column_names or not is_missing.any():
                continue
            new = columns[name]
            if new.null_count < len(new):
                new = new.filter(is_missing)
                filled[name] = replace_values(values, is_missing, new)
        if self.library != "pandas":
            arrays = {name: filled.get(name, rows[name]) for name in names}
            frame = self._wrap(arrays, X)
            if self.library == "pyarrow":  # which forgets its metadata on the way
                metadata = pa.table(X).schema.metadata
                return frame.replace_schema_metadata(metadata)
            return frame
        frame = self._wrap(filled, X)
        copy = X.copy()
        for column, name in enumerate(filled):
            copy.isetitem(names.index(name), frame.iloc[:, column])
        return copy

    def _wrap(self, arrays: dict[str, pa.Array], like: Any) -> Any:
        """Columns, by the names of the batch, as a frame of the library."""
        template = self.without_rows.schema
        fields = [
            template.field(name).with_type(values.type)
            for name, values in arrays.items()
        ]
        schema = pa.schema(fields, template.metadata)
        table = pa.table(arrays, schema=schema)
        original_names = dict(zip(template.names, self.names, strict=True))
        names = [original_names[name] for name in arrays]
        return wrap(self.library, table, names, like)


def replace_values(
    values: pa.Array,
    is_replaced: Array,
    new: pa.Array,
) -> pa.Array:
    """Values, with new ones where they are replaced."""
    if types.is_null(values.type):  # of a column without a value
        values = values.cast(new.type)
    dtype = values.type
    if types.is_string_view(dtype):  # as Polars has, which cannot be taken from
        values = values.cast(pa.string())
    both = pa.chunked_array([values, make_alike(new, values)])
    both = both.unify_dictionaries().combine_chunks()
    n = len(values)
    places = np.arange(n)
    places[is_replaced] = n + np.arange(len(new))
    return both.take(places).cast(dtype)


def wrap(
    library: str,
    table: pa.Table,
    names: Sequence[Any],
    like: Any,
) -> Any:
    """A table as a frame of a library, in pandas with the index of `like`."""
    if library == "numpy":
        return np.column_stack([column.to_numpy() for column in table.columns])
    if library == "polars":
        return import_module("polars").from_arrow(table)
    if library == "pyarrow":
        return table.rename_columns(list(map(str, names)))
    frame = _to_pandas(table)
    frame.columns = names
    if find_library(like) != "pandas":
        return frame
    frame.index = like.index
    places = {repr(_to_plain(name)): place for place, name in enumerate(like.columns)}
    keys = list(map(repr, names))
    if places.keys() >= set(keys):  # whose names may be of types that JSON has not
        frame.columns = like.columns.take([places[key] for key in keys])
        names = list(frame.columns)
    for place, name in enumerate(names):
        if name in like and like.columns.is_unique:
            column = frame.iloc[:, place]
            frame.isetitem(place, _restore(column, like[name].dtype))
    return frame


def _to_pandas(table: pa.Table) -> Any:
    """A table as a frame of pandas, in the dtypes that its metadata name."""
    metadata = table.schema.pandas_metadata or {}
    dtypes = {}
    notes = []
    for note in metadata.get("columns", ()):
        dtype = str(note.get("numpy_type"))
        dtypes[note.get("field_name")] = dtype
        # pandas finds no dtype by a name such as that of a list of Arrow's.
        if not dtype.endswith(ARROW_BACKED):
            notes.append(note)
    if metadata:
        text = json.dumps({**metadata, "columns": notes})
        table = table.replace_schema_metadata({"pandas": text})
    frame = table.to_pandas()
    for place, name in enumerate(table.column_names):
        dtype = dtypes.get(name, "")
        if dtype == "object":
            frame = frame.astype({name: object})
        if dtype.endswith(ARROW_BACKED):
            arrays = import_module("pandas").arrays
            frame.isetitem(place, arrays.ArrowExtensionArray(table[name]))
    return frame


def _to_plain(name: Any) -> Name:
    """A name as JSON can hold it: of most types, its text."""
    if isinstance(name, tuple):
        return tuple(map(_to_plain_level, name))
    return _to_plain_level(name)


def _to_plain_level(name: Any) -> Level:
    if isinstance(name, float) and math.isnan(name):
        return None
    if name is None or isinstance(name, bool | int):
        return name
    if isinstance(name, float) and math.isfinite(name):
        return float(name)
    return str(name)


def _restore(column: Any, dtype: Any) -> Any:
    """A column of pandas, with the levels of a dtype if its levels are their text."""
    texts = getattr(column.dtype, "categories", None)
    levels = getattr(dtype, "categories", None)
    if texts is None or levels is None:
        return column
    is_same = list(map(str, levels)) == list(texts)
    return column.cat.rename_categories(levels) if is_same else column


def find_library(X: Any) -> str:
    """The name of the library of a frame or an array, or of what it derives from."""
    names = [kind.__module__.partition(".")[0] for kind in type(X).__mro__]
    return next((name for name in names if name in LIBRARIES), names[0])


def list_names(X: Any) -> list[Name]:
    """The names of the columns of a frame as a file holds them; none of an array."""
    if hasattr(X, "column_names"):  # of Arrow
        return list(X.column_names)
    return list(map(_to_plain, getattr(X, "columns", ())))


def _read(X: Any) -> tuple[Any, list[Name], pa.RecordBatch]:
    """The library of a frame or an array, the names of its columns, and its rows."""
    library = find_library(X)
    if library == "numpy":
        columns = {}
        for index, column in enumerate(X.T):
            columns[f"x{index}"] = pa.array(column, from_pandas=True)
        return library, list(columns), pa.record_batch(columns)
    if library not in ("pandas", "polars"):
        library, X = "pyarrow", pa.table(X)
    original_names = list_names(X)
    names = make_distinct(trim_names(list(map(str, original_names))))
    try:
        if library == "pandas":
            frame = _name_levels(X.set_axis(names, axis=1))
            table = _to_arrow(frame)
        else:
            table = X.to_arrow() if library == "polars" else X
            table = table.rename_columns(names)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        message = " ".join(map(str, error.args))
        column = re.search(r"column (.+?)(?: with type|\))", message)
        what = f"column {column[1]!r}" if column else "X"
        reason = str(error.args[0]).rstrip(".")
        raise TableError(
            f"{what} cannot be used ({reason}); convert all of its values to one type."
        ) from error
    arrays = [unpack_views(column.combine_chunks()) for column in table.columns]
    pairs = zip(table.schema, arrays, strict=True)
    fields = [field.with_type(values.type) for field, values in pairs]
    schema = pa.schema(fields, table.schema.metadata)
    return library, original_names, pa.record_batch(arrays, schema=schema)


def _to_arrow(frame: Any) -> pa.Table:
    """A frame of pandas as a table, whose metadata name each dtype that is Arrow's."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    metadata = table.schema.pandas_metadata
    for note in metadata["columns"]:
        dtype = str(frame.dtypes[note["field_name"]])
        if dtype.endswith(ARROW_BACKED):
            note["numpy_type"] = dtype
    return table.replace_schema_metadata({"pandas": json.dumps(metadata)})


def _name_levels(frame: Any) -> Any:
    """A frame of pandas with levels as text that are neither text nor whole numbers."""
    for name, dtype in frame.dtypes.items():
        levels: Any = getattr(dtype, "categories", None)
        kind = getattr(levels, "inferred_type", "string")
        if kind not in ("string", "integer", "empty"):
            texts = list(map(str, levels))
            renamed = frame[name].cat.rename_categories(texts)
            frame = frame.assign(**{name: renamed})
    return frame


def read_rows(X: Any) -> pa.RecordBatch:
    """The rows of a frame as those of a table: categories are text or whole numbers."""
    return Frame.read(X).rows
