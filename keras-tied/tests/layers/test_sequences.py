"""Random models with ties, random operations on them, and NumPy to say what they
compute.

All widths are equal, so that every kernel has one shape, and names come from two
letters, so that only a layer's place tells which kernel is its own.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import keras
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from keras import layers
from keras.models import clone_model
from tests.marks import slow

from keras_tied import assert_tied
from keras_tied.layers import TiedDense

from .cases import (
    clone,
    from_config,
    normal,
    outputs,
    randomize,
    through_deepcopy,
    through_file,
    through_pickle,
    with_weights,
)
from .oracles import assert_close

WIDTH = 3
X = normal(4, WIDTH)
HALVES = ("encoder", "decoder", "other")


@dataclass
class Tied:
    """A model; its layers, and which of them each tied one is tied to."""

    model: keras.Model
    encoder: list
    decoders: list

    def __post_init__(self):
        self.places = [id(variable) for variable in self.model.weights]

    def expected(self, weights):
        """What the model computes with these weights, in NumPy."""
        numbers = dict(zip(self.places, weights, strict=True))
        code = X
        for layer in self.encoder:
            code = code @ numbers[id(layer.kernel)] + numbers[id(layer.bias)]
        found = []
        for decoder in self.decoders:
            y = code
            for tied, source in decoder:
                kernel = numbers[id(source.kernel)]
                if tied.use_gain:
                    kernel = kernel * numbers[id(tied.gain)]
                kernel = kernel.T if tied.transpose else kernel
                y = y @ kernel + numbers[id(tied.bias)]
            found.append(y)
        return found


def build(draw):
    count = draw(st.integers(1, 3))
    encoder = [layers.Dense(WIDTH) for _ in range(count)]
    for layer in encoder:
        layer.build((None, WIDTH))
    sources = st.lists(st.sampled_from(encoder), min_size=1, max_size=3)
    decoders = []
    for _ in range(draw(st.integers(1, 2))):
        decoder = []
        for source in draw(sources):
            options = {"transpose": draw(st.booleans()), "gain": draw(st.booleans())}
            decoder.append((TiedDense(source, **options), source))
        decoders.append(decoder)
    tied = [[layer for layer, _ in decoder] for decoder in decoders]
    stacks = [nest(draw, stack) for stack in (encoder, *tied)]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(KINDS))
        named = zip(stacks, HALVES, strict=False)
        stacks = [[join(draw, kind, stack, name)] for stack, name in named]
    if len(stacks) == 2 and draw(st.booleans()):
        model = join(
            draw,
            "sequential",
            [*stacks[0], *stacks[1]],
        )
    else:
        rename(draw, [part for stack in stacks for part in stack])
        inputs = keras.Input((WIDTH,))
        code = run(stacks[0], inputs)
        found = [run(stack, code) for stack in stacks[1:]]
        model = keras.Model(inputs, found)
    return Tied(model, encoder, decoders)


KINDS = ("functional", "sequential")


def nest(draw, parts, depth=3):
    """The same stack with a part of it in a model, and of that likewise."""
    if not depth or draw(st.booleans()):
        return [*parts]
    begin = draw(st.integers(0, len(parts) - 1))
    inner = nest(draw, parts[begin:], depth - 1)
    kind = draw(st.sampled_from(KINDS))
    return [*parts[:begin], join(draw, kind, inner)]


def join(draw, kind, parts, name=None):
    rename(draw, parts)
    inputs = keras.Input((WIDTH,))
    if kind == "sequential":
        return keras.Sequential([inputs, *parts], name=name)
    return keras.Model(inputs, run(parts, inputs), name=name)


def rename(draw, parts):
    """Give the parts of one model names as alike as it allows."""
    taken = {*HALVES}
    for part in parts:
        if part.name not in HALVES:
            name = letter = draw(st.sampled_from("ab"))
            while name in taken:
                name += letter
            part.name = name
            taken.add(name)


def run(parts, x):
    for part in parts:
        x = part(x)
    return x


def check(tied, model, seed):
    """The model computes what NumPy says, before and after all weights change."""
    for change in (False, True):
        if change:
            randomize(model, seed)
        expected = tied.expected(model.get_weights())
        assert_close(outputs(model, X), expected)
    assert_tied(model)


def clone_with_other_names(model, folder):
    def rename_and_clone(layer):
        return type(layer).from_config(
            {**layer.get_config(), "name": layer.name + "_x"}
        )

    copied = clone_model(model, clone_function=rename_and_clone)
    return with_weights(copied, model)


def clone_and_use_halves_first(model, folder):
    copied = clone_model(model)
    for layer in copied.layers:
        if layer.name in HALVES[1:]:
            layer(X)  # before the whole copy was ever called
    return with_weights(copied, model)


def rebuild(model, folder):
    return with_weights(from_config(model), model)


def save_and_load_beside_another(model, folder):
    other = clone(model)
    randomize(other, 1)
    model.name, other.name = "one", "two"
    inputs = keras.Input((WIDTH,))
    both = keras.Model(inputs, [model(inputs), other(inputs)])
    return through_file(both, folder).get_layer("one")


def save_and_load_halves(model, folder):
    for half in model.layers:
        if half.name in HALVES:
            assert_close(through_file(half, folder)(X), half(X))
            assert_close(through_pickle(half)(X), half(X))
    return model


OPERATIONS = (
    clone,
    clone_with_other_names,
    clone_and_use_halves_first,
    rebuild,
    through_file,
    save_and_load_beside_another,
    save_and_load_halves,
    through_pickle,
    through_deepcopy,
)


def try_out(draw):
    tied = build(draw)
    model = tied.model
    check(tied, model, 0)
    sequences = st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=4)
    with tempfile.TemporaryDirectory() as folder:
        for number, operation in enumerate(draw(sequences), 1):
            before = outputs(model, X)
            model = operation(model, Path(folder))
            assert_close(outputs(model, X), before)
            check(tied, model, number)


@given(data=st.data())
def test_every_tie_computes_with_its_own_kernel_after_any_operations(data):
    try_out(data.draw)


@slow
@seed(0)
@settings(max_examples=12 * settings().max_examples, database=None)
@given(data=st.data())
def test_many_sequences(data):
    try_out(data.draw)
