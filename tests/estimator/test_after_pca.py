"""What somebody who comes from `sklearn.decomposition.PCA` looks for."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score

from keras_tied import TiedAutoencoder

ATTRIBUTES = ("components_", "explained_variance_ratio_", "singular_values_", "mean_")


def test_r2_of_each_feature_is_that_of_scikit_learn(fitted, iris):
    expected = r2_score(iris, fitted.reconstruct(iris), multioutput="raw_values")
    np.testing.assert_allclose(fitted.feature_r2_, expected, atol=1e-5)
    np.testing.assert_allclose(
        fitted.feature_r2_.mean(), fitted.reconstruction_r2_, rtol=1e-6
    )


def test_r2_counts_weights_and_what_is_there(iris, rng):
    """Near to that of what is there: deviations are from the mean of rows that are
    filled in.
    """
    X = np.where(rng.uniform(size=iris.shape) < 0.05, np.nan, iris)[::4]
    weights = rng.uniform(0.5, 2, len(X))
    estimator = TiedAutoencoder(1, random_state=0).fit(X, sample_weight=weights)
    reconstruction = estimator.reconstruct(X)
    for column, restored, found in zip(
        X.T, reconstruction.T, estimator.feature_r2_, strict=True
    ):
        there = ~np.isnan(column)
        expected = r2_score(
            column[there], restored[there], sample_weight=weights[there]
        )
        np.testing.assert_allclose(found, expected, atol=5e-3)


def test_r2_of_a_constant_feature_is_one_and_of_nothing_nan(iris):
    X = np.column_stack([iris[::4], np.full(38, 0.1), np.full(38, np.nan)])
    with pytest.warns(UserWarning, match="no value"):
        found = TiedAutoencoder(1).fit(X).feature_r2_
    assert np.isfinite(found[:4]).all()
    assert found[4] == 1
    assert np.isnan(found[5])


@pytest.mark.slow
def test_r2_of_features_follows_partial_fit_and_is_not_in_a_file(iris, tmp_path):
    estimator = TiedAutoencoder(1, max_iter=3, random_state=0).partial_fit(iris)
    expected = r2_score(iris, estimator.reconstruct(iris), multioutput="raw_values")
    np.testing.assert_allclose(estimator.feature_r2_, expected, atol=1e-5)
    estimator.save(tmp_path / "m.safetensors")
    loaded = TiedAutoencoder.load(tmp_path / "m.safetensors")
    with pytest.raises(AttributeError, match=r"feature_r2_.*not stored in a file"):
        loaded.feature_r2_  # noqa: B018
    loaded.partial_fit(iris)
    assert loaded.feature_r2_.shape == (4,)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_of_pca_says_what_to_use(name, fitted):
    assert not hasattr(fitted, name)
    with pytest.raises(
        AttributeError, match=f"TiedAutoencoder has no {name}, as .*: use "
    ):
        getattr(fitted, name)


def test_other_attributes_are_missed_as_ever(fitted):
    with pytest.raises(
        AttributeError, match="'TiedAutoencoder' object has no attribute 'depth_'"
    ):
        fitted.depth_  # noqa: B018
    for name in ("model_", "encoder_", "offset_"):
        with pytest.raises(NotFittedError):
            getattr(TiedAutoencoder(), name)
    with pytest.raises(AttributeError, match="object has no attribute 'components_'"):
        TiedAutoencoder().components_  # noqa: B018
    for other in (
        copy.copy(fitted),
        copy.deepcopy(fitted),
        pickle.loads(pickle.dumps(fitted)),
    ):
        np.testing.assert_array_equal(other.feature_r2_, fitted.feature_r2_)


@pytest.mark.parametrize("n_components", [None, "mle"])
def test_number_of_components_of_pca_that_is_not_there(n_components, iris):
    with pytest.raises(
        ValueError, match=f"n_components={n_components!r}.*share of variance"
    ):
        TiedAutoencoder(n_components).fit(iris)
