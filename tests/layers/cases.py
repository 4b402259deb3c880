"""The models that the tie contract is tested on: every family of tied layers in many
topologies.

A family that comes later adds itself with one `Family` in `FAMILIES`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied import Autoencoder
from keras_tied.layers import TiedConv, TiedDense, TiedEinsumDense

ROWS = 5
VOCABULARY = 7


@dataclass(frozen=True)
class Family:
    """A class of tied layers, and how to make and feed a layer that it is tied to."""

    name: str
    tied: type[layers.Layer]
    layer: Callable[..., layers.Layer]
    """Makes a layer with the given number of units or channels; keywords go to its
    constructor.
    """
    shape: tuple[int, ...]
    """The shape of one input. Its last axis is the width, except where inputs are
    integers.
    """
    topologies: tuple[str, ...]
    plain: tuple[str, ...] = ()
    """The topologies that are tested without a gain as well."""
    integers: bool = False


@dataclass(frozen=True)
class Topology:
    """A way of putting a layer and those tied to it together in one model."""

    name: str
    build: Callable[[Family, bool], keras.Model]
    ties: tuple[tuple[str, str], ...]
    """The names of each tied layer and of the layer that it is tied to."""
    halves: bool
    """Whether the model is made of two others, called encoder and decoder."""
    wrapped: bool
    """Whether inputs have one more axis, along which layers are applied."""


@dataclass(frozen=True)
class Case:
    """A family in a topology."""

    family: Family
    topology: Topology
    gain: bool

    def __str__(self) -> str:
        return f"{self.family.name}-{self.topology.name}{'-gain' if self.gain else ''}"

    @property
    def quick(self) -> bool:
        """Whether it is the case of its family, or of its topology, that the quick
        tests have.
        """
        return self.gain and (
            self.family.name == "Dense" or self.topology.name == "functional"
        )

    def build(self, seed: int = 0) -> keras.Model:
        """A new model, all of whose weights, gain and bias included, are random."""
        model = self.topology.build(self.family, self.gain)
        if not model.built:
            model(self.inputs())
        randomize(model, seed)
        return model

    def inputs(self, seed: int = 1) -> Any:
        """Inputs for the model, one array or several."""
        rng = np.random.default_rng(seed)
        shape = (
            (ROWS, 2, *self.family.shape)
            if self.topology.wrapped
            else (ROWS, *self.family.shape)
        )
        count = 2 if "siamese" in self.topology.name else 1
        if self.family.integers:
            arrays = [
                rng.integers(1, VOCABULARY, shape).astype("int32") for _ in range(count)
            ]
        else:
            arrays = [rng.normal(size=shape).astype("float32") for _ in range(count)]
        return arrays if count > 1 else arrays[0]

    @lru_cache  # noqa: B019  a case lives as long as the tests do
    def targets(self) -> Any:
        """Targets to train the model on, of the same structure as its outputs."""
        rng = np.random.default_rng(2)
        found = outputs(self.build(), self.inputs())
        arrays = [rng.normal(size=output.shape).astype("float32") for output in found]
        return arrays if len(arrays) > 1 else arrays[0]


TOPOLOGIES: dict[str, Topology] = {}


def topology(
    *ties: tuple[str, str], halves: bool = False, wrapped: bool = False
) -> Callable[
    [Callable[[Family, bool], keras.Model]], Callable[[Family, bool], keras.Model]
]:
    """Register a function that builds a model as a topology of the function's name."""

    def register(
        build: Callable[[Family, bool], keras.Model],
    ) -> Callable[..., keras.Model]:
        name = build.__name__
        TOPOLOGIES[name] = Topology(
            name, build, ties or (("out", "code"),), halves, wrapped
        )
        return build

    return register


def source(family: Family, shape: tuple[int, ...] | None = None, **kwargs: Any) -> Any:
    dtype = "int32" if family.integers else None
    return keras.Input(family.shape if shape is None else shape, dtype=dtype, **kwargs)


def model_of(
    *parts: layers.Layer, shape: tuple[int, ...], name: str, dtype: Any = None
) -> Any:
    inputs = outputs = keras.Input(shape, dtype=dtype)
    for part in parts:
        outputs = part(outputs)
    return keras.Model(inputs, outputs, name=name)


def halves(family: Family, gain: bool) -> tuple[keras.Model, keras.Model]:
    """An encoder of one layer, and its decoder."""
    code = family.layer(3, name="code")
    dtype = "int32" if family.integers else None
    encoder = model_of(code, shape=family.shape, dtype=dtype, name="encoder")
    out = family.tied(code, gain=gain, name="out")
    return encoder, model_of(out, shape=encoder.output_shape[1:], name="decoder")


@topology()
def functional(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family), family.layer(3, name="code")
    return keras.Model(inputs, family.tied(code, gain=gain, name="out")(code(inputs)))


@topology()
def sequential(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    return keras.Sequential(
        [source(family), code, family.tied(code, gain=gain, name="out")]
    )


@topology()
def sequential_built_by_data(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    return keras.Sequential([code, family.tied(code, gain=gain, name="out")])


@topology(halves=True)
def nested(family: Family, gain: bool) -> keras.Model:
    inputs, (encoder, decoder) = source(family), halves(family, gain)
    return keras.Model(inputs, decoder(encoder(inputs)))


@topology(halves=True)
def nested_sequentials(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    encoder = keras.Sequential([source(family), code], name="encoder")
    out = family.tied(code, gain=gain, name="out")
    inner = keras.Input(encoder.output_shape[1:])
    decoder = keras.Sequential([inner, out], name="decoder")
    return keras.Sequential([source(family), encoder, decoder])


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class MadeOfParts(keras.Model):
    """Is given an encoder and a decoder, and writes both into its configuration."""

    def __init__(self, encoder: Any, decoder: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder

    def call(self, inputs: Any) -> Any:
        return self.decoder(self.encoder(inputs))

    def get_config(self) -> dict[str, Any]:
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        serialized = {
            k: keras.saving.serialize_keras_object(part) for k, part in parts.items()
        }
        return {**super().get_config(), **serialized}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MadeOfParts":
        config = dict(config)
        for part in ("encoder", "decoder"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)


@topology(halves=True)
def made_of_models(family: Family, gain: bool) -> keras.Model:
    return MadeOfParts(*halves(family, gain))


@topology(halves=True)
def made_of_layers(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    return MadeOfParts(code, family.tied(code, gain=gain, name="out"))


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class MadeInInit(keras.Model):
    """Makes its layers itself, from the family's name."""

    def __init__(self, family: str, gain: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.family = family
        self.gain = gain
        self.encoder = FAMILIES[family].layer(3, name="code")
        self.decoder = FAMILIES[family].tied(self.encoder, gain=gain, name="out")

    def call(self, inputs: Any) -> Any:
        return self.decoder(self.encoder(inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "family": self.family, "gain": self.gain}


@topology(halves=True)
def autoencoder(family: Family, gain: bool) -> keras.Model:
    return Autoencoder(*halves(family, gain))


@topology()
def made_in_init(family: Family, gain: bool) -> keras.Model:
    return MadeInInit(family.name, gain)


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Block(layers.Layer):
    """A layer that holds both layers."""

    def __init__(self, family: str, gain: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.family = family
        self.gain = gain
        self.code = FAMILIES[family].layer(3, name="code")
        self.back = FAMILIES[family].tied(self.code, gain=gain, name="out")

    def build(self, input_shape: Any) -> None:
        self.code.build(input_shape)
        self.back.build(self.code.compute_output_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        return self.back(self.code(inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "family": self.family, "gain": self.gain}


@topology()
def block(family: Family, gain: bool) -> keras.Model:
    inputs = source(family)
    return keras.Model(inputs, Block(family.name, gain)(inputs))


@topology(("out_3", "code_3"), ("out_2", "code_2"), ("out_1", "code_1"), halves=True)
def deep(family: Family, gain: bool) -> keras.Model:
    codes = [
        family.layer(width, name=f"code_{n}") for n, width in ((1, 4), (2, 3), (3, 2))
    ]
    encoder = model_of(*codes, shape=family.shape, name="encoder")
    outs = [family.tied(codes[n - 1], gain=gain, name=f"out_{n}") for n in (3, 2, 1)]
    decoder = model_of(*outs, shape=encoder.output_shape[1:], name="decoder")
    inputs = source(family)
    return keras.Model(inputs, decoder(encoder(inputs)))


@topology()
def in_a_row(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family), family.layer(family.shape[-1], name="code")
    out = family.tied(code, transpose=False, gain=gain, name="out")
    return keras.Model(inputs, out(code(inputs)))


@topology()
def siamese(family: Family, gain: bool) -> keras.Model:
    inputs, code = [source(family), source(family)], family.layer(3, name="code")
    first = code(inputs[0])
    out = family.tied(code, transpose=False, gain=gain, name="out")
    return keras.Model(inputs, layers.add([first, out(inputs[1])]))


@topology()
def siamese_tied_first(family: Family, gain: bool) -> keras.Model:
    inputs, code = [source(family), source(family)], family.layer(3, name="code")
    code.build((None, *family.shape))
    out = family.tied(code, transpose=False, gain=gain, name="out")
    first = out(inputs[0])
    return keras.Model(inputs, layers.add([first, code(inputs[1])]))


@topology()
def siamese_never_met(family: Family, gain: bool) -> keras.Model:
    inputs, code = [source(family), source(family)], family.layer(3, name="code")
    code.build((None, *family.shape))
    out = family.tied(code, transpose=False, gain=gain, name="out")
    return keras.Model(inputs, [out(inputs[0]), code(inputs[1])])


@topology(("out_1", "code"), ("out_2", "code"))
def two_on_one(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family), family.layer(3, name="code")
    hidden = code(inputs)
    outs = [family.tied(code, gain=gain, name=f"out_{n}")(hidden) for n in (1, 2)]
    return keras.Model(inputs, layers.multiply(outs))


@topology(("out_1", "code"), ("out_2", "code"), halves=True)
def two_on_one_nested(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    dtype = "int32" if family.integers else None
    encoder = model_of(code, shape=family.shape, dtype=dtype, name="encoder")
    hidden = keras.Input(encoder.output_shape[1:])
    outs = [family.tied(code, gain=gain, name=f"out_{n}")(hidden) for n in (2, 1)]
    decoder = keras.Model(hidden, layers.multiply(outs), name="decoder")
    inputs = source(family)
    return keras.Model(inputs, decoder(encoder(inputs)))


@topology(("out_1", "code"), ("out_2", "code"))
def two_decoders(family: Family, gain: bool) -> keras.Model:
    inputs, (encoder, _) = source(family), halves(family, gain)
    shape = encoder.output_shape[1:]
    outs = [
        family.tied(find(encoder, "code"), gain=gain, name=f"out_{n}") for n in (1, 2)
    ]
    decoders = [
        model_of(out, shape=shape, name=f"decoder_of_{out.name}") for out in outs
    ]
    code = encoder(inputs)
    return keras.Model(inputs, [decoder(code) for decoder in decoders])


@topology(wrapped=True)
def in_wrappers(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family, (2, *family.shape)), family.layer(3, name="code")
    hidden = layers.TimeDistributed(code)(inputs)
    out = layers.TimeDistributed(family.tied(code, gain=gain, name="out"))
    return keras.Model(inputs, out(hidden))


@topology(wrapped=True)
def partner_in_wrapper(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family, (2, *family.shape)), family.layer(3, name="code")
    hidden = layers.TimeDistributed(code)(inputs)
    return keras.Model(inputs, family.tied(code, gain=gain, name="out")(hidden))


@topology(("out_1", "code"), ("out_2", "out_1"))
def chain(family: Family, gain: bool) -> keras.Model:
    inputs, code = source(family), family.layer(3, name="code")
    first = family.tied(code, gain=gain, name="out_1")
    hidden = first(code(inputs))
    return keras.Model(inputs, family.tied(first, name="out_2")(hidden))


@topology(("out_1", "code"), ("out_2", "out_1"), halves=True)
def chain_nested(family: Family, gain: bool) -> keras.Model:
    code = family.layer(3, name="code")
    encoder = model_of(code, shape=family.shape, name="encoder")
    first = family.tied(code, gain=gain, name="out_1")
    second = family.tied(first, name="out_2")
    decoder = model_of(first, second, shape=encoder.output_shape[1:], name="decoder")
    inputs = source(family)
    return keras.Model(inputs, decoder(encoder(inputs)))


def dense(units: int, **kwargs: Any) -> layers.Layer:
    return layers.Dense(units, activation="tanh", **kwargs)


def embedding(units: int, **kwargs: Any) -> layers.Layer:
    return layers.Embedding(VOCABULARY, units, **kwargs)


def convolution(channels: int, **kwargs: Any) -> layers.Layer:
    return layers.Conv2D(
        channels, 3, strides=2, padding="same", activation="tanh", **kwargs
    )


def transposed_convolution(channels: int, **kwargs: Any) -> layers.Layer:
    return layers.Conv1DTranspose(channels, 3, strides=2, activation="tanh", **kwargs)


def depthwise_convolution(channels: int, **kwargs: Any) -> layers.Layer:
    return layers.DepthwiseConv1D(
        3, depth_multiplier=channels, activation="tanh", **kwargs
    )


def separable_convolution(channels: int, **kwargs: Any) -> layers.Layer:
    return layers.SeparableConv1D(
        channels, 3, strides=2, depth_multiplier=2, activation="tanh", **kwargs
    )


def einsum_dense(units: int, **kwargs: Any) -> layers.Layer:
    return layers.EinsumDense("abc,cd->abd", (2, units), "tanh", "d", **kwargs)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "Dense",
            TiedDense,
            dense,
            shape=(4,),
            topologies=tuple(TOPOLOGIES),
            plain=(
                "functional",
                "sequential",
                "nested",
                "made_of_models",
                "made_in_init",
                "deep",
            ),
        ),
        Family(
            "Embedding",
            TiedDense,
            embedding,
            shape=(2,),
            topologies=(
                "functional",
                "sequential",
                "nested",
                "made_of_models",
                "made_in_init",
                "two_on_one_nested",
            ),
            integers=True,
        ),
        Family(
            "Conv",
            TiedConv,
            convolution,
            shape=(5, 4, 4),
            topologies=(
                "functional",
                "sequential",
                "nested",
                "made_of_models",
                "made_in_init",
                "deep",
                "siamese",
                "in_wrappers",
            ),
        ),
        Family(
            "ConvTranspose",
            TiedConv,
            transposed_convolution,
            shape=(3, 4),
            topologies=("functional", "nested"),
        ),
        Family(
            "DepthwiseConv",
            TiedConv,
            depthwise_convolution,
            shape=(5, 4),
            topologies=("functional", "nested"),
        ),
        Family(
            "SeparableConv",
            TiedConv,
            separable_convolution,
            shape=(5, 4),
            topologies=("functional", "nested"),
        ),
        Family(
            "EinsumDense",
            TiedEinsumDense,
            einsum_dense,
            shape=(2, 4),
            topologies=(
                "functional",
                "sequential",
                "nested",
                "made_of_models",
                "made_in_init",
                "deep",
                "siamese",
                "in_wrappers",
            ),
        ),
    )
}


def _cases() -> Iterator[Case]:
    for family in FAMILIES.values():
        for name in family.topologies:
            yield Case(family, TOPOLOGIES[name], gain=True)
        for name in family.plain:
            yield Case(family, TOPOLOGIES[name], gain=False)


CASES = tuple(_cases())


def select(*topologies: str, family: str | None = None) -> list[Case]:
    """The cases with a gain that have one of these topologies, for what need not run on
    all.
    """
    return [
        case
        for case in CASES
        if case.gain
        and case.topology.name in topologies
        and family in (None, case.family.name)
    ]


def parameters(
    cases: Iterable[Case], quick: Collection[Case] | None = None
) -> list[Any]:
    """Make parameters of tests of the cases, and leave to the night those not quick.

    By default all cases of Dense are quick, and of the other families the functional
    model.
    """
    return [
        pytest.param(case, id=str(case), marks=() if is_quick else pytest.mark.night)
        for case in cases
        for is_quick in [case.quick if quick is None else case in quick]
    ]


def find(model: layers.Layer, name: str) -> Any:
    """The layer of that name anywhere in the model."""
    (found,) = (layer for layer in model._flatten_layers() if layer.name == name)
    return found


def randomize(model: layers.Layer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(rng.normal(0.0, 0.7, variable.shape))


def arrays(values: Any) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(value) for value in keras.tree.flatten(values)]


def outputs(model: layers.Layer, inputs: Any) -> list[np.ndarray]:
    """What the model makes of the inputs, called eagerly."""
    return arrays(model(inputs))


def weights(model: layers.Layer) -> list[np.ndarray]:
    return [np.array(value) for value in model.get_weights()]


def kernel_variable(layer: layers.Layer) -> Any:
    """The variable that holds the kernel of a layer, which is not a tied one."""
    names = ("kernel", "embeddings", "depthwise_kernel")
    return next(getattr(layer, name) for name in names if hasattr(layer, name))


def train(model: keras.Model, inputs: Any, targets: Any, rate: float = 0.1) -> None:
    """One step of gradient descent on the mean squared error."""
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    model.train_on_batch(inputs, targets)


def steps(model: keras.Model, data: tuple[Any, Any]) -> None:
    """Three steps of the training that the model was compiled for."""
    for _ in range(3):
        model.train_on_batch(*data)
