"""The activations of `DenseNetwork` in the operators of ONNX, by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_tied.estimator._onnx._graph import Graph

Rule = Callable[[Graph, str], str]


def _one(op: str, **attributes: Any) -> Rule:
    """The rule for an activation that is one operator."""
    return lambda graph, x: graph.add(op, x, **attributes)


def _clip(low: float, high: float) -> Rule:
    return lambda graph, x: graph.add(
        "Clip", x, graph.constant(low, np.float32), graph.constant(high, np.float32)
    )


def _with(op: str, inner: Rule) -> Rule:
    """The rule for `op(x, inner(x))`."""
    return lambda graph, x: graph.add(op, x, inner(graph, x))


def _gelu(graph: Graph, x: str) -> str:
    share = graph.add("Erf", graph.add("Mul", x, graph.constant(np.sqrt(0.5), np.float32)))
    half = graph.add("Mul", x, graph.constant(0.5, np.float32))
    return graph.add("Mul", half, graph.add("Add", share, graph.constant(1.0, np.float32)))


def _squareplus(graph: Graph, x: str) -> str:
    square = graph.add("Add", graph.add("Mul", x, x), graph.constant(4.0, np.float32))
    total = graph.add("Add", x, graph.add("Sqrt", square))
    return graph.add("Mul", total, graph.constant(0.5, np.float32))


def _sparse_plus(graph: Graph, x: str) -> str:
    one = graph.constant(1.0, np.float32)
    shifted = _clip(0.0, 2.0)(graph, graph.add("Add", x, one))
    bend = graph.add("Mul", graph.add("Mul", shifted, shifted), graph.constant(0.25, np.float32))
    return graph.add("Where", graph.add("Less", x, one), bend, x)


_hard_sigmoid = _one("HardSigmoid", alpha=1 / 6, beta=0.5)

RULES: dict[str, Rule] = {
    "celu": _one("Celu", alpha=1.0),
    "elu": _one("Elu", alpha=1.0),
    "exponential": _one("Exp"),
    "gelu": _gelu,
    "hard_shrink": _one("Shrink", lambd=0.5, bias=0.0),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _with("Mul", _hard_sigmoid),
    "hard_tanh": _clip(-1.0, 1.0),
    "leaky_relu": _one("LeakyRelu", alpha=0.2),
    "linear": lambda graph, x: x,
    "log_sigmoid": lambda graph, x: graph.add("Neg", graph.add("Softplus", graph.add("Neg", x))),
    "log_softmax": _one("LogSoftmax", axis=-1),
    "mish": _with("Mul", lambda graph, x: graph.add("Tanh", graph.add("Softplus", x))),
    "relu": _one("Relu"),
    "relu6": _clip(0.0, 6.0),
    "selu": _one("Selu"),
    "sigmoid": _one("Sigmoid"),
    "silu": _with("Mul", _one("Sigmoid")),
    "soft_shrink": _one("Shrink", lambd=0.5, bias=0.5),
    "softmax": _one("Softmax", axis=-1),
    "softplus": _one("Softplus"),
    "softsign": _one("Softsign"),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _one("HardSigmoid", alpha=0.5, beta=0.5),
    "squareplus": _squareplus,
    "tanh": _one("Tanh"),
    "tanh_shrink": _with("Sub", _one("Tanh")),
}
"""The same as in NumPy: all that Keras has a name for, but `glu`, `sparsemax` and `threshold`."""
