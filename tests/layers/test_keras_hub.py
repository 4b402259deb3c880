"""A tied head on language models of KerasHub's, beside the head that KerasHub gives
them.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from keras_tied import assert_tied, tie, ties

from .cases import arrays

keras_hub = pytest.importorskip("keras_hub", exc_type=ImportError)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method"),
]

SIZES = {
    "vocabulary_size": 50,
    "num_layers": 1,
    "hidden_dim": 16,
    "intermediate_dim": 32,
}
BACKBONES: dict[str, Callable[..., Any]] = {
    "Bert": lambda **k: keras_hub.models.BertBackbone(
        **SIZES, num_heads=2, max_sequence_length=8, dropout=0.0, **k
    ),
    "GPT2": lambda **k: keras_hub.models.GPT2Backbone(
        **SIZES, num_heads=2, max_sequence_length=8, dropout=0.0, **k
    ),
    "Gemma": lambda **k: keras_hub.models.GemmaBackbone(
        **SIZES, num_query_heads=2, num_key_value_heads=1, head_dim=8, **k
    ),
}
RNG = np.random.default_rng(0)
TOKENS, NEXT = RNG.integers(0, 50, size=(2, 24, 8))


@pytest.fixture(params=BACKBONES)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def build(kind: str, head: str, **kwargs: Any) -> keras.Model:
    """A language model with the head of KerasHub's, "stock", or ours, "tied", one seed
    for all.
    """
    keras.utils.set_random_seed(0)
    backbone = BACKBONES[kind](**kwargs)
    hidden = backbone.output
    hidden = hidden["sequence_output"] if isinstance(hidden, dict) else hidden
    embedding = backbone.token_embedding
    logits = (
        embedding(hidden, reverse=True) if head == "stock" else tie(embedding)(hidden)
    )
    return keras.Model(backbone.inputs, logits)


def inputs(model: keras.Model) -> dict[str, np.ndarray]:
    ones, zeros = np.ones_like(TOKENS), np.zeros_like(TOKENS)
    given = {"token_ids": TOKENS, "padding_mask": ones, "segment_ids": zeros}
    return {each.name: given[each.name] for each in model.inputs}


def fit(model: keras.Model, epochs: int = 3) -> list[float]:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    x = inputs(model)
    return model.fit(
        x, NEXT, batch_size=8, epochs=epochs, shuffle=False, verbose=0
    ).history["loss"]


def logits(model: keras.Model) -> np.ndarray:
    return np.asarray(model.predict(inputs(model), verbose=0), "float32")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_both_heads_train_alike_to_the_last_bit(kind, policy):
    stock, tied = (build(kind, head, dtype=policy) for head in ("stock", "tied"))
    assert fit(stock) == fit(tied)
    np.testing.assert_array_equal(logits(stock), logits(tied))
    assert stock.count_params() == tied.count_params()


def test_a_saved_model_loads_tied(kind, tmp_path):
    model = build(kind, "tied")
    fit(model, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_tied(loaded)
    np.testing.assert_array_equal(logits(loaded), logits(model))
    losses = fit(model), fit(loaded)
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_the_weights_of_the_stock_model_load_into_the_tied_one(kind, tmp_path):
    stock, tied = build(kind, "stock"), build(kind, "tied")
    fit(stock, 1)
    tied.set_weights(stock.get_weights())
    np.testing.assert_array_equal(logits(tied), logits(stock))


def test_a_clone_is_tied_to_its_own_embedding(kind):
    model = build(kind, "tied")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    before = logits(model)
    np.testing.assert_allclose(logits(clone), before, atol=1e-6)
    fit(clone, 1)
    np.testing.assert_array_equal(logits(model), before)
    assert_tied(clone)


def test_a_frozen_backbone_leaves_nothing_to_train(kind):
    for head in ("stock", "tied"):
        model = build(kind, head)
        for layer in model.layers:
            layer.trainable = False
        assert model.trainable_variables == []


def test_int8_keeps_the_head_near_what_it_was(kind):
    model = build(kind, "tied")
    fit(model)
    before = logits(model)
    model.quantize("int8")
    assert np.sqrt(np.mean((logits(model) - before) ** 2) / np.mean(before**2)) < 0.05
    (tied,) = ties(model)
    embedding: Any = tied.tied_to
    tokens = np.arange(50)[None]
    rows = arrays(embedding(tokens))[0][0]
    np.testing.assert_allclose(arrays(tied.layer.kernel)[0].T, rows, atol=1e-6)


def test_both_heads_follow_a_low_rank_update(kind):
    losses = []
    for head in ("stock", "tied"):
        model = build(kind, head)
        embedding = next(
            each for each in model.layers if each.name == "token_embedding"
        )
        embedding.enable_lora(2)
        losses.append(fit(model))
    np.testing.assert_allclose(*losses, rtol=1e-4 if kind == "Gemma" else 1e-5)
