from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from keras_tied import Autoencoder

DIGITS = (load_digits().data[:300] / 16).astype("float32")


def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) / 3
    return (x + 0.5).astype("float32")


def dense(*units: int, activation: Any = None, seed: int = 0) -> list[keras.layers.Layer]:
    keras.utils.set_random_seed(seed)
    return [keras.layers.Dense(each, activation) for each in units]


def built(shape: tuple[int, ...], *layers: Any) -> Autoencoder:
    return Autoencoder(keras.Sequential([keras.Input(shape), *layers], name="encoder"))


def error(model: Autoencoder, x: np.ndarray) -> float:
    return float(model.reconstruction_error(x).mean(dtype="float64"))


@pytest.fixture(scope="module")
def pretrained() -> tuple[Autoencoder, list[keras.callbacks.History]]:
    """A model of two layers after 20 epochs; tests must not change it."""
    model = built((6,), *dense(4, 2))
    return model, model.pretrain(rows(), epochs=20)


def test_linear_layers_reach_the_error_of_pca():
    x, model = rows(), built((6,), *dense(4, 2))
    model.pretrain(x, epochs=150, batch_size=50, optimizer=keras.optimizers.Adam(0.02))
    pca = PCA(2).fit(x)
    expected = np.mean((pca.inverse_transform(pca.transform(x)) - x) ** 2)
    assert expected * 0.999 < error(model, x) < expected * 1.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_deep_sigmoids_learn_faster_after_it(seed):
    errors = []
    for pretrained in (True, False):
        model = built((64,), *dense(24, 12, 6, activation="sigmoid", seed=seed))
        model.compile(keras.optimizers.Adam(0.01))
        if pretrained:
            model.pretrain(DIGITS, epochs=15, optimizer=keras.optimizers.Adam(0.01))
        model.fit(DIGITS, epochs=6, verbose=0)
        errors.append(error(model, DIGITS))
    assert errors[0] < 0.9 * errors[1]


def test_it_returns_a_history_for_each_layer_and_each_falls(pretrained):
    losses = [each.history["loss"] for each in pretrained[1]]
    assert [len(each) for each in losses] == [20, 20]
    assert all(each[-1] < each[0] for each in losses)


def test_one_layer_is_trained_as_fit_trains_it():
    x, pretrained, fitted = rows(), *(built((6,), *dense(2)) for _ in range(2))
    fitted.compile(keras.optimizers.SGD(0.1))
    fitted.fit(x, epochs=3, batch_size=len(x), verbose=0)
    pretrained.pretrain(x, 3, len(x), keras.optimizers.SGD(0.1))
    for pair in zip(pretrained.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-5)


def test_decoder_takes_over_the_bias_and_gain_that_restored_the_layer(pretrained):
    x, (model, (first, _)) = rows(), pretrained
    outer = model.decoder.layers[-1]
    hidden = keras.ops.convert_to_numpy(model.encoder.layers[0](x))
    restored = keras.ops.convert_to_numpy(outer(hidden))
    assert np.mean((restored - x) ** 2) < 1.05 * first.history["loss"][-1]


@pytest.mark.slow
def test_convolutions_and_normalisations_are_pretrained():
    images = DIGITS.reshape(-1, 8, 8, 1)
    model = built(
        (8, 8, 1),
        keras.layers.Rescaling(0.5),
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        *dense(5),
    )
    weights = model.get_weights()
    histories = model.pretrain(images, epochs=3)
    assert all(each.history["loss"][-1] < each.history["loss"][0] for each in histories)
    moved = [np.any(one != other) for one, other in zip(model.get_weights(), weights, strict=True)]
    assert all(moved)


@pytest.mark.slow
def test_noise_corrupts_the_input_of_each_layer():
    plain, noisy = (built((6,), *dense(4, 2)) for _ in range(2))
    clean = plain.pretrain(rows(), epochs=3)
    corrupted = noisy.pretrain(rows(), epochs=3, noise=0.5)
    for one, other in zip(clean, corrupted, strict=True):
        assert one.history["loss"][-1] < other.history["loss"][-1]


def test_frozen_layer_keeps_its_kernel_and_its_mirror_learns():
    x, model = rows(), built((6,), *dense(2))
    model.encoder.layers[0].trainable = False
    before = model.encoder.get_weights()
    model.pretrain(x)
    for pair in zip(model.encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(*pair)
    assert np.any(keras.ops.convert_to_numpy(model.decoder.layers[-1].bias))


def test_model_is_saved_and_loaded_after_it(pretrained, tmp_path):
    x, (model, _) = rows(), pretrained
    model.save(tmp_path / "model.keras")
    found = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(found.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_encoder_that_is_no_chain_is_an_error():
    inputs = keras.Input((6,))
    code = keras.layers.Dense(2)(keras.layers.Add()([inputs, keras.layers.Dense(6)(inputs)]))
    model = Autoencoder(keras.Model(inputs, code, name="branched"))
    with pytest.raises(ValueError, match=r"'branched' .* is not: write it as a Sequential"):
        model.pretrain(rows())


def test_decoder_that_is_not_tied_is_an_error():
    encoder = keras.Sequential([keras.Input((6,)), *dense(2)])
    decoder = keras.Sequential([keras.Input((2,)), *dense(6)], name="free")
    with pytest.raises(ValueError, match=r"none in 'free' is tied to 'dense.*' \(Dense\)"):
        Autoencoder(encoder, decoder).pretrain(rows())


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_quantized_encoder_is_an_error(mode):
    encoder = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(2, name="code")])
    encoder.layers[0].quantize(mode)
    with pytest.raises(ValueError, match="'code' is quantized: call `quantize` after it"):
        Autoencoder(encoder).pretrain(rows())
