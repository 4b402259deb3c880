"""Fitted estimators as ONNX files."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        'Writing ONNX needs the package onnx; run pip install "keras-tied[onnx]".'
    ) from error

from keras_tied.fitted.onnx._file import write_onnx

__all__ = ["write_onnx"]
