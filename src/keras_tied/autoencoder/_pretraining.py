"""Greedy training, layer by layer: each layer as an autoencoder of the codes before it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from keras_tied._keras_internals import layer_chain
from keras_tied.autoencoder._mirror import mirror
from keras_tied.autoencoder._mirror_rules import entry_for, repeat
from keras_tied.layers.tied_layer import TiedLayer
from keras_tied.training import fit

BATCH_SIZE = 1024  # where nothing is trained: no gradients have to be kept, and calls cost time


def pretrain(
    encoder: keras.Model, decoder: keras.Model, x: Any, optimizer: Any, noise: Any, **settings: Any
) -> list[keras.callbacks.History]:
    front, stages = _make_stages(encoder, decoder)
    optimizer = keras.optimizers.get(optimizer or "adam")
    codes = np.asarray(x)
    if front:
        codes = copy_chain(front, codes.shape[1:]).predict(codes, BATCH_SIZE, verbose=0)
    histories = []
    for stage in stages:
        part = copy_chain(stage.chain, codes.shape[1:])
        back = mirror(part, gain=stage.tied.use_gain, output_activation=stage.activation)
        inputs = keras.Input(codes.shape[1:])
        noisy = inputs if noise is None else type(noise).from_config(noise.get_config())(inputs)
        model = keras.Model(inputs, back(part(noisy)))
        model.compile(type(optimizer).from_config(optimizer.get_config()), "mse")
        histories.append(fit(model, codes, codes, **settings))
        _take_over(stage, decoder, part, back)
        codes = part.predict(codes, BATCH_SIZE, verbose=0)
    return histories


class _Stage(NamedTuple):
    """A layer with a kernel and those up to the next one, and its mirror, with what follows it."""

    chain: list[layers.Layer]
    tied: TiedLayer
    activation: Any


def _make_stages(
    encoder: keras.Model, decoder: keras.Model
) -> tuple[list[layers.Layer], list[_Stage]]:
    """The layers before the first one with a kernel, and the stages from that on."""
    path, back = _get_chain(encoder), _get_chain(decoder)
    chains: list[list[layers.Layer]] = [[]]
    for layer in path:
        entry = entry_for(layer)
        if entry is not None and entry.kernel:
            chains.append([])
        chains[-1].append(layer)
    front, *others = chains
    return front, [_make_stage(chain, decoder.name, back) for chain in others]


def _get_chain(model: keras.Model) -> list[layers.Layer]:
    path = layer_chain(model)
    if path is None:
        raise ValueError(
            f"Layers can be pretrained one by one if each is fed by the one before it; "
            f"'{model.name}' ({type(model).__name__}) is not: write it as a Sequential "
            "model, or train the whole with `fit`."
        )
    return path


def _make_stage(chain: list[layers.Layer], name: str, back: list[layers.Layer]) -> _Stage:
    tied = next((each for each in back if getattr(each, "tied_to", None) is chain[0]), None)
    if not isinstance(tied, TiedLayer):
        raise ValueError(
            f"Layers are pretrained together with those tied to them, and none in '{name}' is "
            f"tied to '{chain[0].name}' ({type(chain[0]).__name__}): build the decoder with "
            "`mirror(encoder)`."
        )
    if getattr(chain[0], "quantization_mode", None) is not None:
        raise ValueError(
            f"Layers are pretrained with kernels that can be trained, and layer '{chain[0].name}' "
            "is quantized: call `quantize` after it."
        )
    activation = tied.activation
    for layer in back[back.index(tied) + 1 :]:
        if activation is not keras.activations.linear or isinstance(layer, TiedLayer):
            break
        entry = entry_for(layer)
        if entry is not None and entry.rule is repeat:
            activation = layer
    return _Stage(chain, tied, activation)


def _take_over(
    stage: _Stage, decoder: keras.Model, part: keras.Sequential, back: keras.Model
) -> None:
    copy_weights(part.layers, stage.chain)
    own = {layer.name: layer for layer in _get_chain(decoder)}
    for layer in back.layers:
        if isinstance(layer, TiedLayer):
            for name in ("bias", "gain"):
                value, variable = getattr(layer, name), getattr(stage.tied, name)
                if value is not None and variable is not None:
                    variable.assign(value)
        elif layer.weights and layer.name in own:  # a normalisation that the mirror repeats
            own[layer.name].set_weights(layer.get_weights())


def copy_chain(chain: Sequence[layers.Layer], shape: Sequence[int | None]) -> keras.Sequential:
    """A model of copies of some built layers, for inputs of this shape (without the batch)."""
    copies = [type(layer).from_config(layer.get_config()) for layer in chain]
    model = keras.Sequential([keras.Input(tuple(shape)), *copies])
    copy_weights(chain, copies)
    for layer in copies:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with constants, derived from its weights
    return model


def copy_weights(source: Sequence[Any], target: Sequence[Any]) -> None:
    for one, other in zip(source, target, strict=True):
        other.set_weights(one.get_weights())
