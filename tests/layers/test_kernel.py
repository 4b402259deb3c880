"""The kernel that a tied layer reads, where the layer tied to stores it in another
form.
"""

import copy
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest

from keras_tied.layers import TiedDense, tie

from .cases import (
    VOCABULARY,
    Case,
    arrays,
    find,
    outputs,
    parameters,
    randomize,
    select,
    train,
    weights,
)
from .test_contract import loss

# Keras warns of each layer that cannot be quantised, such as an Input.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Layer .* does not have a `quantize` method"
)

NAMES = {"Dense": "kernel", "EinsumDense": "kernel", "Embedding": "embeddings"}
"""The families of layers that Keras quantises, and the attributes that hold their
kernels.
"""
# Not in a TimeDistributed: it calls a layer's `call` instead of its `quantized_call`,
# so that a quantised Dense in it computes with integers as if they were the kernel,
# tied or not.
QUANTIZABLE = [
    case
    for case in select(
        "functional",
        "sequential",
        "nested",
        "made_of_models",
        "made_in_init",
        "deep",
        "siamese",
        "siamese_never_met",
        "two_on_one_nested",
        "chain",
        "chain_nested",
    )
    if case.family.name in NAMES
]
FLOAT8 = [case for case in QUANTIZABLE if not case.family.integers]
# A model that makes its layers itself makes them unquantised: Keras cannot load its
# quantised ones.
LOADABLE = [case for case in QUANTIZABLE if case.topology.name != "made_in_init"]
ADAPTABLE = [
    case
    for case in (
        *QUANTIZABLE,
        *select("in_wrappers", family="Dense"),
        *select("nested", family="Conv"),
    )
    if "code" in dict(case.topology.ties).values()
]


QUICK = [
    *select("functional", "nested", family="Dense"),
    *select("functional", family="Embedding"),
]


def some(cases: list[Case], *topologies: str) -> list[Case]:
    """The cases that have one of these topologies."""
    return [case for case in cases if case.topology.name in topologies]


@pytest.fixture(params=parameters(QUANTIZABLE, QUICK))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> keras.Model:
    return case.build()


def relative_rms(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    one, other = (
        np.concatenate([np.ravel(array) for array in part])
        for part in (found, expected)
    )
    return float(np.sqrt(np.mean((one - other) ** 2) / np.mean(other**2)))


def test_outputs_of_the_int8_model_are_within_two_percent(case, model):
    expected = outputs(model, case.inputs())
    model.quantize("int8")
    assert relative_rms(outputs(model, case.inputs()), expected) < 0.02


@pytest.mark.parametrize(
    "case",
    parameters(some(QUANTIZABLE, "functional", "nested", "deep", "chain"), QUICK),
)
def test_outputs_of_the_int4_model_are_near(case, model):
    expected = outputs(model, case.inputs())
    model.quantize("int4")
    assert relative_rms(outputs(model, case.inputs()), expected) < 0.2


@pytest.mark.parametrize(
    "case", parameters(some(FLOAT8, "functional", "nested"), QUICK)
)
def test_float8_model_trains(case, model):
    model.quantize("float8")
    before = loss(model, case.inputs(), case.targets())
    model.compile(keras.optimizers.SGD(0.02), "mse")
    model.fit(case.inputs(), case.targets(), epochs=3, verbose=0)
    assert loss(model, case.inputs(), case.targets()) < before


@pytest.mark.parametrize("case", parameters(LOADABLE, QUICK))
def test_copy_of_an_int8_model_gives_the_same_outputs_and_is_tied(case, model):
    model.quantize("int8")
    copied = copy.deepcopy(model)
    for pair in zip(
        outputs(copied, case.inputs()), outputs(model, case.inputs()), strict=True
    ):
        np.testing.assert_allclose(*pair, atol=1e-6)
    for tied, partner in case.topology.ties:
        assert find(copied, tied).tied_to is find(copied, partner)


@pytest.mark.parametrize(
    "case", parameters(some(QUANTIZABLE, "functional", "nested"), QUICK)
)
def test_copy_of_an_int4_model_gives_the_same_outputs(case, model):
    model.quantize("int4")
    np.testing.assert_allclose(
        *outputs(copy.deepcopy(model), case.inputs()),
        *outputs(model, case.inputs()),
        atol=1e-6,
    )


@pytest.mark.parametrize(
    "case", parameters(some(QUANTIZABLE, "nested", "deep", "chain_nested"), QUICK)
)
def test_quantized_decoder_saved_alone_gives_the_same_outputs(case, model, tmp_path):
    model.quantize("int8")
    decoder = find(model, "decoder")
    decoder.save(tmp_path / "half.keras")
    codes = (
        np.random.default_rng(0)
        .normal(size=(5, *decoder.input_shape[1:]))
        .astype("float32")
    )
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    np.testing.assert_allclose(
        *outputs(loaded, codes), *outputs(decoder, codes), atol=1e-6
    )


@pytest.mark.parametrize(
    "case", parameters(some(QUANTIZABLE, "functional", "nested"), QUICK)
)
def test_clone_of_a_quantized_model_is_tied_to_a_layer_of_its_own(case, model):
    model.quantize("int8")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    assert find(cloned, "out").tied_to is find(cloned, "code")
    np.testing.assert_allclose(
        *outputs(cloned, case.inputs()), *outputs(model, case.inputs()), atol=1e-6
    )


def pair(kind: str, **kwargs: Any) -> tuple[Any, Any]:
    """A Dense or an Embedding, built, and a layer tied to it, all random."""
    layer: Any
    if kind == "dense":
        layer = keras.layers.Dense(6, **kwargs)
        layer.build((None, 10))
    else:
        layer = keras.layers.Embedding(VOCABULARY, 6, **kwargs)
        layer.build(())
    tied = TiedDense(layer)
    tied.build((None, 6))
    for one in (layer, tied):
        randomize(one, 0)
    return layer, tied


def code(rows: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, 6)).astype("float32")


def kernel_seen(tied: Any) -> np.ndarray:
    """The kernel, `(features, units)`, that a tied layer computes with, from its
    outputs.
    """
    rows = np.concatenate([np.eye(6), np.zeros((1, 6))]).astype("float32")
    (found,) = outputs(tied, rows)
    return (found[:-1] - found[-1]).T


def adapter(layer: Any, name: str) -> np.ndarray:
    left, right = arrays(
        [getattr(layer, f"lora_{name}_a"), getattr(layer, f"lora_{name}_b")]
    )
    return layer.lora_alpha / layer.lora_rank * left @ right


def adapt(layer: Any, name: str) -> None:
    rng = np.random.default_rng(2)
    for side in "ab":
        variable = getattr(layer, f"lora_{name}_{side}")
        variable.assign(rng.normal(size=variable.shape))


every_kind = pytest.mark.parametrize(
    ("kind", "name"), [("dense", "kernel"), ("embedding", "embeddings")]
)


@every_kind
def test_adapter_is_added_to_the_kernel(kind, name):
    layer, tied = pair(kind)
    kernel = getattr(layer, name).numpy().copy()
    layer.enable_lora(2, lora_alpha=3)
    adapt(layer, name)
    np.testing.assert_allclose(
        kernel_seen(tied), kernel + adapter(layer, name), atol=1e-5
    )


@every_kind
def test_int8_kernel_is_its_integers_divided_by_their_scale(kind, name):
    layer, tied = pair(kind)
    layer.quantize("int8")
    integers, scale = arrays([getattr(layer, name), getattr(layer, f"{name}_scale")])
    restored = integers / (scale if kind == "dense" else scale[:, None])
    np.testing.assert_allclose(kernel_seen(tied), restored, atol=1e-5)


@pytest.mark.parametrize("mode", ["int8", "int4"])
@every_kind
def test_quantized_kernel_is_near_the_float_one(kind, name, mode):
    layer, tied = pair(kind)
    kernel = getattr(layer, name).numpy().copy()
    layer.quantize(mode)
    assert (
        relative_rms([kernel_seen(tied)], [kernel]) < {"int8": 0.01, "int4": 0.15}[mode]
    )


@pytest.mark.parametrize("mode", ["int8", "int4"])
@every_kind
def test_adapter_is_added_to_the_restored_kernel(kind, name, mode):
    layer, tied = pair(kind)
    layer.quantize(mode)
    before = kernel_seen(tied)
    layer.enable_lora(2, lora_alpha=3)
    adapt(layer, name)
    np.testing.assert_allclose(
        kernel_seen(tied), before + adapter(layer, name), atol=1e-4
    )


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_tied_layer_reads_the_kernel_that_the_quantized_layer_computes_with(mode):
    layer, tied = pair("dense", use_bias=False)
    layer.quantize(mode)
    layer.enable_lora(2)
    adapt(layer, "kernel")
    (rows,) = outputs(layer, np.eye(10, dtype="float32"))
    np.testing.assert_allclose(kernel_seen(tied), rows, atol=2e-2)


def test_kernel_quantized_in_a_way_that_cannot_be_read_is_an_error_that_names_the_layer():
    class Ternary(keras.Layer):
        quantization_mode = "ternary"

        def build(self, input_shape: tuple[int, ...]) -> None:
            self.kernel = self.add_weight(shape=(4, 3))

    code = Ternary(name="code")
    code.build((None, 4))
    with pytest.raises(ValueError, match="'code' was quantized as 'ternary'"):
        tie(code)(np.zeros((2, 3), "float32"))


def test_a_kernel_is_read_as_it_was_before_it_is_calibrated():
    layer, tied = pair("dense", name="code")
    expected = outputs(tied, [code()])
    layer.quantize(config=keras.quantizers.GPTQConfig(dataset=["-"], tokenizer=None))
    np.testing.assert_array_equal(*outputs(tied, [code()]), *expected)


@pytest.mark.parametrize("case", parameters(ADAPTABLE, QUICK))
def test_decoder_reads_the_adapted_kernel(case, model):
    tied = find(model, case.topology.ties[0][0])
    (before,) = outputs(tied, rows_for(tied))
    layer = find(model, "code")
    layer.enable_lora(2)
    adapt(layer, NAMES.get(case.family.name, "kernel"))
    assert not np.allclose(before, *outputs(tied, rows_for(tied)))


def rows_for(tied: Any) -> np.ndarray:
    shape = (3, *tied.get_build_config()["input_shape"][1:])
    return np.random.default_rng(3).normal(size=shape).astype("float32")


@pytest.mark.parametrize("case", parameters(ADAPTABLE, QUICK))
def test_adapter_counts_once(case, model):
    before = model.count_params()
    layer = find(model, "code")
    layer.enable_lora(2)
    sides = [variable for variable in layer.weights if "lora" in variable.name]
    assert model.count_params() == before + sum(
        int(np.prod(side.shape)) for side in sides
    )


@pytest.mark.slow
@pytest.mark.parametrize("case", parameters(ADAPTABLE, QUICK))
def test_training_moves_the_adapter_and_leaves_the_kernel(case, model):
    layer = find(model, "code")
    layer.enable_lora(2)
    name = NAMES.get(case.family.name, "kernel")
    adapt(layer, name)
    stored = [variable for variable in layer.weights if variable.name == name]
    sides = [variable for variable in layer.weights if "lora" in variable.name]
    before = arrays([*stored, *sides])
    train(model, case.inputs(), case.targets())
    moved = [
        bool(np.any(p[0] != p[1]))
        for p in zip(before, arrays([*stored, *sides]), strict=True)
    ]
    assert moved == [False, True, True]


@pytest.mark.parametrize(
    "case", parameters(some(ADAPTABLE, "functional", "nested", "made_of_models"), QUICK)
)
def test_adapter_in_the_decoder_alone_trains_as_in_a_decoder_without_an_earlier_training(
    case,
):
    """An optimiser's step must not see gradients left over from variables it did not
    know of.
    """
    decoders = []
    for earlier in (False, True):
        model = case.build()
        decoder = find(model, "decoder") if case.topology.halves else model
        data = case.inputs(), case.targets()
        if case.topology.halves:
            rng = np.random.default_rng(0)
            shapes = decoder.input_shape[1:], decoder.output_shape[1:]
            data = tuple(
                rng.normal(size=(4, *shape)).astype("float32") for shape in shapes
            )
        if earlier:
            train(decoder, *data, rate=0.0)
        layer = find(model, "code")
        layer.enable_lora(2)
        adapt(layer, NAMES.get(case.family.name, "kernel"))
        for _ in range(3):
            train(decoder, *data, rate=0.01)
        decoders.append(decoder)
    for one, other in zip(weights(decoders[0]), weights(decoders[1]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    "case",
    parameters(
        [case for case in ADAPTABLE if case.topology.name != "made_in_init"], QUICK
    ),
)
def test_copy_of_an_adapted_model_gives_the_same_outputs_and_is_tied(case, model):
    layer = find(model, "code")
    layer.enable_lora(2)
    adapt(layer, NAMES.get(case.family.name, "kernel"))
    copied = copy.deepcopy(model)
    for pair in zip(
        outputs(copied, case.inputs()), outputs(model, case.inputs()), strict=True
    ):
        np.testing.assert_allclose(*pair, atol=1e-5)
    for tied, partner in case.topology.ties:
        assert find(copied, tied).tied_to is find(copied, partner)


@pytest.mark.parametrize(
    "case", parameters(some(QUANTIZABLE, "functional", "nested"), QUICK)
)
def test_copy_of_an_adapted_quantized_model_gives_nearly_the_same_outputs(case, model):
    """Keras merges the adapter into the integers when it saves, which
    rounds once more.
    """
    model.quantize("int8")
    layer = find(model, "code")
    layer.enable_lora(2)
    adapt(layer, NAMES.get(case.family.name, "kernel"))
    copied = copy.deepcopy(model)
    assert (
        relative_rms(outputs(copied, case.inputs()), outputs(model, case.inputs()))
        < 0.02
    )


class Tokens:
    """A tokenizer of texts that are tokens already."""

    def tokenize(self, tokens: np.ndarray) -> np.ndarray:
        return tokens


def calibrated(mode: str, code: keras.Layer, inside: bool) -> keras.Model:
    """A language model of one block, whose `code` is tied to in or behind it,
    quantised.
    """
    tokens = np.random.default_rng(0).integers(0, 20, size=(16, 1, 6))
    inputs, hidden = keras.Input((6,), dtype="int32"), keras.Input((6, 8))
    embedding = keras.layers.Embedding(20, 8, "glorot_normal")
    out = tie(code, name="out")
    block = keras.Model(hidden, out(code(hidden)) if inside else code(hidden))
    outputs = block(embedding(inputs))
    model = keras.Model(inputs, outputs if inside else out(outputs))
    structure = {"pre_block_layers": [embedding], "sequential_blocks": [block]}
    kind = keras.quantizers.GPTQConfig if mode == "gptq" else keras.quantizers.AWQConfig
    sizes = {"num_samples": 16, "sequence_length": 6, "group_size": 4}
    config = kind(
        list(tokens), Tokens(), **sizes, quantization_layer_structure=structure
    )
    model.quantize(mode, config=config)
    return model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Invalid quantization mode")  # of the Embedding
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "behind"])
@pytest.mark.parametrize(
    "code",
    [
        lambda: keras.layers.Dense(12, "relu", name="code"),
        lambda: keras.layers.EinsumDense(
            "btd,de->bte", (6, 12), bias_axes="e", name="code"
        ),
        lambda: keras.layers.EinsumDense(
            "btd,dnh->btnh", (6, 3, 4), bias_axes="nh", name="code"
        ),
    ],
    ids=["Dense", "EinsumDense", "heads"],
)
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_a_calibrated_kernel_is_read_as_its_layer_computes_with_it(mode, code, inside):
    code = code()
    model = calibrated(mode, code, inside)
    assert code.quantization_mode == mode
    code.activation = keras.activations.linear
    rows = np.concatenate([np.eye(8), np.zeros((1, 8))])[None].astype("float32")
    found = keras.ops.convert_to_numpy(code(rows))[0]
    kernel = keras.ops.convert_to_numpy(find(model, "out").kernel)
    kernel = (
        kernel.T
        if kernel.ndim == 2 and isinstance(code, keras.layers.Dense)
        else kernel
    )
    np.testing.assert_allclose(
        kernel.reshape(8, -1), (found[:8] - found[8]).reshape(8, -1), atol=1e-6
    )
    retied = tie(code)
    assert retied.tied_kernel_shape() == find(model, "out").tied_kernel_shape()


def test_a_float8_kernel_in_mixed_precision_is_read():
    layer = keras.layers.Dense(5, dtype="float8_from_mixed_bfloat16")
    layer.build((None, 4))
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float32")

    read = TiedDense(layer)(np.eye(5, dtype="float32"))

    expected = kernel.astype(ml_dtypes.float8_e4m3fn).astype("float32").T
    # Equal up to a step of float8, since the kernel is rounded to bfloat16 before.
    read = keras.ops.convert_to_numpy(read)
    np.testing.assert_allclose(read, expected, rtol=1 / 8, atol=2**-9)
