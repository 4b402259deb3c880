"""Fitted estimators as ONNX: as a file, or in a scikit-learn pipeline that skl2onnx converts."""

try:
    import onnx as _onnx  # noqa: F401
except ImportError as error:
    raise ImportError(
        'Writing ONNX needs the package onnx; run pip install "keras-tied[onnx]".'
    ) from error

from keras_tied.estimator._onnx._file import write_onnx
from keras_tied.estimator._onnx._skl2onnx import convert, parser, set_shapes

__all__ = ["convert", "parser", "set_shapes", "write_onnx"]
