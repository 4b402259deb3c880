"""The functions that list, check and mend ties."""

import keras
import numpy as np
import pytest

import keras_tied
from keras_tied import assert_tied, retie, ties, trainable_variables
from keras_tied.layers import TiedConv, TiedDense

X = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")


def halves(units: int = 3, n: int = 1) -> tuple[keras.Model, keras.Model]:
    """An encoder of `n` layers, and its decoder."""
    sizes = [6, *[units] * n]
    inputs, codes = keras.Input((6,)), keras.Input((units,))
    layers = [
        keras.layers.Dense(size, name=f"code_{i}") for i, size in enumerate(sizes[1:])
    ]
    x, y = inputs, codes
    for layer in layers:
        x = layer(x)
    encoder = keras.Model(inputs, x, name="encoder")
    for i, layer in reversed(list(enumerate(layers))):
        y = TiedDense(layer, name=f"out_{i}")(y)
    return encoder, keras.Model(codes, y, name="decoder")


def join(encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, decoder(encoder(inputs)), name="whole")


def call(model: keras.Model) -> keras.Model:
    model(X)
    return model


def cloned(*models: keras.Model) -> list[keras.Model]:
    return [keras.models.clone_model(model) for model in models]


def test_each_tie_is_listed_with_the_paths_of_both_layers():
    model = join(*halves(n=2))
    found = [
        (t.layer_path, t.tied_to_path, t.kernel_shape, t.inside) for t in ties(model)
    ]
    assert sorted(found) == [
        ("decoder/out_0", "encoder/code_0", (6, 3), True),
        ("decoder/out_1", "encoder/code_1", (3, 3), True),
    ]


def test_a_tie_that_leads_out_of_the_model_is_listed_as_such():
    encoder, decoder = halves()
    (tie,) = ties(decoder)
    assert tie.tied_to is encoder.get_layer("code_0")
    assert (tie.tied_to_path, tie.inside) == ("code_0", False)


def test_a_model_without_ties_has_none():
    assert ties(halves()[0]) == []


def test_listing_finds_the_partners_of_a_clone_that_was_never_called():
    (model,) = cloned(join(*halves(n=2)))
    assert all(tie.tied_to is not None and tie.inside for tie in ties(model))


def test_a_tied_model_passes():
    assert_tied(join(*halves()))


def test_a_decoder_alone_does_not_pass():
    with pytest.raises(
        ValueError, match="'out_0' is tied to 'code_0', which is not in 'decoder'"
    ):
        assert_tied(halves()[1])


def test_a_cloned_decoder_does_not_pass():
    (decoder,) = cloned(halves()[1])
    with pytest.raises(
        ValueError, match="'out_0' has not met 'code_0', which it is tied to"
    ):
        assert_tied(decoder)


def test_a_decoder_from_a_file_does_not_pass(tmp_path):
    halves()[1].save(tmp_path / "decoder.keras")
    decoder = keras.saving.load_model(tmp_path / "decoder.keras")
    with pytest.raises(
        ValueError, match="was loaded without 'code_0' and has a kernel of its own"
    ):
        assert_tied(decoder)


def test_a_tie_by_name_passes_only_when_it_was_said():
    encoder, decoder = cloned(*halves())
    with pytest.warns(UserWarning, match="'out_0' was copied without 'code_0'"):
        model = call(join(encoder, decoder))
    with pytest.raises(
        ValueError, match="was tied to 'encoder/code_0' for its name alone"
    ):
        assert_tied(model)


def test_a_model_without_ties_does_not_pass():
    with pytest.raises(ValueError, match="'encoder' holds no tied layer"):
        assert_tied(halves()[0])


def test_halves_cloned_one_by_one_are_tied_again_without_a_word():
    encoder, decoder = cloned(*halves(n=2))
    made = retie(decoder, encoder)
    assert {tie.tied_to for tie in made} == {
        encoder.get_layer(f"code_{i}") for i in range(2)
    }
    model = join(encoder, decoder)
    assert_tied(model)
    kernels = [encoder.get_layer(f"code_{i}").kernel.numpy() for i in range(2)]
    np.testing.assert_allclose(
        model.predict(X, verbose=0),
        X @ kernels[0] @ kernels[1] @ kernels[1].T @ kernels[0].T,
        atol=1e-5,
    )


def test_a_kernel_that_a_file_brought_is_dropped(tmp_path):
    encoder, decoder = halves()
    decoder.save(tmp_path / "decoder.keras")
    decoder = keras.saving.load_model(tmp_path / "decoder.keras")
    encoder.get_layer("code_0").kernel.assign(np.ones((6, 3)))
    retie(decoder, encoder)
    assert len(trainable_variables(encoder, decoder)) == 3
    np.testing.assert_allclose(
        decoder.predict(X[:, :3], verbose=0), X[:, :3] @ np.ones((3, 6)), atol=1e-5
    )


def test_layers_can_be_tied_again_one_by_one():
    encoder, decoder = cloned(*halves())
    encoder.get_layer("code_0").name = "other"
    retie(decoder.get_layer("out_0"), encoder.get_layer("other"))
    assert_tied(join(encoder, decoder))


def test_a_layer_of_another_name_is_taken_if_it_is_the_only_one_that_fits():
    encoder, decoder = cloned(*halves())
    encoder.get_layer("code_0").name = "other"
    retie(decoder, encoder)
    assert_tied(join(encoder, decoder))


def test_an_encoder_that_does_not_fit_is_refused_and_nothing_is_changed():
    encoder, decoder = halves()
    other, _ = halves(units=2)
    with pytest.raises(
        ValueError, match=r"shape \(6, 3\), which no layer.*'code_0' \(6, 2\)"
    ):
        retie(decoder, other)
    assert decoder.get_layer("out_0").tied_to is encoder.get_layer("code_0")


def test_an_encoder_with_several_layers_that_fit_is_refused():
    encoder, decoder = cloned(*halves(units=6, n=2))
    for layer in encoder.layers[1:]:
        layer.name += "_renamed"
    with pytest.raises(ValueError, match="which 2 layers of 'encoder' have"):
        retie(decoder, encoder)


def test_halves_in_the_wrong_order_are_refused():
    encoder, decoder = halves()
    with pytest.raises(
        ValueError, match="'encoder' holds no layer that is tied to one outside"
    ):
        retie(encoder, decoder)


def test_a_decoder_is_not_tied_to_itself():
    (decoder,) = cloned(halves(units=6, n=2)[1])
    with pytest.raises(
        ValueError, match="no layers of 'decoder' have; its kernels are: none"
    ):
        retie(decoder, decoder)


def test_a_layer_of_another_class_is_refused():
    inputs, maps = keras.Input((8, 6)), keras.Input((8, 3))
    convolution = keras.layers.Conv1D(3, 1, name="conv")
    convolution(inputs)
    decoder = keras.Model(
        maps, TiedConv(convolution, name="back")(maps), name="decoder"
    )
    with pytest.raises(ValueError, match="TiedConv 'back' uses a kernel of shape"):
        retie(decoder, halves()[0])


@pytest.mark.parametrize(
    "function", [ties, assert_tied, trainable_variables, keras_tied.variables]
)
def test_what_is_no_layer_is_refused(function):
    with pytest.raises(ValueError, match="takes Keras models or layers; received 3"):
        function(3)


def test_variables_are_listed_once_in_their_order():
    encoder, decoder = halves()
    found = trainable_variables(encoder, decoder, join(encoder, decoder))
    kernel, bias = encoder.trainable_variables
    assert [id(v) for v in found] == [
        id(kernel),
        id(bias),
        id(decoder.get_layer("out_0").bias),
    ]


def test_a_loop_over_all_variables_moves_each_once():
    encoder, decoder = halves()
    before = [variable.numpy().copy() for variable in encoder.weights]
    for variable in keras_tied.variables(encoder, decoder):
        variable.assign(variable + 1)
    for variable, value in zip(encoder.weights, before, strict=True):
        np.testing.assert_allclose(variable.numpy(), value + 1, atol=1e-6)


def test_the_names_are_in_the_package():
    names = ("ties", "assert_tied", "retie", "trainable_variables", "variables")
    assert all(
        getattr(keras_tied, name) is getattr(keras_tied.layers, name) for name in names
    )


def test_a_decoder_trained_by_itself_is_not_warned_of():
    _, decoder = halves()
    decoder.compile("sgd", "mse")
    decoder.fit(X[:, :3], X, verbose=0)
    decoder.train_on_batch(X[:, :3], X)
