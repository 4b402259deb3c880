"""The tie contract: what holds for every tied layer, whatever is done with its model.

A case is a model, or the decoder of one, used as a model of its own.
"""

import io
import math
import operator
import tempfile
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from keras.models import clone_model
from keras.optimizers import SGD
from keras.saving import load_model
from numpy.testing import assert_allclose
from tests.marks import slow_but

from keras_tied import tie

from .cases import (
    CASES,
    HALVES,
    Case,
    arrays,
    assert_alike,
    assert_close,
    built,
    each_of,
    find,
    from_config,
    from_json,
    kernel_variable,
    normal,
    outputs,
    parameter,
    reload,
    select,
    through_deepcopy,
    through_file,
    through_pickle,
    train,
    weights,
    with_weights,
)

BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:.*legacy:UserWarning"),
]


@pytest.fixture(params=map(parameter, CASES + HALVES))
def case(request):
    return request.param


@pytest.fixture
def whole(case):
    return case.whole()


@pytest.fixture
def model(case, whole):
    return case.part(whole)


# Copies


def through_folder(model, folder):
    path = tempfile.mkdtemp(dir=folder)
    return reload(model, path, zipped=False)


KEEPING = slow_but(
    [through_file, through_pickle, through_deepcopy, through_folder],
    through_file,
    through_pickle,
)
"""Ways of copying a model, or a half of one, with its weights."""


def clone_by_functions(model):
    return clone_model(
        model,
        clone_function=from_config,
        call_function=operator.call,
        recursive=True,
    )


REBUILDING = slow_but([clone_model, from_config, from_json], clone_model)
"""Ways of copying a whole model without its weights."""


def assert_tied_within(model, case):
    for name, partner in case.ties:
        assert find(model, name).tied_to is find(model, partner)


@pytest.mark.parametrize("copied_by", KEEPING)
def test_copy_of_a_copy_computes_the_same(case, model, copied_by, tmp_path):
    copied = copied_by(copied_by(model, tmp_path), tmp_path)
    assert_alike(copied, model, case)
    if not case.is_half:
        assert_tied_within(copied, case)


@pytest.mark.parametrize("rebuilt_by", REBUILDING)
@each_of(*CASES)
def test_rebuilt_copy_given_the_weights_computes_the_same(case, model, rebuilt_by):
    copied = rebuilt_by(rebuilt_by(model))
    copied(case.inputs())
    assert_alike(with_weights(copied, model), model, case)
    assert_tied_within(copied, case)


REBUILDING_GRAPHS = [*REBUILDING, clone_by_functions]
GRAPHS = select("functional", "nested", "deep", "in_wrappers")


@pytest.mark.parametrize("rebuilt_by", REBUILDING_GRAPHS)
@each_of(*GRAPHS)
def test_copy_is_tied_before_its_first_call(case, model, rebuilt_by):
    assert_tied_within(rebuilt_by(model), case)


@each_of(*GRAPHS, Case("Dense", "nested", is_half=True))
def test_copy_in_the_old_format_computes_the_same(case, model, tmp_path):
    copied = reload(model, tmp_path / "model.h5")
    assert_alike(copied, model, case)


def weights_file(model, fresh, folder):
    model.save_weights(folder / "model.weights.h5")
    fresh.load_weights(folder / "model.weights.h5")


def shards(model, fresh, folder):
    model.save_weights(folder / "model.weights.json", max_shard_size=1)
    fresh.load_weights(folder / "model.weights.json")


def model_file(model, fresh, folder):
    model.save(folder / "model.keras")
    fresh.load_weights(folder / "model.keras")


def checkpoint(model, fresh, folder):
    from tensorflow import train

    written = train.Checkpoint(model=model)
    read = train.Checkpoint(model=fresh)
    path = written.save(folder / "checkpoint")
    read.restore(path).assert_consumed()


CARRYING = slow_but([weights_file, model_file, shards], weights_file, model_file)
if BACKEND == "tensorflow":
    CARRYING.append(checkpoint)


@pytest.mark.parametrize("carried_by", CARRYING)
def test_weights_load_into_a_fresh_model(case, model, carried_by, tmp_path):
    fresh = case.build(seed=5)
    carried_by(model, fresh, tmp_path)
    assert_alike(fresh, model, case)


def stored(path):
    """Every array in a file of a model or of weights."""
    content = path.read_bytes()
    if zipfile.is_zipfile(path):
        content = zipfile.ZipFile(path).read("model.weights.h5")
    found = []

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            found.append(item[()])

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(note)
    return found


def test_file_holds_each_kernel_once(case, whole, model, tmp_path):
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    for path in tmp_path.iterdir():
        for name in case.partners:
            kernel = kernel_variable(find(whole, name))
            held = [np.array_equal(each, kernel.numpy()) for each in stored(path)]
            assert held.count(True) == 1


@each_of(*select("deep", "two_on_one", among=HALVES))
def test_decoder_saved_while_its_model_trains_computes_the_same(
    case, whole, model, tmp_path
):
    path = tmp_path / "decoder.keras"
    rows = case.rows()
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.save(path)
    )
    whole.compile("sgd", "mse", run_eagerly=True)
    whole.fit(rows, whole(rows), callbacks=[callback], verbose=0)
    assert_alike(load_model(path), model, case)


def lora(case, whole):
    """Adapt the kernels, and return what is not to train any more."""
    frozen = []
    for name in case.partners:
        layer = find(whole, name)
        if not hasattr(layer, "enable_lora"):
            pytest.skip("Keras has no adapters for this layer")
        frozen.append(kernel_variable(layer))
        layer.enable_lora(2)
        for variable in layer.weights:
            if "lora" in variable.name:
                variable.assign(normal(*variable.shape, seed=3))
    return frozen


def int8(case, model):
    model.quantize("int8")


CHANGING = [
    *select("functional", "siamese_never_met", "chain", family="Dense"),
    *select("deep", among=HALVES),
]


@pytest.mark.parametrize("change", [lora, int8])
@each_of(*CHANGING)
def test_copy_of_a_changed_model_computes_the_same(case, whole, model, change):
    change(case, whole)
    assert_alike(through_deepcopy(model), model, case, 1e-5)


# Training


def steps(model, data):
    for _ in range(3):
        model.train_on_batch(*data)


@pytest.mark.parametrize("copied_by", KEEPING)
def test_copy_goes_on_training_as_the_original(case, model, copied_by, tmp_path):
    """As if the training had not stopped, and the original alone."""
    data = case.data()
    model.compile(SGD(0.05, momentum=0.9), "mse", run_eagerly=True)
    steps(model, data)
    copied = copied_by(model, tmp_path)
    before = weights(model)
    steps(copied, data)
    assert_close(weights(model), before, atol=0)
    steps(model, data)
    assert_close(weights(copied), weights(model))


def test_clone_trains_as_the_original_and_leaves_it_alone(case, whole, model):
    copied = clone_model(whole)
    copied(case.rows())
    with_weights(copied, whole)
    before = weights(whole)
    data = case.data()
    train(case.part(copied), *data)
    assert_close(weights(whole), before, atol=0)
    train(model, *data)
    assert_close(weights(copied), weights(whole))


def loss(model, inputs, targets):
    """The mean squared error, summed over the outputs, in double precision."""
    total = 0.0
    for found, wanted in zip(
        outputs(model, inputs),
        arrays(targets),
        strict=True,
    ):
        errors = found.astype("float64") - wanted
        total += np.mean(errors**2)
    return total


def test_gradient_is_the_sum_of_all_paths(case, whole, model):
    """Against the slope of the loss along a random direction of the kernels."""
    data = case.data()
    paths = []
    for name in case.partners:
        kernel = kernel_variable(find(whole, name))
        paths.append((kernel, kernel.numpy().copy(), normal(*kernel.shape, seed=4)))

    def loss_at(distance):
        for kernel, start, direction in paths:
            kernel.assign(start + distance * direction)
        return loss(model, *data)

    slope = (loss_at(5e-3) - loss_at(-5e-3)) / 1e-2
    loss_at(0)
    train(model, *data, rate=1.0)
    found = 0.0
    for kernel, start, direction in paths:
        gradient = start - kernel.numpy()
        found += np.sum(gradient * direction)
    assert_allclose(found, slope, rtol=5e-3, atol=5e-3)


COMPILED = [
    *select("nested", "in_wrappers"),
    *select("functional", family="Conv"),
]


@each_of(*COMPILED)
def test_compiled_training_is_eager_training(case):
    trained = []
    for run_eagerly in (False, True):
        model = case.build()
        model.compile(SGD(0.1, momentum=0.9), "mse", run_eagerly=run_eagerly)
        steps(model, case.data())
        trained.append(weights(model))
    assert_close(*trained, 1e-5)


def predict(model, rows):
    return model.predict(rows, verbose=0)


@pytest.mark.parametrize(
    "trained",
    ["whole", "encoder", "decoder", "loaded decoder"],
)
@each_of(*select("nested", "deep", among=HALVES))
def test_decoder_predicts_with_the_kernel_of_the_last_training(
    case, whole, model, trained, tmp_path
):
    decoder = model
    if trained == "loaded decoder":
        decoder = through_file(model, tmp_path)
    part, rows, codes = whole, case.rows(), case.inputs()
    if trained == "encoder":
        part = find(whole, "encoder")
    elif trained != "whole":
        part, rows = decoder, codes
    before = predict(decoder, codes)
    part.compile("sgd", "mse")
    part.fit(rows, predict(part, rows) + 1, verbose=0)
    found = predict(decoder, codes)
    assert not np.allclose(found, before)
    assert_close(found, decoder(codes), 1e-5)


def own_variables(case, whole):
    """The biases of the tied layers, and the gains, where they have one."""
    found = []
    for name, _ in case.ties:
        tied = find(whole, name)
        found.append(tied.bias)
        if tied.gain is not None:
            found.append(tied.gain)
    return found


def freeze_tied(case, whole):
    for tied, _ in case.ties:
        find(whole, tied).trainable = False
    return own_variables(case, whole)


def freeze_partners(case, whole):
    frozen = []
    for name in case.partners:
        layer = find(whole, name)
        layer.trainable = False
        frozen += layer.weights
    return frozen


@pytest.mark.parametrize("freeze", [freeze_tied, freeze_partners, lora])
def test_training_moves_what_is_not_frozen(case, whole, model, freeze):
    frozen = set(map(id, freeze(case, whole)))
    before = weights(model)
    train(model, *case.data())
    for variable, start in zip(model.weights, before, strict=True):
        is_still = np.array_equal(variable, start)
        is_frozen = id(variable) in frozen
        assert is_still == is_frozen, variable.path


# Lists


def size(variables):
    return sum(math.prod(each.shape) for each in variables)


def in_any_order(values):
    return sorted(map(id, values))


@pytest.mark.parametrize("is_adapted", [False, True])
def test_every_weight_counts_once(case, whole, model, is_adapted):
    if is_adapted:
        lora(case, whole)
    expected = own_variables(case, whole)
    counts = [find(model, name).count_params() for name, _ in case.ties]
    assert sum(counts) == size(expected)
    for name in case.partners:
        layer = find(whole, name)
        bias = getattr(layer, "bias", None) if case.is_half else None
        expected += [each for each in layer.weights if each is not bias]
    assert in_any_order(model.weights) == in_any_order(expected)
    assert in_any_order(model.variables) == in_any_order(expected)
    if BACKEND == "torch" and not is_adapted:
        values = [each.value for each in expected]
        assert in_any_order(model.parameters()) == in_any_order(values)
    printed = []
    model.summary(print_fn=printed.append)
    assert f"Total params: {size(expected)} " in printed[0]


@each_of(
    *select("functional", "nested", "autoencoder"),
    *select("nested", among=HALVES),
)
def test_penalty_on_the_kernel_counts_once(case, whole, model):
    kernel = kernel_variable(find(whole, "code"))
    kernel.regularizer = keras.regularizers.L2(0.5)
    penalty = np.sum(kernel.numpy() ** 2) / 2
    assert_close(model.losses, penalty, 1e-4)


# Precision


@pytest.fixture(params=slow_but(["bfloat16", "float16"], "bfloat16"))
def dtype(request):
    before = keras.config.dtype_policy()
    yield request.param
    keras.config.set_dtype_policy(before)


name_of = keras.backend.standardize_dtype


@each_of(*select("functional", "chain"))
def test_mixed_precision_gives_nearly_what_float32_gives(case, model, dtype, tmp_path):
    (expected,) = outputs(model, case.inputs())
    keras.config.set_dtype_policy(f"mixed_{dtype}")
    mixed = case.build()
    keras.config.set_dtype_policy("float32")
    loaded = through_file(mixed, tmp_path)
    for each in (mixed, loaded):
        found = each(case.inputs())
        assert name_of(found.dtype) == dtype
        assert {variable.dtype for variable in each.variables} == {"float32"}
        (numbers,) = arrays(ops.cast(found, "float32"))
        assert_allclose(numbers, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("dtype", "policy"),
    [
        ("float32", "mixed_bfloat16"),
        ("bfloat16", "float32"),
    ],
)
def test_tied_layer_computes_in_a_dtype_of_its_own(dtype, policy):
    dense = built(keras.layers.Dense(3, dtype=policy), 4)
    tied = tie(dense, gain=True, dtype=dtype)
    found = tied(normal(5, 3))
    assert name_of(found.dtype) == dtype
