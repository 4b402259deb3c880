"""A tied layer reads the kernel that its partner computes with, however it is stored.

Families of layers by ways of quantising, with and without an adapter. What the partner
itself makes of unit rows says which kernel it computes with.
"""

from functools import partial
from itertools import product

import keras
import numpy as np
import pytest
from keras import layers
from keras.utils import set_random_seed
from tests.marks import slow

from keras_tied import mirror, tie

from .cases import (
    assert_close,
    find,
    normal,
    outputs,
    through_file,
    train,
    weights,
)

# Keras warns of each layer that cannot be quantised, such as an Input.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method"
)

FEATURES, UNITS = 16, 8
FAMILIES = {
    "Dense": partial(layers.Dense, UNITS),
    "EinsumDense": partial(
        layers.EinsumDense,
        "btd,de->bte",
        (None, UNITS),
        bias_axes="e",
    ),
    "heads": partial(
        layers.EinsumDense,
        "btd,dnh->btnh",
        (None, 2, 4),
        bias_axes="nh",
    ),
    "Embedding": partial(layers.Embedding, FEATURES, UNITS),
    "ReversibleEmbedding": partial(
        layers.ReversibleEmbedding,
        FEATURES,
        UNITS,
    ),
}
quantizers = keras.quantizers
MODES = {
    "none": None,
    "int8": quantizers.Int8QuantizationConfig(),
    "int8, weights only": quantizers.Int8QuantizationConfig(activation_quantizer=None),
    "int4": quantizers.Int4QuantizationConfig(),
    "int4, blocks of 4": quantizers.Int4QuantizationConfig(block_size=4),
    "int4, a channel": quantizers.Int4QuantizationConfig(block_size=None),
}


def build(family):
    set_random_seed(0)
    code = FAMILIES[family](name="code")
    out = tie(code, name="out")
    inputs = keras.Input((5, FEATURES))
    if "Embedding" in family:
        inputs = keras.Input((5,), dtype="int32")
    encoder = keras.Model(inputs, code(inputs), name="encoder")
    codes = keras.Input(encoder.output_shape[1:])
    decoder = keras.Model(codes, out(codes), name="decoder")
    return keras.Model(inputs, decoder(encoder(inputs)))


def adapt(code):
    code.enable_lora(2, lora_alpha=3)
    for variable in code.weights:
        if "lora" in variable.name:
            variable.assign(0.3 * normal(*variable.shape, seed=1))


def kernel_computed_with(code):
    """The kernel `(features, units)`, from the outputs for unit rows, one at a time."""
    if isinstance(code, layers.Embedding):
        (found,) = outputs(code, np.arange(FEATURES))
        return found
    rows = np.eye(FEATURES + 1, FEATURES, dtype="float32")
    *found, bias = [
        np.ravel(outputs(code, row.reshape(1, 1, FEATURES))) for row in rows
    ]
    return np.stack(found) - bias


def assert_reads(out, code):
    """A tied layer gives the products of codes with the kernel of its partner."""
    codes = normal(3, UNITS, seed=2)
    expected = codes @ kernel_computed_with(code).T
    _, *axes = out.tied_kernel_shape()
    (found,) = outputs(out, codes.reshape(1, 3, *axes))
    scale = max(1, np.abs(expected).max())
    assert_close(found[0], expected, atol=2e-6 * scale)


def read_by_the_tied(model, folder):
    return find(model, "out"), find(model, "code")


def read_in_a_file(model, folder):
    return read_by_the_tied(through_file(model, folder), folder)


def read_in_a_file_of_the_decoder(model, folder):
    loaded = through_file(find(model, "decoder"), folder)
    out = find(loaded, "out")  # Keras has merged the adapter in the partner it brings
    return out, out.tied_to


def read_by_a_new_one(model, folder):
    code = find(model, "code")
    return tie(code), code


def read_by_a_new_one_of_its_policy(model, folder):
    code = find(model, "code")
    return tie(code, dtype=code.dtype_policy), code


def read_by_the_mirror(model, folder):
    encoder = find(model, "encoder")
    return mirror(encoder).layers[-1], find(encoder, "code")


ADAPTERS = ("none", "before", "after")
CELLS = []
for family, mode, adapter in product(FAMILIES, MODES, ADAPTERS):
    marks = () if family == "Dense" else pytest.mark.night
    CELLS.append(pytest.param(family, mode, adapter, marks=marks))


@pytest.mark.parametrize(
    "read",
    [
        read_by_the_tied,
        pytest.param(read_in_a_file, marks=slow),
        read_in_a_file_of_the_decoder,
        pytest.param(read_by_a_new_one, marks=slow),
        read_by_a_new_one_of_its_policy,
        read_by_the_mirror,
    ],
)
@pytest.mark.parametrize(("family", "mode", "adapter"), CELLS)
def test_tied_layer_computes_with_the_kernel_of_its_partner(
    family, mode, adapter, read, tmp_path
):
    model = build(family)
    code = find(model, "code")
    if adapter == "before":
        adapt(code)
    if MODES[mode] is not None:
        code.quantize(config=MODES[mode])
    if adapter == "after":
        adapt(code)
    assert_reads(*read(model, tmp_path))


def test_a_policy_of_integers_changes_no_stateless_call():
    code = layers.Dense(3)
    code.build((None, 4))
    plain, of_integers = tie(code), tie(code, dtype="int8_from_float32")
    codes = normal(5, 3)
    expected = plain(codes)
    of_integers.build(codes.shape)
    states = of_integers.trainable_variables, of_integers.non_trainable_variables
    assert_close(of_integers.stateless_call(*states, codes)[0], expected)


OTHER_MODES = {
    "float8": quantizers.Float8QuantizationConfig(),
    "gptq": quantizers.GPTQConfig(dataset=["-"], tokenizer=None),
    "awq": quantizers.AWQConfig(dataset=["-"], tokenizer=None),
}


USES = {
    "call": lambda model: find(model, "out"),
    "mirror": lambda model: mirror(find(model, "encoder")),
    "copy": lambda model: tie(find(model, "code"), untie=True),
}


@pytest.mark.parametrize("mode", OTHER_MODES)
def test_a_kernel_that_cannot_be_read_is_an_error_that_names_its_layer(mode):
    message = f"'code' was quantized as '{mode}'"
    with pytest.raises(ValueError, match=message):
        build("Dense").quantize(config=OTHER_MODES[mode])
    model = build("Dense")
    find(model, "code").quantize(config=OTHER_MODES[mode])
    for use in USES.values():
        with pytest.raises(ValueError, match=message):
            use(model)(normal(1, 5, UNITS))


CODES = normal(5, 5, UNITS)
TARGETS = normal(5, 5, FEATURES, seed=1)


def test_adapter_trains_in_a_decoder_as_if_nothing_had_trained_before():
    """A step does not see gradients of variables that its optimizer did not know."""
    trained = []
    for is_used in (False, True):
        model = build("Dense")
        decoder = find(model, "decoder")
        if is_used:
            train(decoder, CODES, TARGETS, rate=0.0)
        adapt(find(model, "code"))
        train(decoder, CODES, TARGETS)
        trained.append(weights(decoder))
    assert_close(*trained)
