"""The functions with which skl2onnx converts an estimator in a pipeline, as a transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from keras_tied.estimator._onnx._graph import OLDEST_OPSET, Graph
from keras_tied.estimator._onnx._parts import add_part

if TYPE_CHECKING:
    from keras_tied import TiedAutoencoder


def parser(estimator: TiedAutoencoder) -> Any:
    """The parser of the outputs: codes alone, although the estimator is an outlier detector too.

    skl2onnx calls it before the conversion. It also registers the converter, since the converter of
    `GridSearchCV` uses the registered ones, not those of the estimator.
    """
    from skl2onnx import update_registered_converter

    kind = type(estimator)
    update_registered_converter(kind, f"KerasTied{kind.__name__}", set_shapes, convert)
    return lambda scope=None, inputs=None: ["code"]


def set_shapes(operator: Any) -> None:
    """Set the type of the codes: double for double inputs, else float."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if _double(operator.inputs) else FloatTensorType
    rows = operator.inputs[0].type.shape[0]
    operator.outputs[0].set_type(kind([rows, operator.raw_operator.n_components_]))


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the operators of `transform`."""
    estimator: TiedAutoencoder = operator.raw_operator
    if container.target_opset < OLDEST_OPSET:
        raise ValueError(
            f"{type(estimator).__name__} was to be converted for target_opset="
            f"{container.target_opset}, and needs {OLDEST_OPSET} at least; choose that or a later "
            "one."
        )
    graph = Graph(scope.get_unique_variable_name, container.target_opset)
    single = all(_element(variable) == "float" for variable in operator.inputs)
    dtype = np.float32 if single else np.float64  # as `transform` does with whole numbers
    table = _table(graph, operator.inputs, dtype)
    codes = add_part(graph, estimator._fitted, "encoder", table, dtype)
    if not single and not _double(operator.inputs):
        codes = graph.cast(codes, np.float32)
    graph.add("Identity", codes, name=operator.outputs[0].full_name)
    for constant in graph.constants:
        container.add_initializer(constant.name, constant.data_type, constant.dims, constant)
    for node in graph.nodes:
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        names = list(node.input), list(node.output)
        container.add_node(node.op_type, *names, node.domain, name=node.name, **attributes)


def _table(graph: Graph, inputs: Sequence[Any], dtype: Any) -> str:
    """The inputs as one, of one dtype."""
    element = "float" if dtype == np.float32 else "double"
    columns = [
        each.full_name if _element(each) == element else graph.cast(each.full_name, dtype)
        for each in inputs
    ]
    return columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)


def _double(inputs: Sequence[Any]) -> bool:
    return any(_element(variable) == "double" for variable in inputs)


def _element(variable: Any) -> str:
    """The element type of a variable of skl2onnx: "double", "float" or "other"."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kinds = {DoubleTensorType: "double", FloatTensorType: "float"}
    return next((name for kind, name in kinds.items() if isinstance(variable.type, kind)), "other")
