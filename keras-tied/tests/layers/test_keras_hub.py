"""A tied head on language models of KerasHub's, beside the head that KerasHub gives
them.
"""

import keras
import numpy as np
import pytest
from keras import ops
from keras.utils import set_random_seed
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from tests.marks import slow

from keras_tied import assert_tied, tie, ties

from .cases import through_file
from .oracles import assert_close

keras_hub = pytest.importorskip("keras_hub", exc_type=ImportError)

pytestmark = [
    slow,
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method"),
]

SIZES = {
    "vocabulary_size": 50,
    "num_layers": 1,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
HEADS = {
    "num_heads": 2,
    "max_sequence_length": 8,
    "dropout": 0.0,
}
GROUPED = {
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
BACKBONES = {
    "Bert": (keras_hub.models.BertBackbone, HEADS),
    "GPT2": (keras_hub.models.GPT2Backbone, HEADS),
    "Gemma": (keras_hub.models.GemmaBackbone, GROUPED),
}
RNG = default_rng(0)
TOKENS, NEXT = RNG.integers(0, 50, size=(2, 24, 8))


@pytest.fixture(params=BACKBONES)
def kind(request):
    return request.param


def build(kind, head, **kwargs):
    """A language model with the head of KerasHub's, "stock", or ours, "tied", one seed
    for all.
    """
    set_random_seed(0)
    make, settings = BACKBONES[kind]
    backbone = make(**SIZES, **settings, **kwargs)
    hidden = backbone.output
    if isinstance(hidden, dict):
        hidden = hidden["sequence_output"]
    embedding = backbone.token_embedding
    if head == "tied":
        logits = tie(embedding, use_bias=False)(hidden)
    else:
        logits = embedding(hidden, reverse=True)
    return keras.Model(backbone.inputs, logits)


def inputs(model):
    ones, zeros = np.ones_like(TOKENS), np.zeros_like(TOKENS)
    given = {
        "token_ids": TOKENS,
        "padding_mask": ones,
        "segment_ids": zeros,
    }
    return {each.name: given[each.name] for each in model.inputs}


def fit(model, epochs=3):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    history = model.fit(
        inputs(model),
        NEXT,
        epochs=epochs,
        batch_size=8,
        shuffle=False,
        verbose=0,
    )
    return history.history["loss"]


def logits(model):
    return np.asarray(model.predict(inputs(model), verbose=0), "float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_both_heads_train_alike_to_the_last_bit(kind, policy):
    stock, tied = (build(kind, head, dtype=policy) for head in ("stock", "tied"))
    assert fit(stock) == fit(tied)
    assert_array_equal(logits(stock), logits(tied))
    assert stock.count_params() == tied.count_params()


def test_a_saved_model_loads_tied(kind, tmp_path):
    model = build(kind, "tied")
    fit(model, 1)
    loaded = through_file(model, tmp_path)
    assert_tied(loaded)
    assert_array_equal(logits(loaded), logits(model))
    assert_close(fit(loaded), fit(model), 1e-6)


def test_int8_keeps_the_head_near_what_it_was(kind):
    model = build(kind, "tied")
    fit(model)
    before = logits(model)
    model.quantize("int8")
    error = np.linalg.norm(logits(model) - before)
    assert error < 0.05 * np.linalg.norm(before)
    (tied,) = ties(model)
    embedding = tied.tied_to
    rows = ops.squeeze(embedding(np.arange(50)[None]), 0)
    assert_close(ops.transpose(tied.layer.kernel), rows, 1e-6)


def test_both_heads_follow_a_low_rank_update(kind):
    losses = []
    for head in ("stock", "tied"):
        model = build(kind, head)
        model.get_layer("token_embedding").enable_lora(2)
        losses.append(fit(model))
    assert_allclose(*losses, rtol=1e-4 if kind == "Gemma" else 1e-5)
