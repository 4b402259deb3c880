"""The kernel of any Keras layer, as the matrix that its forward pass multiplies by."""

import re
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_tied import _keras_internals as internals

NAMES = ("kernel", "embeddings", "depthwise_kernel")
"""The attributes that hold a kernel, or the first of its two factors, in Keras's own layers."""

CALIBRATED = ("gptq", "awq")
"""The ways to quantise that look at data first; until then a layer computes as it did."""


def kernel_name(layer: keras.Layer) -> str | None:
    """The attribute that holds the layer's kernel; None also where `build` is to set it."""
    # Asked of the class, as a property of a layer that is not built may not be
    # readable.
    return next(
        (name for name in NAMES if hasattr(type(layer), name) or name in vars(layer)),
        None,
    )


def kernel_variables(layer: keras.Layer, kind: str = "weights") -> list[keras.Variable]:
    """The layer's weights, or another list of its variables, without its bias."""
    bias = getattr(layer, "bias", None)
    return [variable for variable in getattr(layer, kind) if variable is not bias]


def kernel_of(layer: keras.Layer) -> Any:
    """The kernel that the layer computes with, adapters merged and quantisation undone."""
    name = kernel_name(layer)
    if name is None:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) has no kernel to tie to;"
            " tie to a layer that has one, such as Dense or Embedding, and build it"
            " first."
        )
    stored = getattr(layer, name)
    if name == "depthwise_kernel":
        return _multiply_factors(layer)
    mode = getattr(layer, "quantization_mode", None)
    if mode is None:
        return stored
    if mode == "float8":
        return _round_to_float8(layer, stored)
    if mode in CALIBRATED:
        if _is_calibrated(layer):
            return _undo_calibration(layer, stored)
        kernel = internals.dequantized_kernel(layer)
        return stored if kernel is None else kernel
    if mode not in ("int8", "int4"):
        raise ValueError(
            f"Layer '{layer.name}' was quantized as '{mode}', whose kernel a tied layer"
            " cannot read; quantize it as 'int8', 'int4', 'float8', 'gptq' or 'awq',"
            " or leave it out with `filters`."
        )
    adapter = _adapter(layer, name)
    stored = ops.cast(stored, layer.compute_dtype)
    if adapter is None:
        return _dequantize(layer, name, stored)
    # Keras adds the adapter to the integers here, but to the dequantized kernel when it
    # computes.
    return ops.add(_dequantize(layer, name, ops.subtract(stored, adapter)), adapter)


def kernel_shape(layer: keras.Layer) -> tuple[int, ...] | None:
    """The shape of the kernel that a built layer computes with; None if it has none."""
    name = kernel_name(layer)
    if name is None:
        return None
    shape = tuple(getattr(layer, name).shape)
    if name == "depthwise_kernel":
        return (*shape[:-1], layer.pointwise_kernel.shape[-1])
    if not _is_calibrated(layer):
        return shape
    return tuple(getattr(layer, "original_kernel_shape", shape[::-1]))


def _multiply_factors(layer: Any) -> Any:
    """The kernel of the plain convolution that a separable one amounts to."""
    depthwise = layer.depthwise_kernel  # (taps..., channels, multiplier)
    pointwise = ops.reshape(layer.pointwise_kernel, (*depthwise.shape[-2:], -1))
    return ops.einsum("...im,imo->...io", depthwise, pointwise)


def _is_calibrated(layer: keras.Layer) -> bool:
    """Whether the kernel is in the form that GPTQ or AWQ leave behind: a matrix, transposed."""
    mode = getattr(layer, "quantization_mode", None)
    return mode in CALIBRATED and bool(getattr(layer, f"is_{mode}_calibrated", False))


def _undo_calibration(layer: Any, stored: Any) -> Any:
    """`(stored - zero) * scale`, transposed, less the factors that AWQ gives the inputs."""
    groups = ops.cast(layer.g_idx, "int32")
    scale, zero = (
        ops.cast(ops.take(grouped, groups, axis=-1), layer.compute_dtype)
        for grouped in (layer.kernel_scale, layer.kernel_zero)
    )
    stored = ops.cast(stored, layer.compute_dtype)
    matrix = ops.transpose(ops.multiply(ops.subtract(stored, zero), scale))
    if layer.quantization_mode == "awq":
        factors = ops.cast(layer.awq_scales, layer.compute_dtype)
        matrix = ops.divide(matrix, ops.expand_dims(factors, -1))
    return ops.reshape(matrix, kernel_shape(layer))


def _round_to_float8(layer: Any, stored: Any) -> Any:
    """The kernel in the steps of float8; the gradient passes as if it were not rounded."""
    stored = ops.cast(stored, layer.compute_dtype)
    rounded = keras.quantizers.quantize_and_dequantize(
        stored, layer.kernel_scale, "float8_e4m3fn", layer.compute_dtype
    )
    return ops.add(stored, ops.stop_gradient(ops.subtract(rounded, stored)))


def _adapter(layer: keras.Layer, name: str) -> Any:
    """The low-rank update of a layer on which `enable_lora` was called, else None."""
    if not getattr(layer, "lora_enabled", False):
        return None
    update = ops.matmul(
        getattr(layer, f"lora_{name}_a"), getattr(layer, f"lora_{name}_b")
    )
    return ops.cast(
        ops.multiply(update, layer.lora_alpha / layer.lora_rank), layer.compute_dtype
    )


def _dequantize(layer: keras.Layer, name: str, stored: Any) -> Any:
    """`stored / scale`, or `(stored - zero) * scale` where rows share scales in groups."""
    scale = ops.cast(getattr(layer, f"{name}_scale"), layer.compute_dtype)
    if (
        isinstance(layer, keras.layers.EinsumDense)
        and layer.quantization_mode == "int8"
    ):
        return ops.divide(stored, _along_kernel(scale, layer.equation, stored.shape))
    # In four bits, the kernel of an EinsumDense is a matrix with a column for each
    # scale.
    shape = stored.shape
    stored = ops.reshape(stored, (-1, scale.shape[-1])) if name == "kernel" else stored
    zero = getattr(layer, f"{name}_zero", None)
    # A Dense has one scale a column, grouped along the rows; an Embedding the other way
    # round.
    group_axis = 0 if name == "kernel" else -1
    if zero is None:
        return ops.reshape(
            ops.divide(stored, ops.expand_dims(scale, group_axis)), shape
        )
    groups = ops.cast(layer.g_idx, "int32")
    zero = ops.cast(ops.take(zero, groups, axis=group_axis), layer.compute_dtype)
    scale = ops.take(scale, groups, axis=group_axis)
    return ops.reshape(ops.multiply(ops.subtract(stored, zero), scale), shape)


def _along_kernel(scale: Any, equation: str, kernel_shape: Sequence[int]) -> Any:
    """An EinsumDense's scales, which lie as its outputs do, as they belong to its kernel."""
    _, kernel, outputs = re.split(",|->", equation)
    sizes = dict(zip(kernel, kernel_shape, strict=True))
    scaled = [letter for letter in outputs if letter in sizes]
    scale = ops.reshape(scale, [sizes[letter] for letter in scaled])
    scale = ops.transpose(
        scale, [scaled.index(letter) for letter in kernel if letter in scaled]
    )
    return ops.reshape(
        scale, [size if axis in scaled else 1 for axis, size in sizes.items()]
    )
