"""Tie a rebuilt or loaded layer to its partner, once that can be found. See README.md here."""

import warnings
from typing import Any

import keras
import numpy as np

from keras_tied._keras_internals import is_reading_file, stored_numbers
from keras_tied.layers._partner import (
    Reference,
    homes,
    layers_before,
    link_of,
    partners_at_places,
    sharing,
)
from keras_tied.layers.kernel import kernel_name, kernel_variables


def find_partner(tied: Any, reference: Reference, models: tuple[keras.Layer, ...] = ()) -> None:
    """Look for the layer tied to: at its place in a copy of its model, else by its name."""
    around = [*homes(tied), *models]
    if reference.place is not None:
        for layer, partner in partners_at_places(tied, reversed(around)):
            if kernel_fits(layer, partner):
                layer.use(partner)
        if tied._link.partner is not reference:
            tied.refresh(around)
        return
    for layers, partners in layers_before(tied, around):
        namesakes = find_namesakes(tied, [*layers, *partners], reference.name, reference.class_name)
        if len(namesakes) > 1:
            raise ValueError(
                f"{tied.label} was copied without '{reference.name}', which it was tied to, "
                f"and {len(namesakes)} layers of that name stand around it: say which with "
                "`keras_tied.retie(decoder, encoder)`."
            )
        for partner in namesakes:
            tied.tie_to(partner, around)
            tied._link.doubtful = True
            warnings.warn(
                f"{tied.label} was copied without '{partner.name}', which it was tied to, and is "
                "now tied to the layer before it that has this name and kernel shape "
                f"('{partner.path}'): to tie it to another layer, or to avoid this warning, use "
                "`keras_tied.retie(decoder, encoder)`.",
                stacklevel=2,
            )
            return


def look_for_another(tied: Any, own: keras.Layer) -> None:
    """Tie a layer that was loaded without its partner to that, if it has been put behind it."""
    if is_reading_file():
        return  # the numbers come later
    around, strangers = homes(tied), False
    for layers, partners in layers_before(tied, around):
        others = [layer for layer in [*layers, *partners] if layer is not own]
        namesakes = find_namesakes(tied, others, own.name, type(own).__name__)
        for partner in namesakes:
            if _equal_kernels(partner, own):
                for layer in sharing(own, [tied, *around]):
                    layer.tie_to(partner, around)
                return
        strangers |= any(layer in layers for layer in namesakes)
    if strangers and not tied._link.doubtful:
        warnings.warn(
            f"{tied.label} was loaded without the layer that it is tied to, and uses the kernel of "
            f"its file; it is not tied to '{own.name}', which now stands before it with another "
            "kernel: to tie the two, use `keras_tied.retie(decoder, encoder)`.",
            stacklevel=2,
        )
        tied._link.doubtful = True


def find_namesakes(
    tied: Any, layers: list[keras.Layer], name: str, class_name: str
) -> list[keras.Layer]:
    return [
        layer
        for layer in {id(layer): layer for layer in layers}.values()
        if layer.name == name and type(layer).__name__ == class_name and kernel_fits(tied, layer)
    ]


def kernel_fits(tied: Any, layer: keras.Layer) -> bool:
    if not layer.built:
        return False
    link = link_of(layer)
    if tied._link.kernel_shape is None or (link and isinstance(link.partner, Reference)):
        return True  # one of the two kernels is not known yet
    name = kernel_name(layer)
    return name is not None and tuple(getattr(layer, name).shape) == tied._link.kernel_shape


def _equal_kernels(first: keras.Layer, second: keras.Layer) -> bool:
    """Whether the kernels of two layers hold the same numbers, which are not all one number."""
    pairs = zip(kernel_variables(first), kernel_variables(second), strict=False)
    kernels = [[stored_numbers(variable) for variable in pair] for pair in pairs]
    return all(np.array_equal(*pair) for pair in kernels) and any(
        np.ptp(kernel) > 0 for kernel, _ in kernels
    )
