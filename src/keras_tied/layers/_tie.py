"""The tied layer that fits a layer."""

from typing import Any

import keras

from keras_tied.layers._kernel import kernel_name
from keras_tied.layers.tied_conv import CONVOLUTIONS, TiedConv
from keras_tied.layers.tied_dense import TiedDense
from keras_tied.layers.tied_einsum_dense import TiedEinsumDense
from keras_tied.layers.tied_layer import TiedLayer

TIES: dict[type[keras.Layer], type[TiedLayer]] = {
    keras.layers.Dense: TiedDense,
    keras.layers.Embedding: TiedDense,
    TiedDense: TiedDense,
    keras.layers.EinsumDense: TiedEinsumDense,
    **dict.fromkeys(CONVOLUTIONS, TiedConv),
}

_PARTS = "build it from its two parts, a {} and a {} with kernel size 1, and tie to each of them"
INSTEAD: dict[type[keras.Layer], str] = {
    keras.layers.SeparableConv1D: _PARTS.format("DepthwiseConv1D", "Conv1D"),
    keras.layers.SeparableConv2D: _PARTS.format("DepthwiseConv2D", "Conv2D"),
    keras.layers.MultiHeadAttention: (
        "build it from its projections, which are EinsumDense layers, and tie to each of them"
    ),
    keras.layers.Wrapper: "tie to the layer inside it, `.layer`, and wrap the tied layer likewise",
    keras.Model: "tie to its layers one by one, the last first",
    TiedLayer: "tie to the layer that it is tied to itself, its `tied_to`",
}


def tie(layer: keras.Layer, **kwargs: Any) -> TiedLayer:
    """The tied layer for a layer: one that uses its kernel, transposed.

    Args:
        layer: a `Dense`, an `Embedding`, an `EinsumDense`, a `Conv1D`, `Conv2D` or `Conv3D`, a
            `Conv1DTranspose`, `Conv2DTranspose` or `Conv3DTranspose`, a `DepthwiseConv1D` or
            `DepthwiseConv2D`, a layer of a class derived from these, or any other that has been
            built and has a `kernel` of two axes.
        **kwargs: arguments of the tied layer: `transpose`, `gain`, `activation` and so on.

    Returns:
        A `TiedDense`, `TiedEinsumDense` or `TiedConv` that is tied to `layer`.

    Raises:
        ValueError: where no tied layer fits `layer`. It says what to do instead.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import tie
        >>> tie(keras.layers.Conv2D(8, 3, name="encoder"), activation="relu", name="decoder")
        <TiedConv name=decoder, built=False>
    """
    if not isinstance(layer, keras.Layer):
        raise ValueError(
            f"`tie` takes the layer to tie to; received {layer!r} ({type(layer).__name__}): pass "
            "the layer object itself, for example `model.get_layer(name)`."
        )
    for cls, tied in TIES.items():
        if isinstance(layer, cls):
            return tied(layer, **kwargs)
    if (name := kernel_name(layer)) and layer.built and len(getattr(layer, name).shape) == 2:
        return TiedDense(layer, **kwargs)
    instead = next(
        (text for cls, text in INSTEAD.items() if isinstance(layer, cls)),
        f"tie to a layer of the classes {', '.join(cls.__name__ for cls in TIES)}",
    )
    raise ValueError(
        f"No tied layer fits '{layer.name}' ({type(layer).__name__}), which has not one kernel "
        f"that could be used backwards: {instead}."
    )
