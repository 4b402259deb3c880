"""What a tied layer says where it cannot be tied. Each message names both layers."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_tied.layers import TiedDense

from .cases import find, outputs

ROWS = np.ones((2, 3), "float32")


def dense(name: str = "code", features: int = 4, units: int = 3) -> layers.Dense:
    layer = layers.Dense(units, name=name)
    layer.build((None, features))
    return layer


@pytest.mark.parametrize(
    "given", ["code", None, 3, ROWS], ids=lambda given: type(given).__name__
)
def test_tied_to_something_else_than_a_layer(given):
    with pytest.raises(
        ValueError, match="TiedDense 'out' can be tied to a Keras layer; received"
    ):
        TiedDense(given, name="out")


def test_tied_to_a_layer_without_a_kernel():
    with pytest.raises(
        ValueError, match=r"'out' cannot be tied to 'drop' .Dropout., which has no"
    ):
        TiedDense(layers.Dropout(0.5, name="drop"), name="out")


def test_tied_to_a_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)], name="encoder")
    with pytest.raises(
        ValueError, match=r"'out' cannot be tied to 'encoder' .Sequential., which"
    ):
        TiedDense(model, name="out")


def test_tied_to_a_wrapper_instead_of_the_layer_in_it():
    wrapper = layers.TimeDistributed(layers.Dense(3), name="wrapper")
    wrapper.build((None, 2, 4))
    with pytest.raises(
        ValueError, match=r"'out' cannot be tied to 'wrapper' .TimeDistributed."
    ):
        TiedDense(wrapper, name="out")


def test_built_before_the_layer_tied_to():
    tied = TiedDense(layers.Dense(3, name="code"), name="out")
    with pytest.raises(
        ValueError, match=r"'out' is tied to 'code' .*build or call 'code' before"
    ):
        tied(ROWS)


def test_works_once_the_layer_tied_to_is_built():
    code = layers.Dense(3)
    tied = TiedDense(code)
    code.build((None, 4))
    (found,) = outputs(tied, ROWS)
    np.testing.assert_allclose(found, ROWS @ code.kernel.numpy().T, atol=1e-6)


def test_works_once_both_are_built_after_a_failed_try():
    code = layers.Dense(3, name="code")
    tied = TiedDense(code, name="out")
    with pytest.raises(ValueError, match="has no kernel yet"):
        tied(ROWS)
    code.build((None, 4))
    (found,) = outputs(tied, ROWS)
    np.testing.assert_allclose(found, ROWS @ code.kernel.numpy().T, atol=1e-6)


def test_tied_to_an_unbuilt_layer_that_never_has_a_kernel():
    norm = layers.BatchNormalization(name="norm")
    tied = TiedDense(norm, name="out")
    norm.build((None, 3))
    with pytest.raises(
        ValueError, match=r"'out' is tied to 'norm' .BatchNormalization."
    ):
        tied(ROWS)


def test_tied_to_a_kernel_of_three_axes():
    conv = layers.Conv1D(3, 2, name="conv")
    conv.build((None, 5, 4))
    with pytest.raises(
        ValueError, match=r"'out' is tied to 'conv', whose kernel has shape .2, 4"
    ):
        TiedDense(conv, name="out")(ROWS)


@pytest.mark.parametrize(("transpose", "width"), [(True, 3), (False, 4)])
def test_inputs_that_do_not_fit(transpose, width):
    tied = TiedDense(dense(), transpose=transpose, name="out")
    with pytest.raises(
        ValueError,
        match=(
            rf"'out' is tied to 'code', .* inputs whose last axis is {width}.*\(2, 5\)"
        ),
    ):
        tied(np.ones((2, 5), "float32"))


def test_inputs_that_do_not_fit_after_the_layer_was_built():
    tied = TiedDense(dense(), name="out")
    tied(ROWS)
    with pytest.raises(ValueError, match="layer 'out'"):
        tied(np.ones((2, 5), "float32"))


def test_rebuilt_layer_whose_partner_is_not_in_the_model():
    inputs = keras.Input((3,))
    tied = TiedDense(dense("elsewhere"), name="out")
    model = keras.Model(inputs, tied(inputs), name="decoder")
    cloned = keras.models.clone_model(model)
    with pytest.raises(
        ValueError,
        match=r"'out' is tied to layer 'elsewhere' .* no such layer was found in 'dec",
    ):
        cloned(ROWS)


def test_rebuilt_layer_called_on_its_own():
    tied = TiedDense(dense(), name="out")
    rebuilt = TiedDense.from_config(tied.get_config())
    with pytest.raises(
        ValueError, match=r"'out' is tied to layer 'code' .* in the graph around"
    ):
        rebuilt(ROWS)


def test_configuration_that_ties_a_layer_to_itself():
    config = TiedDense(dense("out"), name="out").get_config()
    inputs = keras.Input((3,))
    rebuilt = TiedDense.from_config(config)
    model = keras.Model(inputs, rebuilt(inputs))
    with pytest.raises(
        ValueError, match=r"'out' is tied to layer 'out' .* no such layer was found"
    ):
        model(ROWS)


def test_namesake_with_a_kernel_of_another_shape_is_not_taken():
    tied = TiedDense(dense(), name="out")
    rebuilt = TiedDense.from_config(tied.get_config())
    other = layers.Dense(3, name="code")
    inputs = keras.Input((9,))
    model = keras.Model(inputs, rebuilt(other(inputs)))
    with pytest.raises(
        ValueError, match=r"kernel of shape \(4, 3\), and no such layer was found"
    ):
        model(np.ones((2, 9), "float32"))


def test_two_namesakes_around_a_rebuilt_layer():
    rebuilt = TiedDense.from_config(TiedDense(dense(), name="out").get_config())
    inputs = keras.Input((4,))
    branches = [
        keras.Model(inputs, layers.Dense(3, name="code")(inputs)) for _ in range(2)
    ]
    code = layers.add([branch(inputs) for branch in branches])
    with pytest.raises(
        ValueError,
        match=r"'out' was copied without 'code'.*, and 2 layers of that name",
    ):
        keras.Model(inputs, rebuilt(code))(np.ones((2, 4), "float32"))


def test_failed_call_leaves_nothing_of_it_to_later_calls():
    rebuilt = TiedDense.from_config(TiedDense(dense(), name="out").get_config())
    inputs = keras.Input((4,))
    branches = [
        keras.Model(inputs, layers.Dense(3, name="code")(inputs)) for _ in range(2)
    ]
    code = rebuilt(layers.add([branch(inputs) for branch in branches]))
    # PyTorch's models ask for their weights as soon as they are made.
    with pytest.raises(ValueError, match="2 layers of that name"):
        keras.Model(inputs, code)(np.ones((2, 4), "float32"), training=True)
    layers.Dropout(0.5)(ROWS, training=True)
    np.testing.assert_array_equal(*outputs(layers.Dropout(0.5), ROWS), ROWS)


def test_nearer_namesake_when_a_configuration_is_made():
    far = dense()
    inputs = keras.Input((4,))
    near = layers.Dense(3, name="code")
    model = keras.Model(inputs, TiedDense(far, name="out")(near(inputs)))
    with pytest.raises(
        ValueError,
        match=r"'out' is tied to layer 'code', and .* holds another layer of that name",
    ):
        model.get_config()


def test_copy_is_not_tied_to_the_original_that_is_at_work_around_it():
    """A function that has the whole model as its argument must not lend it to a loose
    copy.
    """

    def copy_and_call(model: keras.Model) -> None:
        keras.models.clone_model(find(model, "decoder"))(ROWS)

    code, inputs, hidden = (
        layers.Dense(3, name="code"),
        keras.Input((4,)),
        keras.Input((3,)),
    )
    encoded = code(inputs)
    decoder = keras.Model(hidden, TiedDense(code, name="out")(hidden), name="decoder")
    with pytest.raises(ValueError, match="no such layer was found"):
        copy_and_call(keras.Model(inputs, decoder(encoded)))


@pytest.mark.parametrize(
    "place",
    [
        {},
        "inside",
        {"inside": [1, 2, 3], "upstream": None},
        {"inside": [1, -2, 3, 4], "upstream": None},
        {"inside": [1, 2, 3, 4], "upstream": ["a"] * 4},
    ],
    ids=str,
)
def test_place_that_is_no_place(place):
    config = {**TiedDense(dense(), name="out").get_config(), "place": place}
    with pytest.raises(ValueError, match="two lists of four counts; received"):
        TiedDense.from_config(config)


def test_place_beyond_the_model_is_no_place_in_it():
    inputs = keras.Input((4,))
    code = layers.Dense(3, name="code")
    model = keras.Model(inputs, TiedDense(code, name="out")(code(inputs)))
    config = model.get_config()
    place = {"inside": [10**30] * 4, "upstream": [1, 0, 10**12, 0]}
    config["layers"][-1]["config"]["place"] = place
    with pytest.raises(
        ValueError, match=r"'out' is tied to .* and no such layer was found"
    ):
        keras.Model.from_config(config)(np.ones((2, 4), "float32"))


def test_a_copy_of_other_widths_names_both_kernels():
    inputs, code = keras.Input((6,)), keras.layers.Dense(4, name="code")
    out = TiedDense(code, name="out")
    model = keras.Model(inputs, keras.layers.Dense(1)(out(code(inputs))), name="whole")
    other = keras.models.clone_model(model, input_tensors=keras.Input((9,)))
    message = (
        r"'out' was made for a kernel of shape \(6, 4\), and 'code', .* \(9, 4\) in"
        r" 'whole': .*tie"
    )
    with pytest.raises(ValueError, match=message):
        other(np.zeros((2, 9), "float32"))


def test_a_layer_that_was_copied_attribute_by_attribute_is_an_error():
    out = object.__new__(TiedDense)  # as nnx.clone does
    vars(out).update(vars(TiedDense(keras.layers.Dense(4), name="out")))
    with pytest.raises(
        ValueError, match=r"'out' was copied attribute by attribute, .*clone_model"
    ):
        out.tied_to  # noqa: B018
