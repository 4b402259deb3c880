"""The types of columns of text: what their values stand for, found batch by batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from tied_tables.columns import LONG_NUMERAL, merge_types

TRUTHS = ("true", "false")

Types: TypeAlias = Mapping[str, pa.DataType]  # of columns
FindDecimal: TypeAlias = Callable[[pa.RecordBatch, Types], str | None]


class TextTypes:
    """Finds the narrowest types that hold what the text of columns stands for.

    Args:
        names: the columns.
        known: those that stay text.
        decimal: the decimal mark; decimals are text where it is a comma. None for what
            `find_decimal` tells of the first rows and the types of their columns.

    Attributes:
        dtypes: the types of the columns up to here.
        n_rows: how many rows were converted.
        is_lossy: whether rows were converted to types that turned out too narrow to
            have their text again.
    """

    def __init__(
        self,
        names: Sequence[str],
        known: Collection[str],
        decimal: str | None,
        find_decimal: FindDecimal,
    ) -> None:
        self.dtypes: dict[str, pa.DataType] = dict.fromkeys(names, pa.null())
        self.dtypes.update(dict.fromkeys(known, pa.string()))
        self._known = known
        self.decimal = decimal
        self._find_decimal = find_decimal
        self.n_rows = 0
        self.is_lossy = False

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types."""
        return pa.schema(self.dtypes)

    def convert(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows of text in the types of their columns, which widen with them."""
        known_dtypes = dict(self.dtypes)
        arrays = {}
        for name, dtype in known_dtypes.items():
            arrays[name], self.dtypes[name] = _convert(batch[name], dtype)
        if self.n_rows == 0:
            self.decimal = self.decimal or self._find_decimal(
                batch, self._find_types(batch)
            )
        for name, dtype in self.dtypes.items():
            if self.decimal == "," and types.is_floating(dtype):
                arrays[name], self.dtypes[name] = batch[name], pa.string()
            is_new = self.dtypes[name] != known_dtypes[name]
            is_text = types.is_string(self.dtypes[name])
            if is_new and is_text and not types.is_null(known_dtypes[name]):
                self.is_lossy = True
        self.n_rows += batch.num_rows
        return pa.record_batch(arrays)

    def _find_types(self, batch: pa.RecordBatch) -> Types:
        """Return the types of the columns that are not known to be text, or of all."""
        unknown = {n: t for n, t in self.dtypes.items() if n not in self._known}
        return unknown or {name: find_type(batch[name]) for name in self.dtypes}


def find_type(values: pa.Array) -> pa.DataType:
    """Return the narrowest type of what text stands for; digits that name are text."""
    cells = _trim(values).drop_null()
    if not len(cells):
        return pa.null()
    for dtype in (pa.int64(), pa.float64()):
        with suppress(pa.ArrowInvalid):
            pc.cast(cells, dtype)
            is_name = pc.match_substring_regex(cells, LONG_NUMERAL)
            return pa.string() if pc.any(is_name).as_py() else dtype
    is_truth = pc.is_in(values.drop_null(), pa.array(TRUTHS))
    return pa.bool_() if pc.all(is_truth).as_py() else pa.string()


def _convert(values: pa.Array, dtype: pa.DataType) -> tuple[pa.Array, pa.DataType]:
    """Return text as values of a type that is at least as wide, and this."""
    if not types.is_null(dtype):
        with suppress(pa.ArrowInvalid):
            return pc.cast(values, dtype), dtype
    wider = merge_types(dtype, find_type(values)) or pa.string()
    if types.is_null(wider):
        return pa.nulls(len(values)), wider
    cells = values if types.is_string(wider) else _trim(values)
    return pc.cast(cells, wider), wider


def _trim(values: pa.Array) -> pa.Array:
    """Return text without the spaces that Arrow passes over where it reads numbers."""
    return pc.ascii_trim(values, " \t")
