"""Scale and start: in double precision whatever the dtype, and in any unit."""

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.fitted.pca import fit_pca
from keras_tied.fitted.scaling import fit_scaling

SCALERS = ("standard", "minmax", None)
FACTORS = (1e-300, 1e-200, 1e-20, 1e200, 1e305)


@pytest.fixture(scope="module")
def few() -> np.ndarray:
    """Rows of decimals of which only PCA is fitted, with some missing, at different
    scales.
    """
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) * [1, 10, 0.1, 1, 3] + [
        5,
        0,
        2,
        -4,
        0,
    ]
    X[rng.uniform(size=X.shape) < 0.05] = np.nan
    return X.round(3)


def fit_few(X: np.ndarray, scaler="standard") -> TiedAutoencoder:
    return TiedAutoencoder(2, scaler=scaler, random_state=0).fit(X)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_columns_are_measured_as_scikit_learn_measures_doubles(dtype, few, rng):
    X = few.astype(dtype)
    weights = rng.uniform(0.1, 2, len(X))
    standard = StandardScaler().fit(X.astype("float64"), sample_weight=weights)
    found = fit_scaling(X, "standard", weights)
    np.testing.assert_allclose(found.shift, standard.mean_, rtol=1e-13)
    np.testing.assert_allclose(found.scale, standard.scale_, rtol=1e-13)
    common = fit_scaling(X, None, weights)
    np.testing.assert_allclose(common.shift, standard.mean_, rtol=1e-13)
    np.testing.assert_allclose(common.scale, np.sqrt(standard.var_.mean()), rtol=1e-13)
    ranges = MinMaxScaler().fit(X.astype("float64"))
    found = fit_scaling(X, "minmax", weights)
    np.testing.assert_array_equal(found.shift, ranges.data_min_)
    np.testing.assert_allclose(found.scale, ranges.data_range_, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_large_table_is_measured_without_a_copy_in_double_precision(dtype, rng):
    X = rng.normal(size=(2**19, 16)).astype(dtype)
    tracemalloc.start()
    fit_scaling(X, "standard", np.ones(len(X)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.size * 8 / 1.5


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("scaler", SCALERS)
def test_the_unit_does_not_matter(scaler, factor, few):
    one, other = fit_few(few, scaler), fit_few(few * factor, scaler)
    np.testing.assert_allclose(
        other.transform(few * factor), one.transform(few), atol=1e-5
    )
    np.testing.assert_allclose(
        other.reconstruct(few * factor) / factor,
        one.reconstruct(few),
        rtol=1e-5,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        other.reconstruction_r2_, one.reconstruction_r2_, rtol=1e-6
    )
    np.testing.assert_allclose(
        other.score_samples(few * factor), one.score_samples(few), rtol=1e-4
    )


def test_the_unit_of_a_column_does_not_matter(few):
    factors = np.array(FACTORS)
    one, other = fit_few(few), fit_few(few * factors)
    np.testing.assert_allclose(
        other.transform(few * factors), one.transform(few), atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("scaler", SCALERS)
def test_codes_of_small_dtypes_are_those_of_doubles(dtype, scaler, few):
    X = few.astype(dtype)
    one, other = fit_few(X, scaler), fit_few(X.astype("float64"), scaler)
    codes = other.transform(X.astype("float64"))
    np.testing.assert_allclose(one.transform(X), codes, atol=2e-5)
    assert one.transform(X).dtype == "float32"


def test_two_standardized_columns_have_a_sign_whatever_the_rounding():
    """Their components are (1, 1) and (1, -1): which of two equal numbers is larger is
    chance.
    """
    for seed in range(20):
        rng = np.random.default_rng(seed)
        Z = rng.normal(size=(30, 2)) @ [[1, 0.5], [0, 1]]
        Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
        for order in ([0, 1], [1, 0]):
            vectors = fit_pca(Z[:, order]).vectors
            np.testing.assert_allclose(
                vectors, np.sqrt(0.5) * np.array([[1, 1], [1, -1]])
            )


def test_components_are_those_of_scikit_learn(few):
    Z = np.nan_to_num(few)
    components = PCA(svd_solver="full").fit(Z).components_
    largest = np.take_along_axis(
        components, np.abs(components).argmax(axis=1)[:, None], axis=1
    )
    np.testing.assert_allclose(
        fit_pca(Z).vectors.T, components * np.sign(largest), atol=1e-9
    )


@pytest.mark.parametrize("offset", [1e4, 1e7])
def test_a_large_mean_costs_single_precision_nothing_more(offset, rng):
    """What single precision holds of a number is scaled as in double precision."""
    X = (offset + rng.integers(-9, 9, (40, 3))).astype("float32")
    estimator = TiedAutoencoder(2).fit(X)
    for name in ("transform", "reconstruction_error", "score_samples"):
        method = getattr(estimator, name)
        np.testing.assert_allclose(
            method(X), method(X.astype("float64")), rtol=1e-5, atol=1e-5
        )
