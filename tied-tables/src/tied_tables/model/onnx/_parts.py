"""The parts of a fitted value: `transform`, `inverse_transform` and `reconstruct`."""

from typing import Any

import numpy as np

from tied_tables._layout import NUMBER
from tied_tables._types import Array
from tied_tables.model.dense_network import DenseNetwork
from tied_tables.model.link import Link
from tied_tables.model.onnx._graph import Tensor
from tied_tables.model.onnx._imputation import add_imputation
from tied_tables.model.value import TableModel

PARTS = {
    "encoder": ("X", "code"),
    "decoder": ("code", "reconstruction"),
    "reconstruction": ("X", "reconstruction"),
}
"""What goes in and what comes out."""


def add_part(
    fitted: TableModel, network: DenseNetwork, part: str, tensor: Tensor
) -> Tensor:
    """Add what a part computes of rows or codes, in their dtype."""
    dtype = tensor.dtype
    shift, scale = fitted.preprocessing.scaling
    _require_range(shift, scale, dtype)
    if part == "decoder":
        code = tensor.cast(np.float32)
        reconstruction = _decode(network, fitted.link, code)
        return reconstruction.cast(dtype) * scale + shift
    shifted = tensor.cast(np.float64) - shift
    scaled = (shifted / scale).cast(np.float32)
    complete = add_imputation(fitted.preprocessing, scaled)
    code = _encode(network, complete)
    if part == "encoder":
        return code.cast(dtype)
    reconstruction = _decode(network, fitted.link, code)
    weights = fitted.imputation_weights
    if weights is not None:
        filled = complete + (reconstruction - complete) * weights
        reconstruction = scaled.is_nan().where(filled, reconstruction)
    return reconstruction.cast(dtype) * scale + shift


def _require_range(shift: Array, scale: Array, dtype: np.dtype[Any]) -> None:
    """Refuse numbers that rows and codes of a dtype cannot hold."""
    limits = np.finfo(dtype)
    largest = np.maximum(np.abs(shift), scale)
    if largest.max() > limits.max or scale.min() < limits.tiny:
        raise ValueError(
            f"Some columns have numbers too large or too small for {dtype}: use"
            " dtype='float64'."
        )


def _encode(network: DenseNetwork, rows: Tensor) -> Tensor:
    units = rows
    for layer, kernel in enumerate(network.kernels):
        if layer > 0:
            units = _activate(network, units, len(kernel))
        units = units @ kernel + network.biases[layer]
    return units


def _decode(network: DenseNetwork, link: Link | None, code: Tensor) -> Tensor:
    units = code
    for layer in reversed(range(len(network.kernels))):
        kernel = code.graph.tensor(network.kernels[layer], code.dtype)
        transposed = kernel.apply("Transpose", perm=[1, 0])
        bias = network.decoder_biases[layer]
        units = (units * network.gains[layer]) @ transposed + bias
        if layer > 0:
            units = _activate(network, units, len(bias))
    return units if link is None else _apply_link(link, units)


def _activate(network: DenseNetwork, units: Tensor, n_units: int) -> Tensor:
    """The units of a hidden layer, of which the linear ones stay as they are."""
    skips = np.arange(n_units) < network.linear_units
    is_linear = units.graph.tensor(skips, bool)
    name = network.activation
    if name == "silu":
        values = units * units.apply("Sigmoid")
    else:  # ONNX has an operator of this name
        values = units.apply(name.capitalize())
    return is_linear.where(units, values)


def _apply_link(link: Link, outputs: Tensor) -> Tensor:
    """The reconstruction, as `Link.apply` makes it."""
    shift, scale = link.scaling
    slopes, intercepts = link.logits
    logits = outputs * slopes + intercepts
    odds = logits.apply("Sigmoid")
    shares = odds.replace_categories(link.layout, logits, "Softmax")
    probabilities = shares * (1 - link.mixtures) + link.mixtures * link.frequencies
    is_number = outputs.graph.tensor(link.layout.kinds == NUMBER, bool)
    return is_number.where(outputs, (probabilities - shift) / scale)
