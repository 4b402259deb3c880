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
    "num_query_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
}
RNG = default_rng(0)
TOKENS, NEXT = RNG.integers(0, 50, size=(2, 24, 8))
INPUTS = {"token_ids": TOKENS, "padding_mask": np.ones_like(TOKENS)}


def build(head, **kwargs):
    """A Gemma with the head of KerasHub's, "stock", or ours, "tied", one seed for all."""
    set_random_seed(0)
    backbone = keras_hub.models.GemmaBackbone(**SIZES, **kwargs)
    embedding = backbone.token_embedding
    if head == "tied":
        logits = tie(embedding, use_bias=False)(backbone.output)
    else:
        logits = embedding(backbone.output, reverse=True)
    return keras.Model(backbone.inputs, logits)


def fit(model, epochs=3):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    history = model.fit(
        INPUTS,
        NEXT,
        epochs=epochs,
        batch_size=8,
        shuffle=False,
        verbose=0,
    )
    return history.history["loss"]


def logits(model):
    return np.asarray(model.predict(INPUTS, verbose=0), "float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_both_heads_of_gemma_train_alike_to_the_last_bit(policy):
    stock, tied = (build(head, dtype=policy) for head in ("stock", "tied"))
    assert fit(stock) == fit(tied)
    assert_array_equal(logits(stock), logits(tied))
    assert stock.count_params() == tied.count_params()


def test_a_saved_gemma_loads_tied(tmp_path):
    model = build("tied")
    fit(model, 1)
    loaded = through_file(model, tmp_path)
    assert_tied(loaded)
    assert_array_equal(logits(loaded), logits(model))
    assert_close(fit(loaded), fit(model), 1e-6)


def test_int8_keeps_the_head_of_gemma_near_what_it_was():
    model = build("tied")
    fit(model)
    before = logits(model)
    model.quantize("int8")
    error = np.linalg.norm(logits(model) - before)
    assert error < 0.05 * np.linalg.norm(before)
    (tied,) = ties(model)
    embedding = tied.tied_to
    rows = ops.squeeze(embedding(np.arange(50)[None]), 0)
    assert_close(ops.transpose(tied.layer.kernel), rows, 1e-6)


def test_both_heads_of_gemma_follow_a_low_rank_update():
    losses = []
    for head in ("stock", "tied"):
        model = build(head)
        model.get_layer("token_embedding").enable_lora(2)
        losses.append(fit(model))
    assert_allclose(*losses, rtol=1e-4)
