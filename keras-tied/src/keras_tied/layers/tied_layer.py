"""What being tied means: whose kernel a layer uses. See README.md here."""

import math
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import keras
from keras import Layer, Variable, ops

from keras_tied import _keras_internals as internals
from keras_tied._types import Config, Shape
from keras_tied.layers import _partner as partners
from keras_tied.layers.kernel import (
    kernel_name,
    kernel_of,
    kernel_shape,
    kernel_variables,
)


class TiedLayer(internals.CallObserver):
    """Base of the tied layers, which compute with another layer's kernel: `TiedDense`.

    A subclass adds what it computes (`build`, `call`, `compute_output_shape`) and reads
    `self.tied_kernel()` for the kernel and `self.tied_kernel_shape()` for its shape.
    `PARTNERS` are the classes that it can be tied to; none for any with a kernel.
    `KEEPS_MASKS` says whether a mask of the inputs is one of the outputs.
    """

    PARTNERS: tuple[type[Layer], ...] = ()
    KEEPS_MASKS = True

    def __init__(
        self,
        tied_to: Layer,
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
        self._link = partners.Link(self, self._validate_partner(tied_to))
        # Keras takes this step after it has loaded `kernel_layer`.
        self.kernel_layer_bias = internals.LoadingStep(self._restore_partner_bias)
        self.transpose = transpose
        self.use_gain = gain
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.gain: Variable | None = None
        self.bias: Variable | None = None
        self.supports_masking = self.KEEPS_MASKS

    @property
    def label(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def _validate_partner(self, tied_to: Any) -> Layer | partners.Reference:
        if isinstance(tied_to, partners.Reference):
            return tied_to
        if not isinstance(tied_to, Layer):
            raise ValueError(
                f"{self.label} can be tied to a Keras layer; received"
                f" tied_to={tied_to!r} ({type(tied_to).__name__}): pass the layer"
                " object itself, for example `model.get_layer(name)`."
            )
        if tied_to.built and kernel_name(tied_to) is None:
            raise ValueError(
                f"{self.label} cannot be tied to '{tied_to.name}'"
                f" ({type(tied_to).__name__}), which has no kernel; tie it to a layer"
                " that has one, such as Dense or Embedding."
            )
        if self.PARTNERS and not isinstance(tied_to, self.PARTNERS):
            names = ", ".join(cls.__name__ for cls in self.PARTNERS)
            raise ValueError(
                f"{self.label} can be tied to a layer of class {names}; received"
                f" '{tied_to.name}', a {type(tied_to).__name__}: see `keras_tied.tie`"
                " for the layer that ties to it."
            )
        return tied_to

    @property
    def tied_to(self) -> Layer | None:
        """The layer tied to; None while a rebuilt layer has not met it yet."""
        self._require_own_link()
        if isinstance(self._link.partner, partners.Reference):
            partners.tie_by_place(self)
        elif self._link.alone:
            partners.tie_to_twin(self)
        return self._link.layer

    def find_partner(self, *models: Layer) -> Layer | None:
        """The layer that a call of these models would tie to. Nothing is tied."""
        self._require_own_link()
        return partners.find_partner(self, models)

    def _require_own_link(self) -> None:
        if self._link.owner() is not self:
            raise ValueError(
                f"{self.label} was copied attribute by attribute, and would still use"
                " the kernel of the original: copy the model with"
                " `keras.models.clone_model`, or save and load it, instead of with"
                " nnx.clone or nnx.merge."
            )

    def tie_to(self, partner: Layer, around: Iterable[Layer]) -> None:
        """Use the kernel of a layer; `around` are models that hold this one."""
        self.use(partner)
        self.refresh(around)

    def use(self, partner: Layer) -> None:
        self._link.partner = partner
        self._link.alone = False
        self._link.doubtful = False
        partners.Link.changes += 1

    def refresh(self, around: Iterable[Layer]) -> None:
        for home in (self, *around):
            for layer in internals.flatten_layers(home):
                internals.refresh_parameters(layer)

    def can_be_tied_to(self, layer: Layer) -> bool:
        with suppress(ValueError):
            return partners.kernel_fits(self, self._validate_partner(layer))
        return False

    def before_call(self) -> None:
        """Note who holds this layer while it has no partner. The call will raise."""
        partner = None
        with suppress(ValueError, Warning):
            partner = self.tied_to
        if partner is None:
            self._link.homes = weakref.WeakSet(partners.homes(self))

    @property
    def kernel_layer(self) -> Layer | None:
        """What Keras saves and loads as a part of this layer, if it has not yet."""
        return self.tied_to

    def load_own_variables(self, store: Any) -> None:
        """Load the gain and the bias, before Keras loads `kernel_layer`."""
        self._note_partner_bias()
        super().load_own_variables(store)

    def _note_partner_bias(self) -> None:
        """The bias of a partner is no part of a half that uses its kernel alone."""
        partner, half = self.tied_to, internals.model_of_file()
        bias = getattr(partner, "bias", None)
        is_lent = bias is not None and half is not None
        self._link.bias = None
        if is_lent and not self._is_inside(partner, half):
            self._link.bias = internals.stored_numbers(bias)

    def _restore_partner_bias(self) -> None:
        partner: Any = self.tied_to
        if self._link.bias is not None:
            partner.bias.assign(self._link.bias)
            self._link.bias = None

    def _is_inside(self, partner: Layer, model: Layer) -> bool:
        """Whether a model uses the kernel of a layer that it holds or has brought."""
        layers = internals.flatten_layers(model)
        links = filter(None, map(partners.link_of, layers))
        brought = [link.partner for link in links if link.alone]
        return partner in (*layers, *brought)

    def tied_kernel_shape(self) -> tuple[int, ...]:
        if self._link.kernel_shape is None:
            partner = self._require_partner()
            shape = kernel_shape(partner) if partner.built else None
            if shape is None:
                raise ValueError(
                    f"{self.label} is tied to '{partner.name}'"
                    f" ({type(partner).__name__}), which has no kernel yet: build or"
                    f" call '{partner.name}' before '{self.name}'."
                )
            self._link.kernel_shape = shape
        return self._link.kernel_shape

    def tied_kernel(self) -> Any:
        """The kernel as the layer tied to computes with it, in our compute dtype."""
        return ops.cast(kernel_of(self._require_partner()), self.compute_dtype)

    def tied_settings(self) -> Layer:
        """The layer tied to or, while not met, one with its settings, not built."""
        partner = self.tied_to or self._link.partner
        return getattr(partner, "settings", partner)

    def tied_input_shape(self) -> Shape | None:
        """The shape of the inputs that the layer tied to was built for, if noted."""
        partner = self.tied_to or self._link.partner
        build_config = partner.get_build_config() or {}
        shape = build_config.get("input_shape")
        return None if shape is None else tuple(shape)

    @property
    def kernel(self) -> Any:
        """The kernel of the layer tied to, in its layout, with the gain in it."""
        kernel = self.tied_kernel()
        if self.gain is None:
            return kernel
        gain = ops.cast(self.gain, self.compute_dtype)
        return ops.multiply(kernel, self.lay_gain(gain, kernel))

    def lay_gain(self, gain: Any, kernel: Any) -> Any:
        """The gain in a shape that is broadcast along the kernel."""
        return gain

    def _require_partner(self) -> Layer:
        if partner := self.tied_to:
            return partner
        reference = self._link.partner
        around = partners.homes(self)
        place = f"'{around[-1].name}'" if around else "the graph around it"
        raise ValueError(
            f"{self.label} is tied to layer '{reference.name}' with a kernel of shape"
            f" {self._link.kernel_shape}, and no such layer was found in {place}: call,"
            f" clone or rebuild the model that holds both '{reference.name}' and"
            f" '{self.name}', or tie them with `keras_tied.retie(decoder, encoder)`. If"
            " widths have changed, create the tied layer again."
        )

    def add_own_weights(
        self,
        gain: tuple[int, ...],
        bias: tuple[int, ...],
    ) -> None:
        """Add the gain and the bias, of these shapes, where they are used."""
        if self.use_gain:
            self.gain = self.add_weight(gain, "ones", name="gain")
        if self.use_bias:
            self.bias = self.add_weight(
                bias,
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def scale_code(self, code: Any) -> Any:
        """The code times the gain.

        Not the kernel times the gain: exporters would store the product.
        """
        return code if self.gain is None else ops.multiply(code, self.gain)

    def add_bias(self, outputs: Any) -> Any:
        return outputs if self.bias is None else ops.add(outputs, self.bias)

    @property
    def trainable(self) -> bool:
        """Whether this layer trains, and with it the kernel that its file brought."""
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)
        link = partners.link_of(self)
        if link is not None and link.alone:
            partner: Any = link.partner
            partner.trainable = value

    @property
    def variables(self) -> list[Variable]:
        """This layer's variables, and those that the kernel it uses is made of."""
        return [*super().variables, *self._list_of_partner("variables")]

    @property
    def weights(self) -> list[Variable]:
        return [*super().weights, *self._list_of_partner("weights")]

    def _list_of_partner(self, kind: str) -> list[Variable]:
        # Keras reads the lists before there is a link.
        partner = self.tied_to if partners.link_of(self) else None
        return [] if partner is None else kernel_variables(partner, kind)

    def count_params(self) -> int:
        if not self.built:
            return int(super().count_params())
        return sum(math.prod(weight.shape) for weight in super().weights)

    @property
    def quantization_mode(self) -> None:
        """None, whatever the dtype policy: the layer tied to has the integers."""

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Quantise the kernel if this layer brought it; its owner does so otherwise.

        Raises:
            ValueError: where the owner was quantised to what cannot be read.
            NotImplementedError: where the owner is in no model that is being quantised.
                Keras makes it a warning.
        """
        partner: Any = self.tied_to
        if partner is None:
            return
        if getattr(partner, "quantization_mode", None) is not None:
            self.tied_kernel()  # or an error, if it cannot be read
            return
        around = partners.homes(self)
        if self._link.alone:
            partner.quantize(*args, **kwargs)
            self.refresh(around)
        elif not any(self._is_inside(partner, model) for model in around):
            raise NotImplementedError(
                f"{self.label} was not quantized: its kernel belongs to"
                f" '{partner.name}', which is not in the model that is quantized;"
                f" quantize '{partner.name}' or a model that holds it, such as the"
                " encoder."
            )

    def get_config(self) -> Config:
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

    def _tie_config(self) -> Config:
        partner = self.tied_to
        reference: Any = self._link.partner
        alone = False
        if partner is not None:
            if partner.built:
                self.tied_kernel_shape()
            original = partners.survey_original(self)
            place = partners.locate(self, partner, original)
            alone = original.brings_partner(self, partner)
            serialized = keras.saving.serialize_keras_object(partner)
            likeness = partners.likeness_of(partner)
            reference = partners.Reference(serialized, place, likeness)
        return {
            "tied_to": reference.serialized,
            "place": reference.place and reference.place.to_json(),
            "likeness": reference.likeness,
            "kernel_shape": self._link.kernel_shape,
            "alone": alone,
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A layer that meets its partner in a model, or (`alone`) brings its own."""
        config = dict(config)
        names = "tied_to", "place", "likeness", "kernel_shape", "alone"
        serialized, place, likeness, kernel_shape, alone = map(config.pop, names)
        if alone:
            partner = keras.saving.deserialize_keras_object(serialized)
            partner.trainable = config["trainable"]
        else:
            place = place and partners.Place.from_json(place)
            partner = partners.Reference(serialized, place, likeness)
        layer: Self = super().from_config({**config, "tied_to": partner})
        layer._link.kernel_shape = kernel_shape and tuple(kernel_shape)
        layer._link.alone = alone
        partners.Link.changes += alone
        return layer
