"""The tie contract: what holds for every tied layer, whatever is done with its model.

A case is a model, or the decoder of one, used as a model of its own.
"""

import copy
import io
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_tied import tie

from .cases import (
    CASES,
    HALVES,
    Case,
    arrays,
    assert_alike,
    assert_close,
    find,
    kernel_variable,
    normal,
    outputs,
    parameters,
    reload,
    select,
    train,
    weights,
)

slow = pytest.mark.slow
BACKEND = keras.backend.backend()
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:.*legacy:UserWarning"),
]


@pytest.fixture(params=parameters(CASES + HALVES))
def case(request):
    return request.param


@pytest.fixture
def whole(case):
    return case.whole()


@pytest.fixture
def model(case, whole):
    return case.part(whole)


# Copies


def through_file(model, folder):
    return reload(model, folder / "model.keras")


def through_folder(model, folder):
    return reload(model, folder / "folder", zipped=False)


def through_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def through_deepcopy(model, folder):
    return copy.deepcopy(model)


KEEPING = [
    through_file,
    through_pickle,
    pytest.param(through_deepcopy, marks=slow),
    pytest.param(through_folder, marks=slow),
]
"""Ways of copying a model, or a half of one, with its weights."""


def from_config(model):
    return type(model).from_config(model.get_config())


def from_json(model):
    return keras.models.model_from_json(model.to_json())


def clone_by_functions(model):
    return keras.models.clone_model(
        model,
        clone_function=lambda layer: type(layer).from_config(layer.get_config()),
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs),
        recursive=True,
    )


REBUILDING = [
    keras.models.clone_model,
    pytest.param(from_config, marks=slow),
    pytest.param(from_json, marks=slow),
]
"""Ways of copying a whole model without its weights."""


def assert_tied_within(model, case):
    for tied, partner in case.ties:
        assert find(model, tied).tied_to is find(model, partner)


@pytest.mark.parametrize("copied_by", KEEPING)
def test_copy_of_a_copy_computes_the_same(case, model, copied_by, tmp_path):
    copied = copied_by(copied_by(model, tmp_path), tmp_path)
    assert_alike(copied, model, case)
    if not case.is_half:
        assert_tied_within(copied, case)


@pytest.mark.parametrize("rebuilt_by", REBUILDING)
@pytest.mark.parametrize("case", parameters(CASES))
def test_rebuilt_copy_given_the_weights_computes_the_same(case, model, rebuilt_by):
    copied = rebuilt_by(rebuilt_by(model))
    outputs(copied, case.inputs())
    copied.set_weights(model.get_weights())
    assert_alike(copied, model, case)
    assert_tied_within(copied, case)


GRAPHS = select("functional", "nested", "deep", "in_wrappers")


@pytest.mark.parametrize("rebuilt_by", [*REBUILDING, clone_by_functions])
@pytest.mark.parametrize("case", parameters(GRAPHS))
def test_copy_is_tied_before_its_first_call(case, model, rebuilt_by):
    assert_tied_within(rebuilt_by(model), case)


@pytest.mark.parametrize("case", parameters(GRAPHS + select("nested", among=HALVES)))
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
    tensorflow = pytest.importorskip("tensorflow")
    path = tensorflow.train.Checkpoint(model=model).save(folder / "checkpoint")
    tensorflow.train.Checkpoint(model=fresh).restore(path).assert_consumed()


CARRYING = [weights_file, pytest.param(shards, marks=slow), model_file]
CARRYING += [pytest.param(checkpoint, marks=slow)] * (BACKEND == "tensorflow")


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
            kernel = kernel_variable(find(whole, name)).numpy()
            held = [np.array_equal(array, kernel) for array in stored(path)]
            assert held.count(True) == 1


@pytest.mark.parametrize("case", parameters(select("deep", "two_on_one", among=HALVES)))
def test_decoder_saved_while_its_model_trains_computes_the_same(
    case, whole, model, tmp_path
):
    path = tmp_path / "decoder.keras"
    data = Case(case.family, case.topology).data()
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: model.save(path))
    whole.compile("sgd", "mse", run_eagerly=True)
    whole.fit(*data, callbacks=[save], verbose=0)
    loaded = keras.saving.load_model(path)
    assert_alike(loaded, model, case)


def lora(case, whole):
    """Adapt the kernels, and return what is not to train any more."""
    frozen = []
    for name in case.partners:
        layer = find(whole, name)
        if not hasattr(layer, "enable_lora"):
            pytest.skip("Keras has no adapters for this layer")
        frozen.append(kernel_variable(layer))
        layer.enable_lora(2)
        adapters = [each for each in layer.weights if "lora" in each.name]
        for variable in adapters:
            variable.assign(normal(variable.shape, 3))
    return frozen


def int8(case, model):
    model.quantize("int8")


CHANGING = [
    *select("functional", "siamese_never_met", "chain", family="Dense"),
    *select("deep", among=HALVES),
]


@pytest.mark.parametrize("change", [lora, int8])
@pytest.mark.parametrize("case", parameters(CHANGING))
def test_copy_of_a_changed_model_computes_the_same(case, whole, model, change):
    change(case, whole)
    copied = copy.deepcopy(model)
    assert_alike(copied, model, case, 1e-5)


# Training


def steps(model, data):
    for _ in range(3):
        model.train_on_batch(*data)


def assert_goes_on(model, copied_by, optimizer, data, folder):
    """A copy trains as if the training had not stopped, and the original alone."""
    model.compile(optimizer, "mse", run_eagerly=True)
    steps(model, data)
    copied = copied_by(model, folder)
    before = weights(model)
    steps(copied, data)
    assert_close(weights(model), before, atol=0)
    steps(model, data)
    assert_close(weights(copied), weights(model))


@pytest.mark.parametrize("copied_by", KEEPING)
def test_copy_goes_on_training_as_the_original(case, model, copied_by, tmp_path):
    momentum = keras.optimizers.SGD(0.05, momentum=0.9)
    assert_goes_on(model, copied_by, momentum, case.data(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Adam(0.05),
        lambda: keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9),
        lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
    ],
    ids=["adam", "moving average", "accumulating"],
)
@pytest.mark.parametrize("half", [False, True])
def test_copy_goes_on_with_every_optimizer(half, optimizer, tmp_path):
    case = Case("Dense", "nested", half)
    assert_goes_on(case.build(), through_file, optimizer(), case.data(), tmp_path)


def test_clone_trains_as_the_original_and_leaves_it_alone(case, whole, model):
    copied = keras.models.clone_model(whole)
    copied(case.rows())
    copied.set_weights(whole.get_weights())
    before = weights(whole)
    train(case.part(copied), *case.data())
    assert_close(weights(whole), before, atol=0)
    train(model, *case.data())
    assert_close(weights(copied), weights(whole))


def loss(model, inputs, targets):
    """The mean squared error, summed over the outputs, in double precision."""
    targets = targets if isinstance(targets, list) else [targets]
    total = 0.0
    for found, wanted in zip(outputs(model, inputs), targets, strict=True):
        total += np.mean((found.astype("float64") - wanted) ** 2)
    return total


def test_gradient_is_the_sum_of_all_paths(case, whole, model):
    """Against the slope of the loss along a random direction of the kernels."""
    kernels = [kernel_variable(find(whole, name)) for name in case.partners]
    before = arrays(kernels)
    directions = [normal(kernel.shape, 4) for kernel in kernels]

    def move(distance):
        for kernel, start, direction in zip(kernels, before, directions, strict=True):
            kernel.assign(start + distance * direction)

    losses = []
    for distance in (5e-3, -5e-3):
        move(distance)
        losses.append(loss(model, *case.data()))
    move(0)
    train(model, *case.data(), rate=1.0)
    found = 0.0
    for start, kernel, direction in zip(before, kernels, directions, strict=True):
        found += np.sum((start - kernel.numpy()) * direction)
    expected = (losses[0] - losses[1]) / 1e-2
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3)


COMPILED = select("functional", "nested", "in_wrappers")
QUICKLY_COMPILED = [
    *select("nested", "in_wrappers", family="Dense"),
    *select("functional", family="Conv"),
]


@pytest.mark.parametrize("case", parameters(COMPILED, QUICKLY_COMPILED))
def test_compiled_training_is_eager_training(case):
    trained = []
    for run_eagerly in (False, True):
        model = case.build()
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, "mse", run_eagerly=run_eagerly)
        model.fit(*case.data(), epochs=3, shuffle=False, verbose=0)
        trained.append(weights(model))
    assert_close(*trained, 1e-5)


@pytest.mark.parametrize("trained", ["whole", "encoder", "decoder", "loaded decoder"])
@pytest.mark.parametrize(
    "case", parameters(select("nested", "deep", "chain", among=HALVES))
)
def test_decoder_predicts_with_the_kernel_of_the_last_training(
    case, whole, model, trained, tmp_path
):
    decoder = model
    if trained == "loaded decoder":
        decoder = reload(model, tmp_path / "decoder.keras")
    parts = {"whole": whole, "encoder": find(whole, "encoder")}
    part = parts.get(trained, decoder)
    rows = case.inputs() if part is decoder else case.rows()
    before = decoder.predict(case.inputs(), verbose=0)
    part.compile("sgd", "mse")
    part.fit(rows, part.predict(rows, verbose=0) + 1, verbose=0)
    found = decoder.predict(case.inputs(), verbose=0)
    assert not np.allclose(found, before)
    assert_close(found, decoder(case.inputs()), 1e-5)


def own_variables(case, whole):
    """Those of the tied layers: the bias and the gain, where there is one."""
    found = []
    for tied, _ in case.ties:
        layer = find(whole, tied)
        found += [each for each in (layer.bias, layer.gain) if each is not None]
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
    frozen = {id(variable) for variable in freeze(case, whole)}
    before = arrays(model.weights)
    train(model, *case.data())
    for variable, start in zip(model.weights, before, strict=True):
        is_still = np.array_equal(variable.numpy(), start)
        assert is_still == (id(variable) in frozen), variable.path


# Lists


@pytest.mark.parametrize("is_adapted", [False, True])
def test_every_weight_counts_once(case, whole, model, is_adapted):
    if is_adapted:
        lora(case, whole)
    expected = own_variables(case, whole)
    own_size = sum(int(np.prod(each.shape)) for each in expected)
    tied = [find(model, name) for name, _ in case.ties]
    assert sum(layer.count_params() for layer in tied) == own_size
    for name in case.partners:
        layer = find(whole, name)
        bias = layer.bias if case.is_half else None
        expected += [each for each in layer.weights if each is not bias]
    assert sorted(map(id, model.weights)) == sorted(map(id, expected))
    assert sorted(map(id, model.variables)) == sorted(map(id, expected))
    if BACKEND == "torch":
        values = sorted(id(each.value) for each in expected)
        assert sorted(map(id, model.parameters())) == values
    printed = []
    model.summary(print_fn=printed.append)
    size = sum(int(np.prod(each.shape)) for each in expected)
    assert f"Total params: {size} " in printed[0]


PENALIZED = select("functional", "nested", "autoencoder") + select(
    "nested", among=HALVES
)


@pytest.mark.parametrize("case", parameters(PENALIZED))
def test_penalty_on_the_kernel_counts_once(case, whole, model):
    kernel = kernel_variable(find(whole, "code"))
    kernel.regularizer = keras.regularizers.L2(0.5)
    assert_close(model.losses, 0.5 * np.sum(kernel.numpy() ** 2), 1e-4)


# Precision


@pytest.fixture(params=["mixed_bfloat16", pytest.param("mixed_float16", marks=slow)])
def policy(request):
    before = keras.config.dtype_policy()
    yield request.param
    keras.config.set_dtype_policy(before)


MIXED = select("functional") + select("nested", "chain", family="Dense")


@pytest.mark.parametrize("case", parameters(MIXED))
def test_mixed_precision_gives_nearly_what_float32_gives(case, policy, tmp_path):
    expected = outputs(case.build(), case.inputs())
    keras.config.set_dtype_policy(policy)
    mixed = case.build()
    keras.config.set_dtype_policy("float32")
    for model in (mixed, reload(mixed, tmp_path / "model.keras")):
        found = model(case.inputs())
        assert keras.backend.standardize_dtype(found.dtype) == policy.removeprefix(
            "mixed_"
        )
        assert {variable.dtype for variable in model.variables} == {"float32"}
        np.testing.assert_allclose(
            keras.ops.cast(found, "float32"), *expected, rtol=0.05, atol=0.05
        )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_tied_layer_computes_in_a_dtype_of_its_own(dtype):
    other = {"float32": "mixed_bfloat16", "mixed_bfloat16": "float32"}[dtype]
    dense = keras.layers.Dense(3, dtype=other)
    dense.build((None, 4))
    found = tie(dense, gain=True, dtype=dtype)(normal((5, 3)))
    assert keras.backend.standardize_dtype(found.dtype) == dtype.removeprefix("mixed_")
