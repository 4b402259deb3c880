"""A fitted value as an ONNX file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from tied_tables._files import replace_atomically
from tied_tables._types import StrPath
from tied_tables._version import __version__
from tied_tables.model.onnx._graph import OPSET, Graph, Tensor
from tied_tables.model.onnx._parts import PARTS, add_part
from tied_tables.model.value import TableModel

DTYPE_NAMES = ("float32", "float64")
IR_VERSION = 8  # the format of the file, as old as the operators' version


def write_onnx(
    fitted: TableModel,
    path: StrPath,
    part: str,
    dtype: Any = "float32",
) -> None:
    """Write a part of a fitted value; see `TiedAutoencoder.export`."""
    target, network = Path(path), fitted.network
    if target.suffix.lower() != ".onnx":
        raise ValueError(f"path={str(path)!r} must end in '.onnx'.")
    for what, value, choices in (("part", part, PARTS), ("dtype", dtype, DTYPE_NAMES)):
        if value not in choices:
            names = ", ".join(map(repr, choices))
            raise ValueError(f"{what}={value!r} must be one of {names}.")
    graph = Graph()
    start, end = (Tensor(graph, name, np.dtype(dtype)) for name in PARTS[part])
    result = add_part(fitted, network, part, start)
    last = helper.make_node("Identity", [result.name], [end.name])
    graph.nodes.append(last)
    ends = []
    for tensor in (start, end):
        is_code = tensor.name == "code"
        width = fitted.n_components if is_code else fitted.n_features
        ends.append([tensor.describe(["rows", width])])
    title = f"TiedAutoencoder_{part}"
    model = helper.make_model(
        helper.make_graph(graph.nodes, title, *ends, graph.constants),
        producer_name="tied-tables",
        producer_version=__version__,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    if fitted.feature_names is not None:
        names = json.dumps(fitted.feature_names)
        helper.set_model_props(model, {"features": names})
    onnx.checker.check_model(model, full_check=True)
    with replace_atomically(target) as beside:
        onnx.save(model, beside)
