"""What the layers have in common that give a code of the shape they take in."""

from typing import Any

from keras import Layer

from keras_tied._types import Config, Shape


class CodeLayer(Layer):
    """Base of the layers whose outputs have the shape of their inputs.

    `SETTINGS` are the attributes that go into the configuration as they are.
    """

    SETTINGS: tuple[str, ...] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> Config:
        settings = {name: getattr(self, name) for name in self.SETTINGS}
        return {**super().get_config(), **settings}


def check_count(
    layer: Layer,
    name: str,
    count: Any,
    things: str = "units",
) -> None:
    """Raise unless a setting of a layer is an integer from 1 on."""
    if not isinstance(count, int) or count < 1:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' needs a positive integer as"
            f" {name}, a number of {things}; received {name}={count!r}."
        )


def check_width(layer: Layer, k: int, input_shape: Shape) -> None:
    """Raise unless the inputs have the `k` units that a layer keeps."""
    units = input_shape[-1]
    if units is None or k > units:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}' keeps k={k} numbers a row"
            f" along the last axis; received an input of shape {tuple(input_shape)}:"
            f" feed it codes of {k} or more units, or choose a smaller k."
        )
