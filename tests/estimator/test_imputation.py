"""Missing values: left out of the loss, filled in by `reconstruct`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer

from keras_tied import TiedAutoencoder
from keras_tied.estimator._imputation import fit_gaussian

LINE = np.outer(np.linspace(-2, 2, 200), [1.0, -2.0, 0.5, 3.0])


def with_holes(X: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    holes = np.random.default_rng(seed).uniform(size=X.shape) < share
    holes[:, 0] &= ~holes.all(axis=1)
    return np.where(holes, np.nan, X)


def test_filled_in_from_what_is_there():
    """On a straight line in four dimensions one number tells the others."""
    X = with_holes(LINE, 0.2)
    filled = TiedAutoencoder(1, max_iter=20, random_state=0).fit(X).reconstruct(X)
    rms = np.sqrt(np.mean((filled - LINE)[np.isnan(X)] ** 2))
    mean = np.sqrt(np.mean((SimpleImputer().fit_transform(X) - LINE)[np.isnan(X)] ** 2))
    assert rms < 0.2 * mean


def test_left_out_of_the_error():
    X = with_holes(LINE, 0.2)
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    errors = estimator.reconstruction_error(X, per_feature=True)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(X))
    np.testing.assert_allclose(estimator.reconstruction_error(X), np.nanmean(errors, axis=1))
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.score(X))


def test_not_worse_than_pca_where_little_is_missing(iris):
    X = with_holes(iris, 0.03)
    estimator = TiedAutoencoder(2, max_iter=30, random_state=0).fit(X)
    scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    filled = fit_gaussian(scaled, np.random.RandomState(0)).impute(scaled)
    pca = PCA(2, svd_solver="full").fit(filled)
    reconstruction = pca.inverse_transform(pca.transform(filled))
    of_pca = np.nanmean((reconstruction - scaled) ** 2)
    errors = estimator.reconstruction_error(X, per_feature=True)
    assert np.nanmean(errors) <= 1.001 * of_pca


def test_row_and_column_of_nothing():
    X = LINE.copy()
    X[:, 3] = np.nan
    X[7] = np.nan
    with pytest.warns(UserWarning, match=r"no value in the columns \[3\]"):
        estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    np.testing.assert_allclose(estimator.reconstruct(X)[:, 3], 0, atol=0.1)


def test_missing_only_where_codes_are_wanted(iris):
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(iris)
    X = iris.copy()
    X[:, 2] = np.nan
    mean = iris.copy()
    mean[:, 2] = iris[:, 2].mean()
    np.testing.assert_allclose(estimator.transform(X), estimator.transform(mean), atol=1e-5)


@given(seed=st.integers(0, 50), d=st.integers(2, 6))
def test_conditional_means_are_those_of_the_formula(seed, d):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(80, d)) @ rng.normal(size=(d, d))
    fitted = fit_gaussian(Z, np.random.RandomState(0))
    covariance = np.linalg.inv(fitted.precision)
    row = Z[0].copy()
    gone = np.arange(d) < rng.integers(1, d)
    expected = row.copy()
    expected[gone] = fitted.mean[gone] + covariance[np.ix_(gone, ~gone)] @ np.linalg.solve(
        covariance[np.ix_(~gone, ~gone)], (row - fitted.mean)[~gone]
    )
    row[gone] = np.nan
    np.testing.assert_allclose(fitted.impute(row[None])[0], expected, rtol=1e-6, atol=1e-8)


def test_covariance_of_rows_with_holes_is_near_that_of_whole_ones(rng):
    mixing = rng.normal(size=(3, 3))
    Z = rng.normal(size=(2000, 3)) @ mixing
    fitted = fit_gaussian(with_holes(Z, 0.2), np.random.RandomState(0))
    np.testing.assert_allclose(
        np.linalg.inv(fitted.precision), np.cov(Z.T), atol=0.1 * np.trace(np.cov(Z.T)) / 3
    )


def test_dataframe_with_missing_values():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [1.0, None, 3.0] * 20, "b": [1, 2, 3] * 20})
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X)[1::3, 0], 2.0, atol=0.2)
