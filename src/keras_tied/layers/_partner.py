"""Find the layer that a rebuilt or loaded layer is tied to, and tie it. See README.md here."""

import functools
import warnings
import weakref
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Self

import keras
import numpy as np

from keras_tied import _keras_internals as internals
from keras_tied.layers.kernel import kernel_name, kernel_shape, kernel_variables

Json = dict[str, Any]


class Address(NamedTuple):
    """The place of a partner among the layers with a kernel around, or before, a tied layer.

    A scope that holds the tied layer has `size` such layers; it is number `own` of
    them. `classes` is a checksum of the classes up to the partner.
    """

    size: int
    own: int
    partner: int
    classes: int


class Place(NamedTuple):
    """Where the partner of a tied layer stands, in terms that hold in every copy of its model."""

    inside: Address
    upstream: Address | None

    def to_json(self) -> dict[str, list[int] | None]:
        return {
            "inside": [*self.inside],
            "upstream": self.upstream and [*self.upstream],
        }

    @classmethod
    def from_json(cls, lists: Any) -> Self:
        match lists:
            case {
                "inside": [_, _, _, _] as inside,
                "upstream": None | [_, _, _, _] as upstream,
            }:
                numbers = [*inside, *(upstream or [])]
                if all(type(number) is int and number >= 0 for number in numbers):
                    return cls(
                        Address(*inside), Address(*upstream) if upstream else None
                    )
        raise ValueError(
            "The place of the layer tied to is to be two lists of four counts;"
            f" received {lists!r}."
        )


class Reference:
    """The partner of a tied layer, while only its configuration and its place are known."""

    def __init__(
        self, serialized: Json, place: Place | None, likeness: Json | None
    ) -> None:
        self.name: str = serialized["config"]["name"]
        self.class_name: str = serialized["class_name"]
        self.serialized, self.place, self.likeness = serialized, place, likeness

    @functools.cached_property
    def settings(self) -> keras.Layer:
        """A layer with the settings of the partner, without weights."""
        serialized = self.likeness or self.serialized
        return keras.saving.deserialize_keras_object(
            {**serialized, "build_config": None}
        )


class Link:
    """Holds the partner out of reach of Keras's tracking, which would count it again.

    The tied layer is `alone` where it was loaded without its partner and has one of its
    own. A partner is `doubtful` that was found by its name alone, or trains apart from
    another. `listed` tells whether the user was warned that two models list the kernel,
    and `apart` that a model trains it which does not hold the partner.
    """

    changes = (
        0  # how often a tied layer has got another partner, or its own, in this process
    )

    def __init__(self, owner: keras.Layer, partner: keras.Layer | Reference) -> None:
        self.owner = weakref.ref(owner)
        self.partner = partner
        self.kernel_shape: tuple[int, ...] | None = None
        self.alone = self.doubtful = self.listed = self.apart = False
        self.homes: list[weakref.ref[keras.Layer]] = []
        self.bias: Any = None  # the partner's, as long as the file of a half is read


def link_of(layer: Any) -> Link | None:
    return getattr(layer, "_link", None) if isinstance(layer, keras.Layer) else None


def homes(tied: keras.Layer) -> list[keras.Layer]:
    """The layers and models that are known to hold a tied layer, smallest first."""
    noted = [home for ref in tied._link.homes if (home := ref()) is not None]
    known = internals.drop_repeats([*noted, *internals.callers(tied)])
    return sorted(known, key=lambda home: len(internals.flatten_layers(home)))


class Members:
    def __init__(self, layers: Iterable[keras.Layer]) -> None:
        self.layers = list(layers)
        self.places = {id(layer): place for place, layer in enumerate(self.layers)}


class Survey:
    """The layers with a kernel in a model, which is being saved or not, and in each of its parts.

    `brings` are the tied layers whose partners the model, or a file of it, holds
    nowhere else.
    """

    def __init__(self, root: keras.Layer, saved: bool) -> None:
        self.state, self.saved = _state(root, saved), saved
        held = internals.flatten_layers(root)
        links = [(layer, link) for layer in held if (link := link_of(layer))]
        self.brings = {id(layer) for layer, link in links if link.alone}
        if saved:  # the first layer tied to a partner that is nowhere else in the file
            inside = set(map(id, held))
            first: dict[int, int] = {}
            for layer, link in links:
                if (
                    isinstance(link.partner, keras.Layer)
                    and id(link.partner) not in inside
                ):
                    first.setdefault(id(link.partner), id(layer))
            self.brings = set(first.values())
        self.parents: dict[Any, list[Any]] = {}
        self.parts: list[tuple[keras.Layer, Members]] = []
        for scope in reversed(held):  # inner ones come before those that hold them
            layers = internals.flatten_layers(scope)
            if len(layers) > 1 or scope is root:
                self.parts.append((scope, Members(with_kernel(layers, self.brings))))
        self.parts.sort(key=lambda part: len(part[1].layers))
        self.members = self.parts[-1][1]

    def scopes(self, tied: keras.Layer) -> Iterator[tuple[keras.Layer, Members]]:
        """The tied layer and each part of the model that holds it, innermost first."""
        yield tied, Members([tied])
        for scope, members in self.parts:
            if scope is not tied and id(tied) in members.places:
                yield scope, members

    def brings_partner(self, tied: keras.Layer, partner: keras.Layer) -> bool:
        """Whether a copy of a tied layer has to bring its partner, because nothing else does."""
        if id(tied) in self.members.places:
            return id(tied) in self.brings
        return self.saved and id(partner) not in self.members.places

    def upstream(self, node: Any) -> Iterator[keras.Layer]:
        return with_kernel(internals.upstream_layers([node], self.parents), self.brings)


def _state(root: keras.Layer, saved: bool) -> tuple[Any, ...]:
    """What a survey of a model depends on: a layer may have its kernel only once it is built."""
    held = internals.flatten_layers(root)
    return saved, Link.changes, sum(layer.built for layer in held), *map(id, held)


def survey(root: keras.Layer, saved: bool = False) -> Survey:
    """The survey of a model, taken once for all the ties in it."""
    notes = internals.notes_on(root)
    last: Survey | None = notes.get("keras_tied_survey")
    if last is None or last.state != _state(root, saved):
        last = notes["keras_tied_survey"] = Survey(root, saved)
    return last


def with_kernel(
    layers: Iterable[keras.Layer], brings: set[int]
) -> Iterator[keras.Layer]:
    """Those of these layers that have a kernel, each partner after the layer that brings it."""
    for layer in layers:
        if kernel_name(layer) is None:
            continue
        yield layer
        if id(layer) in brings:
            yield layer._link.partner


def survey_original(tied: keras.Layer) -> Survey:
    """The survey of the largest model that is being saved, or copied, and holds a tied layer."""
    if (saved := internals.model_of_file()) is not None:
        return survey(saved, saved=True)
    surveys = map(survey, internals.models_being_copied())
    return next(
        (each for each in surveys if id(tied) in each.members.places), survey(tied)
    )


def locate(tied: keras.Layer, partner: keras.Layer, around: Survey) -> Place | None:
    """The place of a partner in the model that is being copied; None if it is not in there."""
    root = around.parts[-1][0]
    upstream = None
    for scope, members in around.scopes(tied):
        if upstream is None and scope is not root:
            layers = _before_calls(scope, partner, around)
            upstream = _address(tied, members, layers) if layers else None
        if (number := members.places.get(id(partner))) is not None:
            return Place(
                _address(tied, members, members.layers[: number + 1]), upstream
            )
    return None


def _before_calls(
    scope: keras.Layer, partner: keras.Layer, around: Survey
) -> list[keras.Layer]:
    """The layers with a kernel before a scope's calls, up to the partner; none if calls differ."""
    paths: dict[tuple[int, ...], list[keras.Layer]] = {}
    for node in internals.inbound_nodes(scope):
        layers = []
        for layer in around.upstream(node):
            layers.append(layer)
            if layer is partner:
                paths[tuple(map(id, layers))] = layers
            elif id(layer) in around.members.places:
                continue
            break  # met the partner, or left the model
    return next(iter(paths.values())) if len(paths) == 1 else []


def _address(tied: keras.Layer, members: Members, layers: list[keras.Layer]) -> Address:
    """The address of the last of these layers."""
    own = members.places[id(tied)]
    classes = zlib.crc32(",".join(type(layer).__name__ for layer in layers).encode())
    return Address(len(members.layers), own, len(layers) - 1, classes)


def at_place(tied: keras.Layer, place: Place, around: Survey) -> keras.Layer | None:
    """The layer at a place, if a model or one of its parts is the copy which it is noted for."""
    for _, members in around.scopes(tied):
        if partner := _at_address(place.inside, tied, members, members.layers):
            return partner
    for scope, members in around.scopes(tied):
        nodes = internals.inbound_nodes(scope)
        if place.upstream and nodes:
            layers = around.upstream(
                nodes[0]
            )  # the first call of a copy is its original's
            if partner := _at_address(place.upstream, tied, members, layers):
                return partner
    return None


def partners_at_places(
    tied: keras.Layer, roots: Iterable[keras.Layer]
) -> list[tuple[keras.Layer, keras.Layer]]:
    """The partner of a tied layer, and of all that wait for theirs in the model that tells it."""
    for root in [*roots, tied]:
        around = survey(root)
        if at_place(tied, tied._link.partner.place, around) is None:
            continue
        return [
            (layer, partner)
            for layer in around.members.layers
            if (link := link_of(layer)) and isinstance(link.partner, Reference)
            if (place := link.partner.place)
            and (partner := at_place(layer, place, around))
        ]
    return []


def _at_address(
    address: Address, tied: keras.Layer, members: Members, layers: Iterable[keras.Layer]
) -> keras.Layer | None:
    if (len(members.layers), members.places[id(tied)]) != (address.size, address.own):
        return None
    first = list(islice(layers, address.partner + 1))
    is_same = (
        bool(first)
        and first[-1] is not tied
        and _address(tied, members, first) == address
    )
    return first[-1] if is_same else None


def layers_before(
    tied: keras.Layer, around: Iterable[keras.Layer]
) -> Iterator[tuple[list[keras.Layer], list[keras.Layer]]]:
    """The layers a tied one may take inputs from, in ever wider circles, and their partners."""
    for scope in (tied, *around):
        circle = list(internals.upstream_layers(internals.inbound_nodes(scope)))
        if scope is not tied and not hasattr(
            scope, "operations"
        ):  # without a graph, all count
            circle += internals.flatten_layers(scope)
        layers = [layer for layer in circle if layer is not tied]
        partners = [link.partner for layer in layers if (link := link_of(layer))]
        yield layers, [layer for layer in partners if isinstance(layer, keras.Layer)]


def likeness_of(partner: keras.Layer) -> Json | None:
    """A layer of Keras's own with the settings of a partner of the user's class, serialised."""
    if type(partner).__module__.startswith(("keras.", "keras_tied.")):
        return None
    base: Any = next(
        cls for cls in type(partner).__mro__ if cls.__module__.startswith("keras.")
    )
    if base is keras.Layer:
        return None
    functions = ("activation", "initializer", "regularizer", "constraint")
    config = base.get_config(partner)
    config = {
        key: value for key, value in config.items() if not key.endswith(functions)
    }
    names = {
        "module": "keras.layers",
        "class_name": base.__name__,
        "registered_name": None,
    }
    return {**names, "config": config}


def find_partner(
    tied: Any, reference: Reference, models: tuple[keras.Layer, ...] = ()
) -> None:
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
        namesakes = find_namesakes(
            tied, [*layers, *partners], reference.name, reference.class_name
        )
        if len(namesakes) > 1:
            raise ValueError(
                f"{tied.label} was copied without '{reference.name}', which it was tied"
                f" to, and {len(namesakes)} layers of that name stand around it: say"
                " which with `keras_tied.retie(decoder, encoder)`."
            )
        for partner in namesakes:
            tied.tie_to(partner, around)
            tied._link.doubtful = True
            warnings.warn(
                f"{tied.label} was copied without '{partner.name}', which it was tied"
                " to, and is now tied to the layer before it that has this name and"
                f" kernel shape ('{partner.path}'): to tie it to another layer, or to"
                " avoid this warning, use `keras_tied.retie(decoder, encoder)`.",
                stacklevel=2,
            )
            return


def with_other_shape(tied: Any, around: list[keras.Layer]) -> keras.Layer | None:
    """The layer at the partner's place, if it has a kernel of another shape there."""
    if tied._link.partner.place is None:
        return None
    pairs = partners_at_places(tied, around)
    partners = [layer for each, layer in pairs if each is tied and layer.built]
    return next((layer for layer in partners if kernel_shape(layer)), None)


def look_for_another(tied: Any, own: keras.Layer) -> None:
    """Tie a layer that was loaded without its partner to that, if it has been put behind it."""
    if internals.is_reading_file() or not all(
        map(internals.holds_numbers, kernel_variables(own))
    ):
        return  # the numbers come later, or are elsewhere while Keras trains
    around, strangers = homes(tied), False
    for layers, partners in layers_before(tied, around):
        others = [layer for layer in [*layers, *partners] if layer is not own]
        namesakes = find_namesakes(tied, others, own.name, type(own).__name__)
        for partner in namesakes:
            if _equal_kernels(partner, own):
                held = [
                    each
                    for home in (tied, *around)
                    for each in internals.flatten_layers(home)
                ]
                for layer in held:
                    if (link := link_of(layer)) and link.partner is own:
                        layer.tie_to(partner, around)
                return
        strangers |= any(layer in layers for layer in namesakes)
    if strangers and not tied._link.doubtful:
        warnings.warn(
            f"{tied.label} was loaded without the layer that it is tied to, and uses"
            f" the kernel of its file; it is not tied to '{own.name}', which now stands"
            " before it with another kernel: to tie the two, use"
            " `keras_tied.retie(decoder, encoder)`.",
            stacklevel=2,
        )
        tied._link.doubtful = True


def find_namesakes(
    tied: Any, layers: list[keras.Layer], name: str, kind: str
) -> list[keras.Layer]:
    alike = [each for each in internals.drop_repeats(layers) if each.name == name]
    return [
        each
        for each in alike
        if type(each).__name__ == kind and kernel_fits(tied, each)
    ]


def kernel_fits(tied: Any, layer: keras.Layer) -> bool:
    if not layer.built:
        return False
    link = link_of(layer)
    if tied._link.kernel_shape is None or (
        link and isinstance(link.partner, Reference)
    ):
        return True  # one of the two kernels is not known yet
    return bool(kernel_shape(layer) == tied._link.kernel_shape)


def _equal_kernels(first: keras.Layer, second: keras.Layer) -> bool:
    """Whether the kernels of two layers hold the same numbers, which are not all one number."""
    pairs = zip(kernel_variables(first), kernel_variables(second), strict=False)
    kernels = [tuple(map(internals.stored_numbers, pair)) for pair in pairs]
    equal = all(np.array_equal(*pair) for pair in kernels)
    return equal and any(np.ptp(kernel) > 0 for kernel, _ in kernels)
