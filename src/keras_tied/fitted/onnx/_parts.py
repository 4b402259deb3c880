"""The parts of a fitted value: `transform`, `inverse_transform` and `reconstruct`."""

from typing import Any

import numpy as np

from keras_tied._types import Array
from keras_tied.fitted.compiled_network import CompiledNetwork
from keras_tied.fitted.dense_network import DenseNetwork
from keras_tied.fitted.layout import BOOLEAN, NUMBER
from keras_tied.fitted.link import Link
from keras_tied.fitted.onnx._activations import RULES as ACTIVATIONS
from keras_tied.fitted.onnx._graph import Graph
from keras_tied.fitted.onnx._imputation import add_imputation
from keras_tied.fitted.scaling import split
from keras_tied.fitted.value import Fitted

PARTS = {
    "encoder": ("X", "code"),
    "decoder": ("code", "reconstruction"),
    "reconstruction": ("X", "reconstruction"),
}
"""What goes in and what comes out."""


def add_part(graph: Graph, fitted: Fitted, part: str, tensor: str, dtype: Any) -> str:
    """Add what a part computes of rows or codes, in their dtype and in the same steps."""
    encodes, decodes = part != "decoder", part != "encoder"
    scaled = complete = ""
    if encodes:
        scaled = _scale(graph, fitted, tensor, dtype)
        tensor = complete = add_imputation(graph, fitted.preprocessing, scaled)
    else:
        tensor = _cast(graph, tensor, dtype, np.float32)
    tensor = _add_network(graph, fitted.network, tensor, encodes, decodes)
    if decodes and fitted.link is not None:
        tensor = _apply_link(graph, fitted.link, tensor)
    if encodes and decodes:
        tensor = _fill_in(graph, fitted, scaled, complete, tensor)
    tensor = _cast(graph, tensor, np.float32, dtype)
    if not decodes:
        return tensor
    shift, _, scale = _make_scaling(fitted, dtype)
    tensor = graph.add("Mul", tensor, graph.constant(scale, name="scale"))
    return graph.add("Add", tensor, graph.constant(shift, name="shift"))


def _scale(graph: Graph, fitted: Fitted, rows: str, dtype: Any) -> str:
    """Scaled rows in single precision."""
    shift, rest, scale = _make_scaling(fitted, dtype)
    rows = graph.add("Sub", rows, graph.constant(shift, name="shift"))
    if rest is not None:
        rows = graph.add("Sub", rows, graph.constant(rest, name="rest"))
    rows = graph.add("Div", rows, graph.constant(scale, name="scale"))
    return _cast(graph, rows, dtype, np.float32)


def _fill_in(
    graph: Graph, fitted: Fitted, scaled: str, complete: str, reconstruction: str
) -> str:
    """The reconstruction, with missing values as in `Fitted.reconstruct`."""
    if fitted.imputation_weights is None:
        return reconstruction
    weights = graph.constant(
        fitted.imputation_weights, np.float32, "imputation_weights"
    )
    step = graph.add("Mul", weights, graph.add("Sub", reconstruction, complete))
    filled = graph.add("Add", complete, step)
    return graph.add("Where", graph.add("IsNaN", scaled), filled, reconstruction)


def _apply_link(graph: Graph, link: Link, outputs: str) -> str:
    """The reconstruction, as `Link.apply` makes it."""

    def multiply_add(tensor: str, slopes: Array, intercepts: Array) -> str:
        product = graph.add("Mul", tensor, graph.constant(slopes, np.float32))
        return graph.add("Add", product, graph.constant(intercepts, np.float32))

    (shift, scale), places, parts = link.scaling, np.arange(len(link.costs)), [outputs]
    factors, offsets = (
        (1 - link.mixtures) / scale,
        link.mixtures * link.frequencies - shift,
    )
    for part in link.parts:
        rows = graph.add(
            "Gather", outputs, graph.constant(places[part], np.int64), axis=1
        )
        rows = multiply_add(rows, *(array[part] for array in link.logits))
        is_boolean = link.layout.kinds[part.start] == BOOLEAN
        rows = (
            graph.add("Sigmoid", rows)
            if is_boolean
            else graph.add("Softmax", rows, axis=-1)
        )
        parts.append(multiply_add(rows, factors[part], (offsets / scale)[part]))
    is_class = link.layout.kinds != NUMBER
    places = np.where(is_class, len(places) + np.cumsum(is_class) - 1, places)
    rows = graph.add("Concat", *parts, axis=1)
    return graph.add("Gather", rows, graph.constant(places, np.int64), axis=1)


def _make_scaling(fitted: Fitted, dtype: Any) -> tuple[Array, Array | None, Array]:
    """The shift of `Scaling`, what its rounding leaves over, and the scale."""
    scaling = fitted.preprocessing.scaling
    with np.errstate(over="ignore", under="ignore"):
        shift, rest = split(scaling.shift, dtype)
        scale: Array = scaling.scale.astype(dtype)
    if not (np.isfinite(shift).all() and np.isfinite(scale).all() and scale.all()):
        raise ValueError(
            f"Some columns have numbers too large or too small for {np.dtype(dtype)}:"
            " use dtype='float64'."
        )
    return shift, rest, scale


def _cast(graph: Graph, tensor: str, before: Any, after: Any) -> str:
    return tensor if np.dtype(before) == after else graph.cast(tensor, after)


def _add_network(
    graph: Graph,
    network: DenseNetwork | CompiledNetwork,
    rows: str,
    encodes: bool,
    decodes: bool,
) -> str:
    if isinstance(network, CompiledNetwork):
        from keras_tied.fitted.onnx._keras_model import add_model  # with Keras

        return add_model(graph, network, rows, encodes, decodes)
    if encodes:
        rows = _encode(graph, network, rows)
    return _decode(graph, network, rows) if decodes else rows


def _encode(graph: Graph, network: DenseNetwork, rows: str) -> str:
    last = len(network.kernels) - 1
    for index, (kernel, bias) in enumerate(
        zip(network.kernels, network.biases, strict=True)
    ):
        rows = graph.add("MatMul", rows, graph.constant(kernel, name="kernel"))
        rows = graph.add("Add", rows, graph.constant(bias, name="bias"))
        if index < last:
            rows = _activate(graph, network, rows, len(bias))
    return rows


def _decode(graph: Graph, network: DenseNetwork, rows: str) -> str:
    for index in reversed(range(len(network.kernels))):
        rows = graph.add("Mul", rows, graph.constant(network.gains[index], name="gain"))
        kernel = graph.constant(network.kernels[index], name="kernel")
        rows = graph.add("MatMul", rows, graph.add("Transpose", kernel, perm=[1, 0]))
        bias: Array = network.decoder_biases[index]
        rows = graph.add("Add", rows, graph.constant(bias, name="bias"))
        if index > 0:
            rows = _activate(graph, network, rows, len(bias))
    return rows


def _activate(graph: Graph, network: DenseNetwork, units: str, count: int) -> str:
    linear = graph.constant(np.arange(count) < network.linear_units, name="linear")
    return graph.add(
        "Where", linear, units, ACTIVATIONS[network.activation](graph, units)
    )
