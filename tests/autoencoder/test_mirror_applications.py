"""Mirrors of the models in `keras.applications`, with random weights."""

import keras
import numpy as np
import pytest

from keras_tied import Autoencoder, assert_tied, mirror, ties

if keras.backend.backend() != "jax":
    pytest.skip("the rules are the same on every backend", allow_module_level=True)

pytestmark = pytest.mark.slow

SHAPE = (32, 32, 3)


def encoder(name: str) -> keras.Model:
    return getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=SHAPE
    )


@pytest.mark.parametrize(
    ("name", "n_ties"),
    [("VGG16", 13), ("DenseNet121", 120), ("MobileNetV2", 52)],
)
def test_a_mirror_trains_a_step_and_comes_back_from_a_file_tied(name, n_ties, tmp_path):
    model = Autoencoder(encoder(name))
    model.compile(keras.optimizers.SGD(1e-3))
    x = np.random.default_rng(0).uniform(size=(2, *SHAPE)).astype("float32")
    assert np.isfinite(model.train_on_batch(x))

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")

    assert len(ties(loaded)) == n_ties
    assert_tied(loaded)
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("EfficientNetB0", r"'block1a_se_excite' \(Multiply\)"),
        ("ConvNeXtTiny", r"'convnext_tiny_stage_0_block_0_layer_scale' \(LayerScale\)"),
    ],
)
def test_a_layer_without_a_rule_is_named_with_the_way_out(name, layer):
    with pytest.raises(
        ValueError, match=f"no rule for layer {layer}: leave it out .* or add a"
    ):
        mirror(encoder(name))
