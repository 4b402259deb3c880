import keras
import numpy as np
import pytest
import scipy.sparse
from keras.layers import Dense, Dropout, GaussianNoise, Layer, RandomCrop
from keras.models import clone_model
from keras.optimizers import SGD, Adam
from keras.regularizers import L1
from keras.utils import set_random_seed
from numpy.random import default_rng
from tests.marks import slow, slow_but

from keras_tied import Autoencoder, assert_tied, mirror, ties

from ..layers.cases import (
    from_config,
    from_json,
    normal,
    through_deepcopy,
    through_file,
    through_pickle,
)
from .networks import (
    assert_close,
    assert_same_weights,
    chain,
    join,
    run,
    several_inputs,
)

X = normal(40, 5)
Y = normal(40, 5, seed=1)
WEIGHTS = default_rng(2).uniform(size=40).astype("float32")


def build_encoder(activation="tanh"):
    set_random_seed(0)
    return chain(Dense(3, activation), Dense(2, activation), shape=(5,))


def compile_model(model):
    model.compile(
        SGD(0.1),
        "mse",
        metrics=["mae"],
        weighted_metrics=["mse"],
    )
    return model


def build_model(**settings):
    return compile_model(Autoencoder(build_encoder(), **settings))


def build_twin(model):
    """The same network and weights as a Functional model, which needs targets."""
    encoder = build_encoder()
    twin = join(encoder, mirror(encoder))
    twin.set_weights(model.get_weights())
    return compile_model(twin)


def reconstruct(model, x):
    return run(model.decoder, run(model.encoder, x))


GIVEN = {
    "rows alone": [{}],
    "a target": [{"y": Y}],
    "weights": [{"sample_weight": WEIGHTS}],
    "a split": [{"validation_split": 0.25}],
    "validation rows": [{"validation_data": Y}, {"validation_data": (Y, Y)}],
    "validation targets": [{"validation_data": (Y, X)}],
    "validation weights": [
        {"validation_data": (Y, None, WEIGHTS)},
        {"validation_data": (Y, Y, WEIGHTS)},
    ],
}
"""What `Autoencoder.fit` is given, and what `keras.Model.fit` is for the same, if that
is another.
"""


@pytest.mark.parametrize("name", slow_but(GIVEN, "validation weights"))
def test_fit_and_evaluate_are_those_of_a_keras_model_with_the_input_as_target(name):
    given, spelt_out = GIVEN[name][0], GIVEN[name][-1]
    model = build_model()
    twin = build_twin(model)
    settings = {"epochs": 2, "batch_size": 16, "shuffle": False, "verbose": 0}
    found = model.fit(X, **settings, **given).history
    expected = twin.fit(
        X,
        **{"y": X, **settings, **spelt_out},
    ).history
    assert found.keys() == expected.keys()
    assert_close(list(found.values()), list(expected.values()))
    assert_same_weights(model, twin)
    if not any("validation" in setting for setting in given):
        targets = {"y": X, **given}
        expected = twin.evaluate(X, **targets, verbose=0)
        assert_close(model.evaluate(X, **given, verbose=0), expected)


def batches(*arrays):
    for start in range(0, len(X), 10):
        yield tuple(array[start : start + 10] for array in arrays)


class Batches(keras.utils.PyDataset):
    def __init__(self, *arrays):
        super().__init__()
        self.items = list(batches(*arrays))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class BareBatches(Batches):
    def __getitem__(self, index):
        return self.items[index][0]


def with_torch(*arrays):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(*map(torch.tensor, arrays))
    return torch.utils.data.DataLoader(data, batch_size=10)


@pytest.mark.parametrize(
    ("source", "n_arrays"),
    [
        pytest.param(batches, 3, marks=slow),
        (BareBatches, 1),
        (Batches, 1),
        (Batches, 2),
        (Batches, 3),
        (with_torch, 3),
    ],
)
def test_streamed_data_trains_as_arrays_do(source, n_arrays):
    arrays = (X, Y, WEIGHTS)[:n_arrays]
    _, y, weights = (*arrays, None, None)[:3]
    streamed, whole = build_model(), build_model()
    steps = 4 if source is batches else None
    streamed.fit(
        source(*arrays),
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    )
    whole.fit(
        X,
        y,
        sample_weight=weights,
        batch_size=10,
        shuffle=False,
        verbose=0,
    )
    assert_same_weights(streamed, whole)


@slow
@pytest.mark.parametrize(
    "weights",
    [None, WEIGHTS],
    ids=["alone", "weights"],
)
def test_sparse_rows_are_taken_as_dense_ones_are(weights):
    rows = np.where(np.abs(X) > 0.8, X, 0)
    models = []
    errors = []
    for given in (rows, scipy.sparse.csr_matrix(rows)):
        model = build_model()
        model.fit(given, sample_weight=weights, shuffle=False, verbose=0)
        evaluated = model.evaluate(given, verbose=0)
        errors.append([*evaluated, *model.reconstruction_error(given)])
        models.append(model)
    assert_same_weights(*models)
    assert_close(*errors)


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Shift(Layer):
    """Adds one, whether training or not."""

    def call(self, inputs):
        return inputs + 1


def find_squared_error(model, x=X):
    return float(np.mean((reconstruct(model, x) - X) ** 2))


@pytest.mark.parametrize(
    ("shift", "factor"),
    [(0, 0.0), (1, 0.0), (0, 0.3)],
)
def test_the_loss_is_its_formula(shift, factor):
    """With noise in training, and a penalty on the code."""
    noise = Shift() if shift else None
    penalty = L1(factor) if factor else None
    encoder = build_encoder(activation=None)
    model = Autoencoder(encoder, noise=noise, code_regularizer=penalty)
    model.compile(SGD(0.0))
    lost = factor * np.abs(run(encoder, X)).sum() / len(X)
    loss = model.train_on_batch(X)
    assert_close(loss, find_squared_error(model, X + shift) + lost)
    model.reset_metrics()
    assert_close(model.test_on_batch(X), find_squared_error(model) + lost)
    assert_close(model.predict(X, verbose=0), reconstruct(model, X))


def test_noise_that_is_a_number_is_the_deviation_of_gaussian_noise():
    model = build_model(noise=0.5)
    assert isinstance(model.noise, GaussianNoise)
    assert model.noise.stddev == 0.5


def test_compile_takes_adam_by_default():
    model = Autoencoder(build_encoder())
    model.compile()
    assert isinstance(model.optimizer, Adam)


def test_encode_decode_and_the_reconstruction_error_are_those_of_the_halves():
    model = build_model()
    code = model.encode(X)
    assert_close(code, run(model.encoder, X))
    assert_close(model.decode(code), reconstruct(model, X))
    squares = (reconstruct(model, X) - X) ** 2
    assert_close(model.reconstruction_error(X, per_feature=True), squares)
    assert_close(model.reconstruction_error(X), squares.mean(axis=1))


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_half_cannot_be_replaced_in_silence(name):
    model = Autoencoder(build_encoder())
    before = getattr(model, name)
    message = f"make an Autoencoder of the other {name}"
    with pytest.raises(AttributeError, match=message):
        setattr(model, name, build_encoder())
    setattr(model, name, before)
    assert getattr(model, name) is before


def test_inputs_shapes_and_weights_are_those_of_the_halves():
    model = Autoencoder(build_encoder())
    inner = keras.Model(model.inputs[0], model.encoder.layers[0].output)
    assert inner(X).shape == (40, 3)
    assert model.input_shape == model.output_shape == (None, 5)
    assert model.count_params() == (5 * 3 + 3) + (3 * 2 + 2) + (2 + 3) + (3 + 5)


def clone(model, folder):
    return clone_model(model)


copying = pytest.mark.parametrize(
    "make",
    [
        through_file,
        through_deepcopy,
        through_pickle,
        from_config,
        from_json,
        clone,
    ],
)


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Scored(Autoencoder):
    """With a keyword and a layer of its own."""

    def __init__(self, *halves, scale=1.0, **settings):
        super().__init__(*halves, **settings)
        self.scale = scale
        self.scorer = Dense(1)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


@copying
def test_a_copy_of_a_subclass_is_tied_and_has_its_settings(make, tmp_path):
    noise = Dropout(0.2, seed=0)
    settings = {"code_regularizer": "l1", "scale": 2.0}
    model = Scored(build_encoder(), noise=noise, **settings)
    model.scorer(run(model.encoder, X))
    copied = make(model, tmp_path)
    assert type(copied) is Scored
    found, expected = copied.get_config(), model.get_config()
    for name in ("noise", "code_regularizer", "scale"):
        assert found[name] == expected[name]
    assert copied.encoder is not model.encoder
    assert_tied(copied)
    assert len(ties(copied)) == 2


@copying
def test_a_model_that_calls_an_autoencoder_twice_is_copied(make, tmp_path):
    inner = Autoencoder(build_encoder(), noise=0.1)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, inner(inner(inputs)))
    copied = make(model, tmp_path)
    copied.set_weights(model.get_weights())
    expected = reconstruct(inner, reconstruct(inner, X))
    assert_close(copied.predict(X, verbose=0), expected)


@keras.saving.register_keras_serializable(package="keras_tied_tests")
class Halving(keras.Model):
    """An encoder that is neither Sequential nor Functional."""

    def call(self, inputs):
        return inputs[:, ::2]


def test_an_encoder_of_any_class_will_do_once_it_has_been_called():
    encoder = Halving()
    encoder(X)
    model = Autoencoder(encoder, keras.Sequential([Dense(5)]))
    assert model.predict(X, verbose=0).shape == X.shape


def small(units, features):
    return chain(Dense(units), shape=(features,))


ERRORS = {
    "Dense 'dense.*' as its encoder": lambda: Autoencoder(Dense(2)),
    "received str as its decoder": lambda: Autoencoder(build_encoder(), "mirror"),
    "'open' .* no input shape yet: start it with a `keras.Input`": lambda: Autoencoder(
        keras.Sequential([Dense(2)], name="open")
    ),
    "call it on data once": lambda: Autoencoder(Halving(), small(5, 3)),
    "'several' has 2: concatenate": lambda: Autoencoder(several_inputs(), small(5, 5)),
    r"mirror has no rule for layer 'random_crop.*' \(RandomCrop\)": lambda: Autoencoder(
        chain(RandomCrop(2, 2), shape=(4, 5, 3))
    ),
    r"takes in \(None, 3\), and the encoder 'chain' gives \(None, 2\)": lambda: (
        Autoencoder(build_encoder(), small(5, 3))
    ),
    r"gives \(None, 4\), and the encoder 'chain' takes in \(None, 5\)": lambda: (
        Autoencoder(build_encoder(), small(4, 2))
    ),
    "`noise` .* 'gaussian'": lambda: Autoencoder(build_encoder(), noise="gaussian"),
    "`start` is 'pca', .* 'svd'": lambda: build_model().fit(X, start="svd"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_an_error_says_what_was_given_and_what_to_do(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
