"""Modules that the commands import when they first use them: ``--help`` is fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "Array",
    "comparison",
    "drawing",
    "np",
    "pa",
    "pipeline",
    "plotting",
    "report",
    "table_columns",
    "tables",
]

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from keras_tied import columns as table_columns
    from keras_tied import comparison, drawing, plotting, report, tables
    from keras_tied import rows as pipeline
    from keras_tied._types import Array
else:

    class _Module:
        """A module that is imported when something of it is first used."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self._name), name)

    np, pa, pipeline = map(_Module, ("numpy", "pyarrow", "keras_tied.rows"))
    table_columns = _Module("keras_tied.columns")
    comparison, drawing, plotting, report, tables = (
        _Module(f"keras_tied.{name}")
        for name in ("comparison", "drawing", "plotting", "report", "tables")
    )
    Array = object  # stands in annotations only
