"""An ONNX graph while it is being written."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 18  # the version of the operators in a file


class Graph:
    """Nodes and constants, in the order of computation; `unique` makes new names.

    Tensors are known by their names. A constant used twice, such as a tied kernel, is
    stored once.
    """

    def __init__(self, unique: Callable[[str], str]) -> None:
        self.unique = unique
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def inner(self) -> Graph:
        """A graph for the body of a loop, whose constants are stored in this one."""
        body = Graph(self.unique)
        body.constants, body._names = self.constants, self._names
        return body

    def constant(self, value: Any, dtype: Any = None, name: str = "constant") -> str:
        """A tensor that holds these numbers."""
        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._names:
            self._names[key] = self.unique(name)
            self.constants.append(numpy_helper.from_array(array, self._names[key]))
        return self._names[key]

    def add(
        self, op: str, *inputs: str, name: str | None = None, **attributes: Any
    ) -> str:
        """The output of a new node; `name` is that of the output, if it is given."""
        output = self.unique(op.lower()) if name is None else name
        node = helper.make_node(
            op, inputs, [output], name=self.unique(f"{op}_node"), **attributes
        )
        self.nodes.append(node)
        return output

    def cast(self, tensor: str, dtype: Any) -> str:
        """The tensor in another dtype."""
        return self.add("Cast", tensor, to=element_type(dtype))

    def sum(self, tensor: str, axis: int) -> str:
        """The sum along an axis, which stays."""
        return self.add(
            "ReduceSum", tensor, self.constant([axis], np.int64, "axis"), keepdims=1
        )


def element_type(dtype: Any) -> int:
    """ONNX's number for a dtype of NumPy."""
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def make_namer(*names: str) -> Callable[[str], str]:
    """A function that makes names unique by a number; those given are in use."""
    used_names = set(names)

    def unique(name: str) -> str:
        candidates = itertools.chain(
            [name], (f"{name}_{n}" for n in itertools.count(2))
        )
        new = next(candidate for candidate in candidates if candidate not in used_names)
        used_names.add(new)
        return new

    return unique
