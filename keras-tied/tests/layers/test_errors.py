"""What a tied layer, and what lists and mends ties, says where it cannot be tied."""

from zlib import crc32

import keras
import pytest
from keras import layers
from keras.models import clone_model

import keras_tied
from keras_tied import assert_tied, retie, tie, ties
from keras_tied.layers import TiedConv, TiedDense

from .cases import Case, Parts, assert_close, built, find, normal

CODES = normal(2, 3)
ROWS = normal(2, 4)


def dense(name="code", features=4):
    return built(layers.Dense(3, name=name), features)


def out(layer, **kwargs):
    return TiedDense(layer, name="out", **kwargs)


def rebuilt(layer, **config):
    return TiedDense.from_config({**out(layer).get_config(), **config})


class Ternary(layers.Layer):
    """Is quantised in a way that nobody knows."""

    quantization_mode = "ternary"

    def build(self, input_shape):
        self.kernel = self.add_weight((4, 3))


def copied_by_attributes():
    copied = object.__new__(TiedDense)  # as nnx.clone does
    vars(copied).update(vars(out(dense())))
    return copied.tied_to


def tied_before_it_was_built():
    norm = layers.BatchNormalization(name="norm")
    tied = out(norm)
    norm.build((None, 3))
    tied(CODES)


LAYERS = {
    "'out' can be tied to a Keras layer; received tied_to='code'": lambda: out("code"),
    r"'out' cannot be tied to 'drop' .Dropout., which has no kernel": lambda: out(
        layers.Dropout(0.5, name="drop")
    ),
    "'out' is tied to 'code' .* build or call 'code' before": lambda: out(
        layers.Dense(3, name="code")
    )(CODES),
    "'out' is tied to 'norm' .* which has no kernel yet": tied_before_it_was_built,
    r"'conv', whose kernel has shape \(2, 4, 3\); it needs .* two axes": lambda: out(
        built(layers.Conv1D(3, 2, name="conv"), 5, 4)
    )(CODES),
    r"'out' is tied to 'code', .* last axis is 3, transposed; .*\(2, 4\)": lambda: out(
        dense()
    )(ROWS),
    r"'out' is tied to 'code', .* last axis is 4; .*\(2, 3\)": lambda: out(
        dense(), transpose=False
    )(CODES),
    "layer 'out'": lambda: built(out(dense()), 3)(ROWS),
    "'code' was quantized as 'ternary', whose kernel": lambda: tie(
        built(Ternary(name="code"), 4)
    )(CODES),
    "'out' was copied attribute by attribute, .*clone_model": copied_by_attributes,
    "by a positive number; received logit_soft_cap=0": lambda: tie(
        dense(), logit_soft_cap=0
    ),
    "has a second kernel .* make it with tie_weights=True": lambda: tie(
        layers.ReversibleEmbedding(7, 4, tie_weights=False)
    ),
    r"\(MultiHeadAttention\): .* its projections, which are EinsumDense": lambda: tie(
        layers.MultiHeadAttention(2, 3)
    ),
    r"\(TimeDistributed\): tie to the layer inside it": lambda: tie(
        layers.TimeDistributed(layers.Dense(3))
    ),
    r"\(Sequential\): tie to its layers one by one": lambda: tie(keras.Sequential()),
    r"\(TiedConv\): .* that it is itself tied to, its `tied_to`": lambda: tie(
        TiedConv(layers.Conv1D(3, 3))
    ),
    "`keras_tied.tie` takes Keras models or layers; received 'code'": lambda: tie(
        "code"
    ),
    r"\(LSTM\): tie to a layer of the classes Dense, Embedding, ": lambda: tie(
        layers.LSTM(3)
    ),
}


def join(layer, *encoders):
    """A model of encoders side by side, with a layer behind them."""
    inputs = keras.Input((4,))
    codes = [keras.Model(inputs, each(inputs))(inputs) for each in encoders]
    return keras.Model(
        inputs,
        layer(layers.average([*codes, *codes])),
        name="whole",
    )


def placed(place):
    config = join(out(code := dense()), code).get_config()
    config["layers"][-1]["config"]["place"] = place
    return keras.Model.from_config(config)


def clone_of_other_widths():
    model = Case("Dense", "functional").whole()
    return clone_model(model, input_tensors=keras.Input((9,)))


def decoder_cloned_by(model):
    """Has the whole model at work around the clone, as its argument."""
    clone_model(find(model, "decoder"))(CODES)


LOST = {
    "'out' is tied to layer 'code' .* found in the graph around": lambda: rebuilt(
        dense()
    )(CODES),
    "'out' is tied to layer 'out' .* no such layer was found": lambda: join(
        rebuilt(dense("out")), layers.Dense(3)
    )(ROWS),
    r"kernel of shape \(9, 3\), and no such layer was found": lambda: join(
        rebuilt(dense(features=9)), layers.Dense(3, name="code")
    )(ROWS),
    "and no such layer was found in 'whole'": lambda: placed(
        {"inside": [10**9] * 4, "upstream": [1, 0, 10**9, 0]}
    )(ROWS),
    "layer 'code' .*no such layer was found in 'whole'": lambda: placed(
        {"inside": [2, 1, 1, crc32(b"Dense,TiedDense")], "upstream": None}  # its own
    )(ROWS),
    r"kernel of shape \(4, 3\), .* widths have changed, create the": lambda: (
        clone_of_other_widths()(normal(2, 9))
    ),
    "no such layer was found in 'decoder'": lambda: decoder_cloned_by(
        Case("Dense", "nested").whole()
    ),
}


def test_failed_call_leaves_nothing_of_it_to_later_calls():
    with pytest.raises(ValueError, match="no such layer was found"):
        join(rebuilt(dense()), layers.Dense(3))(ROWS, training=True)
    assert_close(layers.Dropout(0.5)(ROWS), ROWS)


def test_layer_works_after_a_first_call_that_failed():
    code = layers.Dense(3)
    tied = out(code)
    with pytest.raises(ValueError, match="has no kernel yet"):
        tied(CODES)
    code.build((None, 4))
    assert_close(tied(CODES), CODES @ code.kernel.numpy().T)


def halves(units=3, depth=1):
    """An encoder of layers `code_0`, `code_1`..., and its decoder."""
    parts = Parts("Dense")
    codes = [parts.code(units, f"code_{number}") for number in range(depth)]
    encoder = parts.encoder(*codes)
    outs = [parts.tie(code, code.name.replace("code", "out")) for code in codes[::-1]]
    return encoder, parts.decoder(encoder, *outs)


def named_alike():
    encoder, _ = halves(4, 2)
    for layer in encoder.layers[1:]:
        layer.name += "_renamed"
    return encoder


def test_of_two_kernels_alike_the_namesake_is_taken():
    encoder, decoder = map(clone_model, halves(4, 2))
    partners = [tie.tied_to.name for tie in retie(decoder, encoder)]
    assert partners == ["code_1", "code_0"]


UNTIED = {
    "'encoder' holds no tied layer": lambda: assert_tied(halves()[0]),
    "'out_0' is tied to 'code_0', which is not in 'decoder'": lambda: assert_tied(
        halves()[1]
    ),
    "'out_0' is not connected to 'code_0', which it is tied to": lambda: assert_tied(
        clone_model(halves()[1])
    ),
    r"shape \(4, 3\), which no layer.*'code_0' \(4, 2\)": lambda: retie(
        halves()[1], halves(2)[0]
    ),
    "which 2 layers of 'encoder' have": lambda: retie(
        clone_model(halves(4, 2)[1]), named_alike()
    ),
    "'encoder' holds no layer that is tied to one outside": lambda: retie(*halves()),
    "no layers of 'decoder' have; its kernels are: none": lambda: retie(
        *[clone_model(halves(4, 2)[1])] * 2
    ),
    "TiedConv 'out' uses a kernel of shape": lambda: retie(
        Parts("Conv").halves()[1], halves()[0]
    ),
    "ties` takes Keras models or layers; received 3": lambda: ties(3),
    "retie` takes Keras models or layers; received 3": lambda: retie(halves()[1], 3),
    "_variables` takes Keras models or layers; received 3": lambda: (
        keras_tied.trainable_variables(3)
    ),
    "tied.variables` takes Keras models or layers; received 3": lambda: (
        keras_tied.variables(3)
    ),
}


REFUSED = LAYERS | LOST | UNTIED


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_tied_or_cannot_be_tied_says_why(message):
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()
