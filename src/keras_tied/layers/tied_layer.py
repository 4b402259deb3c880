"""What being tied means: whose kernel a layer uses, and how it stays so. See README.md here."""

import math
import warnings
import weakref
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import keras
from keras import ops

from keras_tied import _keras_internals as internals
from keras_tied.layers import _partner as partners
from keras_tied.layers.kernel import (
    kernel_name,
    kernel_of,
    kernel_shape,
    kernel_variables,
)

QUANTIZED = (keras.layers.Dense, keras.layers.EinsumDense, keras.layers.Embedding)
"""The layers with a kernel that Keras quantises."""
LISTS = ("trainable_variables", "trainable_weights", "losses", "count_params")
"""What a loop of the user's own adds up over the two halves of an autoencoder."""


class TiedLayer(internals.CallObserver):
    """Base of the tied layers: computes with the kernel of another layer; see `TiedDense`.

    A subclass adds what it computes (`build`, `call`, `compute_output_shape`) and reads
    `self.tied_kernel()` for the kernel and `self.tied_kernel_shape()` for its shape.
    `PARTNERS` are the classes that it can be tied to; none for any with a kernel.
    """

    PARTNERS: tuple[type[keras.Layer], ...] = ()

    def __init__(
        self,
        tied_to: keras.Layer,
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
        self.transpose = transpose
        self.use_gain = gain
        self.activation: Any = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer: Any = keras.initializers.get(bias_initializer)
        self.bias_regularizer: Any = keras.regularizers.get(bias_regularizer)
        self.bias_constraint: Any = keras.constraints.get(bias_constraint)
        self.gain: keras.Variable | None = None
        self.bias: keras.Variable | None = None
        self.supports_masking = True

    @property
    def label(self) -> str:
        return f"{type(self).__name__} '{self.name}'"

    def _validate_partner(self, tied_to: Any) -> keras.Layer | partners.Reference:
        if isinstance(tied_to, partners.Reference):
            return tied_to
        if not isinstance(tied_to, keras.Layer):
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
    def tied_to(self) -> keras.Layer | None:
        """The layer tied to; None while a rebuilt layer has not met it yet."""
        return self.partner_in()

    def partner_in(self, *models: keras.Layer) -> keras.Layer | None:
        """The layer tied to, looked for in these models as well if it has not been met yet."""
        if self._link.owner() is not self:
            raise ValueError(
                f"{self.label} was copied attribute by attribute, and would go on using"
                " the kernel of the original: copy the model with"
                " `keras.models.clone_model`, or save and load it, instead of with"
                " nnx.clone or nnx.merge."
            )
        if isinstance(self._link.partner, partners.Reference):
            partners.find_partner(self, self._link.partner, models)
        elif self._link.alone:
            partners.look_for_another(self, self._link.partner)
        return (
            None
            if isinstance(self._link.partner, partners.Reference)
            else self._link.partner
        )

    def tie_to(self, partner: keras.Layer, around: Iterable[keras.Layer]) -> None:
        """Use the kernel of a layer; `around` are models that hold this one."""
        self.use(partner)
        self.refresh(around)

    def use(self, partner: keras.Layer) -> None:
        self._link.partner, self._link.alone, self._link.doubtful = (
            partner,
            False,
            False,
        )
        partners.Link.changes += 1

    def refresh(self, around: Iterable[keras.Layer]) -> None:
        for home in (self, *around):
            for layer in internals.flatten_layers(home):
                internals.refresh_parameters(layer)

    def can_be_tied_to(self, layer: keras.Layer) -> bool:
        with suppress(ValueError):
            return partners.kernel_fits(self, self._validate_partner(layer))
        return False

    def before_call(self) -> None:
        """Note who holds this layer, as long as it has no partner. The call itself will raise."""
        partner = None
        with suppress(ValueError, Warning):
            partner = self.tied_to
        if partner is None:
            self._link.homes = [weakref.ref(home) for home in partners.homes(self)]

    @property
    def kernel_layer(self) -> keras.Layer | None:
        """What Keras saves and loads as a part of this layer, unless it has done so already."""
        partner, half = self.tied_to, internals.model_being_loaded()
        if (
            half is not None
            and partner is not None
            and self._is_elsewhere(partner, half)
        ):
            bias = getattr(partner, "bias", None)
            self._link.bias = None if bias is None else internals.stored_numbers(bias)
        return partner

    @property
    def kernel_layer_is_loaded(self) -> None:
        """Give the layer tied to back its bias, which is no part of a half that was loaded alone.

        Keras asks for all attributes in alphabetical order, and loads each before the
        next.
        """
        partner: Any = self.tied_to
        if self._link.bias is not None:
            partner.bias.assign(self._link.bias)
            self._link.bias = None

    def _is_elsewhere(self, partner: keras.Layer, half: keras.Layer) -> bool:
        """Whether a half uses the kernel of a layer that it neither holds nor has brought."""
        held = internals.flatten_layers(half)
        links = filter(None, map(partners.link_of, held))
        brought = (link.partner for link in links if link.alone)
        return not any(each is partner for each in (*held, *brought))

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
        """The kernel of the layer tied to, as that layer computes with it, in our compute dtype."""
        kernel = kernel_of(self._require_partner())
        in_doubt = self._link.alone and not self._link.doubtful
        if (
            in_doubt
            and internals.tracks_gradient(kernel)
            and not internals.in_training_loop()
        ):
            kernel = self._warn_when_trained(kernel)
        return ops.cast(kernel, self.compute_dtype)

    def _warn_when_trained(self, kernel: Any) -> Any:
        """A kernel that warns when a loop of the user's own takes a gradient with respect to it."""

        @ops.custom_gradient  # type: ignore[untyped-decorator]
        def same(kernel: Any) -> Any:
            def gradient(*gradients: Any, upstream: Any = None) -> Any:
                if not self._link.doubtful:
                    self._link.doubtful = True
                    warnings.warn(
                        f"{self.label} was loaded without '{self._link.partner.name}',"
                        " which it was tied to, and trains a kernel of its own now: if"
                        " an encoder trains with it, tie the two first with"
                        " `keras_tied.retie(decoder, encoder)`.",
                        stacklevel=2,
                    )
                return gradients[0] if upstream is None else upstream

            return ops.copy(kernel), gradient

        return same(
            ops.add(kernel, 0)
        )  # a variable is not a function's argument everywhere

    def tied_settings(self) -> keras.Layer:
        """The layer tied to or, while it has not been met, one with its settings, not built."""
        partner = self.tied_to or self._link.partner
        return partner.settings if isinstance(partner, partners.Reference) else partner

    def tied_input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of the inputs that the layer tied to was built for, None if not noted."""
        partner = self.tied_to or self._link.partner
        if isinstance(partner, partners.Reference):
            noted = partner.serialized.get("build_config")
        else:
            noted = partner.get_build_config()
        shape = (noted or {}).get("input_shape")
        return None if shape is None else tuple(shape)

    @property
    def kernel(self) -> Any:
        """The kernel of the layer tied to, in that layer's layout, with the gain in it."""
        kernel = self.tied_kernel()
        if self.gain is None:
            return kernel
        return ops.multiply(
            kernel, self.lay_gain(ops.cast(self.gain, self.compute_dtype), kernel)
        )

    def lay_gain(self, gain: Any, kernel: Any) -> Any:
        """The gain in a shape that is broadcast along the kernel."""
        return gain

    def _require_partner(self) -> keras.Layer:
        if partner := self.tied_to:
            return partner
        reference, around = self._link.partner, partners.homes(self)
        place = f"'{around[-1].name}'" if around else "the graph around it"
        changed = partners.with_other_shape(self, around)
        if changed is not None:
            raise ValueError(
                f"{self.label} was made for a kernel of shape"
                f" {self._link.kernel_shape}, and '{changed.name}', which it is tied"
                f" to, has one of shape {kernel_shape(changed)} in {place}: where"
                " widths change, make the tied layer anew, with"
                " `keras_tied.tie(layer)` or `keras_tied.mirror(encoder)`."
            )
        raise ValueError(
            f"{self.label} is tied to layer '{reference.name}' with a kernel of shape"
            f" {self._link.kernel_shape}, and no such layer was found in {place}: call,"
            f" clone or rebuild the model that holds both '{reference.name}' and"
            f" '{self.name}', or tie them with `keras_tied.retie(decoder, encoder)`."
        )

    def add_own_weights(self, gain: tuple[int, ...], bias: tuple[int, ...]) -> None:
        """Add the gain and the bias, of these shapes, where they are used."""
        if self.use_gain:
            self.gain = self.add_weight(gain, "ones", name="gain")
        if self.use_bias:
            rules = {
                "regularizer": self.bias_regularizer,
                "constraint": self.bias_constraint,
            }
            self.bias = self.add_weight(
                bias, self.bias_initializer, name="bias", **rules
            )

    @property
    def trainable(self) -> bool:
        """Whether this layer trains, and the kernel that its file brought, if it uses such one."""
        return bool(super().trainable)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        keras.Layer.trainable.fset(self, value)
        if (link := vars(self).get("_link")) is not None and link.alone:
            link.partner.trainable = value

    @property
    def variables(self) -> list[keras.Variable]:
        """This layer's variables, and those that the kernel it uses is made of."""
        return self._with_partner(super().variables, "variables")

    @property
    def weights(self) -> list[keras.Variable]:
        return self._with_partner(super().weights, "weights")

    def _with_partner(
        self, own: list[keras.Variable], kind: str
    ) -> list[keras.Variable]:
        partner = self.tied_to if hasattr(self, "_link") else None
        if partner is None:
            return own
        if not self._link.alone:
            if not self._link.apart:
                self._warn_of_training_apart(partner)
            if not self._link.listed:
                self._warn_of_a_second_listing(partner)
        return [*own, *kernel_variables(partner, kind)]

    def _warn_of_training_apart(self, partner: keras.Layer) -> None:
        model = internals.model_being_trained()
        held = internals.flatten_layers(model)
        if model is None or partner in held:
            return
        if not any(variable.trainable for variable in kernel_variables(partner)):
            return
        kernels = [
            each for each in held if kernel_name(each) and not partners.link_of(each)
        ]
        fitting = [each.name for each in kernels if self._has_shape_of_kernel(each)]
        if not self.trainable:
            what = (
                f"{self.label} is frozen, and '{model.name}' trains the kernel that it"
                " uses"
            )
            advice = f"freeze '{partner.name}' as well"
        elif fitting:
            what = (
                f"'{model.name}' trains the kernel of '{fitting[0]}' and, through"
                f" {self.label}, "
            )
            what += "another of that shape"
            advice = "tie them with `keras_tied.retie(decoder, encoder)`"
        else:
            return
        self._link.apart = True
        warnings.warn(
            f"{what}, of '{partner.name}', which '{model.name}' does not hold:"
            f" {advice}.",
            stacklevel=2,
        )

    def _has_shape_of_kernel(self, layer: keras.Layer) -> bool:
        # Of its variables: Keras's JAX trainer has taken away what a kernel is computed
        # from.
        return any(
            tuple(v.shape) == self._link.kernel_shape for v in kernel_variables(layer)
        )

    def _warn_of_a_second_listing(self, partner: keras.Layer) -> None:
        read = internals.reader_of_variables()
        if (
            not read
            or read[0] not in LISTS
            or partner in internals.flatten_layers(read[1])
        ):
            return
        name, model = read
        if name == "losses" and not any(
            each.regularizer for each in kernel_variables(partner)
        ):
            return
        for link in filter(
            None, map(partners.link_of, internals.flatten_layers(model))
        ):
            link.listed = True  # one warning a model is enough
        warnings.warn(
            f"`{name}` of '{model.name}' counts the kernel of '{partner.name}', which"
            f" '{self.name}' is tied to, and the model that holds '{partner.name}'"
            " counts it too: where both are used,"
            " `keras_tied.trainable_variables(*models)` lists each once.",
            stacklevel=2,
        )

    def count_params(self) -> int:
        if not self.built:
            return int(super().count_params())
        return sum(math.prod(weight.shape) for weight in super().weights)

    @property
    def quantization_mode(self) -> None:
        """None, whatever the dtype policy: it is the layer tied to that has integers."""

    def quantized_call(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)

    def quantize(
        self, mode: Any = None, type_check: bool = True, config: Any = None
    ) -> None:
        """Nothing to do: the kernel is quantised in the layer that it belongs to, or a warning."""
        partner = self.tied_to
        if partner is None or getattr(partner, "quantization_mode", None) is not None:
            return
        if any(
            partner in internals.flatten_layers(model)
            for model in internals.callers(self)
        ):
            return  # whose turn comes
        if isinstance(partner, QUANTIZED):
            warnings.warn(
                f"{self.label} computes with the kernel of '{partner.name}', which is"
                f" not quantized: quantize '{partner.name}', or the model that"
                " holds it.",
                stacklevel=2,
            )

    def get_config(self) -> dict[str, Any]:
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
        partner, alone = self.tied_to or self._link.partner, False
        if isinstance(partner, partners.Reference):
            serialized, likeness, place = (
                partner.serialized,
                partner.likeness,
                partner.place,
            )
        else:
            serialized = keras.saving.serialize_keras_object(partner)
            if partner.built:
                self.tied_kernel_shape()
            around = partners.survey_original(self)
            likeness, place = (
                partners.likeness_of(partner),
                partners.locate(self, partner, around),
            )
            alone = around.brings_partner(self, partner)
            others = [
                each for each in around.members.layers if each not in (partner, self)
            ]
            mistakable = others if place is None and not around.saved else []
            if partners.find_namesakes(
                self, mistakable, partner.name, type(partner).__name__
            ):
                raise ValueError(
                    f"{self.label} is tied to layer '{partner.name}', and the model"
                    " that is copied holds another layer of that name and kernel shape"
                    " instead, which a copy would be tied to: copy the model that"
                    " holds both, or give the two different names."
                )
        copied = {
            "tied_to": serialized,
            "place": place and place.to_json(),
            "likeness": likeness,
        }
        return {**copied, "kernel_shape": self._link.kernel_shape, "alone": alone}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer that meets its partner at its place in a model, or (`alone`) brings its own."""
        config = dict(config)
        serialized, kernel_shape = config.pop("tied_to"), config.pop("kernel_shape")
        alone, place, likeness = (
            config.pop(key) for key in ("alone", "place", "likeness")
        )
        place = None if place is None else partners.Place.from_json(place)
        partner: keras.Layer | partners.Reference = partners.Reference(
            serialized, place, likeness
        )
        if alone:
            partner = keras.saving.deserialize_keras_object(serialized)
            partner.trainable = config["trainable"]
        layer: Self = super().from_config({**config, "tied_to": partner})
        layer._link.kernel_shape = None if kernel_shape is None else tuple(kernel_shape)
        layer._link.alone = alone
        partners.Link.changes += alone
        return layer
