"""Random models with ties, random operations on them, and NumPy to say what they
compute.

All widths are equal, so that every kernel has one shape, and names come from two
letters, so that only a layer's place tells which kernel is its own.
"""

import copy
import itertools
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from keras_tied import assert_tied, ties
from keras_tied.layers import TiedDense

WIDTH = 3
X = np.random.default_rng(0).normal(size=(4, WIDTH)).astype("float32")
ENCODER, DECODER, OTHER = "encoder", "decoder", "other"


@keras.saving.register_keras_serializable(package="test_sequences")
class Chain(keras.Model):
    """A subclass of `Model` that calls its parts one after the other."""

    def __init__(self, parts: list[keras.layers.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def build(self, input_shape: Any) -> None:
        for part in self.parts:
            if not part.built:
                part.build(input_shape)

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        parts = [keras.saving.serialize_keras_object(part) for part in self.parts]
        return {"name": self.name, "parts": parts}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        parts = [
            keras.saving.deserialize_keras_object(part) for part in config.pop("parts")
        ]
        return cls(parts, **config)


@dataclass(frozen=True)
class Plan:
    """A random model: how many layers, in which models they are, and what is tied to
    what.

    Attributes:
        kind: the kind of the whole: "functional", "sequential" or "chain".
        nesting: for each of the stacks, the kinds of the models in which its parts are;
            see `wrap`.
        ties: for each decoder, the encoder's layer that each of its layers is tied to,
            and whether it is transposed and has a gain.
        names: which letter each layer is named by.
    """

    kind: str
    layers: int
    nesting: tuple[tuple[str, int], ...]
    ties: tuple[tuple[tuple[int, bool, bool], ...], ...]
    names: tuple[int, ...]


KINDS = ("flat", "functional", "sequential", "chain")


@st.composite
def plans(draw: Any) -> Plan:
    n = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["functional", "functional", "sequential", "chain"]))
    n_decoders = draw(st.integers(1, 2)) if kind == "functional" else 1
    link = st.tuples(st.integers(0, n - 1), st.booleans(), st.booleans())
    nesting = st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 3)), min_size=4, max_size=4
    )
    return Plan(
        kind,
        n,
        tuple(draw(nesting)),
        tuple(
            tuple(draw(st.lists(link, min_size=1, max_size=3)))
            for _ in range(n_decoders)
        ),
        tuple(draw(st.lists(st.integers(0, 1), min_size=12, max_size=12))),
    )


class Names:
    """Names from two letters, as alike as one model allows."""

    def __init__(self, letters: tuple[int, ...]) -> None:
        self.letters = itertools.cycle(letters)

    def give(self, layers: list[keras.layers.Layer]) -> None:
        """Name the layers that one model is made of."""
        taken = {ENCODER, DECODER, OTHER}
        for layer in layers:
            if layer.name not in (ENCODER, DECODER, OTHER):
                name = "ab"[next(self.letters)]
                layer.name = next(
                    name * n for n in itertools.count(1) if name * n not in taken
                )
                taken.add(layer.name)


def wrap(
    layers: list[keras.layers.Layer], kinds: list[tuple[str, int]], names: Names
) -> list[keras.layers.Layer]:
    """The same stack with a part of it in a model, and that likewise, to depth 3."""
    if not kinds or not layers:
        return layers
    (kind, begin), *rest = kinds
    if kind == "flat":
        return wrap(layers, rest, names)
    begin = min(begin, len(layers) - 1)
    inner = wrap(layers[begin:], rest, names)
    return [*layers[:begin], as_model(kind, inner, names)]


def as_model(
    kind: str, layers: list[keras.layers.Layer], names: Names, name: str | None = None
) -> keras.Model:
    names.give(layers)
    if kind == "sequential":
        return keras.Sequential([keras.Input((WIDTH,)), *layers], name=name)
    if kind == "chain":
        return Chain(layers, name=name)
    inputs = keras.Input((WIDTH,))
    return keras.Model(inputs, run(layers, inputs), name=name)


def run(layers: list[keras.layers.Layer], x: Any) -> Any:
    for layer in layers:
        x = layer(x)
    return x


@dataclass
class Tied:
    """A model, and the places of its variables in the list of its weights."""

    plan: Plan
    model: keras.Model
    encoder: list[tuple[int, int]]
    decoders: list[list[tuple[int, int | None]]]

    def expected(
        self, weights: list[np.ndarray], x: np.ndarray = X
    ) -> list[np.ndarray]:
        """What the model should compute, in NumPy."""
        for kernel, bias in self.encoder:
            x = x @ weights[kernel] + weights[bias]
        found = []
        for links, places in zip(self.plan.ties, self.decoders, strict=True):
            y = x
            for (tied_to, transpose, _), (bias, gain) in zip(
                links, places, strict=True
            ):
                kernel = weights[self.encoder[tied_to][0]]
                scaled = kernel if gain is None else kernel * weights[gain]
                y = y @ (scaled.T if transpose else scaled) + weights[bias]
            found.append(y)
        return found


def build(plan: Plan) -> Tied:
    encoder = [
        keras.layers.Dense(WIDTH, kernel_initializer="zeros")
        for _ in range(plan.layers)
    ]
    for layer in encoder:
        layer.build((None, WIDTH))
    decoders = [
        [
            TiedDense(encoder[to], transpose=transpose, gain=gain)
            for to, transpose, gain in links
        ]
        for links in plan.ties
    ]
    model = assemble(plan, encoder, decoders)
    places = {id(variable): place for place, variable in enumerate(model.weights)}
    return Tied(
        plan,
        model,
        [(places[id(layer.kernel)], places[id(layer.bias)]) for layer in encoder],
        [
            [(places[id(layer.bias)], places.get(id(layer.gain))) for layer in decoder]
            for decoder in decoders
        ],
    )


def assemble(
    plan: Plan,
    encoder: list[keras.layers.Layer],
    decoders: list[list[keras.layers.Layer]],
) -> keras.Model:
    names = Names(plan.names)
    (kind, _), *rest = plan.nesting
    stacks = [wrap(stack, rest, names) for stack in (encoder, *decoders)]
    if kind != "flat":
        titles = (ENCODER, DECODER, OTHER)
        pairs = zip(stacks, titles, strict=False)
        stacks = [[as_model(kind, stack, names, title)] for stack, title in pairs]
    if plan.kind == "functional":
        names.give([layer for stack in stacks for layer in stack])
        inputs = keras.Input((WIDTH,))
        codes = run(stacks[0], inputs)
        return keras.Model(
            inputs, [run(stack, codes) for stack in stacks[1:]], name="whole"
        )
    model = as_model(plan.kind, [*stacks[0], *stacks[1]], names, "whole")
    model(X)
    return model


def outputs(model: keras.Model) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(model(X))]


def shake(model: keras.Model, seed: int) -> None:
    """Give every weight another number."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [random.normal(size=w.shape).astype("float32") for w in model.get_weights()]
    )


def check(tied: Tied, model: keras.Model, seed: int) -> None:
    """The model computes what NumPy says, before and after all weights change."""
    for change in (False, True):
        if change:
            shake(model, seed)
        for pair in zip(
            outputs(model), tied.expected(model.get_weights()), strict=True
        ):
            np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-4)
    assert_tied(model)


def with_weights(copied: keras.Model, model: keras.Model) -> keras.Model:
    if not copied.built:
        copied(X)
    copied.set_weights(model.get_weights())
    return copied


def rename_and_clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    return type(layer).from_config({**config, "name": config["name"] + "_x"})


def from_json(model: keras.Model) -> keras.Model:
    return keras.models.model_from_json(model.to_json())


def through_file(model: keras.Model, folder: Any) -> keras.Model:
    model.save(folder / "m.keras")
    return keras.saving.load_model(folder / "m.keras")


def half_alone(tied: Tied, model: keras.Model, folder: Any) -> None:
    """A decoder that is saved or cloned with its encoder, and then used alone, or saved
    alone.
    """
    for name in (DECODER, OTHER):
        halves = [layer for layer in getattr(model, "layers", []) if layer.name == name]
        for half in halves:
            found = outputs(half)
            for copied in (
                through_file(half, folder),
                pickle.loads(pickle.dumps(half)),
            ):
                np.testing.assert_allclose(
                    *found, *outputs(copied), rtol=1e-4, atol=1e-4
                )


COPIES: dict[str, Callable[[keras.Model, Any], keras.Model]] = {
    "clone": lambda model, _: with_weights(keras.models.clone_model(model), model),
    "renamed clone": lambda model, _: with_weights(
        keras.models.clone_model(model, clone_function=rename_and_clone), model
    ),
    "configuration": lambda model, _: with_weights(
        type(model).from_config(model.get_config()), model
    ),
    "json": lambda model, _: with_weights(from_json(model), model),
    "file": through_file,
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "deep copy": lambda model, _: copy.deepcopy(model),
}
OTHERS = ("half", "rename", "join", "freeze", "split first")


def apply(
    tied: Tied, model: keras.Model, operation: str, seed: int, folder: Any
) -> keras.Model:
    if operation in COPIES:
        if "clone" in operation and isinstance(model, Chain):
            return model
        copied = COPIES[operation](model, folder)
        before = outputs(model)
        check(tied, copied, seed)
        for pair in zip(outputs(model), before, strict=True):
            np.testing.assert_array_equal(*pair)
        return copied
    if operation == "half":
        half_alone(tied, model, folder)
    if operation == "rename":
        for number, layer in enumerate(model._flatten_layers(include_self=False)):
            layer.name = f"{layer.name}{number}"
    if operation == "join" and not isinstance(model, Chain):
        other = with_weights(keras.models.clone_model(model), model)
        shake(other, seed)
        other.name = model.name + "_y"
        inputs = keras.Input((WIDTH,))
        both = keras.Model(inputs, [model(inputs), other(inputs)])
        copied = through_file(both, folder)
        for part in (both, copied):
            names = (model.name, other.name)
            wanted = [
                tied.expected(part.get_layer(name).get_weights()) for name in names
            ]
            for pair in zip(outputs(part), itertools.chain(*wanted), strict=True):
                np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-4)
        return copied.get_layer(other.name)
    if operation == "freeze":
        for tie in ties(model):
            tie.tied_to.trainable = False
        kernels = [tie.tied_to.kernel.numpy() for tie in ties(model)]
        wanted = [X] * len(outputs(model))
        model.compile(keras.optimizers.SGD(0.01), ["mse"] * len(wanted))
        model.train_on_batch(X, wanted if len(wanted) > 1 else X)
        for tie, kernel in zip(ties(model), kernels, strict=True):
            np.testing.assert_array_equal(tie.tied_to.kernel.numpy(), kernel)
    if operation == "split first" and not isinstance(model, Chain):
        copied = keras.models.clone_model(model)
        for layer in copied.layers:
            if layer.name in (DECODER, OTHER):
                outputs(layer)  # before the whole copy was ever called
        return with_weights(copied, model)
    return model


ARGUMENTS = {
    "plan": plans(),
    "operations": st.lists(st.sampled_from([*COPIES, *OTHERS]), min_size=1, max_size=4),
    "seed": st.integers(0, 2**16),
}


def try_out(plan: Plan, operations: list[str], seed: int) -> None:
    tied = build(plan)
    model = tied.model
    check(tied, model, seed)
    with tempfile.TemporaryDirectory() as folder:
        for operation in operations:
            model = apply(tied, model, operation, seed, Path(folder))
            check(tied, model, seed + 1)


@given(**ARGUMENTS)
def test_every_tie_computes_with_its_own_kernel_after_any_operations(
    plan, operations, seed
):
    try_out(plan, operations, seed)


@pytest.mark.slow
@seed(0)
@settings(max_examples=200, database=None)
@given(**ARGUMENTS)
def test_two_hundred_sequences(plan, operations, seed):
    try_out(plan, operations, seed)
