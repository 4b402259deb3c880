"""The rules of `mirror`, one for each class of layers.

The documentation has the first line of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import Layer, layers

from keras_tied._keras_internals import producer
from keras_tied._types import Shape
from keras_tied.layers import (
    BatchTopK,
    JumpReLU,
    KSparse,
    MaskingNoise,
    PartlyLinear,
    SaltAndPepperNoise,
    tie,
)
from keras_tied.layers.tied_conv import CONVOLUTIONS

AUGMENTATION = [name for name in dir(layers) if name.startswith("Random")]
AUGMENTATION.remove("RandomCrop")


@dataclass(frozen=True)
class LayerContext:
    """The facts about an encoder layer that a rule gets besides the layer itself."""

    input_shape: Shape  # of the encoder layer, without batch; its mirror gives it
    output_shape: Shape  # likewise; its mirror takes it in
    name: str  # a name for the mirror layer, made from the encoder layer's
    gain: bool = True  # whether tied layers are to have a gain
    activation: Any = None  # of a tied layer: what stood before its encoder layer


Rule = Callable[[Any, LayerContext], "layers.Layer | Sequence[layers.Layer]"]


@dataclass(frozen=True)
class Entry:
    rule: Rule
    kernel: bool


RULES: dict[type, Entry] = {}


def register(*classes: type, kernel: bool = False) -> Callable[[Rule], Rule]:
    """Add a rule for layer classes and their subclasses to `mirror`, or replace one.

    It decorates the rule: a function of the encoder layer and a `LayerContext` that
    returns the layer that reverses it, or several, to be applied in turn (an empty
    list: none).

    Args:
        *classes: layer classes that the rule is for.
        kernel: whether these have a kernel that the mirror shares, so that the layer
            that the rule returns has to apply `context.activation`, and an `activation`
            of the encoder layer is applied after the mirror of the layer behind it.
            Defaults to `False`.

    Examples:
        >>> import keras
        >>> from keras_tied import mirror
        >>> class Double(keras.Layer):
        ...     def call(self, inputs):
        ...         return 2 * inputs
        >>> @mirror.register(Double)
        ... def halve(layer, context):
        ...     return keras.layers.Rescaling(0.5, name=context.name)
    """

    def decorate(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(classes, Entry(rule, kernel)))
        return rule

    return decorate


def entry_for(operation: Any) -> Entry | None:
    for kind in type(operation).__mro__:
        if kind in RULES:
            return RULES[kind]
    return None


def make_reverse(layer: Any, context: LayerContext) -> list[Layer]:
    """The layers that the rule for a layer returns."""
    entry: Any = entry_for(layer)  # without one, the encoder is refused before
    reverse = entry.rule(layer, context)
    return [reverse] if isinstance(reverse, Layer) else list(reverse)


def of_each_rank(*names: str) -> list[type]:
    """Keras's layers of these names with 1D, 2D and 3D appended."""
    classes = []
    for name in names:
        classes += [getattr(layers, f"{name}{rank}D") for rank in (1, 2, 3)]
    return classes


@register(layers.Dense, layers.EinsumDense, *CONVOLUTIONS, kernel=True)
def mirror_kernel(layer: Any, context: LayerContext) -> Layer:
    """The tied layer, its kernel transposed, then the activation that stood before."""
    return _tie(layer, context, use_bias=layer.bias is not None)


@register(layers.Embedding, kernel=True)
def mirror_embedding(layer: Any, context: LayerContext) -> Layer:
    """The logits of each token: embeddings transposed; a ReversibleEmbedding's own."""
    reverse_dtype = getattr(layer, "reverse_dtype", None)  # of a ReversibleEmbedding
    return _tie(layer, context, dtype=reverse_dtype or layer.dtype_policy)


def _tie(
    layer: Any,
    context: LayerContext,
    **settings: Any,
) -> Layer:
    settings = _get_settings(layer, context) | settings
    return tie(
        layer,
        gain=context.gain,
        activation=context.activation,
        **settings,
    )


@register(
    *(layers.Activation, layers.ReLU, layers.LeakyReLU),
    *(layers.PReLU, layers.ELU, layers.Softmax, PartlyLinear),
)
def repeat(layer: Any, context: LayerContext) -> list[Layer]:
    """The same activation, if it stands between two layers with a kernel."""
    # `mirror` applies it, as it does those that are part of a layer with a kernel.
    return []


# The operation behind `x + y` is not a layer, and its class is not public.
_tensor = keras.KerasTensor((1,))
ADDITION = type(producer(_tensor + _tensor)[0])


@register(layers.Add, ADDITION)
def mirror_branches(layer: Any, context: LayerContext) -> list[Layer]:
    """Each branch reversed; where they began, what comes out of them is added."""
    return []  # `mirror` gives the sum to every branch


@register(layers.Concatenate)
def split_branches(layer: Any, context: LayerContext) -> list[Layer]:
    """Each branch reversed, from its own part; where they began, all are added."""
    return []  # `mirror` splits the tensor


@register(layers.Flatten, layers.Reshape)
def undo_reshape(layer: Any, context: LayerContext) -> list[Layer]:
    """A Reshape to what the layer took in."""
    if context.input_shape.count(None) > 1:
        raise ValueError(
            f"mirror cannot undo layer '{layer.name}' ({type(layer).__name__}), which"
            f" takes in {context.input_shape}: at most one axis can be of unknown"
            " length; build the encoder with an Input that gives the others."
        )
    lengths = [-1 if length is None else length for length in context.input_shape]
    is_flatten = isinstance(layer, layers.Flatten)
    if is_flatten and _channels_first(layer) and len(lengths) > 1:
        # The encoder layer moved the channels last before it flattened.
        first, *rest = lengths
        last = len(lengths)
        order = (last, *range(1, last))
        reshape_settings = _get_settings(layer, context, "_reshape")
        turn = layers.Permute(order, **_get_settings(layer, context))
        return [layers.Reshape((*rest, first), **reshape_settings), turn]
    return [layers.Reshape(tuple(lengths), **_get_settings(layer, context))]


@register(layers.Permute)
def undo_permute(layer: Any, context: LayerContext) -> Layer:
    """The inverse Permute."""
    order = np.argsort(layer.dims) + 1
    settings = _get_settings(layer, context)
    return layers.Permute(tuple(order.tolist()), **settings)


@register(*of_each_rank("ZeroPadding"))
def undo_padding(layer: Any, context: LayerContext) -> list[Layer]:
    """A Cropping of the same widths."""
    return _make_layers("Cropping", layer.padding, layer, context)


@register(*of_each_rank("Cropping"))
def undo_cropping(layer: Any, context: LayerContext) -> list[Layer]:
    """A ZeroPadding of the same widths."""
    return _make_layers("ZeroPadding", layer.cropping, layer, context)


@register(*of_each_rank("UpSampling"))
def undo_upsampling(layer: Any, context: LayerContext) -> list[Layer]:
    """An AveragePooling over as many places."""
    return _make_layers("AveragePooling", layer.size, layer, context)


@register(*of_each_rank("MaxPooling", "AveragePooling"))
def undo_pooling(layer: Any, context: LayerContext) -> list[Layer]:
    """An UpSampling by the strides, cropped or padded to the size of the inputs."""
    sizes = _get_sizes(layer, context.input_shape)
    pooled_sizes = _get_sizes(layer, context.output_shape)
    crops, pads = [], []
    axes = zip(sizes, pooled_sizes, layer.pool_size, layer.strides, strict=True)
    for size, pooled_size, pool, stride in axes:
        # Window i covers places `i * stride - margin + (0 .. pool - 1)`, where `margin`
        # is the padding before; its value fills the `stride` places in the middle of
        # these.
        reach = (pooled_size - 1) * stride + pool
        margin = 0
        if layer.padding == "same":
            margin = max(reach - size, 0) // 2
        before = int((pool - stride) / 2) - margin
        after = size - pooled_size * stride - before
        crops.append((max(-before, 0), max(-after, 0)))
        pads.append((max(before, 0), max(after, 0)))
    reverse = _make_layers("UpSampling", layer.strides, layer, context)
    if any(map(any, crops)):
        reverse += _make_layers("Cropping", crops, layer, context, "_crop")
    if any(map(any, pads)):
        reverse += _make_layers("ZeroPadding", pads, layer, context, "_pad")
    return reverse


@register(*of_each_rank("GlobalAveragePooling", "GlobalMaxPooling"))
def spread_globally(layer: Any, context: LayerContext) -> list[Layer]:
    """The pooled value at every place that it was pooled over."""
    sizes = _get_sizes(layer, context.input_shape)
    ones = (1,) * len(sizes)
    single = (-1, *ones) if _channels_first(layer) else (*ones, -1)
    reshape = layers.Reshape(single, **_get_settings(layer, context, "_reshape"))
    return [reshape, *_make_layers("UpSampling", sizes, layer, context)]


@register(layers.Normalization)
def undo_normalization(layer: Any, context: LayerContext) -> Layer:
    """A Normalization with the same mean and variance, and `invert=True`."""
    mean, variance = layer.input_mean, layer.input_variance
    if mean is None:
        mean = keras.ops.convert_to_numpy(layer.adapt_mean)
        variance = keras.ops.convert_to_numpy(layer.adapt_variance)
        if not mean.any() and (variance == 1).all():
            raise ValueError(
                "mirror undoes a Normalization by the mean and variance that it has;"
                f" layer '{layer.name}' has none yet: call its adapt() with data first."
            )
    axis = layer.axis or None
    settings = _get_settings(layer, context)
    invert = not layer.invert
    return layers.Normalization(axis, mean, variance, invert=invert, **settings)


@register(layers.Rescaling)
def undo_rescaling(layer: Any, context: LayerContext) -> Layer:
    """The inverse Rescaling."""
    scale = np.asarray(layer.scale)
    offset = np.asarray(layer.offset)
    if not scale.all():
        raise ValueError(
            f"mirror cannot undo layer '{layer.name}' (Rescaling), whose scale is"
            f" {layer.scale}: leave it out of the encoder, or give it a scale other"
            " than 0."
        )
    scale, offset = 1 / scale, -offset / scale
    settings = _get_settings(layer, context)
    return layers.Rescaling(scale.tolist(), offset.tolist(), **settings)


@register(
    *(layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization),
    *(layers.RMSNormalization, layers.UnitNormalization),
)
def renormalize(layer: Any, context: LayerContext) -> Layer:
    """A layer of its own, with the same settings."""
    return copy_layer(layer, context.name)


@register(
    *(layers.Dropout, *of_each_rank("SpatialDropout"), layers.AlphaDropout),
    *(layers.GaussianDropout, layers.GaussianNoise, MaskingNoise, SaltAndPepperNoise),
    *(layers.ActivityRegularization, layers.Identity, layers.Masking),
    *(KSparse, BatchTopK, JumpReLU),
    *(getattr(layers, name) for name in AUGMENTATION),
)
def leave_out(layer: Any, context: LayerContext) -> list[Layer]:
    """Nothing."""
    return []


PLAIN = (
    "relu relu6 sigmoid tanh silu selu softplus softsign hard_sigmoid hard_silu".split()
)
OPERATIONS = {}  # by their classes, which are not public
for _name in PLAIN:
    _operation, _ = producer(getattr(keras.ops, _name)(_tensor))
    OPERATIONS[type(_operation)] = _name


def to_layer(operation: Any) -> Any:
    """The layer that an operation amounts to, or that a wrapper holds; or the same."""
    if isinstance(operation, layers.SpectralNormalization):
        return operation.layer
    if (name := OPERATIONS.get(type(operation))) is not None:
        return layers.Activation(name, name=operation.name)
    return operation


def copy_layer(layer: Any, name: str) -> Layer:
    """A new layer of the same settings, to be trained even if `layer` is frozen."""
    config = {**layer.get_config(), "name": name, "trainable": True}
    return type(layer).from_config(config)


def _get_settings(
    layer: Any,
    context: LayerContext,
    suffix: str = "",
) -> dict[str, Any]:
    return {"name": f"{context.name}{suffix}", "dtype": layer.dtype_policy}


def _channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _get_sizes(layer: Any, shape: Shape) -> list[int]:
    spatial = shape[1:] if _channels_first(layer) else shape[:-1]
    sizes = [size for size in spatial if size]
    if len(sizes) < len(spatial):
        raise ValueError(
            f"mirror cannot undo the pooling of layer '{layer.name}'"
            f" ({type(layer).__name__}), since an axis of {shape} is of unknown length:"
            " give all lengths in the encoder's Input, and in the output shapes of its"
            " EinsumDense layers."
        )
    return sizes


def _make_layers(
    kind: str,
    amounts: Any,
    layer: Any,
    context: LayerContext,
    suffix: str = "",
) -> list[Layer]:
    """The layer `kind`, such as Cropping, with an amount for each spatial axis."""
    rank = len(context.input_shape) - 1
    cls = getattr(layers, f"{kind}{rank}D")
    settings = _get_settings(layer, context, suffix)
    amount = amounts
    if np.shape(amounts)[:1] == (1,):
        (amount,) = amounts
    if cls not in (layers.Cropping1D, layers.UpSampling1D):
        data_format = "channels_first" if _channels_first(layer) else "channels_last"
        return [cls(amount, data_format=data_format, **settings)]
    reverse = cls(amount, **settings)
    if not _channels_first(layer):
        return [reverse]
    # These two layers only support channels last.
    turn = layers.Permute((2, 1), **_get_settings(layer, context, f"{suffix}_turn"))
    back = layers.Permute((2, 1), **_get_settings(layer, context, f"{suffix}_return"))
    return [turn, reverse, back]
