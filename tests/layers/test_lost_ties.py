"""What used to untie a layer, or to tie it to another one's kernel, without a word."""

import copy
import gc
import pickle
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_tied import retie, tie, trainable_variables
from keras_tied.layers import TiedDense
from keras_tied.layers._partner import survey

X = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
AVERAGE = keras.layers.Average


def halves(name: str = "code") -> tuple[keras.Model, keras.Model]:
    inputs, codes = keras.Input((6,)), keras.Input((3,))
    code = keras.layers.Dense(3, name=name)
    encoder = keras.Model(inputs, code(inputs), name="encoder")
    return encoder, keras.Model(
        codes, TiedDense(code, name="out")(codes), name="decoder"
    )


def join(encoder: keras.Model, decoder: keras.Model) -> keras.Model:
    inputs = keras.Input((6,))
    return keras.Model(inputs, decoder(encoder(inputs)))


def flat() -> keras.Model:
    inputs = keras.Input((6,))
    code = keras.layers.Dense(3, name="code")
    return keras.Model(inputs, TiedDense(code, name="out")(code(inputs)))


def encode(layer: keras.layers.Layer, x: np.ndarray = X) -> np.ndarray:
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def expected(encoder: keras.layers.Layer, decoder: keras.layers.Layer) -> np.ndarray:
    return encode(encoder) @ encoder.kernel.numpy().T + decoder.bias.numpy()


def assert_close(found, wanted) -> None:
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(found), keras.ops.convert_to_numpy(wanted), atol=1e-5
    )


def renamed(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    return type(layer).from_config({**config, "name": config["name"] + "_copy"})


def saved(model: keras.Model, folder: Path, name: str = "m.keras") -> keras.Model:
    model.save(folder / name)
    return keras.saving.load_model(folder / name)


# 1. Clones with other names


def test_a_renamed_clone_beside_its_original_uses_its_own_kernel(tmp_path):
    original = flat()
    clone = keras.models.clone_model(original, clone_function=renamed)
    clone.name = "clone"
    inputs = keras.Input((6,))
    both = keras.Model(
        inputs,
        [
            original(inputs),
            clone(inputs),
        ],
    )
    wanted = [
        expected(original.get_layer("code"), original.get_layer("out")),
        expected(clone.get_layer("code_copy"), clone.get_layer("out_copy")),
    ]
    for model in (both, saved(both, tmp_path)):
        for found, right in zip(model.predict(X, verbose=0), wanted, strict=True):
            assert_close(found, right)


def test_a_renamed_clone_alone_uses_its_own_kernel():
    clone = keras.models.clone_model(flat(), clone_function=renamed)
    assert_close(
        clone.predict(X, verbose=0),
        expected(clone.get_layer("code_copy"), clone.get_layer("out_copy")),
    )


def test_a_layer_renamed_after_it_was_cloned_is_tied():
    clone = keras.models.clone_model(flat())
    code = clone.get_layer("code")
    code.name = "other"
    assert clone.get_layer("out").tied_to is code


# 2. Several halves in one pickle or deep copy


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize(
    "container", [tuple, list, lambda pair: dict(zip("ed", pair, strict=True))]
)
def test_halves_copied_in_one_container_are_tied_when_joined(copied, container):
    original = halves()
    found = copied(container(original))
    encoder, decoder = found.values() if isinstance(found, dict) else found
    assert_close(
        join(encoder, decoder).predict(X, verbose=0),
        join(*original).predict(X, verbose=0),
    )
    assert decoder.get_layer("out").tied_to is encoder.get_layer("code")


def test_decoders_of_one_encoder_copied_in_one_list_are_tied_when_joined():
    code = keras.layers.Dense(3, name="code")
    inputs, codes = keras.Input((6,)), keras.Input((3,))
    encoder = keras.Model(inputs, code(inputs))
    decoders = [
        keras.Model(codes, TiedDense(code, name=n)(codes)) for n in ("one", "two")
    ]
    encoder, first, second = copy.deepcopy([encoder, *decoders])
    codes = encoder(inputs)
    keras.Model(inputs, [first(codes), second(codes)]).predict(X, verbose=0)
    for decoder, name in ((first, "one"), (second, "two")):
        assert decoder.get_layer(name).tied_to is encoder.get_layer("code")


# 3. Halves saved in two files


class Joined(keras.Model):
    def __init__(self, encoder: keras.Model, decoder: keras.Model) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def call(self, x):
        return self.decoder(self.encoder(x))


def load_apart(folder: Path, change: float = 1.0) -> tuple[keras.Model, keras.Model]:
    encoder, decoder = halves()
    decoder = saved(decoder, folder)
    kernel = encoder.get_layer("code").kernel
    kernel.assign(kernel.numpy() * change)
    return saved(encoder, folder), decoder


def test_halves_of_two_files_in_a_subclass_are_tied(tmp_path):
    encoder, decoder = load_apart(tmp_path)
    Joined(encoder, decoder)(X)
    assert decoder.get_layer("out").tied_to is encoder.get_layer("code")


def test_halves_of_two_files_with_other_numbers_warn_in_a_subclass(tmp_path):
    with pytest.warns(UserWarning, match="'out' .* not tied to 'code'"):
        Joined(*load_apart(tmp_path, 2.0))(X)


def step(encoder: keras.Model, decoder: keras.Model) -> None:
    """A step of a loop without a model around the halves, as each backend has it."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((decoder(encoder(X)) - X) ** 2)
        tape.gradient(loss, trainable_variables(encoder, decoder))
    elif backend == "torch":
        import torch

        loss = (
            (decoder(encoder(X)) - torch.as_tensor(X).to(keras.ops.zeros(1).device))
            ** 2
        ).mean()
        loss.backward()
    else:
        import jax

        def loss(values):
            found, _ = decoder.stateless_call(values, [], encoder(X))
            return ((found - X) ** 2).mean()

        jax.grad(loss)([variable.value for variable in decoder.trainable_variables])


def test_halves_tied_again_do_not_warn_in_a_loop_of_ones_own(tmp_path):
    encoder, decoder = load_apart(tmp_path, 2.0)
    retie(decoder, encoder)
    assert decoder.get_layer("out").tied_to is encoder.get_layer("code")
    if (
        keras.backend.backend() != "jax"
    ):  # where the lists of variables are in the step itself
        step(encoder, decoder)


def test_a_decoder_loaded_alone_predicts_without_a_word(tmp_path):
    encoder, decoder = load_apart(tmp_path)
    codes = encoder.predict(X, verbose=0)
    assert_close(decoder.predict(codes, verbose=0), decoder(codes))


# 4. Both halves' lists in a row


def test_the_variables_of_both_halves_move_once_a_step():
    encoder, decoder = halves()
    variables = trainable_variables(encoder, decoder)
    kernel = encoder.get_layer("code").kernel
    assert [variable is kernel for variable in variables].count(True) == 1
    before = kernel.numpy()
    keras.optimizers.SGD(1.0).apply(
        [keras.ops.ones(v.shape) for v in variables], variables
    )
    assert_close(kernel.numpy(), before - 1)


# 5. PyTorch's own lists


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a list of PyTorch's")
@pytest.mark.parametrize(
    "copied", [lambda model, folder: model, saved], ids=["original", "loaded"]
)
def test_pytorch_lists_the_kernel_among_the_parameters_of_a_decoder(copied, tmp_path):
    model = copied(join(*halves()), tmp_path)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    kernel = encoder.get_layer("code").kernel.value
    for module in (model, decoder, decoder.get_layer("out")):
        assert [parameter is kernel for parameter in module.parameters()].count(
            True
        ) == 1
    assert set(decoder.get_layer("out").state_dict()) == {
        "_torch_params.out/bias",
        "_torch_params.code/kernel",
    }


# 7. What a caller has given up


def test_a_clone_and_a_save_keep_nothing_of_the_caller_alive(tmp_path):
    class Large:
        pass

    def work() -> bool:
        large = Large()
        alive = weakref.ref(large)
        saved(keras.models.clone_model(join(*halves())), tmp_path).predict(X, verbose=0)
        del large
        gc.collect()
        return alive() is not None

    assert not work()


# 8. and 9. Layers of one name and one shape


def test_ties_to_the_projections_of_two_attention_blocks_stay_apart(tmp_path):
    inputs = keras.Input((5, 6))
    x = inputs
    blocks = [
        keras.layers.MultiHeadAttention(2, 3, name=f"block_{i}") for i in range(2)
    ]
    for block in blocks:
        x = block(x, x)
    heads = keras.layers.Reshape((5, 2, 3))(x)
    y = [
        tie(block.query_dense, name=f"tied_{i}")(heads)
        for i, block in enumerate(blocks)
    ]
    model = keras.Model(inputs, y)
    wanted = model.predict(np.stack([X[:, :5]] * 6, -1), verbose=0)
    found = saved(model, tmp_path)
    for pair in zip(
        found.predict(np.stack([X[:, :5]] * 6, -1), verbose=0), wanted, strict=True
    ):
        assert_close(*pair)
    for copied in (found, keras.models.clone_model(model)):
        for i in range(2):
            block = copied.get_layer(f"block_{i}")
            assert copied.get_layer(f"tied_{i}").tied_to is block.query_dense


def test_decoders_of_an_encoder_and_of_its_clone_in_one_model_stay_apart(tmp_path):
    encoder, decoder = halves()
    clone, codes = keras.models.clone_model(encoder), keras.Input((3,))
    clone.name = "clone"
    other = keras.Model(
        codes, TiedDense(clone.get_layer("code"), name="out")(codes), name="other"
    )
    inputs = keras.Input((6,))
    model = keras.Model(inputs, [decoder(encoder(inputs)), other(clone(inputs))])
    for copied in (model, saved(model, tmp_path), keras.models.clone_model(model)):
        for encoder, decoder in (("encoder", "decoder"), ("clone", "other")):
            code = copied.get_layer(encoder).get_layer("code")
            assert copied.get_layer(decoder).get_layer("out").tied_to is code


# 10. A class of the user's own


class Halved(keras.layers.Conv2D):
    def __init__(self, *args, halve=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.halve = halve

    def get_config(self):
        return {**super().get_config(), "halve": self.halve}


def test_a_tie_to_an_unregistered_class_is_cloned():
    inputs = keras.Input((8, 8, 2))
    layer = Halved(3, 3, strides=2, padding="same", name="conv")
    model = keras.Model(inputs, tie(layer, name="back")(layer(inputs)))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 2)).astype("float32")
    assert clone.get_layer("back").tied_to is clone.get_layer("conv")
    assert_close(clone.predict(x, verbose=0), model.predict(x, verbose=0))


class Late(keras.layers.Layer):
    """Has a kernel only once it is built."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 3), name="kernel")

    def call(self, x):
        return x @ self.kernel


def test_a_layer_that_gets_its_kernel_after_it_was_first_looked_at_is_found():
    late = Late(name="late")
    model = Joined(late, TiedDense(late, name="out"))
    assert late not in survey(model).whole.kernels
    model(X)
    assert late in survey(model).whole.kernels


# 11. The old format of files


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.filterwarnings("ignore:.*legacy:UserWarning")
def test_a_decoder_alone_in_the_old_format_gives_the_same(tmp_path):
    _, decoder = halves()
    codes = X[:, :3]
    assert_close(
        saved(decoder, tmp_path, "m.h5").predict(codes, verbose=0), decoder(codes)
    )


# 14. A stranger's encoder


def test_a_cloned_decoder_says_so_when_it_is_tied_by_name():
    decoder = keras.models.clone_model(halves()[1])
    stranger, _ = halves()
    with pytest.warns(UserWarning, match="'out' was copied without 'code'.*'code'"):
        join(stranger, decoder).predict(X, verbose=0)
