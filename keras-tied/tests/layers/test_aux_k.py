"""Counts of active and dead units, and the loss that revives, against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.utils import set_random_seed
from numpy.random import default_rng
from tests.marks import slow

from keras_tied.layers import AuxK, BatchTopK, tie
from keras_tied.training import CountUnits, fit

from .cases import arrays, normal, through_file
from .oracles import assert_close, gradient, slopes

ROWS = normal(20, 6)
SCORES = normal(20, 9)
DEAD = np.arange(9) > 4
CODE = np.where((SCORES > 0.5) & ~DEAD, SCORES, 0)


def auxiliary(**options):
    decoder = layers.Dense(6, bias_initializer="ones")
    layer = AuxK(decoder, **{"coefficient": 0.25, "window": 1, **options})
    layer(CODE, ROWS, SCORES)
    return layer


def expected_loss(layer, k, scores=SCORES):
    kernel, bias = (array.astype("float64") for array in arrays(layer.layer.weights))
    candidates = np.where(DEAD, scores, -np.inf)
    order = np.sort(candidates, axis=1)
    least = order[:, [-k]]
    revived = np.where(candidates >= least, scores, 0)
    revived = np.where(DEAD, revived, 0)
    errors = ROWS - (CODE @ kernel + bias) - revived @ kernel
    return 0.25 * min(1, DEAD.sum() / k) * np.mean(errors**2)


def loss_of(layer, code, scores):
    """What a batch of training adds to the loss; the counts stay."""
    inputs = [ops.convert_to_tensor(each) for each in (code, ROWS, scores)]
    *_, losses = layer.stateless_call(
        layer.trainable_variables,
        layer.non_trainable_variables,
        *inputs,
        training=True,
        return_losses=True,
    )
    return losses[0]


@pytest.mark.parametrize(
    ("options", "k"),
    [
        ({}, 3),
        ({"k": 1}, 1),
        ({"k": 9}, 9),
    ],
)
def test_the_auxiliary_loss_is_that_of_the_paper(options, k):
    layer = auxiliary(**options)
    outputs = layer(CODE, ROWS, SCORES, training=True)
    assert_close(outputs, layer.layer(CODE), 1e-6)
    assert layer.dead_units == 4
    assert_close(layer.losses[0], expected_loss(layer, k), 1e-5)


def test_only_the_scores_of_dead_units_are_moved():
    layer = auxiliary(k=2)
    found = gradient(lambda scores: loss_of(layer, CODE, scores), SCORES)
    expected = slopes(lambda scores: expected_loss(layer, 2, scores), SCORES)
    assert_close(found, expected, 1e-5)
    assert np.count_nonzero(found) == 2 * len(SCORES)


def test_the_code_is_not_pulled_by_what_its_reconstruction_lacks():
    layer = auxiliary()
    pulled = lambda code: loss_of(layer, code, SCORES) + ops.sum(code)  # noqa: E731
    assert_close(gradient(pulled, CODE), np.ones_like(CODE))


@pytest.mark.parametrize(
    "options",
    [{"window": 2}, {"coefficient": 0.0}],
)
def test_nothing_is_added_while_no_unit_is_dead_or_nothing_costs(options):
    layer = auxiliary(**options)
    layer(CODE, ROWS, SCORES, training=True)
    assert not any(map(np.any, arrays(layer.losses)))


def test_in_inference_nothing_is_added_and_nothing_counted():
    layer = auxiliary()
    layer(CODE, ROWS, SCORES)
    assert layer.losses == []
    assert layer.dead_units == 0


@pytest.mark.parametrize(
    "shape",
    [(7,), (2, 7)],
)
def test_idle_batches_and_active_units_are_counted(shape):
    decoder = AuxK(layers.Dense(6), coefficient=0, window=3)
    draws = default_rng(1).uniform(size=(12, *shape, 8))
    codes = np.where(draws < 0.05, draws, 0).astype("float32")
    rows = np.zeros((*shape, 6), "float32")
    for code in codes:
        decoder(code, rows, code, training=True)
    decoder(codes[0], rows, codes[0])  # in inference nothing is counted
    active = codes.reshape(12, -1, 8).any(axis=1)
    since = np.argmax(active[::-1], axis=0)
    idle = np.where(active.any(axis=0), since, 12)
    assert_close(decoder.idle, idle)
    assert decoder.dead_units == np.sum(idle >= 3)
    counts = np.count_nonzero(codes, axis=-1)
    assert_close(decoder.active_units, counts.mean(), 1e-5)


def dictionary():
    set_random_seed(0)
    inputs, encoder = keras.Input((6,)), layers.Dense(32)
    scores = encoder(inputs)
    tied = tie(encoder, untie=True)
    decoder = AuxK(tied, k=2, coefficient=0.5, window=4, name="decoder")
    outputs = decoder(BatchTopK(2)(scores), rows=inputs, scores=scores)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


@slow
def test_both_loops_log_the_same_counts():
    logs = []
    for train in (keras.Model.fit, fit):
        history = train(
            dictionary(),
            ROWS,
            ROWS,
            callbacks=[CountUnits()],
            batch_size=10,
            epochs=5,
            verbose=0,
            shuffle=False,
        )
        logs.append(history.history)
    assert set(logs[0]) == set(logs[1]) == {"loss", "active_units", "dead_units"}
    for name, values in logs[0].items():
        assert_close(logs[1][name], values, 1e-5)
    assert logs[0]["dead_units"][-1] > 0


def test_several_counts_are_told_apart():
    own = layers.Dense(8)
    own.active_units = 3  # of the user's own
    inputs = keras.Input((6,))
    scores = own(inputs)
    decoders = [AuxK(layers.Dense(6), name=name) for name in ("one", "other")]
    outputs = [decoder(scores, inputs, scores) for decoder in decoders]
    model = keras.Model(inputs, layers.add(outputs))
    model.compile("sgd", "mse")
    history = model.fit(
        ROWS,
        ROWS,
        verbose=0,
        callbacks=[CountUnits()],
    )
    assert {"one_active_units", "other_dead_units"} < set(history.history)


def test_loaded_dictionary_has_the_settings_and_the_counts(tmp_path):
    model = dictionary()
    model.fit(ROWS, ROWS, batch_size=5, verbose=0)
    loaded = through_file(model, tmp_path)
    decoder = loaded.get_layer("decoder")
    assert (decoder.k, decoder.coefficient, decoder.window) == (2, 0.5, 4)
    assert_close(decoder.idle, model.get_layer("decoder").idle)
    assert_close(loaded(ROWS), model(ROWS), 1e-6)
