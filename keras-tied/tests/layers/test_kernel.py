"""A tied layer reads the kernel that its partner computes with, however it is stored.

Families of layers by ways of quantising, with and without an adapter. What the partner
itself makes of unit rows says which kernel it computes with.
"""

from functools import partial
from itertools import product
from types import SimpleNamespace

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import layers
from keras.utils import set_random_seed
from numpy.random import default_rng
from numpy.testing import assert_allclose
from tests.marks import slow

from keras_tied import mirror, tie

from .cases import (
    assert_close,
    built,
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
    "float8": quantizers.Float8QuantizationConfig(),
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
    takes_float8 = "Embedding" not in family and adapter == "none"
    if mode != "float8" or takes_float8:
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


calibrations = pytest.mark.parametrize(
    "calibration",
    [quantizers.GPTQConfig, quantizers.AWQConfig],
)


@calibrations
def test_kernel_is_read_as_it_was_before_it_is_calibrated(calibration):
    model = build("Dense")
    code = find(model, "code")
    code.quantize(config=calibration(dataset=["-"], tokenizer=None))
    assert_reads(find(model, "out"), code)


@slow
@pytest.mark.filterwarnings("ignore:Invalid quantization mode")  # of the Embedding
@calibrations
@pytest.mark.parametrize("family", ["Dense", "EinsumDense", "heads"])
def test_calibrated_kernel_is_read_as_its_layer_computes_with_it(family, calibration):
    embedding = layers.Embedding(20, FEATURES, "glorot_normal")
    code = FAMILIES[family]()
    out = tie(code)
    hidden = keras.Input((6, FEATURES))
    block = keras.Model(hidden, out(code(hidden)))
    inputs = keras.Input((6,), dtype="int32")
    model = keras.Model(inputs, block(embedding(inputs)))
    tokens = default_rng(0).integers(0, 20, size=(16, 1, 6))
    config = calibration(
        dataset=list(tokens),
        tokenizer=SimpleNamespace(tokenize=lambda tokens: tokens),
        num_samples=16,
        sequence_length=6,
        group_size=4,
        quantization_layer_structure={
            "pre_block_layers": [embedding],
            "sequential_blocks": [block],
        },
    )
    model.quantize(config=config)
    assert_reads(out, code)
    assert_reads(tie(code), code)


def test_float8_kernel_in_mixed_precision_is_read():
    code = built(layers.Dense(UNITS, dtype="float8_from_mixed_bfloat16"), FEATURES)
    rounded = np.array(code.kernel).astype(ml_dtypes.float8_e4m3fn)
    (found,) = outputs(
        tie(code),
        np.eye(UNITS, dtype="float32"),
    )
    # The kernel is rounded to bfloat16 before, which may move it by a step of float8.
    expected = rounded.T.astype("float32")
    assert_allclose(found, expected, rtol=2**-3, atol=2**-9)


CODES = normal(5, 5, UNITS)
TARGETS = normal(5, 5, FEATURES, seed=1)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of the scales
def test_gradient_passes_the_rounding_to_float8():
    model = build("Dense")
    code = find(model, "code")
    code.quantize(config=MODES["float8"])
    rounded = kernel_computed_with(code)
    before = np.array(code.kernel)
    train(find(model, "decoder"), CODES, TARGETS, rate=1.0)
    errors = CODES @ rounded.T - TARGETS
    products = np.einsum("btf,btu->fu", errors, CODES)
    moved = before - np.array(code.kernel)
    assert_close(moved, 2 * products / errors.size, 1e-5)


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


@calibrations
def test_calibrated_kernel_of_any_numbers_is_read(calibration):
    """The layer is only told to be calibrated: that takes long."""
    model = build("Dense")
    code = find(model, "code")
    config = calibration(dataset=["-"], tokenizer=None, group_size=4)
    code.quantize(config=config)
    random = default_rng(0)
    for variable in code.weights:
        if variable is not code.bias:
            variable.assign(random.integers(1, 8, variable.shape))
    code.g_idx.assign(np.arange(FEATURES) // 4)
    code.is_gptq_calibrated = code.is_awq_calibrated = True
    assert_reads(find(model, "out"), code)
