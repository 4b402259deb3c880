"""An ONNX graph while it is being written, whose tensors have NumPy's operators."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partialmethod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tied_tables._layout import CATEGORY, Layout
from tied_tables._types import Array

OPSET = 18  # the version of the operators in a file


class Graph:
    """Nodes, in the order of computation, and constants, each of them once."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.tensors: dict[Any, Tensor] = {}  # those of the constants
        self.numbers = itertools.count()

    def declare(self, kind: str, dtype: Any) -> Tensor:
        """A tensor with a new name."""
        return Tensor(self, f"{kind}_{next(self.numbers)}", np.dtype(dtype))

    def tensor(self, value: Any, dtype: Any) -> Tensor:
        """A tensor as it is; numbers as a constant of this dtype."""
        if isinstance(value, Tensor):
            return value
        array = np.asarray(value, dtype)
        key = array.dtype, array.shape, array.tobytes()
        if key not in self.tensors:
            constant = self.declare("constant", dtype)
            proto = numpy_helper.from_array(array, constant.name)
            self.constants.append(proto)
            self.tensors[key] = constant
        return self.tensors[key]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor; what it is combined with may be numbers, which take its dtype."""

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def apply(
        self, operator: str, *operands: Any, dtype: Any = None, **attributes: Any
    ) -> Tensor:
        """The output of an operator, by default in the same dtype."""
        graph = self.graph
        inputs = [self.name]
        for other in operands:
            tensor = graph.tensor(other, self.dtype)
            inputs.append(tensor.name)
        output = graph.declare(operator.lower(), dtype or self.dtype)
        node = helper.make_node(operator, inputs, [output.name], **attributes)
        graph.nodes.append(node)
        return output

    __add__ = partialmethod(apply, "Add")
    __sub__ = partialmethod(apply, "Sub")
    __mul__ = partialmethod(apply, "Mul")
    __truediv__ = partialmethod(apply, "Div")
    __matmul__ = partialmethod(apply, "MatMul")
    __gt__ = partialmethod(apply, "Greater", dtype=bool)

    is_nan = partialmethod(apply, "IsNaN", dtype=bool)

    def where(self, yes: Any, no: Any) -> Tensor:
        """The one where this is true, the other elsewhere, in the dtype of a tensor."""
        dtype = yes.dtype if isinstance(yes, Tensor) else no.dtype
        yes = self.graph.tensor(yes, dtype)
        no = self.graph.tensor(no, dtype)
        return self.apply("Where", yes, no, dtype=dtype)

    def cast(self, dtype: Any) -> Tensor:
        """The tensor in this dtype."""
        if self.dtype == dtype:
            return self
        return self.apply("Cast", dtype=dtype, to=_element_type(dtype))

    def sum_rows(self) -> Tensor:
        """The sum of each row, `(n, 1)`."""
        axes = self.graph.tensor([1], np.int64)
        return self.apply("ReduceSum", axes, keepdims=1)

    def take(self, columns: Array) -> Tensor:
        """These columns."""
        places = self.graph.tensor(columns, np.int64)
        return self.apply("Gather", places, axis=1)

    def replace_categories(self, layout: Layout, rows: Tensor, operator: str) -> Tensor:
        """The tensor with what an operator makes of each category in other rows."""
        if not layout.categories:
            return self
        parts = []
        for part in layout.categories:
            part_rows = rows.take(np.r_[part])
            parts.append(part_rows.apply(operator, axis=1))
        everything = self.apply("Concat", *parts, axis=1)
        d = len(layout.kinds)
        places = np.arange(d)
        is_category = layout.kinds == CATEGORY
        places[is_category] = d + np.arange(np.count_nonzero(is_category))
        return everything.take(places)

    def describe(self, shape: list[Any] | None = None) -> onnx.ValueInfoProto:
        """What a graph says of the tensor as its input or output."""
        element_type = _element_type(self.dtype)
        return helper.make_tensor_value_info(self.name, element_type, shape)


def _element_type(dtype: Any) -> int:
    """ONNX's number for a dtype of NumPy."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
