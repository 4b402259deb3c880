import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse

from keras_tied import Autoencoder, mirror

X = np.random.default_rng(0).normal(size=(40, 5)).astype("float32")
Y = np.random.default_rng(1).normal(size=(40, 5)).astype("float32")
WEIGHTS = np.random.default_rng(2).uniform(size=40).astype("float32")


def encoder(
    *hidden: int, activation: str | None = "tanh", code: int = 2
) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    dense = [keras.layers.Dense(units, activation) for units in (*hidden, code)]
    return keras.Sequential([keras.Input((5,)), *dense], name="encoder")


def by_hand(autoencoder: Autoencoder, rate: float = 0.1) -> keras.Model:
    """The same network with the same weights as a Functional model that knows of no
    targets.
    """
    half = encoder(3)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, mirror(half)(half(inputs)))
    model.set_weights(autoencoder.get_weights())
    model.compile(
        keras.optimizers.SGD(rate), "mse", metrics=["mae"], weighted_metrics=["mse"]
    )
    return model


def make_compiled_model(rate: float = 0.1, **kwargs: Any) -> Autoencoder:
    model = Autoencoder(encoder(3), **kwargs)
    model.compile(keras.optimizers.SGD(rate), metrics=["mae"], weighted_metrics=["mse"])
    return model


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def reconstruct(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    tensor = model.decoder(model.encoder(keras.ops.convert_to_tensor(x)))
    return np.asarray(keras.ops.convert_to_numpy(tensor))


slow = pytest.mark.slow
FITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "rows alone": ({}, {}),
    "a target": ({"y": Y}, {"y": Y}),
    "weights": ({"sample_weight": WEIGHTS}, {"sample_weight": WEIGHTS}),
    "a split": ({"validation_split": 0.25}, {"validation_split": 0.25}),
    "validation rows": ({"validation_data": Y}, {"validation_data": (Y, Y)}),
    "validation rows and targets": (
        {"validation_data": (Y, X)},
        {"validation_data": (Y, X)},
    ),
    "validation rows and weights": (
        {"validation_data": (Y, None, WEIGHTS)},
        {"validation_data": (Y, Y, WEIGHTS)},
    ),
}
"""What `Autoencoder.fit` is given, and what `keras.Model.fit` is for the same."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "spelt_out"),
    [
        pytest.param(
            *fits, id=name, marks=[slow] * (name != "validation rows and weights")
        )
        for name, fits in FITS.items()
    ],
)
def test_fit_is_that_of_a_keras_model_with_the_input_as_target(given, spelt_out):
    model = make_compiled_model()
    twin = by_hand(model)
    settings = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    found = model.fit(X, **settings, **given)
    expected = twin.fit(X, **{"y": X, **settings, **spelt_out})
    assert found.history.keys() == expected.history.keys()
    assert_same(found.history.values(), expected.history.values())
    assert_same(model.get_weights(), twin.get_weights())


@pytest.mark.parametrize(
    "given",
    [{}, {"y": Y}, {"sample_weight": WEIGHTS}],
    ids=["rows alone", "a target", "weights"],
)
def test_evaluate_is_that_of_a_keras_model_with_the_input_as_target(given):
    model = make_compiled_model()
    expected = by_hand(model).evaluate(X, **{"y": X, **given}, verbose=0)
    np.testing.assert_allclose(
        model.evaluate(X, **given, verbose=0), expected, atol=1e-6
    )


def batches(*arrays: np.ndarray) -> Iterator[Any]:
    for start in range(0, len(X), 10):
        parts = tuple(array[start : start + 10] for array in arrays)
        yield parts


class Batches(keras.utils.PyDataset):
    """A data set of rows alone, or of tuples."""

    def __init__(self, arrays: tuple[np.ndarray, ...], bare: bool = False) -> None:
        super().__init__()
        self.items = [item[0] if bare else item for item in batches(*arrays)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


def with_tensorflow(*arrays: np.ndarray, bare: bool = False) -> Any:
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(arrays[0] if bare else arrays).batch(10)


def with_torch(*arrays: np.ndarray) -> Any:
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.tensor, arrays))
    return torch.utils.data.DataLoader(data, batch_size=10)


ITEMS = {"x": (X,), "x and y": (X, Y), "x, y and weights": (X, Y, WEIGHTS)}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(batches, id="generator", marks=slow),
        pytest.param(lambda *arrays: Batches(arrays), id="PyDataset"),
        pytest.param(with_tensorflow, id="tf.data", marks=slow),
        pytest.param(with_torch, id="DataLoader"),
    ],
)
@pytest.mark.parametrize("arrays", ITEMS.values(), ids=ITEMS.keys())
def test_streamed_data_trains_as_arrays_do(source, arrays):
    streamed, whole = make_compiled_model(), make_compiled_model()
    steps = 4 if source is batches else None
    streamed.fit(source(*arrays), steps_per_epoch=steps, shuffle=False, verbose=0)
    y, weights = [*arrays[1:], None, None][:2]
    whole.fit(X, y, sample_weight=weights, batch_size=10, shuffle=False, verbose=0)
    assert_same(streamed.get_weights(), whole.get_weights())


BARE = {
    "PyDataset": lambda: Batches((X,), bare=True),
    "tf.data": lambda: with_tensorflow(X, bare=True),
}


@pytest.mark.parametrize("source", BARE.values(), ids=BARE.keys())
def test_data_sets_may_yield_rows_that_are_in_no_tuple(source):
    streamed, whole = make_compiled_model(), make_compiled_model()
    streamed.fit(source(), shuffle=False, verbose=0)
    whole.fit(X, batch_size=10, shuffle=False, verbose=0)
    assert_same(streamed.get_weights(), whole.get_weights())


def test_compile_minimises_the_squared_error_with_adam_by_default():
    model = Autoencoder(encoder(3))
    model.compile()
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    expected = np.mean((reconstruct(model, X) - X) ** 2)
    np.testing.assert_allclose(model.evaluate(X, verbose=0), expected, rtol=1e-5)


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Shift(keras.layers.Layer):
    """Adds one, whether training or not."""

    def call(self, inputs: Any) -> Any:
        return inputs + 1


def test_noise_is_added_to_the_input_in_training_and_the_target_stays_clean():
    model = make_compiled_model(rate=0.0, noise=Shift())
    trained = model.train_on_batch(X)[0]
    model.reset_metrics()
    evaluated = model.test_on_batch(X)[0]
    np.testing.assert_allclose(
        trained, np.mean((reconstruct(model, X + 1) - X) ** 2), rtol=1e-5
    )
    np.testing.assert_allclose(
        evaluated, np.mean((reconstruct(model, X) - X) ** 2), rtol=1e-5
    )
    np.testing.assert_allclose(
        model.predict(X, verbose=0), reconstruct(model, X), atol=1e-6
    )


def test_noise_that_is_a_number_is_the_deviation_of_gaussian_noise():
    model = make_compiled_model(rate=0.0, noise=0.5)
    assert isinstance(model.noise, keras.layers.GaussianNoise)
    assert model.noise.stddev == 0.5
    trained = model.train_on_batch(X)[0]
    model.reset_metrics()
    assert trained != pytest.approx(model.test_on_batch(X)[0], rel=1e-3)


def test_code_regularizer_is_the_mean_penalty_of_a_row():
    model = make_compiled_model(rate=0.0, code_regularizer=keras.regularizers.L1(0.3))
    code = keras.ops.convert_to_numpy(model.encoder(X))
    expected = np.mean((reconstruct(model, X) - X) ** 2) + 0.3 * np.abs(
        code
    ).sum() / len(X)
    np.testing.assert_allclose(model.train_on_batch(X)[0], expected, rtol=1e-5)
    model.reset_metrics()
    np.testing.assert_allclose(model.test_on_batch(X)[0], expected, rtol=1e-5)


def test_code_regularizer_is_keras_own_activity_regularizer():
    regularized, by_layer = encoder(3), encoder(3)
    by_layer.layers[-1].activity_regularizer = keras.regularizers.get("l2")
    losses = []
    for model in (
        Autoencoder(regularized, code_regularizer="l2"),
        Autoencoder(by_layer),
    ):
        model.compile()
        losses.append(model.evaluate(X, verbose=0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_contraction_penalises_the_jacobian_of_the_encoder_in_training():
    model = Autoencoder(encoder(3, activation=None), contraction=0.2)
    model.compile(keras.optimizers.SGD(0.0))
    first, second = (
        keras.ops.convert_to_numpy(each.kernel) for each in model.encoder.layers
    )
    error = np.mean((reconstruct(model, X) - X) ** 2)
    expected = error + 0.2 * np.sum((first @ second) ** 2)
    np.testing.assert_allclose(model.train_on_batch(X), expected, rtol=1e-5)
    model.reset_metrics()
    np.testing.assert_allclose(model.test_on_batch(X), error, rtol=1e-5)


def test_its_shapes_are_those_of_the_halves():
    autoencoder = Autoencoder(encoder(3))
    assert (autoencoder.input_shape, autoencoder.output_shape) == ((None, 5), (None, 5))


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_half_cannot_be_replaced_in_silence(name):
    autoencoder = Autoencoder(encoder(3))
    before = getattr(autoencoder, name)
    with pytest.raises(
        AttributeError, match=f"make an Autoencoder of the other {name}"
    ):
        setattr(autoencoder, name, encoder(3))
    assert getattr(autoencoder, name) is before
    setattr(autoencoder, name, before)


def test_encode_and_decode_are_the_halves():
    model = make_compiled_model()
    code = model.encode(X)
    np.testing.assert_allclose(
        code, keras.ops.convert_to_numpy(model.encoder(X)), atol=1e-6
    )
    np.testing.assert_allclose(model.decode(code), reconstruct(model, X), atol=1e-6)


def test_reconstruction_error_is_the_squared_difference():
    model = make_compiled_model()
    squares = (reconstruct(model, X) - X) ** 2
    found = model.reconstruction_error(X, per_feature=True)
    np.testing.assert_allclose(found, squares, atol=1e-5)
    np.testing.assert_allclose(
        model.reconstruction_error(X), squares.mean(axis=1), atol=1e-5
    )


def test_reconstruction_error_of_images_is_one_number_an_image():
    images = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype("float32")
    layers = [
        keras.layers.Conv2D(2, 3, strides=2),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    ]
    model = Autoencoder(keras.Sequential([keras.Input((4, 4, 1)), *layers]))
    per_feature = model.reconstruction_error(images, per_feature=True)
    assert per_feature.shape == images.shape
    found = model.reconstruction_error(images)
    np.testing.assert_allclose(found, per_feature.mean(axis=(1, 2, 3)), rtol=1e-5)


def through_file(model: Autoencoder, folder: Path) -> Autoencoder:
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


KEEPING: dict[str, Callable[[Any, Path], Any]] = {
    "saved and loaded": through_file,
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
}
REBUILDING: dict[str, Callable[[Any, Path], Any]] = {
    "from_config": lambda model, folder: type(model).from_config(model.get_config()),
    "model_from_json": lambda model, folder: keras.models.model_from_json(
        model.to_json()
    ),
    "clone_model": lambda model, folder: keras.models.clone_model(model),
}
COPYING = KEEPING | REBUILDING


def full() -> Autoencoder:
    noise = keras.layers.Dropout(0.2, seed=0)
    return make_compiled_model(
        noise=noise, code_regularizer="l1", contraction=0.1, name="full"
    )


@pytest.mark.parametrize("make", COPYING.values(), ids=COPYING.keys())
def test_copy_has_halves_of_its_own_that_are_tied(make, tmp_path):
    model = full()
    copied = make(model, tmp_path)
    assert type(copied) is Autoencoder
    assert copied.encoder is not model.encoder
    ties = zip(copied.decoder.layers[1:], reversed(copied.encoder.layers), strict=True)
    assert all(tied.tied_to is layer for tied, layer in ties)


@slow
@pytest.mark.parametrize("make", COPYING.values(), ids=COPYING.keys())
def test_copy_is_trained_as_the_original(make, tmp_path):
    model = full()
    model.fit(X, verbose=0)
    copied = make(model, tmp_path)
    if not copied.compiled:
        copied.compile(
            keras.optimizers.SGD(0.1), metrics=["mae"], weighted_metrics=["mse"]
        )
    copied.set_weights(model.get_weights())
    seed = np.array(keras.ops.convert_to_numpy(model.noise.seed_generator.state))
    copied.noise.seed_generator.state.assign(seed)
    for one in (model, copied):
        one.fit(X, shuffle=False, verbose=0)
    assert_same(copied.get_weights(), model.get_weights())


@slow
def test_loaded_model_goes_on_training_with_the_state_of_its_optimizer(tmp_path):
    model = Autoencoder(encoder(3))
    model.compile()
    model.fit(X, shuffle=False, verbose=0)
    found = through_file(model, tmp_path)
    for one in (model, found):
        one.fit(X, shuffle=False, verbose=0)
    assert_same(found.get_weights(), model.get_weights())


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Scored(Autoencoder):
    """With a keyword, a layer and a metric of its own."""

    def __init__(self, *halves: Any, scale: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*halves, **kwargs)
        self.scale = scale
        self.scorer = keras.layers.Dense(1)
        self.score = keras.metrics.Mean("score")

    def score_of(self, x: Any) -> Any:
        return self.scale * self.scorer(self.encoder(x))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@pytest.mark.parametrize("make", COPYING.values(), ids=COPYING.keys())
def test_subclass_with_keywords_and_layers_of_its_own_is_copied(make, tmp_path):
    model = Scored(encoder(3), scale=2.0, noise=0.1)
    model.score_of(X)
    copied = make(model, tmp_path)
    assert type(copied) is Scored
    assert (copied.scale, copied.noise.stddev) == (2.0, 0.1)


def test_every_weight_is_counted_once():
    model = Autoencoder(encoder(3), noise=0.1)
    assert model.count_params() == (5 * 3 + 3) + (3 * 2 + 2) + (2 + 3) + (3 + 5)
    printed: list[str] = []
    model.summary(print_fn=printed.append, line_length=78)
    assert "Total params: 39 " in printed[0]


def test_decoder_of_ones_own_is_kept():
    half = encoder(3)
    own = keras.Sequential([keras.Input((2,)), keras.layers.Dense(5)])
    model = Autoencoder(half, own)
    assert model.decoder is own
    assert through_models(model) == [half, own]


def through_models(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Halving(keras.Model):
    """An encoder that is neither Sequential nor Functional."""

    def call(self, inputs: Any) -> Any:
        return inputs[:, ::2]


def test_encoder_of_any_class_will_do_once_it_has_been_called():
    half = Halving()
    half(X)
    model = Autoencoder(half, keras.Sequential([keras.layers.Dense(5)]))
    assert model.predict(X, verbose=0).shape == X.shape


@slow
def test_mixed_precision_computes_in_half_and_returns_the_error_in_single():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = Autoencoder(encoder(3))
        model.compile()
        model.fit(X, verbose=0)
        assert keras.backend.standardize_dtype(model.encoder(X).dtype) == "bfloat16"
        assert model.encoder.layers[0].kernel.dtype == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def small(units: int, features: int) -> keras.Sequential:
    return keras.Sequential(
        [keras.Input((features,)), keras.layers.Dense(units)], name="small"
    )


ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "a layer": (
        lambda: Autoencoder(keras.layers.Dense(2)),
        "Dense 'dense.*' as its encoder",
    ),
    "not a layer": (
        lambda: Autoencoder(encoder(), "mirror"),
        "received str as its decoder",
    ),
    "unbuilt": (
        lambda: Autoencoder(keras.Sequential([keras.layers.Dense(2)], name="open")),
        "'open' .* no input shape yet: start it with a `keras.Input`",
    ),
    "never called": (
        lambda: Autoencoder(Halving(), small(5, 3)),
        "call it on data once",
    ),
    "no mirror": (
        lambda: Autoencoder(
            keras.Sequential([keras.Input((4, 5, 3)), keras.layers.RandomCrop(2, 2)])
        ),
        r"mirror has no rule for layer 'random_crop.*' \(RandomCrop\)",
    ),
    "decoder of other codes": (
        lambda: Autoencoder(encoder(), small(5, 3)),
        r"'small' takes in \(None, 3\), and the encoder 'encoder' gives \(None, 2\)",
    ),
    "decoder of other rows": (
        lambda: Autoencoder(encoder(), small(4, 2)),
        r"'small' gives \(None, 4\), and the encoder 'encoder' takes in \(None, 5\)",
    ),
    "noise": (
        lambda: Autoencoder(encoder(), noise="gaussian"),
        "`noise` .* 'gaussian'",
    ),
    "contraction": (
        lambda: Autoencoder(encoder(), contraction=-1),
        "`contraction` .* -1",
    ),
    "start": (
        lambda: make_compiled_model().fit(X, start="svd"),
        "`start` is 'pca', .* 'svd'",
    ),
}


@pytest.mark.parametrize(("make", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_error_says_what_was_given_and_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_encoder_of_several_inputs_is_an_error():
    inputs = [keras.Input((2,)), keras.Input((3,))]
    several = keras.Model(inputs, keras.layers.Concatenate()(inputs), name="several")
    with pytest.raises(ValueError, match="'several' has 2: concatenate"):
        Autoencoder(several, small(5, 5))


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "weights"])
def test_sparse_rows_are_taken_as_dense_ones_are(weights):
    rows = np.where(np.abs(X) > 0.8, X, 0)
    histories, errors = [], []
    for given in (rows, scipy.sparse.csr_matrix(rows)):
        model = make_compiled_model()
        options = {
            "sample_weight": weights,
            "epochs": 2,
            "shuffle": False,
            "verbose": 0,
        }
        histories.append(model.fit(given, **options).history)
        errors.append(
            [*model.evaluate(given, verbose=0), *model.reconstruction_error(given)]
        )
    assert histories[0].keys() == histories[1].keys()
    assert_same(*([np.ravel(list(each.values())) for each in histories]))
    assert_same(*errors)


def test_the_inputs_are_those_of_the_encoder():
    model = Autoencoder(encoder(3))
    inner = keras.Model(model.inputs[0], model.encoder.layers[0].output)
    assert inner(X).shape == (40, 3)


@pytest.mark.parametrize("make", COPYING.values(), ids=COPYING.keys())
def test_functional_model_that_calls_an_autoencoder_twice_is_copied(make, tmp_path):
    inner = Autoencoder(encoder(3), noise=0.1)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(inner(inputs)))
    copied = make(model, tmp_path)
    copied.set_weights(model.get_weights())
    expected = reconstruct(inner, reconstruct(inner, X))
    assert_same([copied.predict(X, verbose=0)], [expected])


@pytest.mark.slow
@pytest.mark.parametrize("make", KEEPING.values(), ids=KEEPING.keys())
@pytest.mark.parametrize("mode", ["int8", pytest.param("int4", marks=slow)])
def test_decoder_of_a_quantized_encoder_computes_with_its_kernels_as_floats(
    mode, make, tmp_path
):
    half = encoder(3, activation=None)
    for dense in half.layers:
        dense.quantize(mode)
    model = Autoencoder(half)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(X, verbose=0)
    copied = make(model, tmp_path)
    code = np.random.default_rng(3).normal(size=(4, 2)).astype("float32")
    expected = code
    for layer, tied in zip(
        reversed(copied.encoder.layers), model.decoder.layers[1:], strict=True
    ):
        bias, gain = map(keras.ops.convert_to_numpy, (tied.bias, tied.gain))
        expected = (expected * gain) @ read_kernel(layer).T + bias
    np.testing.assert_allclose(copied.decode(code), expected, atol=1e-5)


def read_kernel(dense: Any) -> np.ndarray:
    """The kernel of a linear layer, from its outputs for unit rows, one at a time."""
    rows = np.eye(dense.kernel.shape[0] + 1, dense.kernel.shape[0], dtype="float32")
    outputs = np.array(
        [keras.ops.convert_to_numpy(dense(row[None])[0]) for row in rows]
    )
    return outputs[:-1] - outputs[-1]
