"""The tied layer for a layer, and the ties of a model: list, check, repair them."""

from typing import Any, NamedTuple

import keras
from keras import Layer, Model, Variable

from keras_tied._keras_internals import flatten_layers
from keras_tied.layers.kernel import kernel_name, kernel_of, kernel_shape
from keras_tied.layers.tied_conv import CONVOLUTIONS, TiedConv
from keras_tied.layers.tied_dense import TiedDense
from keras_tied.layers.tied_einsum_dense import TiedEinsumDense
from keras_tied.layers.tied_layer import TiedLayer

TIES = {
    keras.layers.Dense: TiedDense,
    keras.layers.Embedding: TiedDense,
    TiedDense: TiedDense,
    keras.layers.EinsumDense: TiedEinsumDense,
    **dict.fromkeys(CONVOLUTIONS, TiedConv),
}

INSTEAD = {
    keras.layers.MultiHeadAttention: (
        "build it from its projections, which are EinsumDense layers, and tie to each"
        " of them"
    ),
    keras.layers.Wrapper: (
        "tie to the layer inside it, `.layer`, and wrap the tied layer in the same way"
    ),
    Model: "tie to its layers one by one, the last first",
    TiedLayer: "tie to the layer that it is itself tied to, its `tied_to`",
    Layer: f"tie to a layer of the classes {', '.join(cls.__name__ for cls in TIES)}",
}
"""What to do where no tied layer fits: of the first class that a layer is of."""


def tie(layer: Layer, *, untie: bool = False, **kwargs: Any) -> Any:
    """The `TiedDense`, `TiedEinsumDense` or `TiedConv` that ties to a layer.

    Args:
        layer: a `Dense`, an `Embedding`, an `EinsumDense`, a `Conv1D`, `Conv2D` or
            `Conv3D`, a `Conv1DTranspose`, `Conv2DTranspose` or `Conv3DTranspose`, a
            `DepthwiseConv1D`, `DepthwiseConv2D`, `SeparableConv1D` or
            `SeparableConv2D`, a layer of a class derived from these, or any other that
            has been built and has a `kernel` of two axes. Tied to a
            `ReversibleEmbedding`, the tied layer has by default the settings of its
            `reverse=True`: no bias, `reverse_dtype` and `logit_soft_cap`.
        untie: whether to begin as the transpose and to be free afterwards, as sparse
            autoencoders do: the result is a `keras.layers.Dense` with a kernel of its
            own, which has the numbers that the kernel of `layer`, of two axes and
            built, has now. Defaults to `False`.
        **kwargs: arguments of the tied layer: `transpose`, `gain`, `activation` and so
            on; of the `Dense` with `untie`.

    Raises:
        ValueError: where no tied layer fits `layer`. It says what to do instead.

    Examples:
        >>> import keras
        >>> from keras_tied.layers import tie
        >>> encoder = keras.layers.Conv2D(8, 3, name="encoder")
        >>> tie(encoder, activation="relu", name="decoder")
        <TiedConv name=decoder, built=False>
    """
    _require_layer(layer, "tie")
    if untie:
        return _make_transpose(layer, **kwargs)
    is_reversible = isinstance(layer, keras.layers.ReversibleEmbedding)
    if is_reversible and kwargs.get("transpose", True):
        kwargs = {**_reverse_settings(layer), **kwargs}
    for cls, tied in TIES.items():
        if isinstance(layer, cls):
            return tied(layer, **kwargs)
    if layer.built and len(kernel_shape(layer) or ()) == 2:
        return TiedDense(layer, **kwargs)
    instead = next(text for kind, text in INSTEAD.items() if isinstance(layer, kind))
    raise ValueError(
        f"No tied layer fits '{layer.name}' ({type(layer).__name__}): {instead}."
    )


def _make_transpose(layer: Layer, **kwargs: Any) -> keras.layers.Dense:
    shape = kernel_shape(layer) if layer.built else None
    if shape is None or len(shape) != 2:
        state = "no kernel yet" if not layer.built else f"a kernel of shape {shape}"
        raise ValueError(
            "`tie` with untie=True takes a layer with a kernel of two axes;"
            f" '{layer.name}' ({type(layer).__name__}) has {state}: build a Dense or an"
            " Embedding first."
        )
    dense = keras.layers.Dense(shape[0], **kwargs)
    dense.build((None, shape[1]))
    dense.kernel.assign(keras.ops.transpose(kernel_of(layer)))
    return dense


def _reverse_settings(layer: keras.layers.ReversibleEmbedding) -> dict[str, Any]:
    """The arguments of the `TiedDense` that does what `reverse=True` does."""
    if not layer.tie_weights:
        raise ValueError(
            f"'{layer.name}' (ReversibleEmbedding) was made with tie_weights=False and"
            " has a second kernel for `reverse=True`: make it with tie_weights=True to"
            " tie to it."
        )
    dtype = layer.reverse_dtype or layer.dtype_policy
    return {"use_bias": False, "logit_soft_cap": layer.logit_soft_cap, "dtype": dtype}


class Tie(NamedTuple):
    """One tie of a model.

    Attributes:
        layer: the tied layer.
        tied_to: the layer whose kernel it uses; None if a copied layer has not met it
            yet.
        layer_path: the names of the models and layers that hold `layer`, and its own,
            with `/`.
        tied_to_path: likewise of `tied_to`. Where the model does not hold that, its
            name.
        kernel_shape: None if the kernel is not built yet.
        inside: whether the model holds `tied_to`.
    """

    layer: TiedLayer
    tied_to: Layer | None
    layer_path: str
    tied_to_path: str
    kernel_shape: tuple[int, ...] | None
    inside: bool


def ties(model: Layer) -> list[Tie]:
    """Every tie in a Keras model or layer: a `Tie` for each tied layer, at any depth.

    Raises:
        ValueError: where `model` is not a layer.

    Examples:
        >>> import keras, keras_tied
        >>> inputs = keras.Input((4,))
        >>> code = keras.layers.Dense(2, name="code")
        >>> model = keras.Model(inputs, keras_tied.tie(code, name="out")(code(inputs)))
        >>> [tie] = keras_tied.ties(model)
        >>> tie.layer_path, tie.tied_to_path, tie.kernel_shape
        ('out', 'code', (4, 2))
    """
    paths = _paths(_require_layer(model, "ties"))
    listing = []
    for layer, path in paths.values():
        if not isinstance(layer, TiedLayer):
            continue
        partner = layer.find_partner(model)
        shape = layer._link.kernel_shape
        if shape is None and partner is not None and partner.built:
            shape = kernel_shape(partner)
        inside = id(partner) in paths
        partner_path = paths[id(partner)][1] if inside else layer._link.partner.name
        listing.append(Tie(layer, partner, path, partner_path, shape, inside))
    return listing


def assert_tied(model: Layer) -> None:
    """Raise unless every tied layer of a model uses the kernel of one of its layers.

    Raises:
        ValueError: where a tied layer has not met the layer that it is tied to, or is
            tied to one that the model does not hold; where `model` holds no tied layer,
            or is not a layer.

    Examples:
        >>> import keras, keras_tied
        >>> inputs = keras.Input((4,))
        >>> code = keras.layers.Dense(2, name="code")
        >>> model = keras.Model(inputs, keras_tied.tie(code, name="out")(code(inputs)))
        >>> keras_tied.assert_tied(keras.models.clone_model(model))
    """
    listing = ties(model)
    if not listing:
        raise ValueError(
            f"'{model.name}' holds no tied layer; pass the model that does."
        )
    doubts = [doubt for tie in listing if (doubt := _doubt(model, tie))]
    if doubts:
        raise ValueError(
            f"{'; '.join(doubts)}: use `keras_tied.retie(decoder, encoder)`."
        )


def _doubt(model: Layer, tie: Tie) -> str:
    name = f"{type(tie.layer).__name__} '{tie.layer_path}'"
    if tie.tied_to is None:
        return f"{name} is not connected to '{tie.tied_to_path}', which it is tied to"
    link = tie.layer._link
    if link.alone and tie.tied_to is link.partner:
        return (
            f"{name} was loaded without '{tie.tied_to_path}' and has a kernel of"
            " its own"
        )
    if not tie.inside:
        return f"{name} is tied to '{tie.tied_to_path}', which is not in '{model.name}'"
    return ""


def retie(decoder: Layer, encoder: Layer) -> list[Tie]:
    """Tie a decoder to an encoder that it has come apart from; return the new ties.

    The halves of an autoencoder that were saved, pickled or cloned one by one are not
    tied to each other. Each tied layer of the decoder is tied to the layer of the
    encoder that has the name of the one it was tied to and the shape of its kernel or,
    where there is no such, to the only one with a kernel of that shape. A kernel that
    its own file brought is dropped. All layers are tied, or none. Compile a model again
    that was compiled before: its variables are others now.

    Args:
        decoder: a tied layer, or a model with layers that are tied to others than its
            own.
        encoder: the layer to tie to, or a model with such layers, built.

    Raises:
        ValueError: where a tied layer fits no layer of the encoder, or several, or
            there is none.

    Examples:
        >>> import keras, keras_tied
        >>> inputs, codes = keras.Input((4,)), keras.Input((2,))
        >>> code = keras.layers.Dense(2, name="code")
        >>> encoder = keras.Model(inputs, code(inputs))
        >>> decoder = keras.Model(codes, keras_tied.tie(code, name="out")(codes))
        >>> encoder = keras.models.clone_model(encoder)
        >>> decoder = keras.models.clone_model(decoder)
        >>> [tie] = keras_tied.retie(decoder, encoder)
        >>> tie.layer_path, tie.tied_to_path
        ('out', 'code')
    """
    layers = flatten_layers(_require_layer(decoder, "retie"))
    tied = [
        layer
        for layer in layers
        if isinstance(layer, TiedLayer) and layer.tied_to not in layers
    ]
    if not tied:
        raise ValueError(
            f"'{decoder.name}' holds no layer that is tied to one outside of it; pass"
            " the decoder first, then the encoder."
        )
    kernels = []
    for layer in flatten_layers(_require_layer(encoder, "retie")):
        has_kernel = layer.built and kernel_name(layer) is not None
        if has_kernel and layer not in layers:
            kernels.append(layer)
    partners = [_choose(layer, kernels, encoder.name) for layer in tied]
    for layer, partner in zip(tied, partners, strict=True):
        layer.tie_to(partner, [decoder])
    # Their partners are in the encoder, or in the decoder.
    return [tie._replace(inside=True) for tie in ties(decoder) if tie.layer in tied]


def _choose(tied: TiedLayer, kernels: list[Layer], encoder: str) -> Layer:
    matches = [layer for layer in kernels if tied.can_be_tied_to(layer)]
    namesakes = [layer for layer in matches if layer.name == tied._link.partner.name]
    candidates = namesakes if len(namesakes) == 1 else matches
    if len(candidates) == 1:
        return candidates[0]
    shapes = [kernel_shape(layer) for layer in kernels]
    pairs = zip(kernels, shapes, strict=True)
    choices = ", ".join(f"'{layer.name}' {shape}" for layer, shape in pairs) or "none"
    raise ValueError(
        f"{tied.label} uses a kernel of shape {tied._link.kernel_shape}, which"
        f" {len(matches) or 'no'} layers of '{encoder}' have; its kernels are:"
        f" {choices}. Pass the encoder that it belongs to, or name the two layers:"
        " `retie(layer, layer)`."
    )


def trainable_variables(*models: Layer) -> list[Variable]:
    """The trainable variables of several models or layers, in their order, each once.

    A decoder lists the kernels that it uses, and its encoder lists them too. An
    optimizer that is given both lists would move these kernels twice a step.

    Raises:
        ValueError: where something passed is not a layer.

    Examples:
        >>> import keras, keras_tied
        >>> inputs, codes = keras.Input((4,)), keras.Input((2,))
        >>> code = keras.layers.Dense(2, name="code")
        >>> encoder = keras.Model(inputs, code(inputs))
        >>> decoder = keras.Model(codes, keras_tied.tie(code, name="out")(codes))
        >>> variables = keras_tied.trainable_variables(encoder, decoder)
        >>> [variable.path for variable in variables]
        ['code/kernel', 'code/bias', 'out/bias']
    """
    return _list_once(models, "trainable_variables")


def variables(*models: Layer) -> list[Variable]:
    """All variables of several models or layers, in their order, each once.

    A decoder's `weights` list the kernels that it uses, and its encoder's list them
    too: a loop that moves both, such as a moving average of weights by hand, would move
    these twice.

    Raises:
        ValueError: where something passed is not a layer.

    Examples:
        >>> import keras, keras_tied
        >>> encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> decoder = keras_tied.mirror(encoder)
        >>> len(encoder.weights) + len(decoder.weights)
        5
        >>> len(keras_tied.variables(encoder, decoder))
        4
    """
    return _list_once(models, "variables")


def _list_once(models: tuple[Layer, ...], kind: str) -> list[Variable]:
    once = {}
    for model in models:
        for variable in getattr(_require_layer(model, kind), kind):
            once[id(variable)] = variable
    return list(once.values())


def _require_layer(model: Any, function: str) -> Layer:
    if not isinstance(model, Layer):
        raise ValueError(
            f"`keras_tied.{function}` takes Keras models or layers; received {model!r} "
            f"({type(model).__name__})."
        )
    return model


# Layers by their ids, with the names that lead there.
Paths = dict[int, tuple[Layer, str]]


def _paths(model: Layer, prefix: str = "") -> Paths:
    paths: Paths = {}
    for layer in flatten_layers(model, recursive=False)[1:]:
        paths.setdefault(id(layer), (layer, prefix + layer.name))
        for key, value in _paths(layer, f"{prefix}{layer.name}/").items():
            paths.setdefault(key, value)
    return paths
