"""A tied layer reads the kernel that its partner computes with, however it is stored.

Families of layers by ways of quantising, with and without an adapter. What the partner
itself makes of unit rows says which kernel it computes with.
"""

from itertools import product
from types import SimpleNamespace

import keras
import ml_dtypes
import numpy as np
import pytest
from keras import layers

from keras_tied import mirror, tie

from .cases import (
    assert_close,
    find,
    normal,
    outputs,
    reload,
    train,
    weights,
)

# Keras warns of each layer that cannot be quantised, such as an Input.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method"
)

FEATURES, UNITS = 16, 8
FAMILIES = {
    "Dense": lambda: layers.Dense(UNITS, name="code"),
    "EinsumDense": lambda: layers.EinsumDense(
        "btd,de->bte", (None, UNITS), bias_axes="e", name="code"
    ),
    "heads": lambda: layers.EinsumDense(
        "btd,dnh->btnh", (None, 2, 4), bias_axes="nh", name="code"
    ),
    "Embedding": lambda: layers.Embedding(FEATURES, UNITS, name="code"),
    "ReversibleEmbedding": lambda: layers.ReversibleEmbedding(
        FEATURES, UNITS, name="code"
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
    keras.utils.set_random_seed(0)
    code = FAMILIES[family]()
    inputs = keras.Input((5, FEATURES))
    if "Embedding" in family:
        inputs = keras.Input((5,), dtype="int32")
    encoder = keras.Model(inputs, code(inputs), name="encoder")
    codes = keras.Input(encoder.output_shape[1:])
    decoder = keras.Model(codes, tie(code, name="out")(codes), name="decoder")
    return keras.Model(inputs, decoder(encoder(inputs)))


def adapt(code):
    code.enable_lora(2, lora_alpha=3)
    for variable in code.weights:
        if "lora" in variable.name:
            variable.assign(0.3 * normal(variable.shape, 1))


def kernel_computed_with(code):
    """The kernel `(features, units)`, from the outputs for unit rows, one at a time."""
    if isinstance(code, layers.Embedding):
        rows = np.arange(FEATURES)[None]
        return outputs(code, rows)[0].reshape(FEATURES, -1)
    axes = (1, -1) if isinstance(code, layers.Dense) else (1, 1, -1)
    rows = [*np.eye(FEATURES, dtype="float32"), np.zeros(FEATURES, "float32")]
    found = [outputs(code, row.reshape(axes))[0].ravel() for row in rows]
    return np.stack(found[:-1]) - found[-1]


def assert_reads(out, code):
    """A tied layer gives the products of codes with the kernel of its partner."""
    axes = (2, 4) if "dnh" in getattr(code, "equation", "") else (UNITS,)
    codes = normal((1, 3, *axes), 2)
    expected = codes.reshape(3, -1) @ kernel_computed_with(code).T
    (found,), (bias,) = outputs(out, codes), outputs(out, np.zeros_like(codes))
    found = (found - bias).reshape(3, -1)
    assert_close(found, expected, atol=2e-6 * max(1, np.abs(expected).max()))


def read_by_the_tied(model, folder):
    return find(model, "out"), find(model, "code")


def read_in_a_file(model, folder):
    loaded = reload(model, folder / "model.keras")
    return find(loaded, "out"), find(loaded, "code")


def read_in_a_file_of_the_decoder(model, folder):
    loaded = reload(find(model, "decoder"), folder / "decoder.keras")
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


CELLS = []
for family, mode, adapter in product(FAMILIES, MODES, ("none", "before", "after")):
    takes_float8 = "Embedding" not in family and adapter == "none"
    if mode != "float8" or takes_float8:
        marks = () if family == "Dense" else pytest.mark.night
        name = f"{family}-{mode}-{adapter}"
        CELLS.append(pytest.param(family, mode, adapter, marks=marks, id=name))


@pytest.mark.parametrize(
    "read",
    [
        read_by_the_tied,
        read_in_a_file,
        read_in_a_file_of_the_decoder,
        read_by_a_new_one,
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


calibrations = pytest.mark.parametrize(
    "calibration", [quantizers.GPTQConfig, quantizers.AWQConfig]
)


@calibrations
def test_kernel_is_read_as_it_was_before_it_is_calibrated(calibration):
    model = build("Dense")
    code = find(model, "code")
    code.quantize(config=calibration(dataset=["-"], tokenizer=None))
    assert_reads(find(model, "out"), code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Invalid quantization mode")  # of the Embedding
@calibrations
@pytest.mark.parametrize("family", ["Dense", "EinsumDense", "heads"])
def test_calibrated_kernel_is_read_as_its_layer_computes_with_it(family, calibration):
    code = FAMILIES[family]()
    out = tie(code)
    embedding = layers.Embedding(20, FEATURES, "glorot_normal")
    inputs, hidden = keras.Input((6,), dtype="int32"), keras.Input((6, FEATURES))
    block = keras.Model(hidden, out(code(hidden)))
    model = keras.Model(inputs, block(embedding(inputs)))
    tokens = np.random.default_rng(0).integers(0, 20, size=(16, 1, 6))
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
    code = layers.Dense(UNITS, dtype="float8_from_mixed_bfloat16")
    code.build((None, FEATURES))
    rounded = code.kernel.numpy().astype(ml_dtypes.float8_e4m3fn)
    found = tie(code)(np.eye(UNITS, dtype="float32"))
    # The kernel is rounded to bfloat16 before, which may move it by a step of float8.
    expected = rounded.T.astype("float32")
    np.testing.assert_allclose(found, expected, rtol=1 / 8, atol=2**-9)


def test_gradient_passes_the_rounding_to_float8():
    model = build("Dense")
    code = find(model, "code")
    code.quantize(config=MODES["float8"])
    rounded, before = kernel_computed_with(code), code.kernel.numpy()
    codes, targets = normal((5, 5, UNITS)), normal((5, 5, FEATURES), 1)
    train(find(model, "decoder"), codes, targets, rate=1.0)
    errors = codes @ rounded.T - targets
    slope = 2 * np.einsum("btf,btu->fu", errors, codes) / errors.size
    assert_close(before - code.kernel.numpy(), slope, 1e-5)


def test_adapter_trains_in_a_decoder_as_if_nothing_had_trained_before():
    """A step does not see gradients of variables that its optimizer did not know."""
    data = normal((5, 5, UNITS)), normal((5, 5, FEATURES), 1)
    trained = []
    for is_used in (False, True):
        model = build("Dense")
        decoder = find(model, "decoder")
        if is_used:
            train(decoder, *data, rate=0.0)
        adapt(find(model, "code"))
        train(decoder, *data)
        trained.append(weights(decoder))
    assert_close(*trained)
