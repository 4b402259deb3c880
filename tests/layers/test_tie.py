"""`tie`: the tied layer that fits a layer, or what to do instead."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied.layers import TiedConv, TiedDense, TiedEinsumDense, tie

FITTING = [
    (layers.Dense(3), TiedDense),
    (layers.Embedding(7, 3), TiedDense),
    (layers.EinsumDense("ab,bc->ac", 3), TiedEinsumDense),
    (layers.Conv1D(3, 3), TiedConv),
    (layers.Conv2D(3, 3), TiedConv),
    (layers.Conv3D(3, 3), TiedConv),
    (layers.Conv1DTranspose(3, 3), TiedConv),
    (layers.Conv2DTranspose(3, 3), TiedConv),
    (layers.Conv3DTranspose(3, 3), TiedConv),
    (layers.DepthwiseConv1D(3), TiedConv),
    (layers.DepthwiseConv2D(3), TiedConv),
]


def class_name(value: Any) -> str:
    return type(value).__name__ if isinstance(value, layers.Layer) else ""


@pytest.mark.parametrize(("layer", "cls"), FITTING, ids=class_name)
def test_picks_the_class_for_the_layer(layer, cls):
    assert type(tie(layer)) is cls


@pytest.mark.parametrize(("layer", "cls"), FITTING, ids=class_name)
def test_ties_to_the_layer(layer, cls):
    assert tie(layer).tied_to is layer


def test_passes_the_arguments_on():
    tied = tie(
        layers.Conv1D(3, 3), gain=True, activation="relu", output_size=9, name="out"
    )
    config = tied.get_config()
    found = {
        name: config[name] for name in ("gain", "activation", "output_size", "name")
    }
    assert found == {
        "gain": True,
        "activation": "relu",
        "output_size": 9,
        "name": "out",
    }


def test_a_class_derived_from_one_that_fits_fits():
    class Scaled(layers.Dense):
        pass

    assert type(tie(Scaled(3))) is TiedDense


def test_a_layer_that_is_built_and_has_a_kernel_of_two_axes_fits():
    class Projection(layers.Layer):
        def build(self, input_shape: tuple[int, ...]) -> None:
            self.kernel = self.add_weight(shape=(input_shape[-1], 2))

        def call(self, inputs: Any) -> Any:
            return keras.ops.matmul(inputs, self.kernel)

    layer = Projection()
    layer.build((None, 4))
    rows = np.ones((3, 2), "float32")
    found = keras.ops.convert_to_numpy(tie(layer, use_bias=False)(rows))
    np.testing.assert_allclose(found, rows @ layer.kernel.numpy().T, atol=1e-6)


def test_a_tied_dense_can_be_tied_to():
    first = tie(layers.Dense(3))
    assert tie(first).tied_to is first


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("reverse_dtype", [None, "float32"])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_tied_to_a_reversible_embedding_it_gives_what_reverse_gives(
    dtype, reverse_dtype, cap
):
    settings = {"reverse_dtype": reverse_dtype, "logit_soft_cap": cap, "dtype": dtype}
    embedding = layers.ReversibleEmbedding(7, 4, "glorot_normal", **settings)
    inputs, tied = keras.Input((3,), dtype="int32"), tie(embedding, name="out")
    model = keras.Model(inputs, tied(embedding(inputs)))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    tokens = np.array([[1, 2, 6], [0, 0, 3]], "int32")
    expected = embedding(embedding(tokens), reverse=True)
    for each in (model(tokens), clone(tokens)):
        assert each.dtype == expected.dtype
        found, wanted = (
            keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))
            for x in (each, expected)
        )
        # Keras rounds the kernel to its compute dtype before it casts it to
        # `reverse_dtype`.
        rounding = 1e-2 if dtype == "mixed_bfloat16" and reverse_dtype else 1e-6
        np.testing.assert_allclose(found, wanted, rtol=rounding, atol=rounding / 100)
    assert tied.bias is None
    assert tie(embedding, use_bias=True).use_bias


def test_an_embedding_with_a_second_kernel_is_not_tied_to():
    embedding = layers.ReversibleEmbedding(7, 4, tie_weights=False)
    with pytest.raises(
        ValueError, match=r"has a second kernel .* make it with tie_weights=True"
    ):
        tie(embedding)


@pytest.mark.parametrize("cap", [0, -1.0])
def test_the_bound_of_logits_is_positive(cap):
    with pytest.raises(
        ValueError, match=f"by a positive number; received logit_soft_cap={cap}"
    ):
        tie(layers.Dense(3), logit_soft_cap=cap)


@pytest.mark.parametrize(
    ("layer", "instead"),
    [
        (
            layers.MultiHeadAttention(2, 3),
            "its projections, which are EinsumDense layers",
        ),
        (
            layers.TimeDistributed(layers.Dense(3)),
            r"tie to the layer inside it, `\.layer`",
        ),
        (keras.Sequential([layers.Dense(3)]), "tie to its layers one by one"),
        (
            TiedConv(layers.Conv1D(3, 3)),
            "the layer that it is tied to itself, its `tied_to`",
        ),
        (layers.LSTM(3), "tie to a layer of the classes Dense, Embedding, "),
        (
            layers.BatchNormalization(),
            "tie to a layer of the classes Dense, Embedding, ",
        ),
    ],
    ids=class_name,
)
def test_says_what_to_do_about_a_layer_that_does_not_fit(layer, instead):
    message = (
        rf"No tied layer fits '{layer.name}' \({type(layer).__name__}\), .*{instead}"
    )
    with pytest.raises(ValueError, match=message):
        tie(layer)


@pytest.mark.parametrize("given", ["code", None], ids=str)
def test_something_else_than_a_layer(given):
    with pytest.raises(
        ValueError, match=rf"`tie` takes the layer to tie to; received {given!r}"
    ):
        tie(given)
