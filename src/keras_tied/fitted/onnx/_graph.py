"""An ONNX graph while it is being written, whose tensors have NumPy's operators."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from keras_tied._types import Array

OPSET = 18  # the version of the operators in a file


@dataclass
class Graph:
    """Nodes, in the order of computation, and constants, each of them once."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[Any, onnx.TensorProto] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def make_name(self, kind: str) -> str:
        """A name that no other tensor has."""
        return f"{kind}_{next(self.numbers)}"

    def tensor(self, value: Any, dtype: Any) -> Tensor:
        """A tensor as it is; numbers as a constant of this dtype."""
        if isinstance(value, Tensor):
            return value
        array = np.asarray(value, dtype)
        key = array.dtype, array.shape, array.tobytes()
        constant = self.constants.get(key)
        if constant is None:
            name = self.make_name("constant")
            constant = numpy_helper.from_array(array, name)
            self.constants[key] = constant
        return Tensor(self, constant.name, array.dtype)


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor; what it is combined with may be numbers, which take its dtype."""

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def apply(
        self, operator: str, *others: Any, dtype: Any = None, **attributes: Any
    ) -> Tensor:
        """The output of an operator, by default in the same dtype."""
        graph = self.graph
        inputs = [self.name]
        for other in others:
            tensor = graph.tensor(other, self.dtype)
            inputs.append(tensor.name)
        output = graph.make_name(operator.lower())
        node = helper.make_node(operator, inputs, [output], **attributes)
        graph.nodes.append(node)
        return Tensor(graph, output, np.dtype(dtype or self.dtype))

    def __add__(self, other: Any) -> Tensor:
        return self.apply("Add", other)

    def __sub__(self, other: Any) -> Tensor:
        return self.apply("Sub", other)

    def __mul__(self, other: Any) -> Tensor:
        return self.apply("Mul", other)

    def __truediv__(self, other: Any) -> Tensor:
        return self.apply("Div", other)

    def __matmul__(self, other: Any) -> Tensor:
        return self.apply("MatMul", other)

    def __gt__(self, other: Any) -> Tensor:
        return self.apply("Greater", other, dtype=bool)

    def is_nan(self) -> Tensor:
        """Where numbers are missing."""
        return self.apply("IsNaN", dtype=bool)

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

    def replace_columns(self, mask: Array, parts: list[Tensor]) -> Tensor:
        """The tensor with other columns in place of those of a mask, `(d,)`."""
        if not parts:
            return self
        rows = self.apply("Concat", *parts, axis=1)
        d = len(mask)
        places = np.arange(d)
        places[mask] = d + np.arange(np.count_nonzero(mask))
        return rows.take(places)

    def describe(self, shape: list[Any] | None = None) -> onnx.ValueInfoProto:
        """What a graph says of the tensor as its input or output."""
        element_type = _element_type(self.dtype)
        return helper.make_tensor_value_info(self.name, element_type, shape)


def _element_type(dtype: Any) -> int:
    """ONNX's number for a dtype of NumPy."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
