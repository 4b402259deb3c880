"""A fitted value as an ONNX file."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from keras_tied._files import replace_atomically
from keras_tied._version import __version__
from keras_tied.fitted.onnx._graph import OPSET, Graph, element_type, make_namer
from keras_tied.fitted.onnx._parts import PARTS, add_part
from keras_tied.fitted.value import Fitted

DTYPES = ("float32", "float64")
IR_VERSION = 8  # the format of the file, as old as the operators' version


def write_onnx(
    fitted: Fitted,
    path: str | os.PathLike[str],
    part: str,
    dtype: Any = "float32",
    name: str = "TiedAutoencoder",
) -> None:
    """Write a part of a fitted value; see `TiedAutoencoder.export`."""
    target = _check_path(path)
    for what, value, choices in (("part", part, PARTS), ("dtype", dtype, DTYPES)):
        if value not in choices:
            names = ", ".join(map(repr, choices))
            raise ValueError(
                f"{what}={value!r} is none of {names}; choose one of them."
            )
    model = _make_model(fitted, part, np.dtype(dtype), name)
    onnx.checker.check_model(model, full_check=True)
    with replace_atomically(target.resolve()) as beside:
        onnx.save(model, beside)


def _check_path(path: str | os.PathLike[str]) -> Path:
    """The path as given, after a check of it before any work is done."""
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise ValueError(f"path={str(path)!r} must end in '.onnx'.")
    if target.is_dir():
        raise IsADirectoryError(
            errno.EISDIR,
            "this is a folder, and export writes a file; name a file",
            str(path),
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT,
            "there is no such folder to export to; create it first",
            str(path),
        )
    return target


def _make_model(
    fitted: Fitted, part: str, dtype: np.dtype[Any], name: str
) -> onnx.ModelProto:
    start, end = PARTS[part]
    graph = Graph(make_namer(start, end))
    graph.add("Identity", add_part(graph, fitted, part, start, dtype), name=end)

    def describe(tensor: str) -> list[onnx.ValueInfoProto]:
        shape = ["rows", fitted.n_components if tensor == "code" else fitted.n_features]
        return [helper.make_tensor_value_info(tensor, element_type(dtype), shape)]

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"{name}_{part}",
            describe(start),
            describe(end),
            graph.constants,
        ),
        producer_name="keras-tied",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    if fitted.feature_names is not None:
        helper.set_model_props(model, {"features": json.dumps(fitted.feature_names)})
    return model
