"""The activations of `DenseNetwork` in the operators of ONNX, by name."""

from collections.abc import Callable

import numpy as np

from keras_tied.fitted.onnx._graph import Graph

Rule = Callable[[Graph, str], str]


def _use(operator: str) -> Rule:
    """The rule for an activation that is one operator."""
    return lambda graph, x: graph.add(operator, x)


def _gelu(graph: Graph, x: str) -> str:
    root = graph.constant(np.sqrt(0.5), np.float32)
    error = graph.add("Erf", graph.add("Mul", x, root))
    share = graph.add("Add", error, graph.constant(1.0, np.float32))
    half = graph.add("Mul", x, graph.constant(0.5, np.float32))
    return graph.add("Mul", half, share)


RULES: dict[str, Rule] = {
    "elu": _use("Elu"),
    "gelu": _gelu,
    "linear": lambda graph, x: x,
    "relu": _use("Relu"),
    "selu": _use("Selu"),
    "sigmoid": _use("Sigmoid"),
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "softplus": _use("Softplus"),
    "tanh": _use("Tanh"),
}
"""Those of `_fitted.activations`, and none, as layers of Keras have it."""
