"""What the estimator says of input it cannot use; each message is scikit-learn's or
like it.
"""

import copy
import datetime
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.exceptions import NotFittedError

from keras_tied import TiedAutoencoder

METHODS = (
    "transform reconstruct reconstruction_error score score_samples decision_function"
    " predict"
).split()


@pytest.mark.parametrize("method", METHODS)
def test_before_fit(method):
    with pytest.raises(
        NotFittedError, match="This TiedAutoencoder instance is not fitted yet"
    ):
        getattr(TiedAutoencoder(), method)(np.zeros((2, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_wrong_number_of_features(method, fitted):
    message = "X has 3 features, but TiedAutoencoder is expecting 4 features as input"
    with pytest.raises(ValueError, match=message):
        getattr(fitted, method)(np.zeros((2, 3)))


def test_codes_of_a_wrong_width(fitted):
    with pytest.raises(
        ValueError, match="X has 2 features, but TiedAutoencoder has codes of 1"
    ):
        fitted.inverse_transform(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        ([[1.0, np.inf], [2.0, 3.0]], "Input X contains infinity"),
        ([[1.0, 2.0]], r"Found array with 1 sample\(s\).*minimum of 2 is required"),
        (np.zeros((0, 3)), r"Found array with 0 sample\(s\)"),
        (np.zeros((3, 0)), r"Found array with 0 feature\(s\)"),
        ([1.0, 2.0], "Expected 2D array, got 1D array instead"),
        (np.zeros((2, 2, 2)), "Found array with dim 3"),
        (np.array([[1j, 2.0], [3.0, 4.0]]), "Complex data not supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rows(X, message):
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(1).fit(X)


def to_frame(kind: str, values) -> object:
    """A data frame of a number, `size`, and a column `other`."""
    library = pytest.importorskip(kind)
    return library.DataFrame({"size": [1.0, 2.0, 4.0], "other": values})


DAYS = [datetime.date(2024, 1, day) for day in (1, 2, 3)]
TIMES = [datetime.datetime(2024, 1, day) for day in (1, 2, 3)]


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["a", "b", "a"],
            (
                "Non-numeric data not supported: column 'other' of X .*string to"
                " float: 'a'"
            ),
        ),
        (DAYS, "column 'other' of X "),
        (TIMES, "Date data not supported: column 'other' of X has datetime"),
        ([b - a for a, b in pairwise([*TIMES, TIMES[0]])], "column 'other' of X has "),
        ([[1.0], [2.0], [3.0]], "column 'other' of X cannot be used"),
    ],
    ids=["text", "days", "times", "durations", "lists"],
)
def test_the_column_that_is_no_number_is_named(kind, values, message):
    frame = to_frame(kind, values)
    with pytest.raises(ValueError, match=f"(?i){message}") as caught:
        TiedAutoencoder(1, categorical_features=None).fit(frame)
    assert "\n" not in str(caught.value)


def test_a_frame_without_rows_is_not_said_to_hold_no_numbers():
    with pytest.raises(ValueError, match=r"^Found array with 0 sample"):
        TiedAutoencoder(1).fit(to_frame("pandas", [1.0, 3.0, 2.0])[:0])


def test_complex_column_is_named():
    frame = to_frame("pandas", [1j, 2.0, 3.0])
    with pytest.raises(
        ValueError, match="Complex data not supported: column 'other' of X"
    ) as caught:
        TiedAutoencoder(1).fit(frame)
    assert "\n" not in str(caught.value)


def test_rows_to_encode_are_checked_as_those_to_learn_from():
    estimator = TiedAutoencoder(1).fit(to_frame("pandas", [1.0, 3.0, 2.0]))
    with pytest.raises(ValueError, match="column 'other' of X"):
        estimator.transform(to_frame("pandas", ["a", "b", "c"]))


def test_array_of_dates():
    dates = np.array(DAYS, "datetime64[D]").reshape(-1, 1)
    with pytest.raises(
        ValueError, match=r"Date data not supported: X has datetime64\[D\]"
    ):
        TiedAutoencoder(1).fit(dates)


def test_lazy_frame():
    frame = to_frame("polars", [1.0, 2.0, 3.0]).lazy()
    with pytest.raises(ValueError, match=r"X is a LazyFrame.*X\.collect\(\)"):
        TiedAutoencoder(1).fit(frame)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_column_without_values_warns_by_name(kind):
    frame = to_frame(kind, [None, None, None])
    with pytest.warns(
        UserWarning, match=r"was left out: 'other' \(no value in 3"
    ) as caught:
        estimator = TiedAutoencoder(1).fit(frame)
    assert caught[0].filename == __file__
    assert list(estimator.reconstruct(frame)["other"]) == [None] * 3
    numbers = np.column_stack([frame["size"], [np.nan] * 3])
    with pytest.warns(UserWarning, match=r"no value in the columns \[1\]"):
        estimator = TiedAutoencoder(1).fit(numbers)
    np.testing.assert_array_equal(estimator.reconstruct(numbers)[:, 1], 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_further_apart_than_their_dtype_can_hold(dtype):
    X = np.array([[1, -0.9], [2, 0.9], [4, 0.8]], dtype) * np.array(
        [1, np.finfo(dtype).max]
    )
    with pytest.raises(
        ValueError, match=rf"columns \[1\] of X differ by more than {dtype}"
    ):
        TiedAutoencoder(1).fit(X.astype(dtype))


def test_more_components_than_features(iris):
    message = r"n_components=5 must be between 1 and min\(n_samples, n_features\)=4"
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(5).fit(iris)


def test_more_components_than_rows(digits):
    with pytest.raises(ValueError, match=r"n_components=5 must be between 1 and .*=3"):
        TiedAutoencoder(5).fit(digits[:3])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", 0),
        ("n_components", 1.5),
        ("n_components", "2"),
        ("hidden_layer_sizes", 0),
        ("hidden_layer_sizes", "wide"),
        ("hidden_layer_sizes", (4, 0)),
        ("hidden_layer_sizes", [[4]]),
        ("hidden_layer_sizes", (1.5,)),
        ("activation", 3),
        ("activation", lambda x: x),
        ("activation", np.tanh),
        ("solver", "adam"),
        ("scaler", "robust"),
        ("noise", -0.1),
        ("noise", "gaussian"),
        ("sparsity", -1),
        ("weight_decay", -1),
        ("encoder", "dense"),
        ("max_iter", 0),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("early_stopping", "yes"),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("contamination", 0.6),
        ("random_state", -1),
    ],
)
def test_parameter_is_named_where_it_is_refused(name, value, iris):
    with pytest.raises(ValueError, match=name):
        TiedAutoencoder(**{"n_components": 1, name: value}).fit(iris)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), r"sample_weight.shape == \(3,\), expected \(150,\)"),
        (-np.ones(150), "Negative values in data passed to `sample_weight`"),
        (
            np.eye(150)[3],
            "needs at least 2 rows of positive sample_weight, and was given 1",
        ),
        (np.full(150, np.nan), "sample_weight contains NaN"),
    ],
)
def test_weights(weights, message, iris):
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(1).fit(iris, sample_weight=weights)


def test_encoder_of_another_size(iris):
    encoder = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"encoder takes 3 numbers.*X has 4 features"):
        TiedAutoencoder(encoder=encoder).fit(iris)


def test_encoder_of_unknown_shape(rng):
    encoder = keras.Sequential([keras.Input((None, 2)), layers.Conv1D(2, 2)])
    with pytest.raises(ValueError, match=r"encoder.*known shape"):
        TiedAutoencoder(encoder=encoder).fit(rng.normal(size=(60, 8)))


def test_encoder_that_is_not_built(iris):
    with pytest.raises(ValueError, match=r"encoder.*keras.Input"):
        TiedAutoencoder(encoder=keras.Sequential([layers.Dense(2)])).fit(iris)


def test_encoder_of_two_inputs(iris):
    inputs = [keras.Input((2,)), keras.Input((2,))]
    encoder = keras.Model(inputs, layers.Dense(2)(layers.concatenate(inputs)))
    with pytest.raises(ValueError, match=r"encoder.*one input"):
        TiedAutoencoder(encoder=encoder).fit(iris)


def test_what_trains_the_estimators_own_network_alone_takes_no_encoder(iris):
    encoder = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    with pytest.raises(
        ValueError, match="solver='lbfgs' trains the estimator's own network"
    ):
        TiedAutoencoder(encoder=encoder, solver="lbfgs").fit(iris)
    with pytest.raises(
        ValueError, match=r"partial_fit trains .* use keras_tied.Autoencoder"
    ):
        TiedAutoencoder(encoder=encoder).partial_fit(iris)


def test_an_unknown_activation_is_refused_with_the_names_of_all(iris):
    with pytest.raises(ValueError, match="'activation'") as error:
        TiedAutoencoder(activation="leaky_relu").fit(iris)
    for name in "elu gelu relu selu sigmoid silu softplus tanh auto".split():
        assert f"'{name}'" in str(error.value)


def test_failed_fit_keeps_what_was_learned(fitted, iris):
    estimator = copy.deepcopy(fitted)
    codes = estimator.transform(iris)
    with pytest.raises(ValueError, match="infinity"):
        estimator.fit(np.where(iris > 7, np.inf, iris))
    np.testing.assert_array_equal(estimator.transform(iris), codes)
