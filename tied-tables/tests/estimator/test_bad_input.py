"""What the estimator says of input it cannot use; each message is scikit-learn's or
like it.
"""

import datetime
from itertools import product

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from tied_tables import TiedAutoencoder

METHODS = (
    "transform reconstruct impute reconstruction_error score score_samples rarity"
    " explain decision_function predict"
).split()


@pytest.mark.parametrize("method", [*METHODS, "save"])
def test_before_fit(method):
    with pytest.raises(NotFittedError, match="instance is not fitted yet"):
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


def test_probabilities_of_numbers(fitted, iris):
    with pytest.raises(ValueError, match="fitted to numbers: reconstruct_proba needs"):
        fitted.reconstruct_proba(iris)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        ([[1.0, 2.0]], r"Found array with 1 sample\(s\).*minimum of 2 is required"),
        (pd.DataFrame({"a": [1.0]})[:0], "^Found array with 0 sample"),
        (np.zeros((2, 1), "datetime64[D]"), r"Date data .*: X has datetime64\[D\]"),
        (pl.LazyFrame({"a": [1.0, 2.0]}), r"X is a LazyFrame.*X\.collect\(\)"),
        (
            [[0, -1.7e308], [1, 1.7e308]],
            r"columns \[1\] of X differ by more than float64",
        ),
    ],
)
def test_rows(X, message):
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(1).fit(X)


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_a_frame_of_dask_is_refused_and_an_array_is_read(method, fitted, iris):
    pytest.importorskip("dask")
    array = pytest.importorskip("dask.array").from_array(iris, chunks=(100, 2))
    assert_array_equal(fitted.transform(array), fitted.transform(iris))
    with pytest.raises(ValueError, match=r"frame of Dask: .*X\.map_partitions"):
        getattr(fitted, method)(array.to_dask_dataframe())


TIMES = [datetime.datetime(2024, 1, day) for day in (1, 2, 3)]
DAYS = [time.date() for time in TIMES]
SPANS = [time - TIMES[1] for time in TIMES]


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table, pa.record_batch]
)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (list("aba"), "Non-numeric data .*: column 'b' of X .*string to float: 'a'"),
        (DAYS, "column 'b' of X "),
        (TIMES, "Date data not supported: column 'b' of X has (date|time)"),
        (SPANS, "column 'b' of X has "),
        ([[1.0], [2.0], [3.0]], "column 'b' of X cannot be used"),
    ],
)
def test_the_column_that_is_no_number_is_named(make, values, message):
    frame = make({"a": [1.0, 2.0, 4.0], "b": values})
    with pytest.raises(ValueError, match=f"(?i){message}") as caught:
        TiedAutoencoder(1, categorical_features=None).fit(frame)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "features", "message"),
    [
        ([1j, 2.0] * 9, "from_dtype", "Complex data not supported: column 'a' of X"),
        (["a", 1] * 9, "from_dtype", r"column 'a' cannot be used \("),
        (
            [*map(str, range(16)), "about 1", "about 2"],
            "from_dtype",
            "'a' holds integers in 89% .*categorical_features",
        ),
        ([1.5, 2] * 9, ["a"], "'a' has fractions"),
        ([1, 2] * 9, ["no such column"], "categorical_features="),
        ([1, 2] * 9, [9], "categorical_features="),
        ([1, 2] * 9, [-4], "categorical_features="),
        ([1, 2] * 9, [True], "categorical_features="),
    ],
)
def test_columns_that_are_no_categories_are_named(values, features, message):
    frame = pd.DataFrame({"a": values, "b": range(18)})
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(1, categorical_features=features).fit(frame)


@pytest.mark.parametrize("library", [pd, pl])
def test_a_column_without_values_warns_by_name(library):
    frame = library.DataFrame(
        {
            "a": [1.0, 2.0, 4.0],
            "b": [None] * 3,
        }
    )
    with pytest.warns(
        UserWarning, match=r"was left out: 'b' \(no value in 3"
    ) as caught:
        estimator = TiedAutoencoder(1).fit(frame)
    assert caught[0].filename == __file__
    assert list(estimator.reconstruct(frame)["b"]) == [None] * 3


BEYOND = [
    ("n_components", 0),
    ("hidden_layer_sizes", (4, 0)),
    ("hidden_layer_sizes", (1.5,)),
    ("max_iter", 0),
    ("batch_size", 0),
    ("learning_rate", 0),
    ("n_iter_no_change", 0),
    ("validation_fraction", 1.0),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *product(TiedAutoencoder().get_params(), [-1, "x", object()]),
        *BEYOND,
    ],
)
def test_parameter_is_named_where_it_is_refused(name, value, iris):
    with pytest.raises(ValueError, match=name):
        TiedAutoencoder(**{name: value}).fit(iris)


@pytest.mark.parametrize("shape", [(150, 4), (4, 150)])
def test_more_components_than_features_or_rows(shape, rng):
    message = r"n_components=5 must be between 1 and min\(n_samples, n_features\)=4"
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(5).fit(rng.normal(size=shape))


HIDDEN = r"sample_weight hides all rows .* in the columns \[.*3\] of X: give weights"


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-np.ones(150), "Negative values in data passed to `sample_weight`"),
        (np.eye(150)[3], "at least 2 rows of positive sample_weight, and was given 1"),
        (np.ma.masked_less(np.ones(150), 2), "sample_weight contains NaN"),
        *((np.where(np.arange(150), 1, w), HIDDEN) for w in (1e30, 1e100, 1e308)),
        (np.where(np.arange(150) < 2, 1e307, 1), HIDDEN),
    ],
)
def test_weights(weights, message, iris):
    with pytest.raises(ValueError, match=message):
        TiedAutoencoder(1).fit(iris, sample_weight=weights)


def test_held_out_rows_without_a_value(iris):
    with pytest.raises(ValueError, match="X_val has no value in the columns"):
        TiedAutoencoder(1).fit(iris, X_val=np.full((9, 4), np.nan))
    X = iris.copy()
    X[:, 3] = np.nan
    of_last = np.where(np.arange(4) < 3, np.nan, iris[:9])
    with pytest.raises(ValueError, match="X_val has no value in the columns"):
        TiedAutoencoder(1).fit(X, X_val=of_last)


def test_weights_that_fall_to_nothing_are_used(iris):
    X = np.random.default_rng(0).permutation(iris)
    weights = 0.1 ** np.arange(0, 450, 3.0)  # from 1 to 1e-447, which is 0
    weights[:90] = 1.0
    estimator = TiedAutoencoder(1, max_iter=1).fit(X, sample_weight=weights)
    assert np.isfinite(estimator.score_samples(X)).all()


def write_texts(X):
    return pd.DataFrame(X.round(1)).astype(str)


@pytest.mark.parametrize("convert", [np.asarray, write_texts])
def test_a_failed_fit_keeps_what_was_learned(convert, rng):
    """The number of features and the columns, too."""
    X = rng.normal(size=(60, 3))
    estimator = TiedAutoencoder(2, max_iter=1).fit(convert(X))
    codes = estimator.transform(convert(X))
    with pytest.raises(ValueError, match="n_components=2 must be"):
        estimator.fit(convert(X[:, :1]))
    assert_array_equal(estimator.transform(convert(X)), codes)


def test_an_unknown_parameter_is_an_error_of_the_estimator():
    with pytest.raises(
        TypeError, match=r"^TiedAutoencoder\.__init__\(\) got .* 'width'"
    ):
        TiedAutoencoder(width=2)
