"""Keras's layers in the operators of ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import activations, layers, ops

from keras_tied.fitted.onnx._activations import RULES as ACTIVATIONS
from keras_tied.fitted.onnx._graph import Graph
from keras_tied.layers import MaskingNoise, PartlyLinear, SaltAndPepperNoise, TiedDense
from keras_tied.layers.kernel import kernel_of

Shape = tuple[int | None, ...]
Rule = Callable[[Any, Graph, str, Shape], str]


def find_unsupported(layer: Any) -> str | None:
    """The reason why no rule here writes a layer; None if one does."""
    layer_name = f"the layer '{layer.name}' ({type(layer).__name__}"
    if type(layer) not in RULES:
        return f"{layer_name})"
    if _name(getattr(layer, "activation", activations.linear)) is None:
        return f"{layer_name} with the activation {layer.activation!r})"
    if layer.quantization_mode or layer.compute_dtype != "float32":
        return (
            f"{layer_name} computing in"
            f" {layer.quantization_mode or layer.compute_dtype})"
        )
    return None


def add_layers(path: Sequence[Any], graph: Graph, tensor: str, shape: Shape) -> str:
    """Add layers that have a rule, one after the other, to a tensor of this shape."""
    for layer in path:
        tensor = RULES[type(layer)](layer, graph, tensor, shape)
        shape = layer.compute_output_shape(shape)
    return tensor


def _dense(layer: Any, graph: Graph, x: str, shape: Shape) -> str:
    kernel = graph.constant(_to_float32(kernel_of(layer)), name=f"{layer.name}_kernel")
    return _finish(layer, graph, graph.add("MatMul", x, kernel))


def _tied_dense(layer: Any, graph: Graph, x: str, shape: Shape) -> str:
    kernel = graph.constant(
        _to_float32(layer.tied_kernel()), name=f"{layer.tied_to.name}_kernel"
    )
    if layer.transpose:
        scaled = _scale(layer, graph, x)
        output = graph.add(
            "MatMul", scaled, graph.add("Transpose", kernel, perm=[1, 0])
        )
    else:
        output = _scale(layer, graph, graph.add("MatMul", x, kernel))
    return _finish(layer, graph, output)


def _scale(layer: Any, graph: Graph, x: str) -> str:
    if layer.gain is None:
        return x
    return graph.add(
        "Mul", x, graph.constant(_to_float32(layer.gain), name=f"{layer.name}_gain")
    )


def _name(activation: Any) -> str | None:
    """The name of an activation of Keras's that has a rule."""
    name = getattr(activation, "__name__", None)
    is_known = name in ACTIVATIONS and activation is getattr(activations, name)
    return name if is_known else None


def _activate(activation: Any, graph: Graph, x: str) -> str:
    name = _name(activation)
    assert name is not None  # `find_unsupported` has checked it
    return ACTIVATIONS[name](graph, x)


def _finish(layer: Any, graph: Graph, x: str) -> str:
    """Bias and activation."""
    if layer.bias is not None:
        bias = graph.constant(_to_float32(layer.bias), name=f"{layer.name}_bias")
        x = graph.add("Add", x, bias)
    return _activate(layer.activation, graph, x)


def _partly_linear(layer: Any, graph: Graph, x: str, shape: Shape) -> str:
    units = shape[-1]
    assert units is not None  # the layer was built
    passes = graph.constant(np.arange(units) < layer.linear_units, name="passes")
    return graph.add("Where", passes, x, _activate(layer.activation, graph, x))


def _flatten(layer: Any, graph: Graph, x: str, shape: Shape) -> str:
    if layer.data_format == "channels_first":
        x = graph.add("Transpose", x, perm=[0, *range(2, len(shape)), 1])
    return graph.add("Flatten", x, axis=1)


def add_reshape(graph: Graph, x: str, shape: Sequence[int | None]) -> str:
    """The rows of a tensor in another shape."""
    return graph.add("Reshape", x, graph.constant([-1, *shape], np.int64, "shape"))


def _to_float32(variable: Any) -> Any:
    return ops.convert_to_numpy(ops.convert_to_tensor(variable)).astype(np.float32)


ONLY_IN_TRAINING = (
    *(
        layers.Dropout,
        layers.SpatialDropout1D,
        layers.SpatialDropout2D,
        layers.SpatialDropout3D,
    ),
    *(layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise),
    *(layers.ActivityRegularization, layers.Identity, MaskingNoise, SaltAndPepperNoise),
)
RULES: dict[type, Rule] = dict.fromkeys(
    ONLY_IN_TRAINING, lambda layer, graph, x, shape: x
) | {
    layers.Dense: _dense,
    TiedDense: _tied_dense,
    PartlyLinear: _partly_linear,
    layers.Flatten: _flatten,
    layers.Activation: lambda layer, graph, x, shape: _activate(
        layer.activation, graph, x
    ),
    layers.Reshape: lambda layer, graph, x, shape: add_reshape(
        graph, x, layer.compute_output_shape(shape)[1:]
    ),
}
"""For each class, a function of a layer, a graph, the input and its shape."""
