"""Counts of active and dead units, and the loss that revives, against NumPy."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied.layers import AuxK, BatchTopK, KSparse, UnitActivity, tie
from keras_tied.training import CountUnits, fit

from .cases import arrays
from .oracles import gradient

RNG = np.random.default_rng(0)
ROWS, SCORES = (RNG.normal(size=(20, n)).astype("float32") for n in (6, 9))
CODE = (
    SCORES * (SCORES > 1) * (np.arange(9) < 5)
)  # the units from 5 on are never active


def auxiliary(**options):
    decoder = layers.Dense(
        6, kernel_initializer="glorot_normal", bias_initializer="ones"
    )
    return AuxK(decoder, **{"coefficient": 0.25, "window": 1, **options})


def expected_loss(layer, dead, k, scores=SCORES):
    kernel, bias = (value.astype("float64") for value in arrays(layer.layer.weights))
    lacks = ROWS - (CODE @ kernel + bias)
    best = np.sort(np.where(dead, scores, -np.inf), axis=1)[:, -k][:, None]
    revived = np.where(dead & (scores >= best), scores, 0) @ kernel
    return 0.25 * min(1, dead.sum() / k) * np.mean((lacks - revived) ** 2)


@pytest.mark.parametrize("k", [1, 3, 9])
def test_the_auxiliary_loss_is_that_of_the_paper(k):
    layer = auxiliary(k=k)
    outputs = layer(CODE, ROWS, SCORES, training=True)
    np.testing.assert_allclose(
        arrays(outputs)[0], arrays(layer.layer(CODE))[0], rtol=1e-6
    )
    dead = ~CODE.any(axis=0)
    assert dead.sum() == layer.counter.dead_units == 4
    np.testing.assert_allclose(
        arrays(layer.losses)[0], expected_loss(layer, dead, k), rtol=1e-5
    )


def test_by_itself_it_takes_half_as_many_units_as_features():
    layer = auxiliary()
    layer(CODE, ROWS, SCORES, training=True)
    dead = ~CODE.any(axis=0)
    np.testing.assert_allclose(
        arrays(layer.losses)[0], expected_loss(layer, dead, 3), rtol=1e-5
    )


def test_only_the_scores_of_dead_units_are_moved():
    layer = auxiliary(k=2)
    layer(CODE, ROWS, SCORES, training=True)

    def loss(scores):
        layer(CODE, ROWS, scores, training=True)
        return layer.losses[0]

    found = gradient(loss, SCORES)
    dead = ~CODE.any(axis=0)
    assert not found[:, ~dead].any()
    assert np.count_nonzero(found) == 2 * len(SCORES)
    step = np.zeros_like(SCORES, dtype="float64")
    place = np.unravel_index(np.abs(found).argmax(), found.shape)
    step[place] = 1e-4
    ends = [expected_loss(layer, dead, 2, SCORES + sign * step) for sign in (1, -1)]
    np.testing.assert_allclose(found[place], (ends[0] - ends[1]) / 2e-4, rtol=1e-3)


def test_the_reconstruction_is_not_pulled_by_what_it_lacks():
    layer = auxiliary()
    layer(CODE, ROWS, SCORES, training=True)

    def loss(code):
        layer(code, ROWS, SCORES, training=True)
        return keras.ops.add(layer.losses[0], keras.ops.sum(code))

    np.testing.assert_allclose(gradient(loss, CODE), np.ones_like(CODE))


@pytest.mark.parametrize("window", [2, 100])
def test_nothing_is_added_in_inference_nor_while_no_unit_is_dead(window):
    layer = auxiliary(window=window)
    layer(CODE, ROWS, SCORES, training=True)
    assert not arrays(layer.losses)[0].any()
    layer(CODE, ROWS, SCORES)
    assert layer.losses == []
    assert arrays(layer.counter.idle)[0].max() == 1


@pytest.mark.parametrize("shape", [(7,), (2, 7)])
def test_idle_batches_and_active_units_are_counted(shape):
    layer, random = UnitActivity(window=3), np.random.default_rng(1)
    codes = (random.uniform(size=(12, *shape, 8)) < 0.05).astype("float32")
    for code in codes:
        np.testing.assert_array_equal(arrays(layer(code, training=True))[0], code)
    layer(codes[0])  # in inference nothing is counted
    active = codes.reshape(12, -1, 8).any(axis=1)
    idle = [
        next((n for n, each in enumerate(unit[::-1]) if each), 12) for unit in active.T
    ]
    np.testing.assert_array_equal(arrays(layer.counter.idle)[0], idle)
    assert layer.counter.dead_units == sum(n >= 3 for n in idle)
    np.testing.assert_allclose(
        layer.counter.active_units, codes.sum(-1).mean(), rtol=1e-5
    )


def dictionary(**options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    encoder = layers.Dense(32)
    scores = encoder(inputs)
    decoder = AuxK(tie(encoder, untie=True), name="decoder", **{"window": 4, **options})
    model = keras.Model(
        inputs, decoder(BatchTopK(2)(scores), rows=inputs, scores=scores)
    )
    model.compile(keras.optimizers.Adam(0.02), "mse")
    return model


@pytest.mark.slow
def test_both_loops_log_the_same_counts():
    rows = np.random.default_rng(2).normal(size=(120, 6)).astype("float32")
    options = {"batch_size": 30, "epochs": 5, "verbose": 0, "shuffle": False}
    models = dictionary(), dictionary()
    histories = [
        train(rows, rows, callbacks=[CountUnits()], **options).history
        for train in (
            models[0].fit,
            lambda *args, **given: fit(models[1], *args, **given),
        )
    ]
    assert (
        list(histories[0])
        == list(histories[1])
        == ["loss", "active_units", "dead_units"]
    )
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5)
    assert histories[0]["dead_units"][-1] > 0


def test_several_counts_are_told_apart():
    own = layers.Dense(8)
    own.counter = 3  # of the user's own
    code = [own, KSparse(2), UnitActivity(name="one"), UnitActivity(name="other")]
    model = keras.Sequential([keras.Input((6,)), *code, layers.Dense(6)])
    model.compile("sgd", "mse")
    logs = model.fit(ROWS, ROWS, verbose=0, callbacks=[CountUnits()]).history
    assert {"one_active_units", "other_dead_units"} < set(logs)


@pytest.mark.slow
def test_a_saved_dictionary_goes_on_counting(tmp_path):
    model = dictionary()
    model.fit(ROWS, ROWS, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    idle = [
        arrays(each.get_layer("decoder").counter.idle)[0] for each in (model, loaded)
    ]
    np.testing.assert_array_equal(*idle)
    both = [
        each.fit(ROWS, ROWS, epochs=2, verbose=0).history["loss"]
        for each in (model, loaded)
    ]
    np.testing.assert_allclose(*both, rtol=1e-5)


@pytest.mark.slow
def test_dead_units_are_revived():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    codes = (random.uniform(size=(2000, 64)) < 0.05) * random.uniform(size=(2000, 64))
    rows = (codes @ random.normal(size=(64, 6))).astype("float32")
    dead = []
    for coefficient in (0.0, 1.0):
        model = dictionary(coefficient=coefficient, window=10)
        fit(model, rows, rows, batch_size=100, epochs=40, verbose=0)
        dead.append(model.get_layer("decoder").counter.dead_units)
    assert dead[1] < 0.7 * dead[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: AuxK("decoder"),
            "AuxK takes a layer as its decoder; received 'decoder'",
        ),
        (
            lambda: auxiliary(k=0),
            "takes as k a number of units, an integer from 1 on; received k=0",
        ),
        (lambda: auxiliary(coefficient=-1), "0 or more; received coefficient=-1"),
        (
            lambda: auxiliary(window=0.5),
            "AuxK .* takes as window .* received window=0.5",
        ),
        (lambda: UnitActivity(window=0), "UnitActivity .* received window=0"),
        (
            lambda: auxiliary()(CODE, ROWS, SCORES[:, :4]),
            r"scores of all units .* shape \(20, 9\) and scores of shape \(20, 4\)",
        ),
        (
            lambda: auxiliary()(CODE, ROWS[:, :4], SCORES),
            r"that its decoder reconstructs, of 6 features; received .* \(20, 4\)",
        ),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
