"""The kernel of any Keras layer, as the matrix that its forward pass multiplies by."""

from typing import Any

import keras
from keras import Layer, Variable, ops

from keras_tied import _keras_internals as internals

NAMES = ("kernel", "embeddings", "depthwise_kernel")
"""The attributes of Keras's layers that hold a kernel, or the first of its factors."""


def kernel_name(layer: Layer) -> str | None:
    """The attribute that holds the kernel; None also where `build` is to set it."""
    for name in NAMES:
        # Of the class, as a property may not be readable before the layer is built.
        if hasattr(type(layer), name) or name in vars(layer):
            return name
    return None


def kernel_variables(layer: Layer, kind: str = "weights") -> list[Variable]:
    """The layer's weights, or another list of its variables, without its bias."""
    bias = getattr(layer, "bias", None)
    return [variable for variable in getattr(layer, kind) if variable is not bias]


def kernel_of(layer: Layer) -> Any:
    """The kernel that the layer computes with: adapters merged, dequantised."""
    name = kernel_name(layer)
    if name is None:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) has no kernel to tie to;"
            " tie to a layer that has one, such as Dense or Embedding, and build it"
            " first."
        )
    if name == "depthwise_kernel":
        return _multiply_factors(layer)
    values = getattr(layer, name)
    mode = getattr(layer, "quantization_mode", None)
    if mode is None:
        return values
    if mode in ("int8", "int4"):
        return _undo_integers(layer, name, values)
    raise ValueError(
        f"Layer '{layer.name}' was quantized as '{mode}', whose kernel a tied layer"
        " cannot read; quantize it as 'int8' or 'int4', or leave it out with `filters`."
    )


def kernel_shape(layer: Layer) -> tuple[int, ...] | None:
    """The shape of the kernel that a built layer computes with; None if it has none."""
    name = kernel_name(layer)
    if name is None:
        return None
    shape = tuple(getattr(layer, name).shape)
    if name == "depthwise_kernel":
        return (*shape[:-1], layer.pointwise_kernel.shape[-1])
    return shape


def _multiply_factors(layer: Any) -> Any:
    """The kernel of the plain convolution that a separable one amounts to."""
    depthwise = layer.depthwise_kernel  # (taps..., channels, multiplier)
    pointwise = ops.reshape(layer.pointwise_kernel, (*depthwise.shape[-2:], -1))
    return ops.einsum("...im,imo->...io", depthwise, pointwise)


def _undo_integers(layer: Any, name: str, values: Any) -> Any:
    values = ops.cast(values, layer.compute_dtype)
    if not getattr(layer, "lora_enabled", False):
        return _dequantize(layer, name, values)
    # Keras adds the adapter to the integers here, but to the dequantized kernel when it
    # computes.
    down, up = getattr(layer, f"lora_{name}_a"), getattr(layer, f"lora_{name}_b")
    adapter = ops.matmul(down, up) * (layer.lora_alpha / layer.lora_rank)
    adapter = ops.cast(adapter, layer.compute_dtype)
    return ops.add(_dequantize(layer, name, ops.subtract(values, adapter)), adapter)


def _dequantize(layer: Any, name: str, values: Any) -> Any:
    """`values / scale`, or the groups undone where lines share scales."""
    shape = values.shape
    scale = getattr(layer, f"{name}_scale")
    is_einsum = isinstance(layer, keras.layers.EinsumDense)
    if is_einsum and layer.quantization_mode == "int8":
        return ops.divide(values, internals.lay_scale_along_kernel(layer))
    # A Dense has one scale a column, grouped along the rows; an Embedding the other way
    # round.
    axis = -1
    if name == "kernel":
        axis = 0
        # In four bits, the kernel of an EinsumDense is a matrix with a column for each
        # scale.
        values = ops.reshape(values, (-1, scale.shape[-1]))
    zero = getattr(layer, f"{name}_zero", None)
    if zero is None:
        kernel = ops.divide(values, ops.expand_dims(scale, axis))
    else:
        kernel = internals.undo_groups(values, scale, zero, layer.g_idx, axis)
    return ops.reshape(kernel, shape)
