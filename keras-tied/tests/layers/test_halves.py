"""Halves that were copied apart from each other, and stand together again."""

import gc
import weakref

import keras
import numpy as np
import pytest
from keras import layers
from keras.models import clone_model

from keras_tied import Autoencoder, assert_tied, retie, tie, ties

from ..autoencoder.networks import chain
from .cases import (
    HALVES,
    MadeOfLayers,
    Parts,
    assert_alike,
    assert_close,
    clone,
    each_of,
    find,
    in_model,
    normal,
    randomize,
    through_deepcopy,
    through_file,
    through_pickle,
    train,
    weights,
)

X = normal(5, 4, seed=1)


@pytest.fixture
def halves():
    encoder, decoder = Parts("Dense").halves()
    randomize(encoder, 0)
    randomize(decoder, 1)
    return encoder, decoder


def in_sequential(encoder, decoder):
    return chain(encoder, decoder, shape=(4,))


def call(join, encoder, decoder):
    joined = join(encoder, decoder)
    joined(X)
    return joined


joins = pytest.mark.parametrize(
    "join",
    [in_model, in_sequential, Autoencoder, MadeOfLayers],
)


@joins
def test_halves_of_two_files_are_tied_where_they_are_joined(halves, join, tmp_path):
    loaded = [through_file(half, tmp_path) for half in halves]
    joined = call(join, *loaded)
    assert_tied(joined)
    assert_close(joined(X), call(join, *halves)(X))


without_input_layer_warning = pytest.mark.filterwarnings(
    "ignore:Layer InputLayer does not have a `quantize`"
)


def call_joined(joined, tied_model, folder):
    joined(X)


def save_and_load(joined, tied_model, folder):
    assert_tied(through_file(joined, folder))


def quantize(joined, tied_model, folder):
    joined.quantize("int8")
    tied_model.quantize("int8")


def load_weights(joined, tied_model, folder):
    randomize(tied_model, 3)
    tied_model.save_weights(folder / "tied.weights.h5")
    joined.load_weights(folder / "tied.weights.h5")


def load_weights_of_encoder(joined, tied_model, folder):
    encoder = tied_model.get_layer("encoder")
    randomize(encoder, 3)
    encoder.save_weights(folder / "encoder.weights.h5")
    joined.get_layer("encoder").load_weights(folder / "encoder.weights.h5")


def joined_by_call(encoder, decoder):
    rows = keras.Input((4,))
    return keras.Model(rows, decoder(encoder(rows)))


@without_input_layer_warning
@pytest.mark.parametrize(
    "use",
    [call_joined, save_and_load, quantize, load_weights, load_weights_of_encoder],
)
def test_halves_of_two_files_are_tied_before_their_model_is_first_called(
    halves, use, tmp_path
):
    joined = joined_by_call(*[through_file(half, tmp_path) for half in halves])
    tied_model = joined_by_call(*halves)
    assert_tied(joined)
    use(joined, tied_model, tmp_path)
    assert_close(joined(X), tied_model(X))
    assert_tied(joined)


def test_looking_at_ties_ties_nothing(halves, tmp_path):
    encoder, decoder = [through_file(half, tmp_path) for half in halves]
    joined = MadeOfLayers(encoder, decoder)  # not called
    [found] = ties(joined)
    assert_tied(joined)
    assert found.tied_to is find(encoder, "code")
    assert find(decoder, "out").tied_to is not find(encoder, "code")


@without_input_layer_warning
def test_a_decoder_alone_does_not_quantize_the_kernel_of_its_encoder(halves):
    encoder, decoder = halves
    with pytest.warns(UserWarning, match="'out' was not quantized.*'code'"):
        decoder.quantize("int8")
    assert find(encoder, "code").quantization_mode is None
    encoder.quantize("int8")
    decoder.quantize("int8")  # nothing is left to do


@without_input_layer_warning
def test_a_decoder_loaded_alone_quantizes_its_kernel(halves, tmp_path):
    loaded = through_file(halves[1], tmp_path)
    codes = X[:, :3]
    before = keras.ops.convert_to_numpy(loaded(codes))
    loaded.quantize("int8")
    assert "int8" in {each.dtype for each in loaded.weights}
    found = loaded(codes)
    assert_close(found, before, atol=0.02 * np.ptp(before))
    assert_close(through_file(loaded, tmp_path)(codes), found)


@pytest.fixture
def stranger(halves, tmp_path):
    """A decoder from a file, whose kernel has other numbers than the encoder has now."""
    encoder, decoder = halves
    loaded = through_file(decoder, tmp_path)
    randomize(encoder, 2)
    return loaded


@joins
def test_halves_with_other_numbers_work_untied_and_warn_once(halves, join, stranger):
    """Keras's JAX trainer takes the numbers away while it runs."""
    encoder, _ = halves
    expected = stranger(encoder(X))
    with pytest.warns(UserWarning, match="'out' .* not tied to 'code', which now"):
        joined = call(join, encoder, stranger)
    joined.compile("sgd", "mse")
    assert_close(joined.predict(X, verbose=0), expected)
    for run in (joined.fit, joined.evaluate):
        run(X, expected, verbose=0)
    with pytest.raises(ValueError, match="loaded without 'code' and has a kernel of"):
        assert_tied(joined)


@pytest.mark.filterwarnings("ignore:.* not tied to 'code'")
def test_a_decoder_loaded_alone_is_frozen_with_its_kernel(halves, stranger, tmp_path):
    encoder, _ = halves
    joined = in_model(encoder, stranger)
    stranger.trainable = False
    loaded = through_file(joined, tmp_path)
    for model in (joined, loaded):
        paths = [each.path for each in model.trainable_variables]
        assert paths == ["code/kernel", "code/bias"]
    stranger.trainable = True
    assert len(joined.trainable_variables) == 5


def test_a_decoder_loaded_alone_is_no_part_of_what_stands_beside_it(halves, tmp_path):
    whole = in_model(*halves)
    decoder = through_file(halves[1], tmp_path)
    rows, codes = keras.Input((4,)), keras.Input((3,))
    outs = [whole(rows), decoder(codes)]
    beside = keras.Model([rows, codes], outs)
    beside([X, X[:, :3]])  # a warning would be an error


@pytest.mark.parametrize("copied_by", [through_deepcopy, through_pickle])
def test_halves_copied_in_one_container_are_tied_where_they_are_joined(
    halves, copied_by
):
    encoder, first = halves
    parts = Parts("Dense")
    out = parts.tie(find(encoder, "code"))
    second = parts.decoder(encoder, out)
    encoder, *decoders = copied_by([encoder, first, second])
    for decoder in decoders:
        assert_tied(call(in_model, encoder, decoder))


def test_halves_cloned_apart_work_once_they_are_tied(halves):
    encoder, decoder = map(clone_model, halves)
    with pytest.raises(
        ValueError, match=r"'out' is tied to layer 'code' .* `keras_tied"
    ):
        call(in_model, encoder, decoder)
    assert all(tie.inside for tie in retie(decoder, encoder))
    joined = call(in_model, encoder, decoder)
    assert find(decoder, "out").tied_to is find(encoder, "code")
    assert_tied(joined)


def test_weights_of_a_half_leave_the_bias_of_the_other_as_it_is(halves, tmp_path):
    encoder, decoder = halves
    code = find(encoder, "code")
    kernel = np.array(code.kernel)
    path = tmp_path / "half.weights.h5"
    decoder.save_weights(path)
    randomize(encoder, 2)
    bias = np.array(code.bias)
    decoder.load_weights(path)
    assert_close(code.kernel, kernel)
    assert_close(code.bias, bias)


def test_a_file_that_failed_leaves_no_bias_behind(halves, tmp_path, monkeypatch):
    encoder, decoder = halves
    code = find(encoder, "code")
    path = tmp_path / "half.weights.h5"
    monkeypatch.setattr(code, "save_own_variables", lambda store: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        decoder.save_weights(path)
    monkeypatch.undo()
    randomize(encoder, 2)
    bias = np.array(code.bias)
    in_model(encoder, decoder).save_weights(path)
    assert_close(code.bias, bias)


@each_of(*HALVES)
def test_clone_of_a_decoder_loaded_alone_has_a_kernel_of_its_own(case, tmp_path):
    loaded = through_file(case.build(), tmp_path)
    cloned = clone(loaded)
    assert_alike(cloned, loaded, case)
    before = weights(loaded)
    train(cloned, *case.data())
    assert_close(weights(loaded), before, atol=0)


def attention():
    """A model with two layers of one name and shape, and one tied to each."""
    inputs = keras.Input((5, 6))
    heads = layers.Reshape((5, 2, 3))(inputs)
    attended, outs = inputs, []
    for name in ("first", "second"):
        block = layers.MultiHeadAttention(2, 3, name=name)
        attended = block(attended, attended)
        tied = tie(block.query_dense, name=f"tied_{name}")
        outs.append(tied(heads))
    return keras.Model(inputs, [attended, *outs])


def paths_of_ties(model):
    return [(tie.layer_path, tie.tied_to_path) for tie in ties(model)]


def test_copies_of_namesakes_are_tied_each_to_its_own(tmp_path):
    model = attention()
    randomize(model, 0)
    rows = normal(5, 5, 6)
    loaded = through_file(model, tmp_path)
    for copied in (clone(model), loaded):
        assert_close(copied(rows), model(rows))
        assert paths_of_ties(copied) == paths_of_ties(model)
        assert_tied(copied)


class Halved(layers.Conv2D):
    """A class that is not registered, with an argument of its own."""

    def __init__(self, *args, halve=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.halve = halve

    def get_config(self):
        config = super().get_config()
        config["halve"] = self.halve
        return config


def test_a_tie_to_an_unregistered_class_is_cloned():
    inputs = keras.Input((8, 8, 2))
    layer = Halved(3, 3, strides=2)
    tied = tie(layer)
    model = keras.Model(inputs, tied(layer(inputs)))
    cloned = clone(model)
    rows = normal(2, 8, 8, 2)
    assert_close(cloned(rows), model(rows))
    assert_tied(cloned)


def test_copies_keep_nothing_of_the_caller_alive(halves, tmp_path):
    class Large:
        """What a caller holds meanwhile."""

    def work():
        large = Large()
        cloned = clone(in_model(*halves))
        loaded = through_file(cloned, tmp_path)
        loaded.predict(X, verbose=0)
        return weakref.ref(large)

    alive = work()
    gc.collect()
    assert alive() is None
