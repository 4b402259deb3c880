"""The rules of `mirror`, one for each class of layers. The docs have the first line of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_tied._keras_internals import producer
from keras_tied.layers import (
    BatchTopK,
    Contractive,
    JumpReLU,
    KSparse,
    MaskingNoise,
    PartlyLinear,
    SaltAndPepperNoise,
    UnitActivity,
    tie,
)
from keras_tied.layers.tied_conv import CONVOLUTIONS

Shape = tuple[int | None, ...]

AUGMENTATION = {name for name in dir(layers) if name.startswith("Random")} - {
    "RandomCrop"
}


@dataclass(frozen=True)
class LayerContext:
    """The facts about an encoder layer that a rule gets besides the layer itself."""

    input_shape: Shape  # of the encoder layer, without batch; its mirror gives it
    output_shape: Shape  # likewise; its mirror takes it in
    name: str  # a name for the mirror layer, made from the encoder layer's
    gain: bool = True  # whether tied layers are to have a gain
    activation: Any = (
        None  # of a tied layer: the one that stood before its encoder layer
    )


Rule = Callable[[Any, LayerContext], "layers.Layer | Sequence[layers.Layer]"]


@dataclass(frozen=True)
class Entry:
    rule: Rule
    kernel: bool


RULES: dict[type, Entry] = {}


def register(*classes: type, kernel: bool = False) -> Callable[[Rule], Rule]:
    """Add a rule for layer classes and their subclasses to `mirror`, or replace one.

    It decorates the rule: a function of the encoder layer and a `LayerContext` that
    returns the
    layer that reverses it, or several, to be applied in turn (an empty list: none).

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
        RULES.update({each: Entry(rule, kernel) for each in classes})
        return rule

    return decorate


def entry_for(operation: Any) -> Entry | None:
    if isinstance(operation, layers.TimeDistributed):
        return _at_each_step(entry_for(operation.layer))
    return next(
        (RULES[each] for each in type(operation).__mro__ if each in RULES), None
    )


def _at_each_step(entry: Entry | None) -> Entry | None:
    """The rule of a layer in a TimeDistributed: what reverses it, in a TimeDistributed each."""
    if entry is None or entry.rule in (leave_out, repeat):
        return entry

    def rule(wrapper: Any, context: LayerContext) -> list[layers.Layer]:
        each, given = context.input_shape[1:], context.output_shape[1:]
        inner = replace(context, input_shape=each, output_shape=given)
        reverse = entry.rule(wrapper.layer, inner)
        steps = [reverse] if isinstance(reverse, layers.Layer) else reverse
        return [
            layers.TimeDistributed(step, name=f"{step.name}_steps") for step in steps
        ]

    return Entry(rule, entry.kernel)


def of_each_rank(*names: str) -> list[type]:
    """Keras's layers of these names with 1D, 2D and 3D appended."""
    return [getattr(layers, f"{name}{rank}D") for name in names for rank in (1, 2, 3)]


@register(layers.Dense, layers.EinsumDense, *CONVOLUTIONS, kernel=True)
def mirror_kernel(layer: Any, context: LayerContext) -> layers.Layer:
    """The tied layer, its kernel transposed; followed by the activation that stood before."""
    settings = {
        "use_bias": layer.bias is not None,
        **_get_settings(layer, context.name),
    }
    return tie(layer, gain=context.gain, activation=context.activation, **settings)


@register(layers.Embedding, kernel=True)
def mirror_embedding(layer: Any, context: LayerContext) -> layers.Layer:
    """The logits of each token, by the embeddings transposed; for a ReversibleEmbedding its own."""
    settings = _get_settings(layer, context.name)
    if isinstance(layer, layers.ReversibleEmbedding):
        del settings["dtype"]  # `reverse_dtype` if it has one
    return tie(layer, gain=context.gain, activation=context.activation, **settings)


RECURRENT = (layers.SimpleRNN, layers.GRU, layers.LSTM, layers.Bidirectional)


@register(*RECURRENT, kernel=True)
def mirror_sequence(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """A RepeatVector, a layer of its own of the same kind, a Dense: tied for a SimpleRNN only."""
    steps, features = context.input_shape
    before = []
    if len(context.output_shape) == 1:
        if steps is None:
            raise ValueError(
                f"mirror repeats what layer '{layer.name}' ({type(layer).__name__})"
                f" gives for each step, and it takes in {context.input_shape}: give the"
                " number of steps in the encoder's Input, or the layer"
                " return_sequences=True."
            )
        before = [
            layers.RepeatVector(steps, **_get_settings(layer, f"{context.name}_repeat"))
        ]
    config = {**layer.get_config(), "name": context.name, "trainable": True}
    inner = [config[part] for part in ("layer", "backward_layer") if config.get(part)]
    for each in inner:  # of a Bidirectional
        each.pop("build_config", None)
    for each in [part["config"] for part in inner] or [config]:
        each |= {"return_sequences": True, "return_state": False, "stateful": False}
    settings = {
        **_get_settings(layer, f"{context.name}_out"),
        "activation": context.activation,
    }
    is_simple = isinstance(layer, layers.SimpleRNN)
    out = tie(layer.cell, gain=context.gain, **settings) if is_simple else None
    return [
        *before,
        type(layer).from_config(config),
        out or layers.Dense(features, **settings),
    ]


@register(
    *(layers.Activation, layers.ReLU, layers.LeakyReLU),
    *(layers.PReLU, layers.ELU, layers.Softmax, PartlyLinear),
)
def repeat(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """The same activation, if it stands between two layers with a kernel."""
    return []  # `mirror` applies it, as it does those that are part of a layer with a kernel


# The operation behind `x + y` is not a layer, and its class is not public.
ADDITION = type(producer(keras.KerasTensor((1,)) + keras.KerasTensor((1,)))[0])


@register(layers.Add, ADDITION)
def mirror_branches(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """Each branch reversed; where the branches began, what comes out of them is added."""
    return []  # `mirror` gives the sum to every branch


@register(layers.Concatenate)
def split_branches(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """Each branch reversed, from its own part; where the branches began, the results are added."""
    return []  # `mirror` splits the tensor


@register(layers.Flatten, layers.Reshape)
def undo_reshape(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """A Reshape to what the layer took in."""
    if context.input_shape.count(None) > 1:
        raise ValueError(
            f"mirror cannot undo layer '{layer.name}' ({type(layer).__name__}), which"
            f" takes in {context.input_shape}: at most one axis can be of unknown"
            " length; build the encoder with an Input that gives the others."
        )
    first, *rest = [-1 if length is None else length for length in context.input_shape]
    if isinstance(layer, layers.Flatten) and _channels_first(layer) and rest:
        # The encoder layer moved the channels last before it flattened.
        order = (len(rest) + 1, *range(1, len(rest) + 1))
        settings = _get_settings(layer, f"{context.name}_reshape")
        turn = layers.Permute(order, **_get_settings(layer, context.name))
        return [layers.Reshape((*rest, first), **settings), turn]
    return [layers.Reshape((first, *rest), **_get_settings(layer, context.name))]


@register(layers.Permute)
def undo_permute(layer: Any, context: LayerContext) -> layers.Layer:
    """The inverse Permute."""
    order = np.argsort(layer.dims) + 1
    return layers.Permute(tuple(order.tolist()), **_get_settings(layer, context.name))


@register(layers.RepeatVector)
def undo_repeat_vector(layer: Any, context: LayerContext) -> layers.Layer:
    """The mean over the repetitions."""
    return layers.GlobalAveragePooling1D(
        "channels_last", **_get_settings(layer, context.name)
    )


@register(*of_each_rank("ZeroPadding"))
def undo_padding(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """A Cropping of the same widths."""
    return _make_layers("Cropping", layer.padding, layer, context)


@register(*of_each_rank("Cropping"))
def undo_cropping(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """A ZeroPadding of the same widths."""
    return _make_layers("ZeroPadding", layer.cropping, layer, context)


@register(*of_each_rank("UpSampling"))
def undo_upsampling(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """An AveragePooling over as many places."""
    return _make_layers("AveragePooling", layer.size, layer, context)


@register(*of_each_rank("MaxPooling", "AveragePooling"))
def undo_pooling(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """An UpSampling by the strides, cropped or padded to the size that the layer took in."""
    sizes = _get_sizes(layer, context.input_shape)
    pooled = _get_sizes(layer, context.output_shape)
    margins = []
    axes = zip(sizes, pooled, layer.pool_size, layer.strides, strict=True)
    for size, pooled_size, pool, stride in axes:
        # Window i covers places `i * stride - hidden + (0 .. pool - 1)`, where `hidden`
        # is the padding before; its value fills the `stride` places in the middle of
        # these.
        reach = (pooled_size - 1) * stride + pool
        hidden = max(reach - size, 0) // 2 if layer.padding == "same" else 0
        before = int((pool - stride) / 2) - hidden
        margins.append((before, size - pooled_size * stride - before))
    steps = _make_layers("UpSampling", layer.strides, layer, context)
    for kind, suffix, sign in (("Cropping", "_crop", -1), ("ZeroPadding", "_pad", 1)):
        widths = np.maximum(sign * np.array(margins), 0).tolist()
        if np.any(widths):
            steps += _make_layers(
                kind, list(map(tuple, widths)), layer, context, suffix
            )
    return steps


@register(*of_each_rank("GlobalAveragePooling", "GlobalMaxPooling"))
def spread_globally(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """The pooled value at every place that it was pooled over."""
    sizes = _get_sizes(layer, context.input_shape)
    ones = (1,) * len(sizes)
    single = (-1, *ones) if _channels_first(layer) else (*ones, -1)
    reshape = layers.Reshape(single, **_get_settings(layer, f"{context.name}_reshape"))
    return [reshape, *_make_layers("UpSampling", sizes, layer, context)]


@register(layers.Resizing)
def undo_resizing(layer: Any, context: LayerContext) -> layers.Layer:
    """A Resizing to the size that the layer took in."""
    height, width = _get_sizes(layer, context.input_shape)
    settings = {"data_format": layer.data_format, **_get_settings(layer, context.name)}
    return layers.Resizing(height, width, layer.interpolation, **settings)


@register(layers.Normalization)
def undo_normalization(layer: Any, context: LayerContext) -> layers.Layer:
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
    settings = {"invert": not layer.invert, **_get_settings(layer, context.name)}
    return layers.Normalization(layer.axis or None, mean, variance, **settings)


@register(layers.Rescaling)
def undo_rescaling(layer: Any, context: LayerContext) -> layers.Layer:
    """The inverse Rescaling."""
    scale, offset = np.asarray(layer.scale), np.asarray(layer.offset)
    if not scale.all():
        raise ValueError(
            f"mirror cannot undo layer '{layer.name}' (Rescaling), whose scale is"
            f" {layer.scale}: leave it out of the encoder, or give it a scale other"
            " than 0."
        )
    settings = _get_settings(layer, context.name)
    return layers.Rescaling(
        (1 / scale).tolist(), (-offset / scale).tolist(), **settings
    )


@register(
    *(layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization),
    *(layers.RMSNormalization, layers.UnitNormalization),
)
def renormalize(layer: Any, context: LayerContext) -> layers.Layer:
    """A layer of its own, with the same settings."""
    return copy_layer(layer, context.name)


@register(
    *(layers.Dropout, *of_each_rank("SpatialDropout"), layers.AlphaDropout),
    *(layers.GaussianDropout, layers.GaussianNoise, MaskingNoise, SaltAndPepperNoise),
    *(layers.ActivityRegularization, layers.Identity, layers.Masking),
    *(KSparse, BatchTopK, JumpReLU, UnitActivity),
    *(getattr(layers, name) for name in sorted(AUGMENTATION)),
)
def leave_out(layer: Any, context: LayerContext) -> list[layers.Layer]:
    """Nothing."""
    return []


def _find_operation(name: str) -> type | None:
    """The class of the operation that an activation's name in `keras.ops` makes, not public."""
    operation = getattr(keras.ops, name, None)
    return operation and type(producer(operation(keras.KerasTensor((1,))))[0])


PLAIN = (
    "relu relu6 sigmoid tanh silu selu softplus softsign hard_sigmoid hard_silu".split()
)
OPERATIONS = {_find_operation(name): name for name in PLAIN}


def to_layer(operation: Any) -> Any:
    """The layer that does what an operation does, or what a wrapper holds; else the same."""
    if isinstance(operation, (Contractive, layers.SpectralNormalization)):
        return operation.layer
    if (name := OPERATIONS.get(type(operation))) is not None:
        return layers.Activation(name, name=operation.name)
    return operation


def copy_layer(layer: Any, name: str) -> layers.Layer:
    """A new layer of the same class and settings, to be trained even if `layer` is frozen."""
    return type(layer).from_config(
        {**layer.get_config(), "name": name, "trainable": True}
    )


def _get_settings(layer: Any, name: str) -> dict[str, Any]:
    return {"name": name, "dtype": layer.dtype_policy}


def _channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _get_sizes(layer: Any, shape: Shape) -> list[int]:
    sizes = [
        size for size in (shape[1:] if _channels_first(layer) else shape[:-1]) if size
    ]
    if len(sizes) < len(shape) - 1:
        raise ValueError(
            f"mirror cannot undo the pooling of layer '{layer.name}'"
            f" ({type(layer).__name__}), since an axis of {shape} is of unknown length:"
            " give all lengths in the encoder's Input, and in the output shapes of its"
            " EinsumDense layers."
        )
    return sizes


def _make_layers(
    kind: str, amounts: Any, layer: Any, context: LayerContext, suffix: str = ""
) -> list[layers.Layer]:
    """The layer `kind`, such as Cropping, with one of `amounts` for each spatial axis."""
    name, rank = f"{context.name}{suffix}", len(context.input_shape) - 1
    settings, cls = _get_settings(layer, name), getattr(layers, f"{kind}{rank}D")
    amount = amounts[0] if np.shape(amounts)[:1] == (1,) else amounts
    if cls not in (layers.Cropping1D, layers.UpSampling1D):
        data_format = "channels_first" if _channels_first(layer) else "channels_last"
        return [cls(amount, data_format=data_format, **settings)]
    reverse = cls(amount, **settings)
    if not _channels_first(layer):
        return [reverse]
    # These two layers only support channels last.
    turns = [_get_settings(layer, f"{name}_{turn}") for turn in ("turn", "return")]
    before, after = (layers.Permute((2, 1), **each) for each in turns)
    return [before, reverse, after]
