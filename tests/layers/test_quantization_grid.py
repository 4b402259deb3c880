"""Every way of quantising a kernel, with and without an adapter: the tied layer reads
that kernel.

What the layer itself makes of unit rows says which kernel it computes with.
"""

from itertools import product

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied import mirror
from keras_tied.layers import tie

from .cases import arrays, find

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
MODES = {
    "int8": lambda: "int8",
    "int4": lambda: "int4",
    "int4, blocks of 4": lambda: keras.quantizers.Int4QuantizationConfig(block_size=4),
    "int4, a channel": lambda: keras.quantizers.Int4QuantizationConfig(block_size=None),
    "int8, weights only": lambda: keras.quantizers.Int8QuantizationConfig(
        activation_quantizer=None
    ),
    "float8": lambda: "float8",
}


def takes_numbers(family):
    return "Embedding" in family


def build(family):
    keras.utils.set_random_seed(0)
    code = FAMILIES[family]()
    numbers = takes_numbers(family)
    inputs = keras.Input((5,), dtype="int32") if numbers else keras.Input((5, FEATURES))
    hidden = code(inputs)
    out = tie(code, name="out")
    decoder_inputs = keras.Input(hidden.shape[1:])
    decoder = keras.Model(decoder_inputs, out(decoder_inputs), name="decoder")
    encoder = keras.Model(inputs, hidden, name="encoder")
    return keras.Model(inputs, decoder(encoder(inputs)))


def kernel_computed_with(code):
    """The kernel, `(features, units)`, from the outputs for unit rows, one
    at a time.
    """
    if isinstance(code, layers.Embedding):
        return arrays(code(np.arange(FEATURES)[None]))[0].reshape(FEATURES, -1)
    lead = (1,) if isinstance(code, layers.Dense) else (1, 1)
    rows = [*np.eye(FEATURES, dtype="float32"), np.zeros(FEATURES, "float32")]
    outputs = np.stack(
        [arrays(code(row.reshape(*lead, -1)))[0].ravel() for row in rows]
    )
    return outputs[:-1] - outputs[-1]


def adapt(code):
    code.enable_lora(2, lora_alpha=3)
    random = np.random.default_rng(1)
    for variable in code.weights:
        if "lora" in variable.name:
            variable.assign(0.3 * random.normal(size=variable.shape))


def quantize(code, mode, lora):
    if lora == "before":
        adapt(code)
    config = MODES[mode]()
    code.quantize(config) if isinstance(config, str) else code.quantize(config=config)
    if lora == "after":
        adapt(code)


def agree(code, out):
    kernel = kernel_computed_with(code)
    places = (2, 4) if "dnh" in getattr(code, "equation", "") else (UNITS,)
    codes = np.random.default_rng(2).normal(size=(1, 3, *places)).astype("float32")
    expected = codes.reshape(3, -1) @ kernel.T
    bias = arrays(out(np.zeros_like(codes)))[0].reshape(3, -1)
    found = arrays(out(codes))[0].reshape(3, -1) - bias
    np.testing.assert_allclose(
        found, expected, atol=2e-6 * max(1, np.abs(expected).max())
    )


def is_quantizable(family, mode, lora):
    return not (mode == "float8" and (takes_numbers(family) or lora != "none"))


GRID = [
    pytest.param(
        *case, id="-".join(case), marks=[] if case[0] == "Dense" else pytest.mark.night
    )
    for case in product(FAMILIES, MODES, ["none", "before", "after"])
    if is_quantizable(*case)
]


@pytest.mark.parametrize(("family", "mode", "lora"), GRID)
@pytest.mark.parametrize("state", ["live", "saved", "decoder saved"])
def test_the_tied_layer_computes_with_the_kernel_of_its_partner(
    family, mode, lora, state, tmp_path
):
    model = build(family)
    code = find(model, "code")
    quantize(code, mode, lora)
    out = find(model, "out")
    agree(code, out)
    if state == "saved":
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        agree(find(loaded, "code"), find(loaded, "out"))
    elif state == "decoder saved":
        model.get_layer("decoder").save(tmp_path / "decoder.keras")
        loaded = keras.saving.load_model(tmp_path / "decoder.keras")
        out = find(
            loaded, "out"
        )  # brings a partner, in which Keras has merged the adapter
        agree(out.kernel_layer, out)


WAYS = {
    "tie": lambda encoder, code: tie(code),
    "tie with its policy": lambda encoder, code: tie(code, dtype=code.dtype_policy),
    "mirror": lambda encoder, code: mirror(encoder).layers[-1],
}


@pytest.mark.parametrize(("family", "mode", "lora"), GRID)
@pytest.mark.parametrize("way", WAYS)
def test_a_layer_tied_to_a_quantized_one_computes_with_its_kernel(
    family, mode, lora, way
):
    encoder = build(family).get_layer("encoder")
    code = find(encoder, "code")
    quantize(code, mode, lora)
    agree(code, WAYS[way](encoder, code))
