"""The encoder and the decoder of a tied model, each used as a model of its own."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import keras_tied

from .cases import (
    CASES,
    Case,
    find,
    kernel_variable,
    outputs,
    parameters,
    select,
    steps,
    train,
    weights,
)
from .test_files import times_held

HALVES = [case for case in CASES if case.topology.halves]
MODELS = [case for case in HALVES if case.topology.name != "made_of_layers"]


@pytest.fixture(params=parameters(MODELS))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> keras.Model:
    return case.build()


@pytest.fixture
def decoder(model: keras.Model) -> keras.Model:
    return half(model, "decoder")


def half(model: keras.Model, name: str) -> keras.Model:
    (found,) = (layer for layer in model.layers if layer.name == name)
    return found


def codes(decoder: keras.Model, seed: int = 6) -> np.ndarray:
    return (
        np.random.default_rng(seed)
        .normal(size=(5, *decoder.input_shape[1:]))
        .astype("float32")
    )


def wanted(decoder: keras.Model) -> np.ndarray:
    return (
        np.random.default_rng(7)
        .normal(size=(5, *decoder.output_shape[1:]))
        .astype("float32")
    )


def loaded(model: keras.Model, folder: Path) -> keras.Model:
    model.save(folder / "half.keras")
    return keras.saving.load_model(folder / "half.keras")


def untied(case: Case) -> list[str]:
    ties = dict(case.topology.ties)
    return sorted(set(ties.values()) - set(ties))


def test_encoder_saved_alone_gives_the_same_codes(case, model, tmp_path):
    encoder = half(model, "encoder")
    (found,) = outputs(loaded(encoder, tmp_path), case.inputs())
    np.testing.assert_allclose(found, *outputs(encoder, case.inputs()), atol=1e-6)


def test_encoder_trained_alone_changes_what_the_decoder_computes(case, model, decoder):
    encoder, (before,) = half(model, "encoder"), outputs(decoder, codes(decoder))
    train(encoder, case.inputs(), outputs(encoder, case.inputs())[0] + 1)
    assert not np.allclose(before, *outputs(decoder, codes(decoder)))


def test_decoder_saved_alone_gives_the_same_outputs(decoder, tmp_path):
    (found,) = outputs(loaded(decoder, tmp_path), codes(decoder))
    np.testing.assert_allclose(found, *outputs(decoder, codes(decoder)), atol=1e-6)


def test_decoder_saved_while_its_model_is_at_work_gives_the_same_outputs(
    case, model, decoder, tmp_path
):
    class Saving(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            decoder.save(tmp_path / "half.keras")

    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.fit(case.inputs(), case.targets(), callbacks=[Saving()], verbose=0)
    (found,) = outputs(keras.saving.load_model(tmp_path / "half.keras"), codes(decoder))
    np.testing.assert_allclose(found, *outputs(decoder, codes(decoder)), atol=1e-6)


def test_file_of_the_decoder_alone_holds_each_kernel_once(
    case, model, decoder, tmp_path
):
    decoder.save(tmp_path / "half.keras")
    kernels = [kernel_variable(find(model, name)) for name in untied(case)]
    assert [times_held(kernel, tmp_path / "half.keras") for kernel in kernels] == [
        1
    ] * len(kernels)


def test_decoder_saved_alone_twice_gives_the_same_outputs(decoder, tmp_path):
    (found,) = outputs(loaded(loaded(decoder, tmp_path), tmp_path), codes(decoder))
    np.testing.assert_allclose(found, *outputs(decoder, codes(decoder)), atol=1e-6)


def test_decoder_loaded_alone_lists_the_variables_that_the_decoder_lists(
    decoder, tmp_path
):
    found = loaded(decoder, tmp_path)
    names = [variable.name for variable in decoder.trainable_variables]
    assert [variable.name for variable in found.trainable_variables] == names


def test_training_the_loaded_decoder_leaves_the_model_alone(model, decoder, tmp_path):
    found, before = loaded(decoder, tmp_path), weights(model)
    train(found, codes(found), wanted(found))
    for pair in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(*pair)


def test_decoder_trained_alone_trains_the_kernels_of_the_encoder(case, model, decoder):
    kernels = [kernel_variable(find(model, name)) for name in untied(case)]
    before = [kernel.numpy().copy() for kernel in kernels]
    train(decoder, codes(decoder), wanted(decoder))
    assert all(
        np.any(pair[0].numpy() != pair[1]) for pair in zip(kernels, before, strict=True)
    )


@pytest.mark.parametrize(
    "case",
    parameters(
        [
            *select("nested"),
            *select("deep", "made_of_models", "chain_nested", family="Dense"),
        ]
    ),
)
def test_decoder_predicts_with_the_kernel_of_the_last_training(case, model, decoder):
    decoder.predict(codes(decoder), verbose=0)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(case.inputs(), case.targets(), verbose=0)
    found = decoder.predict(codes(decoder), verbose=0)
    np.testing.assert_allclose(found, *outputs(decoder, codes(decoder)), atol=1e-5)


@pytest.mark.parametrize(
    "case", parameters(select("nested", "deep", "chain_nested", family="Dense"))
)
def test_loaded_decoder_predicts_with_the_kernel_of_the_last_training(
    decoder, tmp_path
):
    found = loaded(decoder, tmp_path)
    found.predict(codes(found), verbose=0)
    found.compile(keras.optimizers.SGD(0.1), "mse")
    found.fit(codes(found), wanted(found), verbose=0)
    predicted = found.predict(codes(found), verbose=0)
    np.testing.assert_allclose(predicted, *outputs(found, codes(found)), atol=1e-5)


@pytest.mark.parametrize(
    "case", parameters(select("nested", "deep", "chain_nested", "two_on_one_nested"))
)
def test_decoder_goes_on_training_after_loading_as_if_it_had_not_stopped(
    decoder, tmp_path
):
    data = codes(decoder), wanted(decoder)
    decoder.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=True)
    steps(decoder, data)
    found = loaded(decoder, tmp_path)
    for one in (decoder, found):
        steps(one, data)
    for pair in zip(weights(found), weights(decoder), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-6)


@pytest.mark.parametrize("case", parameters(select("nested", "deep", "made_of_models")))
def test_rebuilt_decoder_trains_as_the_decoder_does(case, model, decoder):
    rebuilt = keras.models.clone_model(model)
    rebuilt(case.inputs())
    rebuilt.set_weights(model.get_weights())
    both = decoder, half(rebuilt, "decoder")
    for one in both:
        one.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
        steps(one, (codes(decoder), wanted(decoder)))
    for pair in zip(weights(both[0]), weights(both[1]), strict=True):
        np.testing.assert_allclose(*pair, atol=1e-6)


def test_weights_of_the_decoder_load_into_a_freshly_built_one(case, decoder, tmp_path):
    decoder.save_weights(tmp_path / "half.weights.h5")
    fresh = half(case.build(seed=5), "decoder")
    fresh.load_weights(tmp_path / "half.weights.h5")
    np.testing.assert_allclose(
        *outputs(fresh, codes(fresh)), *outputs(decoder, codes(decoder)), atol=1e-6
    )


def test_clone_of_the_decoder_without_its_encoder_is_an_error_not_a_copy(case, decoder):
    cloned = keras.models.clone_model(decoder)
    with pytest.raises(ValueError, match="no such layer was found") as error:
        cloned(codes(decoder))
    assert any(f"'{tied}'" in str(error.value) for tied, _ in case.topology.ties)
    assert any(f"'{partner}'" in str(error.value) for partner in untied(case))


def test_clone_of_a_decoder_loaded_alone_has_a_kernel_of_its_own(decoder, tmp_path):
    original = loaded(decoder, tmp_path)
    cloned, before = keras.models.clone_model(original), weights(original)
    train(cloned, codes(cloned), wanted(cloned))
    for pair in zip(weights(original), before, strict=True):
        np.testing.assert_array_equal(*pair)


@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_halves_saved_apart_are_tied_when_they_are_joined(case, model, tmp_path):
    encoder, decoder = (
        loaded(half(model, name), tmp_path) for name in ("encoder", "decoder")
    )
    inputs = encoder.inputs[0]
    outputs(keras.Model(inputs, decoder(encoder(inputs))), case.inputs())
    assert find(decoder, "out").tied_to is find(encoder, "code")


@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_halves_saved_at_two_times_and_joined_warn_that_they_are_not_tied(
    case, model, tmp_path
):
    encoder = loaded(half(model, "encoder"), tmp_path)
    kernel = kernel_variable(find(model, "code"))
    kernel.assign(2 * kernel.value)
    decoder = loaded(half(model, "decoder"), tmp_path)
    inputs = encoder.inputs[0]
    with pytest.warns(
        UserWarning, match="'out' .* not tied to 'code', which now stands before it"
    ):
        outputs(keras.Model(inputs, decoder(encoder(inputs))), case.inputs())


@pytest.mark.filterwarnings("ignore:.* not tied to 'code'")
@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
@pytest.mark.parametrize("kind", ["model", "sequential", "autoencoder"])
@pytest.mark.parametrize("method", ["fit", "predict", "evaluate", "train_on_batch"])
def test_halves_that_carry_other_numbers_work_side_by_side(
    case, model, tmp_path, kind, method
):
    """Keras's JAX trainer takes the numbers away while it runs, and they cannot be
    compared.
    """
    encoder = loaded(half(model, "encoder"), tmp_path)
    kernel = kernel_variable(find(model, "code"))
    kernel.assign(2 * kernel.value)
    decoder = loaded(half(model, "decoder"), tmp_path)
    x = case.inputs()
    if kind == "sequential":
        joined = keras.Sequential(
            [keras.Input(encoder.input_shape[1:]), encoder, decoder]
        )
    elif kind == "model":
        joined = keras.Model(encoder.inputs[0], decoder(encoder(encoder.inputs[0])))
    else:
        joined = keras_tied.Autoencoder(encoder, decoder)
    joined.compile("sgd", "mse")
    expected = decoder.predict(encoder.predict(x, verbose=0), verbose=0)
    for _ in range(2):
        targets = () if method == "predict" else (expected,)
        settings = {} if method == "train_on_batch" else {"verbose": 0}
        getattr(joined, method)(x, *targets, **settings)
    assert find(decoder, "out").tied_to is not find(encoder, "code")


@pytest.mark.filterwarnings("ignore:.* not tied to 'code'")
@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_a_decoder_loaded_alone_and_frozen_does_not_train(case, model, tmp_path):
    decoder = loaded(half(model, "decoder"), tmp_path)
    decoder.trainable = False
    encoder = keras.models.clone_model(half(model, "encoder"))
    joined = keras.Model(encoder.inputs[0], decoder(encoder(encoder.inputs[0])))
    joined.compile("sgd", "mse")
    kernel = np.array(find(decoder, "out").kernel)
    x = case.inputs()
    joined.fit(x, joined.predict(x, verbose=0) + 1, epochs=2, verbose=0)
    np.testing.assert_array_equal(np.array(find(decoder, "out").kernel), kernel)
    assert {id(v) for v in joined.trainable_variables} == {
        id(v) for v in encoder.variables
    }
    again = loaded(joined, tmp_path)
    assert len(again.trainable_variables) == len(encoder.variables)
    decoder.trainable = True
    assert len(joined.trainable_variables) > len(encoder.variables)


@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_decoder_loaded_alone_beside_another_encoder_does_not_warn(
    case, model, tmp_path
):
    decoder = loaded(half(model, "decoder"), tmp_path)
    rows, coded = (
        keras.Input(model.input_shape[1:]),
        keras.Input(decoder.input_shape[1:]),
    )
    beside = keras.Model([rows, coded], [model(rows), decoder(coded)])
    outputs(beside, [case.inputs()[:5], codes(decoder)])


@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
@pytest.mark.xfail(
    reason="Keras builds the optimizer of an inner model before the outer is there"
)
def test_decoder_compiled_for_itself_goes_on_training_in_a_loaded_model(
    model, decoder, tmp_path
):
    decoder.compile(keras.optimizers.Adam(0.05), "mse", run_eagerly=True)
    steps(decoder, (codes(decoder), wanted(decoder)))
    found = half(loaded(model, tmp_path), "decoder")
    steps(found, (codes(decoder), wanted(decoder)))


@pytest.mark.parametrize("case", parameters(select("nested")))
def test_penalty_on_the_kernel_counts_once_in_the_decoder_alone(model, decoder):
    kernel = kernel_variable(find(model, "code"))
    kernel.regularizer = keras.regularizers.L2(0.5)
    assert len(decoder.losses) == 1


def summary(model: Any) -> str:
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=78)
    return "\n".join(printed)


def test_summary_of_the_decoder_alone_counts_the_kernels_once(decoder):
    total = sum(int(np.prod(variable.shape)) for variable in decoder.weights)
    assert f"Total params: {total} " in summary(decoder)


@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_the_weights_of_a_half_leave_the_bias_of_the_other_as_it_is(
    case, model, tmp_path
):
    decoder, path = half(model, "decoder"), tmp_path / "decoder.weights.h5"
    decoder.save_weights(path)
    code, expected = find(model, "code"), np.array(find(model, "code").kernel)
    for variable in code.variables:
        variable.assign(variable * 0 + 7)
    decoder.load_weights(path)
    np.testing.assert_array_equal(np.array(code.kernel), expected)
    assert (np.array(code.bias) == 7).all()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's checkpoints"
)
@pytest.mark.parametrize("case", parameters(select("nested", family="Dense")))
def test_a_checkpoint_of_a_decoder_holds_its_kernel(case, model, tmp_path):
    import tensorflow as tf

    decoder = half(model, "decoder")
    expected = outputs(decoder, codes(decoder))
    path = tf.train.Checkpoint(decoder=decoder).save(tmp_path / "checkpoint")
    for variable in model.variables:
        variable.assign(variable * 0)
    tf.train.Checkpoint(decoder=decoder).restore(path).assert_consumed()
    np.testing.assert_array_equal(*outputs(decoder, codes(decoder)), *expected)
