"""Fitted estimators as ONNX files."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        'Writing ONNX needs the package onnx; run pip install "tied-tables[onnx]".'
    ) from error

from tied_tables.model.onnx._file import write_onnx

__all__ = ["write_onnx"]
