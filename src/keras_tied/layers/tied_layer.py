"""What being tied means: whose kernel a layer uses, and how it stays so. See README.md here."""

import functools
import math
import warnings
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import keras

from keras_tied.layers._keras_internals import (
    callers,
    connected_layers,
    flatten_layers,
    model_being_saved,
    upstream_layers,
)
from keras_tied.layers._kernel import kernel_name, kernel_of, kernel_variables


class Absent:
    """The layer tied to, while only its serialised form is known."""

    def __init__(self, serialized: dict[str, Any]) -> None:
        self.name: str = serialized["config"]["name"]
        self.serialized = serialized

    @functools.cached_property
    def likeness(self) -> keras.layers.Layer:
        """A layer with the settings of the one tied to, without weights."""
        return keras.saving.deserialize_keras_object({**self.serialized, "build_config": None})


class _Tie:
    """Holds the partner out of reach of Keras's tracking, which would count it again."""

    def __init__(self, partner: keras.layers.Layer | Absent) -> None:
        self.partner = partner
        self.kernel_shape: tuple[int, ...] | None = None  # until the partner is built
        self.alone = False
        self.homes: list[weakref.ref[keras.layers.Layer]] = []


class TiedLayer(keras.layers.Layer):
    """Base of the tied layers: computes with the kernel of another layer.

    The kernel stays the other layer's variable. It is created, regularised, frozen, adapted and
    quantised there; this layer reads it anew at every call, so that it follows all of that, and
    the gradient is the sum of what flows through both.

    A subclass adds what it computes (`build`, `call`, `compute_output_shape`) and reads
    `self.tied_kernel()` for the kernel and `self.tied_kernel_shape()` for its shape.

    Args:
        tied_to: the layer whose kernel is used. It may be built later, but before this layer is.
        transpose: whether the adjoint of the other layer's map is computed (the default), or the
            same map with the shared kernel.
        gain: whether to learn one factor for each output unit of the other layer, which scales
            the columns of its kernel. Starts at ones.
        activation: the activation function, a name or a callable. Defaults to none.
        use_bias: whether to add a bias, which is this layer's own. Defaults to `True`.
        bias_initializer: initializer of the bias. Defaults to `"zeros"`.
        bias_regularizer: regularizer of the bias. Defaults to none.
        bias_constraint: constraint on the bias. Defaults to none.
        **kwargs: `name`, `dtype`, `trainable` and `activity_regularizer` of `keras.layers.Layer`.

    Raises:
        ValueError: where `tied_to` is not a layer or has no kernel, or if the shapes do not fit.
    """

    def __init__(
        self,
        tied_to: keras.layers.Layer,
        transpose: bool = True,
        gain: bool = False,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._tie = _Tie(self._checked(tied_to))
        self.transpose = transpose
        self.use_gain = gain
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.gain: keras.Variable | None = None
        self.bias: keras.Variable | None = None
        self.supports_masking = True

    def _checked(self, tied_to: Any) -> keras.layers.Layer | Absent:
        if isinstance(tied_to, Absent):
            return tied_to
        if not isinstance(tied_to, keras.layers.Layer):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' can be tied to a Keras layer; received "
                f"tied_to={tied_to!r} ({type(tied_to).__name__}): pass the layer object itself, "
                "for example `model.get_layer(name)`."
            )
        if tied_to.built and kernel_name(tied_to) is None:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' cannot be tied to '{tied_to.name}' "
                f"({type(tied_to).__name__}), which has no kernel; tie it to a layer that has "
                "one, such as Dense or Embedding."
            )
        return tied_to

    @property
    def tied_to(self) -> keras.layers.Layer | None:
        """The layer tied to; None while a rebuilt layer has not met it yet."""
        if isinstance(self._tie.partner, Absent):
            self._tie.partner = self._found(self._tie.partner) or self._tie.partner
        return None if isinstance(self._tie.partner, Absent) else self._tie.partner

    def _found(self, absent: Absent) -> keras.layers.Layer | None:
        """The layer tied to, looked for in ever wider circles; the first that holds it decides."""
        circles: list[Iterable[keras.layers.Layer]] = [
            upstream_layers(self),
            connected_layers(self),
        ]
        for home in self._homes():
            circles += [flatten_layers(home), upstream_layers(home), connected_layers(home)]
        return next(filter(None, (self._among(absent, circle) for circle in circles)), None)

    def _homes(self) -> list[keras.layers.Layer]:
        """The models known to hold this layer, smallest first."""
        homes = [home for ref in self._tie.homes if (home := ref()) is not None] + callers(self)
        return sorted(
            {id(home): home for home in homes}.values(), key=lambda h: len(flatten_layers(h))
        )

    def _clear_losses(self) -> None:
        """Note who holds this layer: Keras passes here before each call that may reach it.

        Nothing may be raised here, where Keras would never close the context of that call, and
        later calls of any layer would take its `training` for theirs. The call itself will raise.
        """
        super()._clear_losses()
        met = None
        with suppress(ValueError):
            met = self.tied_to
        if met is None:
            self._tie.homes = [weakref.ref(home) for home in self._homes()]

    @property
    def kernel_layer(self) -> keras.layers.Layer | None:
        """What Keras saves and loads as a part of this layer, unless it has done so already.

        Keras looks at attributes in alphabetical order and visits each layer once, so this one
        comes before `tied_to`, and a file holds the kernel here only where the model that is
        saved does not hold the layer tied to, or holds it further on.
        """
        return self.tied_to

    def tied_kernel_shape(self) -> tuple[int, ...]:
        """The shape of the kernel of the layer tied to."""
        if self._tie.kernel_shape is None:
            partner = self._met()
            name = kernel_name(partner)
            if not partner.built or name is None:
                raise ValueError(
                    f"{type(self).__name__} '{self.name}' is tied to '{partner.name}' "
                    f"({type(partner).__name__}), which has no kernel yet: build or call "
                    f"'{partner.name}' before '{self.name}'."
                )
            self._tie.kernel_shape = tuple(getattr(partner, name).shape)
        return self._tie.kernel_shape

    def tied_kernel(self) -> Any:
        """The kernel of the layer tied to, as that layer computes with it, in our compute dtype."""
        return keras.ops.cast(kernel_of(self._met()), self.compute_dtype)

    def tied_settings(self) -> keras.layers.Layer:
        """The layer tied to or, while it has not been met, one with its settings, not built."""
        partner = self.tied_to or self._tie.partner
        return partner.likeness if isinstance(partner, Absent) else partner

    def tied_input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of the inputs that the layer tied to was built for, None if not noted."""
        partner = self.tied_to or self._tie.partner
        if isinstance(partner, Absent):
            noted = partner.serialized.get("build_config")
        else:
            noted = partner.get_build_config()
        shape = (noted or {}).get("input_shape")
        return None if shape is None else tuple(shape)

    def _met(self) -> keras.layers.Layer:
        """The layer tied to, or an error that says where it was looked for."""
        if partner := self.tied_to:
            if self._tie.alone:
                self._warn_of_a_namesake(partner)
            return partner
        absent, homes = self._tie.partner, self._homes()
        place = f"'{homes[-1].name}'" if homes else "the graph around it"
        raise ValueError(
            f"{type(self).__name__} '{self.name}' is tied to layer '{absent.name}' with a kernel "
            f"of shape {self._tie.kernel_shape}, and no such layer was found in {place}: call, "
            f"clone or rebuild the model that holds both '{absent.name}' and '{self.name}'."
        )

    def _warn_of_a_namesake(self, partner: keras.layers.Layer) -> None:
        """Say so where a layer with a partner of its own has been put behind one like it."""
        before = (layer for place in (self, *self._homes()) for layer in upstream_layers(place))
        if any(layer is not partner and self._fits(partner, layer) for layer in before):
            warnings.warn(
                f"{type(self).__name__} '{self.name}' was loaded without the layer that it is "
                f"tied to, and uses the kernel that its file brought; it is not tied to "
                f"'{partner.name}', which now stands before it: to keep the two tied, save and "
                "load the model that holds both.",
                stacklevel=2,
            )

    def _among(self, absent: Absent, layers: Iterable[Any]) -> keras.layers.Layer | None:
        """The one layer of that name whose kernel fits; two are an error, never a guess."""
        layers = [layer for layer in layers if layer is not self]
        layers += [layer._tie.partner for layer in layers if isinstance(layer, TiedLayer)]
        fitting = {id(layer): layer for layer in layers if self._fits(absent, layer)}
        if len(fitting) > 1:
            raise ValueError(
                f"{type(self).__name__} '{self.name}' is tied to layer '{absent.name}', and "
                f"{len(fitting)} layers of that name stand around it: give them different names "
                "before the model is cloned or rebuilt."
            )
        return next(iter(fitting.values()), None)

    def _fits(
        self, absent: keras.layers.Layer | Absent, layer: keras.layers.Layer | Absent
    ) -> bool:
        if isinstance(layer, Absent) or layer.name != absent.name or not layer.built:
            return False
        if self._tie.kernel_shape is None or (isinstance(layer, TiedLayer) and not layer.tied_to):
            return True  # one of the two kernels is not known yet: the name decides
        name = kernel_name(layer)
        return name is not None and tuple(getattr(layer, name).shape) == self._tie.kernel_shape

    def add_gain(self, shape: tuple[int, ...]) -> None:
        """Create the gain, if there is to be one."""
        if self.use_gain:
            self.gain = self.add_weight(name="gain", shape=shape, initializer="ones")

    def add_bias(self, shape: tuple[int, ...]) -> None:
        """Create the bias, if there is to be one."""
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    @property
    def variables(self) -> list[keras.Variable]:
        """This layer's variables, and those that the kernel it uses is made of.

        A model lists a variable once, however many of its layers name it. A decoder that is used
        without its encoder lists the kernel because of this, and so trains, exports and compiles
        with the kernel as a variable, not as a constant.
        """
        return self._with_partner(super().variables, "variables")

    @property
    def weights(self) -> list[keras.Variable]:
        """As `variables`, without the state of seed generators."""
        return self._with_partner(super().weights, "weights")

    def _with_partner(self, own: list[keras.Variable], kind: str) -> list[keras.Variable]:
        tie = getattr(self, "_tie", None)
        partner = self.tied_to if tie else None
        return [*own, *kernel_variables(partner, kind)] if partner is not None else own

    def count_params(self) -> int:
        """The number of weights that are this layer's own: bias and gain."""
        if not self.built:
            return int(super().count_params())
        return sum(math.prod(weight.shape) for weight in super().weights)

    def quantize(self, mode: Any = None, type_check: bool = True, config: Any = None) -> None:
        """Nothing to do: the kernel is quantised in the layer that it belongs to."""

    def get_config(self) -> dict[str, Any]:
        """The configuration; the layer tied to stands in it with its own configuration."""
        return {
            **super().get_config(),
            **self._tie_config(),
            "transpose": self.transpose,
            "gain": self.use_gain,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }

    def _tie_config(self) -> dict[str, Any]:
        partner = self.tied_to or self._tie.partner
        if isinstance(partner, Absent):
            serialized = partner.serialized
        else:
            serialized = keras.saving.serialize_keras_object(partner)
            if partner.built:
                self.tied_kernel_shape()
            if self._found(Absent(serialized)) not in (None, partner):
                raise ValueError(
                    f"{type(self).__name__} '{self.name}' is tied to layer '{partner.name}', and "
                    "another layer of that name and kernel shape stands nearer to it, which a copy "
                    "would be tied to instead: give the two different names."
                )
        return {
            "tied_to": serialized,
            "kernel_shape": self._tie.kernel_shape,
            "alone": self._brings(partner),
        }

    def _brings(self, partner: keras.layers.Layer | Absent) -> bool:
        """Whether a copy has to bring the layer tied to, because nothing around it holds that."""
        root = model_being_saved() or (self._tie.alone and [self, *callers(self)][-1])
        if isinstance(partner, Absent) or not root:
            return False
        held = flatten_layers(root)
        tied = (layer for layer in held if isinstance(layer, TiedLayer))
        first = next((layer for layer in tied if layer._tie.partner is partner), self)
        return first is self and partner not in held

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer that is tied by name, and meets its partner in the model that it is put into.

        One that was saved without its partner's model (`alone`) brings a partner of its own.
        """
        config = dict(config)
        serialized, kernel_shape = config.pop("tied_to"), config.pop("kernel_shape")
        alone = config.pop("alone")
        partner = keras.saving.deserialize_keras_object(serialized) if alone else Absent(serialized)
        layer: Self = super().from_config({**config, "tied_to": partner})
        layer._tie.kernel_shape = None if kernel_shape is None else tuple(kernel_shape)
        layer._tie.alone = alone
        return layer
