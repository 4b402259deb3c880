"""Frames of pandas, polars and Arrow as batches of Arrow, and back in their own dtypes."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from keras_tied._table_errors import TableError
from keras_tied.columns._kinds import Kind, find_kind, make_distinct, simplify_type

Name: TypeAlias = (
    str | int | float | tuple[str | int | float, ...]
)  # several, of levels in pandas
NUMBERS = (Kind.integer, Kind.number)


def has_kinds(frame: Any) -> bool:
    """Whether a frame has columns of other dtypes than numbers."""
    if find_library(frame) in ("pandas", "polars"):
        return True  # as was seen before anything was imported
    return not all(
        find_kind(dtype) in NUMBERS for dtype in pa.table(frame).schema.types
    )


class FrameSchema(Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of a frame, or of an array of numbers, as they were given to `fit`."""

    library: Literal["numpy", "pandas", "polars", "pyarrow"]
    names: tuple[Name, ...]  # of the frame; those of its batches are distinct texts
    template: str  # a stream of Arrow without rows, in base64: types and all levels of categories

    @classmethod
    def learn(cls, X: Any) -> tuple[Self, list[str]]:
        """The schema of a frame or an array, and the columns whose dtype is categories."""
        library, names, batch = _read(X)
        without_rows = batch.slice(0, 0)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, without_rows.schema) as stream:
            stream.write_batch(without_rows)
        template = base64.b64encode(sink.getvalue()).decode()
        kept = (
            of if isinstance(of, str | int | float | tuple) else str(of) for of in names
        )
        schema = cls(library, tuple(kept), template)  # type: ignore[arg-type]
        categories = [of.name for of in batch.schema if pa.types.is_dictionary(of.type)]
        return schema, categories

    @property
    def without_rows(self) -> pa.RecordBatch:
        """A batch without rows, of the types of the frame."""
        return _read_template(self.template)

    def require_consistent(self) -> None:
        """Raise a `ValueError` unless the template can be read, and has as many columns."""
        if len(self.without_rows.schema) != len(self.names):
            raise ValueError("the frame has another number of columns than names")

    def join(self, columns: pa.RecordBatch, like: Any = None) -> Any:
        """Some columns of the frame as a frame with its dtypes, and the index of `like`."""
        template = self.without_rows
        names = [name for name in template.schema.names if name in columns.schema.names]
        arrays = {
            name: _cast(columns.column(name), template.column(name)) for name in names
        }
        return self._wrap(arrays, like)

    def fill(self, X: Any, columns: pa.RecordBatch) -> Any:
        """A copy of a frame, with what is missing in some columns taken from other rows."""
        rows, filled = _read(X)[2], {}
        for place, name in enumerate(rows.schema.names):
            values = rows.column(place)
            missing = values.is_null(nan_is_null=True).to_numpy(False)
            is_known = name in columns.schema.names and columns.column(
                name
            ).null_count < len(rows)
            if is_known and missing.any():
                both = pa.chunked_array(
                    [values, make_alike(columns.column(name), values)]
                )
                places = np.arange(len(values)) + len(values) * missing
                filled[name] = (
                    both.unify_dictionaries().combine_chunks().take(pa.array(places))
                )
        if self.library == "numpy":
            every = [filled.get(name, rows.column(name)) for name in rows.schema.names]
            return np.column_stack([values.to_numpy(False) for values in every])
        if not filled:
            return X
        frame = self._wrap(filled, X)
        if self.library == "polars":
            return X.with_columns(frame)
        result = X.copy() if self.library == "pandas" else pa.table(X)
        for column, place in enumerate(map(rows.schema.names.index, filled)):
            if self.library == "pandas":
                result.isetitem(
                    place, _restore(frame.iloc[:, column], X.dtypes.iloc[place])
                )
            else:
                result = result.set_column(
                    place, result.field(place), frame.column(column)
                )
        return result

    def _wrap(self, arrays: Mapping[str, pa.Array], like: Any) -> Any:
        """Columns of the frame, by the names of the batch, as a frame of its library."""
        schema = self.without_rows.schema
        fields = [
            schema.field(name).with_type(values.type) for name, values in arrays.items()
        ]
        table = pa.Table.from_arrays(
            [*arrays.values()], schema=pa.schema(fields, schema.metadata)
        )
        given = dict(zip(schema.names, self.names, strict=True))
        return wrap(self.library, table, [given[name] for name in arrays], like)


def wrap(library: str, table: pa.Table, names: Sequence[Any], like: Any) -> Any:
    """A table as a frame of a library, with these names, and with the index of `like` in pandas."""
    if library == "numpy":
        return np.column_stack([column.to_numpy() for column in table.columns])
    if library == "polars":
        return import_module("polars").from_arrow(table)
    if library == "pyarrow":
        return table.rename_columns(list(map(str, names)))
    frame = table.to_pandas()
    noted = (table.schema.pandas_metadata or {}).get("columns", ())
    objects = {of.get("field_name") for of in noted if of.get("numpy_type") == "object"}
    frame = frame.astype(dict.fromkeys(objects & {*frame.columns}, object))
    frame.columns = names
    if find_library(like) == "pandas":
        frame.index = like.index
        for place, name in enumerate(names):
            if name in like and like.columns.is_unique:
                frame.isetitem(place, _restore(frame.iloc[:, place], like[name].dtype))
    return frame


def _restore(column: Any, dtype: Any) -> Any:
    """A column of pandas, with the levels of a dtype where its own are the same as text."""
    own, levels = (getattr(of, "categories", None) for of in (column.dtype, dtype))
    if own is None or levels is None or list(map(str, levels)) != list(own):
        return column
    return column.cat.rename_categories(levels)


def find_library(X: Any) -> str:
    """The name of the library of a frame or an array."""
    return type(X).__module__.partition(".")[0]


def _read(X: Any) -> tuple[str, list[Any], pa.RecordBatch]:
    """The library of a frame or an array, the names of its columns, and its rows."""
    library = find_library(X)
    if library == "numpy":
        names = [f"x{index}" for index in range(X.shape[1])]
        arrays = [pa.array(column, from_pandas=True) for column in X.T]
        return library, names, pa.record_batch(arrays, names=names)
    if library not in ("pandas", "polars"):
        library, X = "pyarrow", pa.table(X)
    given = X.schema.names if library == "pyarrow" else list(X.columns)
    names = make_distinct(list(map(str, given)))
    try:
        if library == "pandas":
            table = pa.Table.from_pandas(
                _name_levels(X.set_axis(names, axis=1)), preserve_index=False
            )
        else:
            table = (X.to_arrow() if library == "polars" else X).rename_columns(names)
    except (pa.ArrowException, TypeError, ValueError) as error:
        column = re.search(
            r"column (.+?)(?: with type|\))", " ".join(map(str, error.args))
        )
        what = f"column {column[1]!r}" if column else "X"
        reason = str(error.args[0]).rstrip(".")
        raise TableError(
            f"{what} cannot be used ({reason}); make all of its values of one plain"
            " type."
        ) from error
    arrays = [
        chunks.combine_chunks() if chunks.num_chunks else pa.array([], chunks.type)
        for chunks in table.columns
    ]
    return library, given, pa.RecordBatch.from_arrays(arrays, schema=table.schema)


def _name_levels(frame: Any) -> Any:
    """A frame of pandas with levels as text that are neither text nor whole numbers."""
    for name, dtype in frame.dtypes.items():
        levels = getattr(dtype, "categories", None)
        if levels is not None and levels.inferred_type not in (
            "string",
            "integer",
            "empty",
        ):
            renamed = frame[name].cat.rename_categories(list(map(str, levels)))
            frame = frame.assign(**{name: renamed})
    return frame


def read_rows(X: Any) -> pa.RecordBatch:
    """The rows of a frame or an array as those of a table: categories are text or whole numbers."""
    batch, arrays = _read(X)[2], []
    for values in batch.columns:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        arrays.append(values.cast(simplify_type(values.type)))
    return pa.record_batch(arrays, names=batch.schema.names)


def make_alike(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others, with more levels if need be, whole where these are."""
    dtype = like.type
    if pa.types.is_dictionary(dtype):
        return values.cast(dtype.value_type).dictionary_encode().cast(dtype)
    if pa.types.is_floating(dtype) and pa.types.is_floating(values.type):
        present = like.filter(pc.invert(like.is_null(nan_is_null=True)))
        if len(present) and pc.all(pc.equal(present, pc.round(present))).as_py():
            values = pc.round(values)
    return _cast(values, like)


def _cast(values: pa.Array, like: pa.Array) -> pa.Array:
    """Values in the type of others; numbers and times too large for it become its largest."""
    dtype = like.type
    if pa.types.is_dictionary(dtype):
        places = pc.index_in(values.cast(dtype.value_type), like.dictionary).cast(
            dtype.index_type
        )
        return pa.DictionaryArray.from_arrays(
            places, like.dictionary, ordered=dtype.ordered
        )
    if pa.types.is_integer(dtype) or pa.types.is_decimal(dtype):
        low, high = _find_limits(dtype)
        numbers = np.clip(
            values.cast(pa.float64(), safe=False).to_numpy(False), low, high
        )
        if pa.types.is_decimal(dtype):
            texts = [
                None if np.isnan(x) else f"{x:.{max(0, dtype.scale)}f}" for x in numbers
            ]
            return pa.array(texts, pa.string()).cast(dtype)
        return pa.array(np.rint(numbers), from_pandas=True).cast(dtype, safe=False)
    if (
        pa.types.is_timestamp(dtype)
        and dtype.unit == "ns"
        and pa.types.is_timestamp(values.type)
    ):
        most = 2**63 // 1000 - 1
        ticks = values.cast(pa.timestamp("us", values.type.tz)).cast(pa.int64())
        ticks = pc.min_element_wise(
            pc.max_element_wise(ticks, -most, skip_nulls=False), most, skip_nulls=False
        )
        return ticks.cast(pa.timestamp("us", dtype.tz)).cast(dtype)
    if pa.types.is_time(dtype) and pa.types.is_string(values.type):  # a constant
        moments = pc.binary_join_element_wise("1970-01-01", values, " ")
        values = moments.cast(pa.timestamp("us")).cast(pa.time64("us"))
    return values.cast(dtype, safe=False)


def _find_limits(dtype: pa.DataType) -> tuple[float, float]:
    """The least and the largest number of a type, as doubles that do not round beyond."""
    if pa.types.is_decimal(dtype):
        most = float(10 ** min(15, dtype.precision - dtype.scale)) * (1 - 1e-15) - 1
        return -most, most
    info = np.iinfo(dtype.to_pandas_dtype())
    return float(info.min), min(float(info.max), float(info.max) * (1 - 2**-52))


@lru_cache(16)
def _read_template(template: str) -> pa.RecordBatch:
    batches = list(pa.ipc.open_stream(base64.b64decode(template, validate=True)))
    if len(batches) != 1 or batches[0].num_rows:
        raise ValueError("the frame has another number of rows than none")
    batches[0].validate(full=True)
    return batches[0]
