"""The models that the tie contract is tested on: families of layers, and topologies.

A family that comes later adds itself with one line in `FAMILIES`.
"""

import copy
import pickle
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.models import clone_model
from keras.saving import load_model
from numpy.random import default_rng
from numpy.testing import assert_allclose

from keras_tied import Autoencoder, tie
from keras_tied.layers import TiedDense

ROWS = 5
VOCABULARY = 7
register = keras.saving.register_keras_serializable(package="keras_tied_tests")


@register
class Projection(layers.Layer):
    """A class of the user's own, which has its kernel once it is built."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(shape, name="kernel")

    def call(self, inputs):
        return ops.matmul(inputs, self.kernel)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)


FAMILIES = {
    "Dense": partial(layers.Dense, activation="tanh"),
    "Projection": Projection,
    "Embedding": partial(layers.Embedding, VOCABULARY),
    "EinsumDense": lambda units, name: layers.EinsumDense(
        "abc,cd->abd",
        (2, units),
        bias_axes="d",
        name=name,
    ),
    "Conv": partial(
        layers.Conv2D,
        kernel_size=3,
        strides=2,
        padding="same",
    ),
    "ConvTranspose": partial(
        layers.Conv1DTranspose,
        kernel_size=3,
        strides=2,
    ),
    "DepthwiseConv": lambda channels, name: layers.DepthwiseConv1D(
        3,
        depth_multiplier=channels,
        name=name,
    ),
    "SeparableConv": partial(
        layers.SeparableConv1D,
        kernel_size=3,
        strides=2,
        depth_multiplier=2,
    ),
}
"""What makes a layer of a number of units or channels, and a name."""

SHAPES = {
    "Dense": (4,),
    "Projection": (4,),
    "Embedding": (2,),
    "EinsumDense": (2, 4),
    "Conv": (5, 4, 4),
    "ConvTranspose": (3, 4),
    "DepthwiseConv": (5, 4),
    "SeparableConv": (5, 4),
}
"""The shapes of one input."""


class Parts:
    """Makes the layers and models that a topology of one family is made of."""

    def __init__(self, family):
        self.family = family

    def input(self, *axes):
        dtype = "int32" if self.family == "Embedding" else "float32"
        shape = axes + SHAPES[self.family]
        return keras.Input(shape, dtype=dtype)

    def code(self, units=3, name="code"):
        return FAMILIES[self.family](units, name=name)

    def codes(self, encoder):
        """Inputs of what stands behind an encoder."""
        return keras.Input(encoder.output_shape[1:])

    def tie(self, layer, name="out", gain=True, **kwargs):
        # `tie` wants to see the kernel of a class that it does not know.
        make = TiedDense if self.family == "Projection" else tie
        return make(layer, name=name, gain=gain, **kwargs)

    def model(self, *parts, behind=None, name=None):
        """A model of layers in a row, for data or for what another model puts out."""
        inputs = self.codes(behind) if behind else self.input()
        outputs = inputs
        for part in parts:
            outputs = part(outputs)
        return keras.Model(inputs, outputs, name=name)

    def encoder(self, *codes):
        return self.model(*codes, name="encoder")

    def decoder(self, encoder, *outs, name="decoder"):
        return self.model(*outs, behind=encoder, name=name)

    def halves(self):
        """An encoder of one layer, and its decoder."""
        code = self.code()
        encoder = self.encoder(code)
        return encoder, self.decoder(encoder, self.tie(code))


TOPOLOGIES = {}
TIES = {}
"""For each topology, the names of each tied layer and of the one that it is tied to."""


def topology(*ties):
    """Register a function that builds a model as a topology of the function's name."""

    def add(build):
        TOPOLOGIES[build.__name__] = build
        TIES[build.__name__] = ties or (("out", "code"),)
        return build

    return add


@topology()
def functional(parts):
    code = parts.code()
    return parts.model(code, parts.tie(code))


@topology()
def sequential_built_by_data(parts):
    code = parts.code()
    return keras.Sequential([code, parts.tie(code)])


@topology()
def nested(parts):
    return parts.model(*parts.halves())


@topology()
def nested_sequentials(parts):
    code = parts.code()
    out = parts.tie(code)
    encoder = keras.Sequential([parts.input(), code], name="encoder")
    codes = parts.codes(encoder)
    decoder = keras.Sequential([codes, out], name="decoder")
    return keras.Sequential([parts.input(), encoder, decoder])


@topology()
def autoencoder(parts):
    return Autoencoder(*parts.halves())


@register
class MadeOfLayers(keras.Model):
    """Is given an encoder and a decoder, and writes both into its configuration."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder

    def call(self, inputs):
        return self.decoder(self.encoder(inputs))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
        }

    @classmethod
    def from_config(cls, config):
        for name in ("encoder", "decoder"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


@topology()
def made_of_layers(parts):
    code = parts.code()
    return MadeOfLayers(code, parts.tie(code))


class Pair(layers.Layer):
    """Makes both layers itself, from the family's name."""

    def __init__(self, family, **kwargs):
        super().__init__(**kwargs)
        parts = Parts(family)
        self.family = family
        self.code = parts.code()
        self.back = parts.tie(self.code)  # before the other in the alphabet

    def build(self, input_shape):
        self.code.build(input_shape)
        self.back.build(self.code.compute_output_shape(input_shape))

    def call(self, inputs):
        return self.back(self.code(inputs))

    def get_config(self):
        return {**super().get_config(), "family": self.family}


@register
class Block(Pair):
    """A layer that holds both layers."""


@register
class MadeInInit(Pair, keras.Model):
    """A model that holds both layers."""


@topology()
def block(parts):
    return parts.model(Block(parts.family))


@topology()
def made_in_init(parts):
    return MadeInInit(parts.family)


@topology(("out_2", "code_2"), ("out_3", "code_3"))
def deep(parts):
    first = parts.code(3, "code_3")
    second = parts.code(2, "code_2")
    encoder = parts.encoder(first, second)
    decoder = parts.decoder(
        encoder,
        parts.tie(second, "out_2"),
        parts.tie(first, "out_3"),
    )
    return parts.model(encoder, decoder)


@topology()
def siamese(parts):
    code = parts.code()
    first, second = parts.input(), parts.input()
    left = code(first)
    tied = parts.tie(code, transpose=False)
    outputs = layers.add([left, tied(second)])
    return keras.Model([first, second], outputs)


@topology()
def siamese_never_met(parts):
    code = parts.code()
    first, second = parts.input(), parts.input()
    right = code(second)
    tied = parts.tie(code, transpose=False)
    left = tied(first)
    return keras.Model([first, second], [left, right])


@topology(("out_1", "code"), ("out_2", "code"))
def two_on_one(parts):
    code = parts.code()
    encoder = parts.encoder(code)
    codes = parts.codes(encoder)
    second = parts.tie(code, "out_2")
    first = parts.tie(code, "out_1")
    product = layers.multiply([second(codes), first(codes)])
    decoder = keras.Model(codes, product, name="decoder")
    return parts.model(encoder, decoder)


@topology(("out_1", "code"), ("out_2", "code"))
def two_decoders(parts):
    code = parts.code()
    encoder = parts.encoder(code)
    codes = encoder(encoder.input)
    outputs = []
    for name in ("out_1", "out_2"):
        decoder = parts.decoder(encoder, parts.tie(code, name), name=None)
        outputs.append(decoder(codes))
    return keras.Model(encoder.input, outputs)


@topology()
def in_wrappers(parts):
    code = parts.code()
    encode = layers.TimeDistributed(code)
    decode = layers.TimeDistributed(parts.tie(code))
    inputs = parts.input(2)
    return keras.Model(inputs, decode(encode(inputs)))


@topology(("out_1", "code"), ("out_2", "out_1"))
def chain(parts):
    code = parts.code()
    encoder = parts.encoder(code)
    first = parts.tie(code, "out_1")
    second = parts.tie(first, "out_2", gain=False)
    decoder = parts.decoder(encoder, first, second)
    return parts.model(encoder, decoder)


@dataclass(frozen=True)
class Case:
    """A family in a topology, or the decoder of that."""

    family: str
    topology: str
    is_half: bool = False

    def __str__(self):
        return f"{self.family}-{self.topology}{'-decoder' * self.is_half}"

    @property
    def ties(self):
        return TIES[self.topology]

    @property
    def partners(self):
        """The names of the layers that have a kernel of their own."""
        ties = dict(self.ties)
        return sorted(set(ties.values()) - set(ties))

    def whole(self, seed=0):
        """A new model, all of whose weights, gain and bias included, are random."""
        model = TOPOLOGIES[self.topology](Parts(self.family))
        if not model.built:
            model(self.rows())
        randomize(model, seed)
        return model

    def part(self, model):
        """What the case is of: a whole model, or the decoder in it."""
        return find(model, "decoder") if self.is_half else model

    def build(self, seed=0):
        return self.part(self.whole(seed))

    def rows(self):
        """Inputs of the whole model, one array or several."""
        axes = (ROWS, 2) if self.topology == "in_wrappers" else (ROWS,)
        shape = axes + SHAPES[self.family]
        rows = normal(*shape, seed=1)
        if self.family == "Embedding":
            rows = np.argsort(rows, axis=0).astype("int32")
        if "siamese" in self.topology:
            return [rows, rows[::-1]]
        return rows

    def inputs(self):
        """Inputs of what the case is of."""
        if not self.is_half:
            return self.rows()
        _, *shape = self.build().input_shape
        return normal(ROWS, *shape, seed=1)

    def data(self):
        """Inputs, and targets of the same structure as the outputs."""
        inputs = self.inputs()
        targets = [
            normal(*each.shape, seed=2) for each in outputs(self.build(), inputs)
        ]
        if len(targets) == 1:
            (targets,) = targets
        return inputs, targets


CASES = [Case("Dense", name) for name in TOPOLOGIES]
for name in ("functional", "nested", "made_in_init"):
    CASES += [Case(family, name) for family in FAMILIES if family != "Dense"]


def select(*topologies, among=CASES, family=None):
    """The cases of these topologies, of all families or of one."""
    return [
        case
        for case in among
        if case.topology in topologies and family in (None, case.family)
    ]


HALVED = (
    "nested",
    "nested_sequentials",
    "autoencoder",
    "deep",
    "two_on_one",
    "chain",
)
HALVES = [replace(case, is_half=True) for case in select(*HALVED)]


def each_of(*cases):
    """Run a test on each of the cases, and leave to the night those that are not quick.

    Quick are all topologies of Dense, and the functional one of the other families.
    """
    return pytest.mark.parametrize("case", list(map(parameter, cases)))


def parameter(case):
    is_quick = case.family == "Dense" or case.topology == "functional"
    marks = () if is_quick else pytest.mark.night
    return pytest.param(case, id=str(case), marks=marks)


def normal(*shape, seed=0):
    return default_rng(seed).normal(size=shape).astype("float32")


def find(model, name):
    """The layer of that name anywhere in the model."""
    (found,) = (each for each in model._flatten_layers() if each.name == name)
    return found


def randomize(model, seed):
    random = default_rng(seed)
    for variable in model.weights:
        variable.assign(random.normal(0.0, 0.7, variable.shape))


def arrays(values):
    """The arrays in a tensor, or in several."""
    flat = keras.tree.flatten(values)
    return [ops.convert_to_numpy(value) for value in flat]


def outputs(model, inputs):
    """What the model makes of the inputs, called eagerly."""
    return arrays(model(inputs))


def weights(model):
    return [np.array(value) for value in model.get_weights()]


def assert_close(found, expected, atol=1e-6):
    """Both are an array, or several, and hold the same numbers."""
    for one, other in zip(
        arrays(found),
        arrays(expected),
        strict=True,
    ):
        assert_allclose(one, other, rtol=0, atol=atol)


def assert_alike(model, other, case, atol=1e-6):
    """Both compute the same."""
    inputs = case.inputs()
    assert_close(model(inputs), other(inputs), atol)


def kernel_variable(layer):
    """The variable that holds the kernel of a layer, which is not a tied one."""
    names = ("kernel", "embeddings", "depthwise_kernel")
    return next(getattr(layer, name) for name in names if hasattr(layer, name))


def with_weights(copied, model):
    copied.set_weights(model.get_weights())
    return copied


def clone(model, folder=None):
    """The model, cloned, with its weights."""
    return with_weights(clone_model(model), model)


def from_config(model, folder=None):
    """The model, rebuilt, without its weights."""
    return type(model).from_config(model.get_config())


def built(layer, *shape):
    """The layer, built for inputs of that shape."""
    layer.build((None, *shape))
    return layer


def in_model(encoder, decoder):
    """A model of the layers of an encoder, and of a decoder behind them."""
    return keras.Model(
        encoder.inputs[0],
        decoder(encoder.outputs[0]),
    )


def from_json(model, folder=None):
    """The model, written as JSON and rebuilt from it, without its weights."""
    return keras.models.model_from_json(model.to_json())


def reload(model, path, **kwargs):
    """The model, saved and loaded again."""
    model.save(path, **kwargs)
    return load_model(path)


def through_file(model, folder):
    return reload(model, folder / "model.keras")


def through_pickle(copied, folder=None):
    return pickle.loads(pickle.dumps(copied))


def through_deepcopy(copied, folder=None):
    return copy.deepcopy(copied)


def train(model, inputs, targets, rate=0.1):
    """One step of gradient descent on the mean squared error."""
    model.compile(keras.optimizers.SGD(rate), "mse", run_eagerly=True)
    model.train_on_batch(inputs, targets)
