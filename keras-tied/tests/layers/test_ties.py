"""`tie` makes the tied layer that fits a layer; the ties of a model are listed, mended."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.models import clone_model
from numpy.testing import assert_allclose

from keras_tied import (
    assert_tied,
    retie,
    tie,
    ties,
    trainable_variables,
    variables,
)

from .cases import (
    Case,
    arrays,
    assert_alike,
    assert_close,
    clone,
    find,
    in_model,
    normal,
    randomize,
    through_file,
    with_weights,
)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("reverse_dtype", [None, "float32"])
@pytest.mark.parametrize("cap", [None, 0.5])
def test_tied_to_a_reversible_embedding_it_gives_what_reverse_gives(
    dtype, reverse_dtype, cap
):
    embedding = layers.ReversibleEmbedding(
        7,
        4,
        "glorot_normal",
        reverse_dtype=reverse_dtype,
        logit_soft_cap=cap,
        dtype=dtype,
    )
    inputs = keras.Input((3,), dtype="int32")
    tied = tie(embedding)
    model = keras.Model(inputs, tied(embedding(inputs)))
    tokens = np.arange(6).reshape(2, 3)
    expected = embedding(embedding(tokens), reverse=True)
    # Keras rounds the kernel before it casts it to `reverse_dtype`.
    is_rounded = dtype == "mixed_bfloat16" and reverse_dtype == "float32"
    rounding = 1e-2 if is_rounded else 1e-6
    for each in (model, clone(model)):
        found = each(tokens)
        assert found.dtype == expected.dtype
        pair = [ops.cast(found, "float32"), ops.cast(expected, "float32")]
        assert_allclose(
            *arrays(pair),
            rtol=rounding,
            atol=rounding / 100,
        )
    assert not tied.use_bias
    assert tie(embedding, use_bias=True).use_bias


CASE = Case("Dense", "deep")


@pytest.fixture
def model():
    return CASE.whole()


@pytest.fixture
def encoder(model):
    return find(model, "encoder")


@pytest.fixture
def decoder(model):
    return find(model, "decoder")


def listed(model):
    """The paths of both layers, the kernel's shape, and whether the tie is inside."""
    return [tie[2:] for tie in ties(model)]


def test_ties_are_listed_with_the_paths_of_both_layers(model, encoder, decoder):
    expected = [
        ("decoder/out_2", "encoder/code_2", (3, 2), True),
        ("decoder/out_3", "encoder/code_3", (4, 3), True),
    ]
    assert listed(model) == expected
    assert listed(clone_model(model)) == expected
    assert listed(encoder) == []
    assert listed(decoder) == [
        ("out_2", "code_2", (3, 2), False),
        ("out_3", "code_3", (4, 3), False),
    ]


def halves(encoder, decoder):
    retie(decoder, encoder)


def layers_of_other_names(encoder, decoder):
    for layer in encoder.layers:
        layer.name += "_renamed"
    retie(decoder, encoder)


def layer_by_layer(encoder, decoder):
    for name, partner in CASE.ties:
        retie(find(decoder, name), find(encoder, partner))


@pytest.mark.parametrize("mend", [halves, layers_of_other_names, layer_by_layer])
def test_halves_cloned_one_by_one_are_tied_again(model, encoder, decoder, mend):
    encoder = clone_model(encoder)
    decoder = clone_model(decoder)
    mend(encoder, decoder)
    joined = in_model(encoder, decoder)
    assert_tied(joined)
    assert_alike(with_weights(joined, model), model, CASE)


def partners(ties):
    return [tie.tied_to for tie in ties]


def test_a_kernel_that_a_file_brought_is_dropped(encoder, decoder, tmp_path):
    loaded = through_file(decoder, tmp_path)
    randomize(encoder, 1)
    made = retie(loaded, encoder)
    assert partners(made) == partners(ties(decoder))
    codes = normal(5, 2)
    assert_close(loaded(codes), decoder(codes))
    assert len(trainable_variables(encoder, loaded)) == 8


def test_a_decoder_of_two_codes_stays_tied_to_its_own(tmp_path):
    a, b = keras.Input((8,)), keras.Input((8,))
    one, two = layers.Dense(3), layers.Dense(3)
    decoder = tie(two)
    codes = one(a), two(b)
    model = keras.Model([a, b], list(map(decoder, codes)))
    rows = [normal(4, 8)] * 2
    loaded = through_file(model, tmp_path)
    assert_close(loaded(rows)[1], model(rows)[1])


def test_nothing_is_changed_where_one_layer_does_not_fit(encoder, decoder):
    before = ties(decoder)
    other = Case("Dense", "nested").whole()
    with pytest.raises(ValueError, match="which no layers of 'encoder' have"):
        retie(decoder, find(other, "encoder"))
    assert ties(decoder) == before


def ids(variables):
    return list(map(id, variables))


def test_variables_of_both_halves_are_listed_once_in_their_order(encoder, decoder):
    expected = [*encoder.weights]
    for layer in decoder.layers[1:]:
        expected += [layer.gain, layer.bias]
    find(decoder, "out_3").trainable = False
    models = (encoder, decoder, encoder)
    assert ids(variables(*models)) == ids(expected)
    del expected[-2:]
    assert ids(trainable_variables(*models)) == ids(expected)
