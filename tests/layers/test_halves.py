"""Halves that were copied apart from each other, and stand together again."""

import copy
import gc
import pickle
import weakref

import keras
import numpy as np
import pytest

from keras_tied import Autoencoder, assert_tied, tie, ties

from .cases import (
    HALVES,
    MadeOfLayers,
    Parts,
    assert_alike,
    assert_close,
    find,
    normal,
    outputs,
    parameters,
    randomize,
    reload,
    train,
    weights,
)

X = normal((5, 4), 1)


@pytest.fixture
def halves():
    encoder, decoder = Parts("Dense").halves()
    randomize(encoder, 0)
    randomize(decoder, 1)
    return encoder, decoder


def in_model(encoder, decoder):
    return keras.Model(encoder.inputs[0], decoder(encoder.outputs[0]))


def in_sequential(encoder, decoder):
    return keras.Sequential([keras.Input((4,)), encoder, decoder])


def call(join, encoder, decoder):
    joined = join(encoder, decoder)
    joined(X)
    return joined


joins = pytest.mark.parametrize(
    "join", [in_model, in_sequential, Autoencoder, MadeOfLayers]
)


@joins
def test_halves_of_two_files_are_tied_where_they_are_joined(halves, join, tmp_path):
    encoder, decoder = (reload(half, tmp_path / "half.keras") for half in halves)
    joined = join(encoder, decoder)
    assert_close(joined(X), halves[1](halves[0](X)))
    assert_tied(joined)


@pytest.fixture
def stranger(halves, tmp_path):
    """A decoder from a file, whose kernel has other numbers than the encoder has now."""
    encoder, decoder = halves
    loaded = reload(decoder, tmp_path / "half.keras")
    randomize(encoder, 2)
    return loaded


@joins
def test_halves_with_other_numbers_work_untied_and_warn_once(halves, join, stranger):
    """Keras's JAX trainer takes the numbers away while it runs."""
    encoder, _ = halves
    expected = stranger.predict(encoder.predict(X, verbose=0), verbose=0)
    with pytest.warns(UserWarning, match="'out' .* not tied to 'code', which now"):
        joined = call(join, encoder, stranger)
    joined.compile("sgd", "mse")
    assert_close(joined.predict(X, verbose=0), expected)
    for run in (joined.fit, joined.evaluate, joined.fit):
        run(X, expected, verbose=0)
    with pytest.raises(ValueError, match="loaded without 'code' and has a kernel of"):
        assert_tied(joined)


@pytest.mark.filterwarnings("ignore:.* not tied to 'code'")
def test_a_decoder_loaded_alone_is_frozen_with_its_kernel(halves, stranger, tmp_path):
    encoder, _ = halves
    joined = in_model(encoder, stranger)
    stranger.trainable = False
    loaded = reload(joined, tmp_path / "joined.keras")
    for model in (joined, loaded):
        assert [each.path for each in model.trainable_variables] == [
            "code/kernel",
            "code/bias",
        ]
    stranger.trainable = True
    assert len(joined.trainable_variables) == 5


def test_a_decoder_loaded_alone_is_no_part_of_what_stands_beside_it(halves, tmp_path):
    whole, rows, codes = in_model(*halves), keras.Input((4,)), keras.Input((3,))
    decoder = reload(halves[1], tmp_path / "half.keras")
    beside = keras.Model([rows, codes], [whole(rows), decoder(codes)])
    outputs(beside, [X, X[:, :3]])


@pytest.mark.parametrize("through", [copy.deepcopy, pickle])
def test_halves_copied_in_one_container_are_tied_where_they_are_joined(halves, through):
    encoder, first = halves
    parts = Parts("Dense")
    second = parts.model(parts.tie(find(encoder, "code")), behind=encoder)
    container = {"encoder": encoder, "decoders": [first, second]}
    if through is pickle:
        copied = pickle.loads(pickle.dumps(container))
    else:
        copied = copy.deepcopy(container)
    for decoder in copied["decoders"]:
        assert_tied(call(in_model, copied["encoder"], decoder))


def test_halves_cloned_apart_are_tied_by_name_with_a_warning(halves):
    encoder, decoder = map(keras.models.clone_model, halves)
    with pytest.warns(UserWarning, match="'out' was copied without 'code'.*'code'"):
        joined = call(in_model, encoder, decoder)
    assert find(decoder, "out").tied_to is find(encoder, "code")
    with pytest.raises(ValueError, match="tied to 'code' for its name alone"):
        assert_tied(joined)


def test_weights_of_a_half_leave_the_bias_of_the_other_as_it_is(halves, tmp_path):
    encoder, decoder = halves
    code, path = find(encoder, "code"), tmp_path / "half.weights.h5"
    kernel = np.array(code.kernel)
    decoder.save_weights(path)
    for variable in code.variables:
        variable.assign(keras.ops.full(variable.shape, 7.0))
    decoder.load_weights(path)
    assert_close(code.kernel, kernel)
    assert_close(code.bias, np.full(3, 7.0))


@pytest.mark.parametrize("case", parameters(HALVES))
def test_clone_of_a_decoder_without_its_encoder_is_an_error(case):
    cloned = keras.models.clone_model(case.build())
    with pytest.raises(
        ValueError, match=r"is tied to layer 'code.* no such layer was found"
    ):
        cloned(case.inputs())


@pytest.mark.parametrize("case", parameters(HALVES))
def test_clone_of_a_decoder_loaded_alone_has_a_kernel_of_its_own(case, tmp_path):
    loaded = reload(case.build(), tmp_path / "half.keras")
    cloned = keras.models.clone_model(loaded)
    cloned.set_weights(loaded.get_weights())
    assert_alike(cloned, loaded, case)
    before = weights(loaded)
    train(cloned, *case.data())
    assert_close(weights(loaded), before, atol=0)


def attention():
    """A model with two layers of one name and shape, and one tied to each."""
    inputs = keras.Input((5, 6))
    heads = keras.layers.Reshape((5, 2, 3))(inputs)
    outs = [inputs]
    for name in ("first", "second"):
        block = keras.layers.MultiHeadAttention(2, 3, name=name)
        outs[0] = block(outs[0], outs[0])
        outs.append(tie(block.query_dense, name=f"tied_{name}")(heads))
    return keras.Model(inputs, outs)


def two_autoencoders():
    """A model of two encoders and decoders whose layers have the same names."""
    inputs = keras.Input((4,))
    outs = []
    for name in ("first", "second"):
        encoder, decoder = Parts("Dense").halves()
        encoder.name = f"{name}_encoder"
        decoder.name = f"{name}_decoder"
        outs.append(decoder(encoder(inputs)))
    return keras.Model(inputs, outs)


@pytest.mark.parametrize("build", [attention, two_autoencoders])
def test_copies_of_namesakes_are_tied_each_to_its_own(build, tmp_path):
    model = build()
    randomize(model, 0)
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    rows = normal((5, *model.input_shape[1:]))
    for copied in (cloned, reload(model, tmp_path / "model.keras")):
        assert_close(outputs(copied, rows), outputs(model, rows))
        for one, other in zip(ties(copied), ties(model), strict=True):
            assert one.layer_path == other.layer_path
            assert one.tied_to_path == other.tied_to_path
            assert one.inside


class Halved(keras.layers.Conv2D):
    """A class that is not registered, with an argument of its own."""

    def __init__(self, *args, halve=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.halve = halve

    def get_config(self):
        return {**super().get_config(), "halve": self.halve}


def test_a_tie_to_an_unregistered_class_is_cloned():
    inputs = keras.Input((8, 8, 2))
    layer = Halved(3, 3, strides=2, padding="same")
    model = keras.Model(inputs, tie(layer)(layer(inputs)))
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    rows = normal((2, 8, 8, 2))
    assert_close(outputs(cloned, rows), outputs(model, rows))
    assert_tied(cloned)


def test_copies_keep_nothing_of_the_caller_alive(halves, tmp_path):
    class Large:
        """What a caller holds meanwhile."""

    def work():
        large = Large()
        cloned = keras.models.clone_model(in_model(*halves))
        reload(cloned, tmp_path / "model.keras").predict(X, verbose=0)
        return weakref.ref(large)

    alive = work()
    gc.collect()
    assert alive() is None
