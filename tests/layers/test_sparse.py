"""JumpReLU and BatchTopK against NumPy, and a decoder that begins as the transpose."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied.layers import BatchTopK, JumpReLU, KSparse, tie

from .cases import arrays
from .oracles import gradient

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


def test_jump_relu_passes_what_is_above_its_threshold():
    found = arrays(JumpReLU(0.5)(ROWS))[0]
    np.testing.assert_array_equal(found, np.where(ROWS > 0.5, ROWS, 0))


def test_gradient_of_jump_relu_flows_through_what_passes():
    weights = np.random.default_rng(1).normal(size=ROWS.shape).astype("float32")
    layer = JumpReLU(0.5, bandwidth=0.2)
    found = gradient(
        lambda x: keras.ops.sum(keras.ops.multiply(layer(x), weights)), ROWS
    )
    np.testing.assert_allclose(found, weights * (ROWS > 0.5), atol=1e-6)


@pytest.mark.parametrize("coefficient", [0.0, 0.3])
def test_a_step_moves_the_thresholds_by_what_is_near_them(coefficient):
    threshold, width = 0.4, 0.5
    layer = JumpReLU(threshold, width, coefficient)
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    target = np.random.default_rng(2).normal(size=ROWS.shape).astype("float32")
    loss = model.train_on_batch(ROWS, target)
    near = np.abs(ROWS - threshold) < width / 2
    outputs = np.where(threshold < ROWS, ROWS, 0)
    slope = 2 * (outputs - target) / ROWS.size * -threshold / width * near
    slope -= coefficient / len(ROWS) * near / width
    moved = np.log(threshold) - threshold * slope.sum(axis=0)  # by the logarithm
    np.testing.assert_allclose(arrays(layer.log_threshold)[0], moved, atol=1e-5)
    counts = np.count_nonzero(outputs, axis=1).mean()
    np.testing.assert_allclose(
        loss, np.mean((outputs - target) ** 2) + coefficient * counts, 1e-5
    )


@pytest.mark.parametrize("shape", [(40, 6), (8, 5, 6)])
def test_batch_top_k_keeps_the_largest_of_the_batch(shape):
    rows = np.abs(ROWS).reshape(shape)
    found = arrays(BatchTopK(2)(rows, training=True))[0]
    least = np.sort(rows.ravel())[-80]
    np.testing.assert_array_equal(found, np.where(rows >= least, rows, 0))
    assert len(set(np.count_nonzero(found, axis=-1).ravel())) > 1


def test_batch_top_k_keeps_no_negative_numbers():
    found = arrays(BatchTopK(6)(ROWS, training=True))[0]
    np.testing.assert_array_equal(found, np.maximum(ROWS, 0))


def test_in_inference_batch_top_k_keeps_what_is_above_the_running_mean():
    layer, least = BatchTopK(1, momentum=0.75), []
    np.testing.assert_array_equal(arrays(layer(ROWS))[0], np.maximum(ROWS, 0))
    for part in np.split(ROWS, 2):
        layer(part, training=True)
        least.append(np.sort(part.ravel())[-len(part)])
    threshold = 0.75 * least[0] + 0.25 * least[1]
    np.testing.assert_allclose(arrays(layer.threshold)[0], threshold, rtol=1e-6)
    np.testing.assert_array_equal(
        arrays(layer(ROWS))[0], np.where(threshold < ROWS, ROWS, 0)
    )
    np.testing.assert_array_equal(
        arrays(layer(ROWS[:3]))[0], arrays(layer(ROWS))[0][:3]
    )


def test_gradient_of_batch_top_k_flows_through_what_is_kept():
    layer, weights = (
        BatchTopK(2),
        np.random.default_rng(1).normal(size=ROWS.shape).astype("float32"),
    )
    found = gradient(
        lambda x: keras.ops.sum(keras.ops.multiply(layer(x, training=True), weights)),
        ROWS,
    )
    kept = arrays(BatchTopK(2)(ROWS, training=True))[0] != 0
    np.testing.assert_allclose(found, weights * kept, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: JumpReLU(0),
            "threshold and a bandwidth above 0 .* received threshold=0",
        ),
        (lambda: JumpReLU(bandwidth=-1), "bandwidth=-1"),
        (lambda: JumpReLU(l0_coefficient=-1), "l0_coefficient=-1"),
        (lambda: BatchTopK(0), "an integer from 1 on; received k=0"),
        (lambda: BatchTopK(1.5), "received k=1.5"),
        (lambda: BatchTopK(1, momentum=2), "received momentum=2"),
        (
            lambda: BatchTopK(7)(ROWS),
            r"keeps k=7 .* received an input of shape \(40, 6\)",
        ),
    ],
)
def test_what_cannot_be_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.parametrize(
    "activation",
    [lambda: JumpReLU(0.1, 0.1, 1e-3), lambda: BatchTopK(3)],
    ids=["jump", "batch"],
)
def test_a_sparse_autoencoder_learns_and_loads_without_custom_objects(
    activation, tmp_path
):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(16, 8))
    rows = (
        rng.uniform(0.5, 1, (500, 16)) * (rng.uniform(size=(500, 16)) < 0.1)
    ) @ directions
    encoder = layers.Dense(24, kernel_constraint=keras.constraints.UnitNorm(axis=0))
    encoder.build((None, 8))
    inputs = keras.Input((8,))
    code = activation()(encoder(inputs))
    model = keras.Model(inputs, tie(encoder, untie=True)(code))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    losses = model.fit(rows, rows, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        *(each.predict(rows, verbose=0) for each in (model, loaded)), atol=1e-6
    )


def test_untied_it_begins_as_the_transpose_and_is_free():
    code = layers.Dense(3)
    code.build((None, 4))
    free = tie(code, untie=True, activation="relu", name="free")
    codes = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    expected = tie(code, activation="relu")(codes)
    np.testing.assert_array_equal(arrays(free(codes))[0], arrays(expected)[0])
    assert type(free) is layers.Dense
    assert free.name == "free"
    assert len(free.weights) == 2
    free.kernel.assign(free.kernel * 0)
    assert np.any(arrays(code.kernel)[0])


@pytest.mark.parametrize(
    ("layer", "state"),
    [
        (layers.Dense(3), "no kernel yet"),
        (layers.Conv1D(2, 3), r"a kernel of shape \(3, 4, 2\)"),
    ],
)
def test_only_a_built_kernel_of_two_axes_is_untied(layer, state):
    if isinstance(layer, layers.Conv1D):
        layer.build((None, 8, 4))
    with pytest.raises(ValueError, match=f"untie=True takes .* has {state}: build"):
        tie(layer, untie=True)


@pytest.mark.parametrize(
    "layer", [JumpReLU(0.1), BatchTopK(2), KSparse(2)], ids=["jump", "batch", "k"]
)
@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_number_is_not_hidden(layer, training):
    rows = ROWS.copy()
    rows[3, 2] = np.nan
    options = {} if isinstance(layer, JumpReLU) else {"training": training}
    assert np.isnan(arrays(layer(rows, **options))[0][3, 2])
