"""Statistics of rows that are merged from parts, against NumPy's of all
rows at once.
"""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied.fitted.moments import Moments, measure_moments
from keras_tied.fitted.pca import fit_pca
from keras_tied.fitted.scaling import fit_scaling


def merge_shards(X, n):
    """Merge the moments of n parts of random lengths."""
    ends = np.sort(
        np.random.default_rng(n).choice(np.arange(1, len(X)), n - 1, replace=False)
    )
    return reduce(Moments.merge, map(measure_moments, np.split(X, ends)))


@pytest.mark.parametrize("n_shards", [2, 16, 1000])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_shards_give_the_statistics_of_one_pass(n_shards, offset, rng):
    X = rng.normal(size=(20_000, 6)) @ rng.normal(size=(6, 6)) + offset
    merged, whole = merge_shards(X, n_shards), measure_moments(X)
    np.testing.assert_allclose(merged.means, X.mean(axis=0), rtol=1e-12)
    # The means are known to 1e-16 of the offset.
    rtol = 1e-12 + 1e-16 * offset
    np.testing.assert_allclose(
        merged.products, whole.products, rtol=rtol, atol=rtol * len(X)
    )
    covariance = np.cov(X.T, bias=True)
    np.testing.assert_allclose(merged.products / len(X), covariance, rtol=1e-9)
    np.testing.assert_array_equal(
        [merged.low, merged.high], [X.min(axis=0), X.max(axis=0)]
    )
    assert merged.rows == len(X)
    assert merged.is_complete


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_scaling_is_that_of_all_rows(scaler, missing, rng):
    X = rng.normal([3, -5, 0, 2], [1, 10, 1e-3, 0], size=(3000, 4))
    X[rng.random(X.shape) < missing] = np.nan
    X[:1500, 2] = np.nan
    merged = merge_shards(X, 7).find_scaling(scaler)
    expected = fit_scaling(X, scaler, np.ones(len(X)))
    np.testing.assert_allclose(merged.shift, expected.shift, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(merged.scale, expected.scale, rtol=1e-12)


def test_the_components_are_those_of_all_scaled_rows(rng):
    X = (
        rng.normal(size=(5000, 5))
        * [5, 4, 3, 2, 1]
        @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    )
    moments = merge_shards(X, 9)
    scaling = moments.find_scaling("standard")
    ours = moments.find_components(scaling)
    expected = fit_pca((X - X.mean(axis=0)) / X.std(axis=0))
    np.testing.assert_allclose(ours.variances, expected.variances, rtol=1e-10)
    np.testing.assert_allclose(ours.vectors, expected.vectors, atol=1e-10)
    np.testing.assert_allclose(ours.mean, np.zeros(5), atol=1e-12)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3) | st.just(np.nan), min_size=1), min_size=1)
)
def test_any_parts_with_missing_values_give_numpys_mean_and_variance(parts):
    columns = [np.array(part)[:, None] for part in parts]
    merged = reduce(Moments.merge, map(measure_moments, columns))
    values = np.concatenate(columns)
    present = values[~np.isnan(values)]
    assert merged.rows == len(values)
    assert merged.counts[0] == len(present)
    if len(present):
        np.testing.assert_allclose(
            merged.means[0], present.mean(), rtol=1e-9, atol=1e-9
        )
        variance = merged.products[0, 0] / len(present)
        np.testing.assert_allclose(variance, present.var(), rtol=1e-9, atol=1e-6)
