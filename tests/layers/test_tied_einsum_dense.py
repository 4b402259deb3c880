"""TiedEinsumDense: the adjoint of the equations that people write."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from keras_tied.layers import TiedEinsumDense

from .cases import arrays, outputs, randomize
from .oracles import Passage, passage


@dataclass(frozen=True)
class Example:
    """An `EinsumDense`, an input for it, and what its reverse is."""

    equation: str
    output_shape: Any
    shape: tuple[int, ...]
    adjoint: str
    bias_shape: tuple[int, ...]
    gain_shape: tuple[int, ...]

    def layer(self, **kwargs: Any) -> Any:
        kwargs = {"kernel_initializer": "zeros", **kwargs}
        layer = keras.layers.EinsumDense(self.equation, self.output_shape, **kwargs)
        layer.build(self.shape)
        randomize(layer, 0)
        return layer


EXAMPLES = {
    example.equation: example
    for example in (
        # Those of Keras's documentation: a dense layer, on a sequence, with an
        # ellipsis.
        Example("ab,bc->ac", 6, (5, 4), "ac,bc->ab", (4,), (1, 6)),
        Example("abc,cd->abd", (3, 6), (2, 3, 4), "abd,cd->abc", (4,), (1, 6)),
        Example("...x,xy->...y", 6, (2, 3, 4), "...y,xy->...x", (4,), (1, 6)),
        Example(
            "ab...,bc->ac...", 6, (2, 4, 3, 5), "ac...,bc->ab...", (4, 1, 1), (1, 6)
        ),
        # Those of attention: to heads, and from heads; with a kernel for each position.
        Example(
            "abc,cde->abde", (3, 2, 5), (2, 3, 4), "abde,cde->abc", (4,), (1, 2, 5)
        ),
        Example(
            "abde,dec->abc", (3, 4), (2, 3, 2, 5), "abc,dec->abde", (2, 5), (1, 1, 4)
        ),
        Example("abc,bcd->abd", (3, 6), (2, 3, 4), "abd,bcd->abc", (3, 4), (3, 1, 6)),
        # Axes in another order, over an axis in the middle, over several, and onto
        # several.
        Example(
            "abc,dce->aebd", (5, 3, 2), (2, 3, 4), "aebd,dce->abc", (4,), (2, 1, 5)
        ),
        Example("abc,bd->adc", (6, 4), (2, 3, 4), "adc,bd->abc", (3, 1), (1, 6)),
        Example(
            "abcd,cde->abe", (3, 6), (2, 3, 4, 5), "abe,cde->abcd", (4, 5), (1, 1, 6)
        ),
        Example(
            "abcd,bde->abce",
            (3, 4, 6),
            (2, 3, 4, 5),
            "abce,bde->abcd",
            (3, 1, 5),
            (3, 1, 6),
        ),
        Example(
            "...ab,bcd->...acd",
            (3, 2, 5),
            (2, 3, 4),
            "...acd,bcd->...ab",
            (4,),
            (1, 2, 5),
        ),
    )
}


QUICK = "ab,bc->ac ...x,xy->...y ab...,bc->ac... abc,cde->abde abc,bcd->abd abcd,cde->abe".split()


@pytest.fixture(
    params=[
        pytest.param(n, marks=[pytest.mark.night] * (n not in QUICK)) for n in EXAMPLES
    ]
)
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def normal(shape: Sequence[int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tied_to(layer: Any, shape: Sequence[int | None], **kwargs: Any) -> Any:
    """A tied layer with random bias and gain, built for inputs of that shape."""
    tied = TiedEinsumDense(layer, **kwargs)
    tied.build(tuple(shape))
    for variable in (tied.bias, tied.gain):
        if variable is not None:
            variable.assign(normal(variable.shape, 2))
    return tied


@functools.cache
def there_and_back(equation: str) -> Passage:
    layer = EXAMPLES[equation].layer()
    tied = TiedEinsumDense(layer, use_bias=False)
    return passage(layer, tied, EXAMPLES[equation].shape, np.random.default_rng(0))


def test_is_the_adjoint(example):
    assert there_and_back(example.equation).adjoint_error <= 1e-5


def test_equals_the_gradient_of_the_layer(example):
    assert there_and_back(example.equation).gradient_error <= 1e-5


def test_restores_the_shape_of_the_input(example):
    layer = example.layer()
    tied = TiedEinsumDense(layer)
    (found,) = outputs(tied, normal(layer.compute_output_shape(example.shape)))
    assert found.shape == example.shape


def test_equation_is_that_of_the_layer_with_inputs_and_outputs_exchanged(example):
    assert TiedEinsumDense(example.layer()).equation == example.adjoint


def test_layer_that_is_not_transposed_is_the_layer_tied_to(example):
    axes = [
        letter
        for letter in example.equation.split("->")[1]
        if letter in kernel_axes(example)
    ]
    layer = example.layer(bias_axes="".join(axes))
    tied = tied_to(layer, example.shape, transpose=False)
    tied.bias.assign(layer.bias)
    x = normal(example.shape)
    np.testing.assert_allclose(*outputs(tied, x), *outputs(layer, x), atol=1e-5)


def kernel_axes(example: Example) -> str:
    return example.equation.split("->")[0].split(",")[1]


def test_gain_scales_the_axes_of_the_kernel_that_the_output_has(example):
    layer = example.layer()
    y = normal(layer.compute_output_shape(example.shape))
    tied = tied_to(layer, y.shape, use_bias=False, gain=True)
    assert tied.gain.shape == example.gain_shape
    scaled = example.layer()
    scaled.kernel.assign(layer.kernel.numpy() * tied.gain.numpy())
    plain = tied_to(scaled, y.shape, use_bias=False)
    np.testing.assert_allclose(*outputs(tied, y), *outputs(plain, y), atol=1e-5)


def test_gain_is_one_for_each_output_unit_in_both_directions(example):
    layer = example.layer()
    y = normal(layer.compute_output_shape(example.shape))
    backwards = tied_to(layer, y.shape, use_bias=False, gain=True)
    forwards = tied_to(layer, example.shape, use_bias=False, gain=True, transpose=False)
    forwards.gain.assign(backwards.gain)
    found = passage(forwards, backwards, example.shape, np.random.default_rng(0))
    assert found.adjoint_error <= 1e-5


def test_bias_has_the_axes_of_the_output_that_come_from_the_kernel(example):
    layer = example.layer()
    y = normal(layer.compute_output_shape(example.shape))
    plain, tied = tied_to(layer, y.shape, use_bias=False), tied_to(layer, y.shape)
    assert tied.bias.shape == example.bias_shape
    expected = outputs(plain, y)[0] + tied.bias.numpy()
    np.testing.assert_allclose(*outputs(tied, y), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("axes", "shape"), [("b", (3, 1)), ("bc", (3, 4)), ("c", (4,))]
)
def test_bias_axes_are_used(axes, shape):
    layer = EXAMPLES["abc,cd->abd"].layer()
    assert tied_to(layer, (None, 3, 6), bias_axes=axes).bias.shape == shape


def test_bias_axes_go_before_an_ellipsis():
    layer = EXAMPLES["ab...,bc->ac..."].layer()
    assert tied_to(layer, (2, 6, 3, 5), bias_axes="a").bias.shape == (2, 1, 1, 1)


def test_activation_is_applied_last():
    layer = EXAMPLES["ab,bc->ac"].layer()
    y = normal((5, 6))
    linear, tied = (tied_to(layer, y.shape, activation=name) for name in (None, "tanh"))
    np.testing.assert_allclose(
        *outputs(tied, y), np.tanh(*outputs(linear, y)), atol=1e-5
    )


def test_output_shape_of_a_symbolic_call_is_the_shape_of_the_input(example):
    inputs, layer = keras.Input(example.shape[1:]), example.layer()
    assert TiedEinsumDense(layer)(layer(inputs)).shape == (None, *example.shape[1:])


def test_size_that_the_layer_tied_to_has_lost_is_restored():
    inputs = keras.Input((10, 32))
    layer = keras.layers.EinsumDense("abc,cde->abde", (None, 4, 8))
    code = layer(inputs)
    assert code.shape == (None, None, 4, 8)
    assert TiedEinsumDense(layer)(code).shape == (None, 10, 32)


def test_size_that_may_vary_is_restored():
    layer = keras.layers.EinsumDense("abc,cd->abd", (None, 6))
    layer.build((None, None, 4))
    tied = TiedEinsumDense(layer)
    assert tied(keras.Input((None, 6))).shape == (None, None, 4)
    for length in (2, 5):
        assert outputs(tied, normal((3, length, 6)))[0].shape == (3, length, 4)


def test_compiled_model_gives_the_outputs_of_the_eager_one(example):
    inputs, layer = keras.Input(example.shape[1:], example.shape[0]), example.layer()
    model = keras.Model(inputs, TiedEinsumDense(layer, gain=True)(layer(inputs)))
    x = normal(example.shape)
    found = model.predict(x, batch_size=len(x), verbose=0)
    np.testing.assert_allclose(found, *outputs(model, x), atol=1e-5)


every_quantizable = pytest.mark.parametrize(
    "example",
    # Keras cannot quantise a layer whose equation has an ellipsis.
    [
        pytest.param(
            example,
            id=name,
            marks=[pytest.mark.slow] * (name not in ("ab,bc->ac", "abc,cde->abde")),
        )
        for name, example in EXAMPLES.items()
        if "..." not in name
    ],
)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "tolerance"), [("int8", 0.01), ("int4", 0.15)])
@every_quantizable
def test_adjoint_of_a_quantized_layer_is_near_that_of_the_float_one(
    example, mode, tolerance
):
    layer = example.layer()
    y = normal(layer.compute_output_shape(example.shape))
    tied = tied_to(layer, y.shape)
    (expected,) = outputs(tied, y)
    layer.quantize(mode)
    (found,) = outputs(tied, y)
    assert np.linalg.norm(found - expected) <= tolerance * np.linalg.norm(expected)


@every_quantizable
def test_int4_kernel_is_the_one_that_the_quantized_layer_computes_with(example):
    layer = example.layer()
    layer.quantize("int4")
    x = normal(example.shape)
    tied = tied_to(layer, x.shape, transpose=False, use_bias=False)
    np.testing.assert_allclose(*outputs(tied, x), *outputs(layer, x), atol=1e-4)


@every_quantizable
def test_adapter_is_added_to_the_kernel_of_an_int8_layer(example):
    layer = example.layer()
    layer.quantize("int8")
    tied = tied_to(layer, layer.compute_output_shape(example.shape))
    before = arrays(tied.kernel)[0]
    layer.enable_lora(2)
    sides = [layer.lora_kernel_a, layer.lora_kernel_b]
    for side in sides:
        side.assign(normal(side.shape))
    expected = before + np.matmul(*arrays(sides))
    np.testing.assert_allclose(arrays(tied.kernel)[0], expected, atol=1e-4)


def test_configuration_gives_every_argument_back():
    layer = EXAMPLES["abc,cd->abd"].layer()
    arguments = {"gain": True, "bias_axes": "bc", "activation": "tanh", "name": "out"}
    config = TiedEinsumDense(layer, **arguments).get_config()
    assert TiedEinsumDense.from_config(config).get_config() == config
    assert config["bias_axes"] == "bc"


def test_rebuilt_layer_knows_its_shapes_before_it_meets_the_layer_tied_to():
    config = TiedEinsumDense(EXAMPLES["abc,cde->abde"].layer()).get_config()
    rebuilt = TiedEinsumDense.from_config(config)
    assert rebuilt(keras.Input((3, 2, 5))).shape == (None, 3, 4)
    assert rebuilt.tied_to is None


@pytest.mark.slow
def test_mixed_precision_computes_in_the_compute_dtype_and_keeps_float32_variables(
    example,
):
    layer = example.layer()
    tied = TiedEinsumDense(layer, gain=True, dtype="mixed_bfloat16")
    found = tied(normal(layer.compute_output_shape(example.shape)))
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    assert {variable.dtype for variable in (tied.bias, tied.gain, layer.kernel)} == {
        "float32"
    }


def test_tied_to_something_else_than_an_einsum_dense():
    with pytest.raises(
        ValueError, match="tied to a layer of class EinsumDense; received 'code'"
    ):
        TiedEinsumDense(keras.layers.Dense(3, name="code"), name="out")


def test_axis_that_was_summed_away_cannot_be_restored():
    layer = keras.layers.EinsumDense("abc,cd->ad", 6, name="code")
    layer.build((None, 3, 4))
    with pytest.raises(
        ValueError, match=r"'out' cannot reconstruct .* 'code'.* the axes \['b'\]"
    ):
        TiedEinsumDense(layer, name="out")(keras.Input((6,)))


def test_axis_that_was_summed_away_is_no_matter_where_nothing_is_restored():
    layer = keras.layers.EinsumDense("abc,cd->ad", 6)
    x = normal((2, 3, 4))
    expected = outputs(layer, x)
    tied = TiedEinsumDense(layer, transpose=False, use_bias=False)
    np.testing.assert_allclose(*outputs(tied, x), *expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(None, 3, 7), (None, 6), (None, 2, 3, 6)])
def test_inputs_that_do_not_fit(shape):
    layer = keras.layers.EinsumDense("abc,cd->abd", (3, 6), name="code")
    layer.build((None, 3, 4))
    with pytest.raises(
        ValueError, match=r"'out' computes 'abd,cd->abc' .* 'code', of shape \(4, 6\)"
    ):
        TiedEinsumDense(layer, name="out")(keras.Input(shape[1:]))


@pytest.mark.parametrize("axes", ["d", "b"], ids=["of the input", "of unknown size"])
def test_bias_axes_that_the_output_does_not_have(axes):
    layer = keras.layers.EinsumDense("abc,cd->abd", (None, 6))
    layer.build((None, None, 4))
    with pytest.raises(
        ValueError, match=f"'out' computes 'abd,cd->abc'.*bias_axes='{axes}'"
    ):
        TiedEinsumDense(layer, bias_axes=axes, name="out")(keras.Input((None, 6)))


def test_a_shape_of_tensorflow_is_taken():
    """The rest of one is true where it is empty."""
    tensorflow = pytest.importorskip("tensorflow")
    heads = keras.layers.EinsumDense("abc,cde->abde", (None, 4, 8))
    heads.build((None, 10, 32))
    back = TiedEinsumDense(heads)
    back.build(tensorflow.TensorShape([None, 10, 4, 8]))
    assert back.compute_output_shape((2, 10, 4, 8)) == (2, 10, 32)
