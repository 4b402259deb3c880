"""TiedDense against its formula, against Keras's untied layers, and its gradient by
hand.
"""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from keras_tied.layers import TiedDense

from .cases import arrays, outputs, randomize, train

BACKEND = keras.backend.backend()
DTYPES = {"float32": 1e-5, "float16": 2e-2}
if BACKEND == "tensorflow":
    # JAX has no float64 unless its configuration says so; Keras multiplies in float32
    # on PyTorch.
    DTYPES["float64"] = 1e-12


def dense(features: int = 4, units: int = 3, **kwargs: object) -> layers.Dense:
    layer = layers.Dense(units, **kwargs)
    layer.build((None, features))
    randomize(layer, 0)
    return layer


def normal(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@given(
    features=st.integers(1, 4),
    units=st.integers(1, 4),
    lead=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    transpose=st.booleans(),
    gain=st.booleans(),
    use_bias=st.booleans(),
    dtype=st.sampled_from(sorted(DTYPES)),
    seed=st.integers(0, 2**32 - 1),
)
def test_output_is_the_formula(
    features, units, lead, transpose, gain, use_bias, dtype, seed
):
    layer = dense(features, units, dtype=dtype)
    tied = TiedDense(
        layer, transpose=transpose, gain=gain, use_bias=use_bias, dtype=dtype
    )
    width = units if transpose else features
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(*lead, width)).astype(dtype)
    tied(x)
    W, g = (
        rng.normal(size=(features, units)),
        rng.normal(size=units) if gain else np.ones(units),
    )
    b = rng.normal(size=features if transpose else units) if use_bias else 0.0
    layer.kernel.assign(W)
    for variable, value in ((tied.gain, g), (tied.bias, b)):
        if variable is not None:
            variable.assign(value)
    scaled = W.astype(dtype).astype("float64") @ np.diag(g)
    expected = x.astype("float64") @ (scaled.T if transpose else scaled) + b
    (found,) = outputs(tied, x)
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, expected, atol=DTYPES[dtype] * 10, rtol=DTYPES[dtype]
    )


def test_transposed_layer_is_a_dense_with_the_transposed_kernel():
    layer, x = dense(), normal(5, 3)
    tied, untied = (
        TiedDense(layer, activation="tanh"),
        layers.Dense(4, activation="tanh"),
    )
    for one in (tied, untied):
        one.build((None, 3))
    tied.bias.assign(normal(4))
    untied.set_weights([layer.kernel.numpy().T, tied.bias.numpy()])
    np.testing.assert_allclose(*outputs(tied, x), *outputs(untied, x), atol=1e-6)


def test_layer_that_is_not_transposed_is_the_layer_tied_to():
    layer, x = dense(), normal(5, 4)
    tied = TiedDense(layer, transpose=False)
    tied.build((None, 4))
    tied.bias.assign(layer.bias)
    np.testing.assert_allclose(*outputs(tied, x), *outputs(layer, x), atol=1e-6)


def test_tied_to_an_embedding_gives_the_products_with_its_rows():
    embedding = layers.Embedding(7, 3)
    embedding.build(())
    tied = TiedDense(embedding, use_bias=False)
    code = normal(2, 5, 3)
    table = embedding.embeddings.numpy()
    (found,) = outputs(tied, code)
    expected = np.array(
        [[[row @ word for word in table] for row in one] for one in code]
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_model_is_the_untied_model_with_equal_weights():
    inputs, layer = keras.Input((4,)), layers.Dense(3, activation="sigmoid")
    tied = keras.Model(inputs, TiedDense(layer)(layer(inputs)))
    randomize(tied, 0)
    untied = keras.Sequential(
        [inputs, layers.Dense(3, activation="sigmoid"), layers.Dense(4)]
    )
    W, c, b = layer.kernel.numpy(), layer.bias.numpy(), tied.layers[-1].bias.numpy()
    untied.set_weights([W, c, W.T, b])
    np.testing.assert_allclose(
        tied.predict(normal(5, 4), verbose=0),
        untied.predict(normal(5, 4), verbose=0),
        atol=1e-6,
    )


def test_gradient_is_that_of_the_untied_encoder_plus_that_of_the_untied_decoder_transposed():
    inputs, layer = keras.Input((4,)), layers.Dense(3, activation="sigmoid")
    tied = keras.Model(inputs, TiedDense(layer)(layer(inputs)))
    randomize(tied, 0)
    untied = keras.Sequential(
        [inputs, layers.Dense(3, activation="sigmoid"), layers.Dense(4)]
    )
    W, c, b = layer.kernel.numpy(), layer.bias.numpy(), tied.layers[-1].bias.numpy()
    untied.set_weights([W, c, W.T, b])
    for model in (tied, untied):
        train(model, normal(5, 4), normal(5, 4, seed=2), rate=1.0)
    encoder, decoder = (untied.layers[n].kernel.numpy() for n in (0, 1))
    by_both_paths = (W - encoder) + (W - decoder.T)
    np.testing.assert_allclose(W - layer.kernel.numpy(), by_both_paths, atol=1e-5)


def by_hand(W, c, g, b, x, target):
    """Loss and gradient of mean((sigmoid(x W + c) diag(g) Wᵀ + b - target)²)."""
    code = 1 / (1 + np.exp(-(x @ W + c)))
    residual = (code * g) @ W.T + b - target
    back = 2 * residual / residual.size
    through_code = back @ W * g * code * (1 - code)
    gradient = {
        "W": x.T @ through_code + back.T @ (code * g),
        "c": through_code.sum(0),
        "g": (code * (back @ W)).sum(0),
        "b": back.sum(0),
    }
    return np.mean(residual**2), gradient


def test_gradient_by_hand_is_the_slope_of_the_loss():
    rng = np.random.default_rng(0)
    at = {"W": rng.normal(size=(4, 3)), "c": rng.normal(size=3)}
    at |= {"g": rng.normal(size=3), "b": rng.normal(size=4)}
    x, target = rng.normal(size=(2, 5, 4))
    _, gradient = by_hand(**at, x=x, target=target)
    for name, value in at.items():
        for index in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[index] = 1e-6
            up, down = ({**at, name: value + sign * step} for sign in (1, -1))
            losses = [by_hand(**where, x=x, target=target)[0] for where in (up, down)]
            np.testing.assert_allclose(
                gradient[name][index], (losses[0] - losses[1]) / 2e-6, atol=1e-8
            )


def test_gradient_is_the_one_by_hand():
    inputs, layer = keras.Input((4,)), layers.Dense(3, activation="sigmoid")
    tied = TiedDense(layer, gain=True)
    model = keras.Model(inputs, tied(layer(inputs)))
    randomize(model, 0)
    variables = {"W": layer.kernel, "c": layer.bias, "g": tied.gain, "b": tied.bias}
    before = {name: variable.numpy().copy() for name, variable in variables.items()}
    x, target = normal(5, 4), normal(5, 4, seed=2)
    train(model, x, target, rate=1.0)
    _, gradient = by_hand(**before, x=x, target=target)
    for name, variable in variables.items():
        np.testing.assert_allclose(
            before[name] - variable.numpy(), gradient[name], atol=1e-5
        )


def test_kernel_is_the_matrix_that_inputs_are_multiplied_by():
    tied, x = TiedDense(dense(), gain=True, use_bias=False), normal(5, 3)
    tied.build((None, 3))
    tied.gain.assign(normal(3))
    np.testing.assert_allclose(x @ arrays(tied.kernel)[0], *outputs(tied, x), atol=1e-6)


def test_gain_starts_at_ones():
    tied = TiedDense(dense(), gain=True)
    tied.build((None, 3))
    np.testing.assert_array_equal(tied.gain.numpy(), np.ones(3))


@pytest.mark.parametrize(
    ("transpose", "shape"), [(True, (None, 2, 4)), (False, (None, 2, 3))]
)
def test_output_shape(transpose, shape):
    tied = TiedDense(dense(), transpose=transpose)
    assert tied.compute_output_shape((None, 2, 3 if transpose else 4)) == shape


def test_output_shape_of_a_symbolic_call():
    layer = dense()
    assert TiedDense(layer)(keras.Input((None, 3))).shape == (None, None, 4)


def test_without_a_bias_there_is_none():
    tied = TiedDense(dense(), use_bias=False)
    tied.build((None, 3))
    assert tied.bias is None
    assert tied.count_params() == 0


def test_bias_arguments_are_used():
    tied = TiedDense(
        dense(),
        bias_initializer=keras.initializers.Constant(2.0),
        bias_regularizer=keras.regularizers.L2(0.5),
        bias_constraint="non_neg",
    )
    tied.build((None, 3))
    np.testing.assert_array_equal(tied.bias.numpy(), np.full(4, 2.0))
    np.testing.assert_allclose(arrays(tied.losses)[0], 0.5 * 4 * 2.0**2)
    assert isinstance(tied.bias.constraint, keras.constraints.NonNeg)


def test_configuration_gives_every_argument_back():
    arguments = {
        "transpose": False,
        "gain": True,
        "activation": "tanh",
        "use_bias": True,
        "bias_initializer": keras.initializers.Constant(2.0),
        "bias_regularizer": keras.regularizers.L2(0.5),
        "bias_constraint": keras.constraints.NonNeg(),
        "activity_regularizer": keras.regularizers.L1(0.25),
        "name": "out",
        "dtype": "mixed_bfloat16",
        "trainable": False,
    }
    config = TiedDense(dense(), **arguments).get_config()
    rebuilt = TiedDense.from_config(config).get_config()
    assert rebuilt == config
    assert config["activation"] == "tanh"
    assert config["gain"] is True
    assert config["bias_regularizer"]["config"] == {"l2": 0.5}


def test_activity_is_regularized():
    tied = TiedDense(dense(), activity_regularizer=keras.regularizers.L2(0.5))
    (found,) = outputs(tied, normal(5, 3))
    np.testing.assert_allclose(
        arrays(tied.losses)[0], 0.5 * np.sum(found**2) / 5, rtol=1e-5
    )


def test_mask_passes_through():
    inputs, embedding = (
        keras.Input((3,), dtype="int32"),
        layers.Embedding(7, 4, mask_zero=True),
    )
    model = keras.Model(inputs, TiedDense(embedding)(embedding(inputs)))
    ids = np.array([[1, 2, 0], [3, 0, 0]], "int32")
    (mask,) = arrays(keras.tree.flatten(model(ids))[0]._keras_mask)
    np.testing.assert_array_equal(mask, ids != 0)


def test_constraint_on_the_kernel_holds_after_a_training_through_the_decoder_alone():
    layer = layers.Dense(3, kernel_constraint="non_neg")
    layer.build((None, 4))
    hidden = keras.Input((3,))
    decoder = keras.Model(hidden, TiedDense(layer)(hidden))
    train(decoder, normal(5, 3), -10 * np.abs(normal(5, 4)), rate=10.0)
    assert np.min(layer.kernel.numpy()) == 0
