"""The tie contract: what holds for every tied layer, whatever is done
with its model.
"""

import copy
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from .cases import (
    CASES,
    Case,
    arrays,
    find,
    kernel_variable,
    outputs,
    parameters,
    select,
    train,
    weights,
)


def through_file(model: keras.Model, folder: Path) -> keras.Model:
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def through_deepcopy(model: keras.Model, folder: Path) -> keras.Model:
    return copy.deepcopy(model)


def through_pickle(model: keras.Model, folder: Path) -> keras.Model:
    return pickle.loads(pickle.dumps(model))


def through_config(model: keras.Model, folder: Path) -> keras.Model:
    return type(model).from_config(model.get_config())


def through_json(model: keras.Model, folder: Path) -> keras.Model:
    return keras.models.model_from_json(model.to_json())


def cloned(model: keras.Model, folder: Path) -> keras.Model:
    return keras.models.clone_model(model)


slow = pytest.mark.slow
KEEPING = [through_file, pytest.param(through_deepcopy, marks=slow), through_pickle]
"""Ways of copying a model with its weights."""
REBUILDING = [
    pytest.param(through_config, marks=slow),
    pytest.param(through_json, marks=slow),
    cloned,
]
"""Ways of copying a model without its weights."""
COPYING = [*KEEPING, *REBUILDING]


@pytest.fixture(params=parameters(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def model(case: Case) -> keras.Model:
    return case.build()


@pytest.mark.parametrize("make", COPYING)
def test_copy_is_tied_to_a_layer_of_its_own(case, model, make, tmp_path):
    copied = make(model, tmp_path)
    outputs(copied, case.inputs())
    for tied, partner in case.topology.ties:
        assert find(copied, tied).tied_to is find(copied, partner)
        assert find(copied, tied).tied_to is not find(model, partner)


@pytest.mark.parametrize("make", KEEPING)
def test_copy_with_weights_gives_the_same_outputs(case, model, make, tmp_path):
    expected = outputs(model, case.inputs())
    found = outputs(make(model, tmp_path), case.inputs())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("make", REBUILDING)
def test_rebuilt_copy_given_the_weights_gives_the_same_outputs(
    case, model, make, tmp_path
):
    rebuilt = make(model, tmp_path)
    if not rebuilt.built:
        rebuilt(case.inputs())
    rebuilt.set_weights(model.get_weights())
    expected = outputs(model, case.inputs())
    for one, other in zip(outputs(rebuilt, case.inputs()), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [pytest.param(through_pickle, marks=slow), cloned])
def test_training_the_copy_leaves_the_original_alone(case, model, make, tmp_path):
    copied = make(model, tmp_path)
    before = weights(model)
    train(copied, case.inputs(), case.targets())
    for one, other in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", [through_pickle, cloned])
def test_trained_copy_still_reads_the_kernel_of_its_own_layer(
    case, model, make, tmp_path
):
    copied = make(model, tmp_path)
    train(copied, case.inputs(), case.targets())
    tied = [find(copied, name) for name, _ in case.topology.ties]
    assert all(responds(layer) for layer in tied)
    for name in untied(case):
        silence(find(copied, name))
    assert not any(responds(layer) for layer in tied)


def responds(tied: Any) -> bool:
    """Whether the output of a tied layer depends on its input, as it does not without a
    kernel.
    """
    shape = (3, *tied.get_build_config()["input_shape"][1:])
    noise = np.random.default_rng(3).normal(size=shape).astype("float32")
    (varied,), (still,) = outputs(tied, noise), outputs(tied, np.zeros_like(noise))
    return not np.allclose(varied, still, atol=1e-7)


def silence(layer: Any) -> None:
    for variable in layer.weights:
        variable.assign(np.zeros(variable.shape))


@pytest.mark.parametrize("make", COPYING)
@pytest.mark.parametrize(
    "case", parameters(select("functional", "nested", "deep", "in_wrappers"))
)
def test_copy_is_tied_before_its_first_call(case, model, make, tmp_path):
    copied = make(model, tmp_path)
    for tied, partner in case.topology.ties:
        assert find(copied, tied).tied_to is find(copied, partner)


@pytest.mark.parametrize("make", COPYING)
@pytest.mark.parametrize("case", parameters(select("nested", "made_of_models")))
def test_copy_of_a_copy_is_tied_to_a_layer_of_its_own(case, model, make, tmp_path):
    first = make(model, tmp_path)
    second = make(first, tmp_path)
    outputs(second, case.inputs())
    for tied, partner in case.topology.ties:
        assert find(second, tied).tied_to is find(second, partner)
        assert find(second, tied).tied_to is not find(first, partner)


@pytest.mark.parametrize("case", parameters(select("functional", "nested")))
def test_clone_made_with_functions_is_tied_to_a_layer_of_its_own(case, model):
    cloned = keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(layer.get_config()),
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs),
        recursive=True,
    )
    assert find(cloned, "out").tied_to is find(cloned, "code")


@pytest.mark.parametrize("make", [through_file, cloned])
def test_copying_leaves_no_attribute_on_a_layer(case, model, make, tmp_path):
    before = attributes(model)
    copied = make(model, tmp_path)
    outputs(copied, case.inputs())
    assert attributes(model) == before
    assert not any(
        "keras_tied" in name for names in attributes(copied) for name in names
    )


def attributes(model: Any) -> list[set[str]]:
    return [set(vars(layer)) for layer in model._flatten_layers()]


def join(encoder: keras.Model, decoder: keras.Model) -> keras.layers.Layer:
    """The layer that the decoder is tied to, once it stands behind the encoder."""
    keras.Model(encoder.inputs, decoder(encoder.outputs[0]))
    return find(decoder, "out").tied_to


@pytest.mark.parametrize("case", parameters(select("nested")))
def test_halves_cloned_apart_are_tied_when_they_are_joined(case, model):
    encoder, decoder = (
        keras.models.clone_model(model.get_layer(name))
        for name in ("encoder", "decoder")
    )
    with pytest.warns(UserWarning, match="'out' was copied without 'code'"):
        partner = join(encoder, decoder)
    assert partner is find(encoder, "code")


@pytest.mark.parametrize("case", parameters(select("nested")))
def test_two_clones_in_one_model_are_each_tied_to_their_own_layer(case, model):
    first, second = keras.models.clone_model(model), keras.models.clone_model(model)
    inputs = first.inputs[0]
    halves = keras.Model(inputs, first(inputs)), keras.Model(inputs, second(inputs))
    both = keras.Model(inputs, keras.layers.add([half(inputs) for half in halves]))
    outputs(both, case.inputs())
    assert find(first, "out").tied_to is find(first, "code")
    assert find(second, "out").tied_to is find(second, "code")


def test_gradient_is_the_sum_of_all_paths(case, model):
    """Against the slope of the loss along a random direction of each kernel."""
    inputs, targets = case.inputs(), case.targets()
    kernels = [kernel_variable(find(model, name)) for name in untied(case)]
    before = arrays(kernels)
    rng = np.random.default_rng(4)
    directions = [rng.normal(size=kernel.shape).astype("float32") for kernel in kernels]
    slopes = [
        slope(model, *pair, inputs, targets)
        for pair in zip(kernels, directions, strict=True)
    ]

    train(model, inputs, targets, rate=1.0)
    gradients = [
        one - other for one, other in zip(before, arrays(kernels), strict=True)
    ]
    along = [
        np.sum(pair[0] * pair[1]) for pair in zip(gradients, directions, strict=True)
    ]
    np.testing.assert_allclose(along, slopes, rtol=5e-3, atol=5e-3)


def untied(case: Case) -> list[str]:
    """The names of the layers that have a kernel of their own."""
    ties = dict(case.topology.ties)
    return sorted(set(ties.values()) - set(ties))


def slope(model: Any, kernel: Any, direction: Any, inputs: Any, targets: Any) -> float:
    """The derivative of the mean squared error along a direction, by central
    differences.
    """
    value, step = kernel.numpy(), 5e-3
    losses = []
    for sign in (1, -1):
        kernel.assign(value + sign * step * direction)
        losses.append(loss(model, inputs, targets))
    kernel.assign(value)
    return (losses[0] - losses[1]) / (2 * step)


def loss(model: Any, inputs: Any, targets: Any) -> float:
    """The mean squared error, summed over the outputs, in double precision."""
    wanted = targets if isinstance(targets, list) else [targets]
    pairs = zip(outputs(model, inputs), wanted, strict=True)
    return float(
        sum(np.mean((got.astype("float64") - want) ** 2) for got, want in pairs)
    )


COMPILED = [
    *select("functional"),
    *select("nested", "made_of_models", "made_in_init", "in_wrappers", family="Dense"),
]
QUICKLY_COMPILED = [
    *select("functional", "nested", "in_wrappers", family="Dense"),
    *select("functional", family="Conv"),
]


@pytest.mark.parametrize("case", parameters(COMPILED, QUICKLY_COMPILED))
def test_compiled_training_is_eager_training(case):
    compiled, eager = case.build(), case.build()
    data = case.inputs(), case.targets()
    for model, run_eagerly in ((compiled, False), (eager, True)):
        model.compile(
            keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=run_eagerly
        )
        model.fit(*data, epochs=3, shuffle=False, verbose=0)
    for one, other in zip(weights(compiled), weights(eager), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    "case", parameters(select("functional", "nested", "deep", "in_wrappers"))
)
def test_stateless_call_uses_the_kernel_that_it_is_given(case, model):
    other = case.build(seed=9)
    expected = outputs(other, case.inputs())
    values = [
        [variable.value for variable in variables]
        for variables in (other.trainable_variables, other.non_trainable_variables)
    ]
    found, _ = model.stateless_call(*values, case.inputs())
    for one, wanted in zip(arrays(found), expected, strict=True):
        np.testing.assert_allclose(one, wanted, atol=1e-6)


def test_frozen_layer_keeps_its_kernel(case, model):
    for name in untied(case):
        find(model, name).trainable = False
    before = [
        kernel_variable(find(model, name)).numpy().copy() for name in untied(case)
    ]
    train(model, case.inputs(), case.targets())
    for name, value in zip(untied(case), before, strict=True):
        np.testing.assert_array_equal(kernel_variable(find(model, name)).numpy(), value)


def test_frozen_layer_leaves_the_bias_and_gain_of_the_tied_one_trainable(case, model):
    for name in untied(case):
        find(model, name).trainable = False
    own = [
        variable
        for tied, _ in case.topology.ties
        for variable in own_variables(model, tied)
    ]
    before = [variable.numpy().copy() for variable in own]
    train(model, case.inputs(), case.targets())
    assert all(
        np.any(one != variable.numpy())
        for one, variable in zip(before, own, strict=True)
    )


def own_variables(model: keras.Model, tied: str) -> list[Any]:
    layer = find(model, tied)
    return [variable for variable in (layer.bias, layer.gain) if variable is not None]


@pytest.mark.parametrize("case", parameters(select("functional", "nested")))
def test_frozen_tied_layer_keeps_its_bias_and_leaves_the_kernel_trainable(case, model):
    find(model, "out").trainable = False
    kernel, (bias, gain) = (
        kernel_variable(find(model, "code")),
        own_variables(model, "out"),
    )
    before = arrays([kernel, bias, gain])
    train(model, case.inputs(), case.targets())
    pairs = zip(before, arrays([kernel, bias, gain]), strict=True)
    moved = [np.any(one != other) for one, other in pairs]
    assert moved == [True, False, False]


def test_model_lists_every_weight_once(case, model):
    for listed in (model.weights, model.variables, model.trainable_variables):
        assert len({id(variable) for variable in listed}) == len(listed)


def test_parameters_are_those_of_the_layers_tied_to_and_the_own_ones_of_the_tied(
    case, model
):
    kernels = [
        variable for name in untied(case) for variable in find(model, name).weights
    ]
    own = [
        variable
        for tied, _ in case.topology.ties
        for variable in own_variables(model, tied)
    ]
    assert model.count_params() == sum(int(np.prod(v.shape)) for v in [*kernels, *own])


def test_summary_counts_every_weight_once(case, model):
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=78)
    (total,) = (
        line for line in "\n".join(printed).splitlines() if "Total params" in line
    )
    assert (
        int(total.split(":")[1].split("(")[0].replace(",", "")) == model.count_params()
    )


def test_rows_of_the_summary_add_up_to_its_total():
    (case,) = select("nested", family="Dense")
    model, printed = case.build(), []
    model.summary(print_fn=printed.append, line_length=78, expand_nested=True)
    rows = [row.split() for row in printed[0].splitlines() if "Dense)" in row]
    assert [int(row[-2]) for row in rows] == [4 * 3 + 3, 4 + 3]
    assert model.count_params() == 4 * 3 + 3 + 4 + 3


@pytest.mark.parametrize(
    "case", parameters(select("functional", "nested", "made_of_models"))
)
def test_penalty_on_the_kernel_counts_once(case, model):
    kernel = kernel_variable(find(model, "code"))
    kernel.regularizer = keras.regularizers.L2(0.5)
    (penalty,) = model.losses
    np.testing.assert_allclose(
        arrays(penalty)[0], 0.5 * np.sum(kernel.numpy() ** 2), rtol=1e-5
    )
