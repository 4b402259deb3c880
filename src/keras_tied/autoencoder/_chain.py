"""Parts of a chain of layers, as models of their own."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers


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
