"""Finding the layer that a rebuilt layer is tied to. See README.md here."""

import functools
import weakref
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import keras

from keras_tied.layers._keras_internals import (
    callers,
    flatten_layers,
    inbound_nodes,
    upstream_layers,
)
from keras_tied.layers._kernel import kernel_name


class Place(NamedTuple):
    """Where the partner of a tied layer stands, in terms that hold in every copy of its model.

    Counted are the layers that have a kernel, in Keras's order, among those that a *scope* holds:
    the tied layer itself, or a layer or model that it is in.

    Attributes:
        size: how many such layers the scope holds.
        own: which of them is the tied layer.
        upstream: whether the partner is one of the layers that the scope was called after in its
            graph, instead of one of those that the scope holds.
        partner: which of these is the partner.
        classes: a checksum of the names of their classes, up to the partner.
    """

    size: int
    own: int
    upstream: bool
    partner: int
    classes: int


class Reference:
    """The partner of a tied layer, while only its configuration and its place are known.

    Args:
        serialized: the partner, serialised by Keras.
        place: where it stands, None where its model was not copied with the tied layer.
        likeness: a layer of Keras's own, serialised, which has the partner's settings; None if
            the partner is one.
        by_name: whether a layer of the partner's name is trusted without a word, as for a
            configuration from before places were noted.
    """

    def __init__(
        self,
        serialized: dict[str, Any],
        place: Place | None = None,
        likeness: dict[str, Any] | None = None,
        by_name: bool = False,
    ) -> None:
        self.name: str = serialized["config"]["name"]
        self.serialized = serialized
        self.place = place
        self.likeness = likeness
        self.by_name = by_name

    @functools.cached_property
    def settings(self) -> keras.layers.Layer:
        """A layer with the settings of the partner, without weights."""
        serialized = self.likeness or self.serialized
        return keras.saving.deserialize_keras_object({**serialized, "build_config": None})


class Link:
    """Holds the partner out of reach of Keras's tracking, which would count it again.

    Attributes:
        partner: the layer tied to, or what is known of it before it is found.
        kernel_shape: the shape of its kernel; None until it is built.
        alone: whether the tied layer was loaded without its partner, and has one of its own.
        doubtful: whether the partner was found by its name alone, or trains apart from another.
        listed: whether the user has been told that two models list the kernel.
        homes: layers and models known to hold the tied layer.
    """

    def __init__(self, partner: keras.layers.Layer | Reference) -> None:
        self.partner = partner
        self.kernel_shape: tuple[int, ...] | None = None
        self.alone = False
        self.doubtful = False
        self.listed = False
        self.homes: list[weakref.ref[keras.layers.Layer]] = []


def link_of(layer: Any) -> Link | None:
    """The link of a tied layer, None for any other."""
    return getattr(layer, "_link", None) if isinstance(layer, keras.layers.Layer) else None


def sharing(
    partner: keras.layers.Layer, around: Iterable[keras.layers.Layer]
) -> list[keras.layers.Layer]:
    """The tied layers in these models that are tied to a layer."""
    held = {id(layer): layer for scope in around for layer in flatten_layers(scope)}
    return [
        layer for layer in held.values() if (link := link_of(layer)) and link.partner is partner
    ]


def homes(tied: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers and models that are known to hold a tied layer, smallest first."""
    noted = [home for ref in tied._link.homes if (home := ref()) is not None]
    known = {id(home): home for home in [*noted, *callers(tied)]}.values()
    return sorted(known, key=lambda home: len(flatten_layers(home)))


def bringing(root: keras.layers.Layer, layer: keras.layers.Layer | None = None) -> set[int]:
    """The ids of the tied layers whose partners a file of a model holds nowhere else.

    Each partner is brought by the first layer tied to it. `layer`: one to think of as in the model.
    """
    held = flatten_layers(root)
    if layer is not None and layer not in held:
        held = [layer, *held]
    inside = set(map(id, held))
    first: dict[int, int] = {}
    for tied in held:
        link = link_of(tied)
        if link and isinstance(link.partner, keras.layers.Layer) and id(link.partner) not in inside:
            first.setdefault(id(link.partner), id(tied))
    return set(first.values())


def _alone(layers: Iterable[keras.layers.Layer]) -> set[int]:
    """The ids of the tied layers that have their partners to themselves."""
    return {id(layer) for layer in layers if (link := link_of(layer)) and link.alone}


def _with_kernel(
    layers: Iterable[keras.layers.Layer], brings: set[int]
) -> Iterator[keras.layers.Layer]:
    """Those of these layers that have a kernel, each partner after the layer that brings it."""
    for layer in layers:
        link = link_of(layer)
        if link or kernel_name(layer) is not None:
            yield layer
        if link and id(layer) in brings and isinstance(link.partner, keras.layers.Layer):
            yield link.partner


def _scopes(
    tied: keras.layers.Layer, roots: Iterable[keras.layers.Layer], brings: set[int]
) -> list[tuple[keras.layers.Layer, list[keras.layers.Layer]]]:
    """The tied layer and each layer of these models that holds it, with what they hold.

    Innermost first.
    """
    held = {id(layer): layer for root in roots for layer in reversed(flatten_layers(root))}
    scopes = [(tied, [tied])]
    for layer in held.values():
        inside = flatten_layers(layer)
        if len(inside) > 1 and layer is not tied and tied in inside:
            scopes.append((layer, list(_with_kernel(inside, brings))))
    return sorted(scopes, key=lambda scope: len(scope[1]))


def locate(
    tied: keras.layers.Layer, partner: keras.layers.Layer, root: keras.layers.Layer, saved: bool
) -> Place | None:
    """The place of a partner in the model that is being copied, or saved; None if not in there."""
    brings = bringing(root) if saved else _alone(flatten_layers(root))
    scopes = _scopes(tied, [root], brings)
    held = {id(layer) for layer in scopes[-1][1]}
    if id(partner) not in held:
        return None
    for scope, members in scopes:
        layers = _upstream_in(scope, held, brings) if scope is not root else []
        if partner in layers:
            return _place(tied, members, True, layers, partner)
    for _, members in scopes:
        if partner in members:
            return _place(tied, members, False, members, partner)
    return None


def _upstream_in(
    scope: keras.layers.Layer, held: set[int], brings: set[int]
) -> list[keras.layers.Layer]:
    """The layers with a kernel before every call of a scope in the model that holds these.

    None of them if they differ from call to call: a copy would not tell which was which.
    """
    found: dict[tuple[int, ...], list[keras.layers.Layer]] = {}
    for node in inbound_nodes(scope):
        layers = list(_with_kernel(upstream_layers([node]), brings))
        if layers and held.issuperset(map(id, layers)):
            found[tuple(map(id, layers))] = layers
    return next(iter(found.values())) if len(found) == 1 else []


def _place(
    tied: keras.layers.Layer,
    members: list[keras.layers.Layer],
    upstream: bool,
    layers: list[keras.layers.Layer],
    partner: keras.layers.Layer,
) -> Place:
    index = layers.index(partner)
    return Place(len(members), members.index(tied), upstream, index, _checksum(layers[: index + 1]))


def _checksum(layers: list[keras.layers.Layer]) -> int:
    return zlib.crc32(",".join(type(layer).__name__ for layer in layers).encode())


def at_place(
    tied: keras.layers.Layer, place: Place, roots: Iterable[keras.layers.Layer]
) -> keras.layers.Layer | None:
    """The layer at a place, in the first of these models that is the copy which it is noted for."""
    roots = list(roots)
    brings = _alone(layer for root in roots for layer in flatten_layers(root))
    for scope, members in _scopes(tied, roots, brings):
        if len(members) != place.size or members[place.own] is not tied:
            continue
        layers: Iterable[keras.layers.Layer] = members
        if place.upstream:  # what a copy is called with first is what its original was called with
            layers = _with_kernel(upstream_layers(inbound_nodes(scope)[:1]), brings)
        found = list(islice(layers, place.partner + 1))
        if len(found) == place.partner + 1 and _checksum(found) == place.classes:
            return found[-1]
    return None


def layers_before(
    tied: keras.layers.Layer, around: Iterable[keras.layers.Layer]
) -> Iterator[list[keras.layers.Layer]]:
    """The layers that a tied one may take inputs from, in ever wider circles.

    The graph tells; of a model that has none, such as a subclass of `Model`, all its layers count.
    The layers that tied layers are tied to belong to their circle.
    """
    for scope in (tied, *around):
        circle = list(upstream_layers(inbound_nodes(scope)))
        if scope is not tied and not hasattr(scope, "operations"):
            circle += flatten_layers(scope)
        partners = [link.partner for layer in circle if (link := link_of(layer))]
        layers = [layer for layer in circle + partners if isinstance(layer, keras.layers.Layer)]
        yield [layer for layer in layers if layer is not tied]


def likeness_of(partner: keras.layers.Layer) -> dict[str, Any] | None:
    """A layer of Keras's own with the settings of a partner of the user's class, serialised.

    A copy needs them before it meets the partner, and the class may not be registered. None where
    the partner is Keras's or ours, or derives from neither.
    """
    if type(partner).__module__.startswith(("keras.", "keras_tied.")):
        return None
    bases: list[Any] = [c for c in type(partner).__mro__ if c.__module__.startswith("keras.src.")]
    base = bases[0]
    if base is keras.Layer:
        return None
    functions = ("activation", "initializer", "regularizer", "constraint")
    config = base.get_config(partner)
    return {
        "module": "keras.layers",
        "class_name": base.__name__,
        "config": {key: value for key, value in config.items() if not key.endswith(functions)},
        "registered_name": None,
    }
