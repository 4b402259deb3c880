"""Find the layer that a rebuilt or loaded layer is tied to. See README.md here."""

import functools
import warnings
import weakref
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Self

import keras
import numpy as np
from keras import Layer

from keras_tied import _keras_internals as internals
from keras_tied._types import Config
from keras_tied.layers.kernel import kernel_name, kernel_shape, kernel_variables


class Address(NamedTuple):
    """The place of a partner among the layers with a kernel around, or before, a layer.

    A scope that holds the tied layer has `size` such layers; it is number `own` of
    them. `classes` is a checksum of the classes up to the partner.
    """

    size: int
    own: int
    partner: int
    classes: int


class Place(NamedTuple):
    """Where the partner of a tied layer stands, in every copy of its model."""

    inside: Address
    upstream: Address | None

    @classmethod
    def from_json(cls, lists: dict[str, Any]) -> Self:
        """Read what `to_json` has made of a place."""
        return cls(**{name: each and Address(*each) for name, each in lists.items()})

    def to_json(self) -> dict[str, Any]:
        return {name: each and list(each) for name, each in self._asdict().items()}


class Reference:
    """The partner of a tied layer, while only its configuration and place are known."""

    built = False

    def __init__(
        self,
        serialized: Config,
        place: Place | None,
        likeness: Config | None,
    ) -> None:
        # A layer of the user's own may leave its name out.
        self.name: str = serialized["config"].get("name", serialized["class_name"])
        self.serialized = serialized
        self.place = place
        self.likeness = likeness

    @functools.cached_property
    def settings(self) -> Layer:
        """A layer with the settings of the partner, without weights."""
        serialized = {**(self.likeness or self.serialized), "build_config": None}
        return keras.saving.deserialize_keras_object(serialized)

    def get_build_config(self) -> Config | None:
        return self.serialized.get("build_config")


class Link:
    """Holds the partner out of reach of Keras's tracking, which would count it again.

    The tied layer is `alone` where it was loaded without its partner and has one of its
    own. That is `doubtful` where another layer of its name stands before the layer.
    """

    changes = 0  # how often a tied layer has got another partner in this process

    def __init__(self, owner: Layer, partner: Layer | Reference) -> None:
        self.owner = weakref.ref(owner)
        self.partner = partner
        self.kernel_shape: tuple[int, ...] | None = None
        self.alone = False
        self.doubtful = False
        self.bias: Any = None  # the partner's, while the file of a half is read
        self.homes: weakref.WeakSet[Layer] = weakref.WeakSet()

    @property
    def layer(self) -> Layer | None:
        """The partner, once it has been met."""
        return None if isinstance(self.partner, Reference) else self.partner


def link_of(layer: Any) -> Link | None:
    return getattr(layer, "_link", None) if isinstance(layer, Layer) else None


def partners_of(layers: Iterable[Layer]) -> list[Layer]:
    """The layers that those of these layers are tied to which are tied."""
    links = filter(None, map(link_of, layers))
    return [link.layer for link in links if link.layer is not None]


def homes(tied: Any) -> list[Layer]:
    """The layers and models that are known to hold a tied layer, smallest first."""
    return internals.find_holders(tied, tied._link.homes)


class Scope(NamedTuple):
    """A part of a model, and the layers with a kernel that it holds, in order."""

    layer: Layer
    kernels: list[Layer]

    def address(self, tied: Layer, path: list[Layer]) -> Address:
        """The address of the last layer of a path."""
        names = ",".join(type(layer).__name__ for layer in path)
        return Address(
            size=len(self.kernels),
            own=self.kernels.index(tied),
            partner=len(path) - 1,
            classes=zlib.crc32(names.encode()),
        )

    def find(
        self,
        address: Address,
        tied: Layer,
        layers: Iterable[Layer],
    ) -> Layer | None:
        """The layer at an address, if this is a copy of the scope it was noted in."""
        size, own = len(self.kernels), self.kernels.index(tied)
        if (size, own) != (address.size, address.own):
            return None  # before any layer is looked at
        path = list(islice(layers, address.partner + 1))
        return path[-1] if self.address(tied, path) == address else None


class Survey:
    """The layers with a kernel in a model, which is being saved or not, and its parts.

    `brings` are the tied layers whose partners the model, or a file of it, holds
    nowhere else.
    """

    def __init__(self, root: Layer, layers: list[Layer], is_saved: bool) -> None:
        self.layers = layers
        self.is_saved = is_saved
        self.brings = _find_lone(layers, is_saved)
        self.scopes = []
        for layer in reversed(layers):
            held = internals.flatten_layers(layer)
            if len(held) > 1 or layer is root:
                self.scopes.append(Scope(layer, list(self.with_kernel(held))))
        self.scopes.sort(key=lambda scope: len(scope.kernels))
        self.whole = self.scopes[-1]

    def with_kernel(self, layers: Iterable[Layer]) -> Iterator[Layer]:
        """Those with a kernel, each partner after the layer that brings it."""
        for layer in layers:
            if kernel_name(layer) is None:
                continue
            yield layer
            if layer in self.brings:
                yield from partners_of([layer])

    def before(self, call: Any) -> Iterator[Layer]:
        return self.with_kernel(internals.layers_before([call]))

    def around(self, tied: Layer) -> Iterator[Scope]:
        """The tied layer and each part of the model that holds it, innermost first."""
        yield Scope(tied, [tied])
        for scope in self.scopes:
            if scope.layer is not tied and tied in scope.kernels:
                yield scope

    def brings_partner(self, tied: Layer, partner: Layer) -> bool:
        """Whether a copy of a tied layer has to bring its partner with it."""
        if tied in self.whole.kernels:
            return tied in self.brings
        return self.is_saved and partner not in self.whole.kernels


def _find_lone(layers: list[Layer], is_saved: bool) -> list[Layer]:
    """The layers that bring a partner: in a file, the first tied to one not in it."""
    alone = []
    first: dict[Layer, Layer] = {}
    for layer in layers:
        link = link_of(layer)
        if link is None:
            continue
        if link.alone:
            alone.append(layer)
        if link.layer is not None and link.layer not in layers:
            first.setdefault(link.layer, layer)
    return list(first.values()) if is_saved else alone


def survey(root: Layer, is_saved: bool = False) -> Survey:
    """The survey of a model, taken once for all the ties in it."""
    layers = internals.flatten_layers(root)  # the root first
    # A layer may have its kernel only once it is built.
    n_built = sum(layer.built for layer in layers)
    state = is_saved, Link.changes, n_built, *map(id, layers)
    surveys: dict[Any, Survey] = internals.notes_of(root)
    if state not in surveys:
        surveys.clear()
        surveys[state] = Survey(root, layers, is_saved)
    return surveys[state]


def survey_original(tied: Layer) -> Survey:
    """The survey of the largest model being saved or copied that holds a tied layer."""
    if (root := internals.model_of_file()) is not None:
        return survey(root, is_saved=True)
    for model in internals.models_being_copied():
        original = survey(model)
        if tied in original.whole.kernels:
            return original
    return survey(tied)


def locate(tied: Layer, partner: Layer, original: Survey) -> Place | None:
    """The place of a partner in the model that is copied; None if it is not there."""
    upstream = None
    for scope in original.around(tied):
        if upstream is None and scope.layer is not original.layers[0]:
            path = _find_path(scope.layer, partner, original)
            upstream = scope.address(tied, path) if path else None
        if partner in scope.kernels:
            path = scope.kernels[: scope.kernels.index(partner) + 1]
            return Place(scope.address(tied, path), upstream)
    return None


def _find_path(
    layer: Layer,
    partner: Layer,
    original: Survey,
) -> list[Layer]:
    """The layers with a kernel before the calls of a layer, up to the partner.

    Empty if the calls differ.
    """
    paths: list[list[Layer]] = []
    for call in internals.calls_of(layer):
        path = []
        for each in original.before(call):
            path.append(each)
            if each is partner or each not in original.whole.kernels:
                break
        if path[-1:] != [partner]:
            return []
        if path not in paths:
            paths.append(path)
    return paths[0] if len(paths) == 1 else []


def _at_place(tied: Layer, model: Survey) -> Layer | None:
    """The layer at the place of a partner not met yet, if the model has that place."""
    reference = getattr(link_of(tied), "partner", None)
    if not isinstance(reference, Reference) or reference.place is None:
        return None
    place = reference.place
    for scope in model.around(tied):
        if partner := scope.find(place.inside, tied, scope.kernels):
            return partner
    for scope in model.around(tied):
        calls = internals.calls_of(scope.layer)
        if place.upstream and calls:
            # The first call of a copy is its original's.
            layers = model.before(calls[0])
            if partner := scope.find(place.upstream, tied, layers):
                return partner
    return None


def find_partner(tied: Any, models: Iterable[Layer]) -> Layer | None:
    """The layer that a call of these models would tie a layer to. Nothing is tied."""
    link = tied._link
    if link.layer is not None:
        twin = find_twin(tied, models) if link.alone else None
        return twin or link.layer
    model = _find_home(tied, models)
    partner = None if model is None else _at_place(tied, model)
    is_fit = partner is not None and tied.can_be_tied_to(partner)
    return partner if is_fit else None


def _find_home(tied: Any, models: Iterable[Layer]) -> Survey | None:
    """The largest model that has the place of a partner not met yet."""
    around = [*homes(tied), *models]
    for root in [*reversed(around), tied]:
        model = survey(root)
        if _at_place(tied, model) is not None:
            return model
    return None


def tie_by_place(tied: Any) -> None:
    """Tie a layer to the one at its place in a copy, and with it all that wait so."""
    model = _find_home(tied, ())
    if model is None:
        return
    for layer in model.whole.kernels:
        partner = _at_place(layer, model)
        if partner is not None and layer.can_be_tied_to(partner):
            layer.use(partner)
    if tied._link.layer is not None:
        tied.refresh(homes(tied))


def _sources(tied: Layer, around: Iterable[Layer]) -> list[Layer]:
    """The layers that a tied one may take inputs from, the nearest first."""
    layers = internals.layers_before_inputs(tied)
    for scope in (tied, *around):
        layers += internals.layers_before(internals.calls_of(scope))
        if scope is not tied and not hasattr(scope, "operations"):
            layers += internals.flatten_layers(scope)  # without a graph, all count
    return layers


def likeness_of(partner: Layer) -> Config | None:
    """A layer of Keras's with the settings of one of the user's class, serialised."""
    kinds: list[Any] = [
        kind for kind in type(partner).__mro__ if kind.__module__.startswith("keras.")
    ]
    kind = kinds[0]
    if kind is Layer or kind is type(partner):
        return None
    functions = ("activation", "initializer", "regularizer", "constraint")
    settings = kind.get_config(partner).items()
    config = {name: value for name, value in settings if not name.endswith(functions)}
    names = {"module": "keras.layers", "class_name": kind.__name__}
    return {**names, "registered_name": None, "config": config}


def find_twin(tied: Any, models: Iterable[Layer]) -> Layer | None:
    """The layer with the numbers of the partner that a layer brought, before it."""
    own = tied._link.partner
    if not _are_numbers_known(own):
        return None
    layers = _sources(tied, [*homes(tied), *models])
    for layer in _find_namesakes(tied, [*layers, *partners_of(layers)]):
        if _equal_kernels(layer, own):
            return layer
    return None


def tie_to_twin(tied: Any) -> None:
    """Tie a layer that brought its partner to the one it now stands behind."""
    own = tied._link.partner
    twin = find_twin(tied, ())
    if twin is not None:
        _replace_partner(own, twin, [tied, *homes(tied)])
    elif not tied._link.doubtful and _are_numbers_known(own):
        _warn_of_stranger(tied, own)


def _are_numbers_known(own: Layer) -> bool:
    """Not while a file is read, or while Keras's JAX trainer has them."""
    numbers = map(internals.holds_numbers, kernel_variables(own))
    return not internals.is_reading_file() and all(numbers)


def _warn_of_stranger(tied: Any, own: Layer) -> None:
    """Warn once if a layer stands behind another of its partner's name and shape."""
    if not _find_namesakes(tied, _sources(tied, homes(tied))):
        return
    tied._link.doubtful = True
    warnings.warn(
        f"{tied.label} was loaded without the layer that it is tied to, and uses"
        f" the kernel of its file; it is not tied to '{own.name}', which now stands"
        " before it with another kernel: to tie the two, use"
        " `keras_tied.retie(decoder, encoder)`.",
        stacklevel=2,
    )


def _replace_partner(
    own: Layer,
    partner: Layer,
    around: list[Layer],
) -> None:
    """Tie all layers to a partner that are tied to the one that a file brought."""
    for home in around:
        for layer in internals.flatten_layers(home):
            link = link_of(layer)
            if link is not None and link.partner is own:
                layer.tie_to(partner, around)


def _find_namesakes(tied: Any, layers: Iterable[Layer]) -> list[Layer]:
    """Those of these layers, each once, that could be taken for the partner."""
    partner = tied._link.partner
    namesakes = []
    for layer in internals.drop_repeats(layers):
        is_namesake = layer.name == partner.name and type(layer) is type(partner)
        is_other = layer is not tied and layer is not partner
        if is_namesake and is_other and kernel_fits(tied, layer):
            namesakes.append(layer)
    return namesakes


def kernel_fits(tied: Any, layer: Layer) -> bool:
    chain = [layer]
    for each in chain:
        chain += partners_of([each])
    if tied in chain or not layer.built:
        return False
    shape = tied._link.kernel_shape
    link = link_of(layer)
    waits = link is not None and link.layer is None
    if shape is None or waits:
        return True  # one of the two kernels is not known yet
    return bool(kernel_shape(layer) == shape)


def _equal_kernels(first: Layer, second: Layer) -> bool:
    """Whether the kernels of two layers hold the same numbers, not all one number."""
    varies = False
    pairs = zip(kernel_variables(first), kernel_variables(second), strict=False)
    for pair in pairs:
        one, other = map(internals.stored_numbers, pair)
        if not np.array_equal(one, other):
            return False
        varies = varies or np.ptp(one) > 0
    return varies
