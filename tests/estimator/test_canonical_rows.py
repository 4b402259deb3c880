"""Few rows give one fit in any order and precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from keras_tied import TiedAutoencoder
from keras_tied.fitting.plan import FEW_ROWS, Parameters
from keras_tied.fitting.prepare import canonicalize_few_rows, take_rows


def make_rows(seed, n=60):
    """Continuous numbers, decimals and whole numbers, with gaps.

    Some rows differ in the last column alone.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1e-8, 3e4, 20, 1e5]
    X[:, 2:] = X[:, 2:].round(2)
    X[:, 3] = X[:, 3].round()
    X[:9, :3] = X[9, :3]
    X[rng.uniform(size=X.shape) < 0.02] = np.nan
    return X


def canonicalize(X, weights):
    rows = canonicalize_few_rows(take_rows(Parameters(trim=False), X, weights))
    return rows.X, rows.weights


def canonical(X):
    return canonicalize(X, np.ones(len(X)))[0]


@given(seed=st.integers(0, 1000))
def test_single_precision_and_order_make_no_difference(seed):
    """Nor do they for rows that differ in their weight alone."""
    X = np.tile(make_rows(seed, 30), (2, 1))
    rng = np.random.default_rng(seed)
    order, weights = rng.permutation(60), rng.uniform(size=60)
    expected = canonicalize(X, weights)
    found = canonicalize(X[order].astype("float32"), weights[order])
    assert_array_equal(found[0], expected[0])
    assert_array_equal(found[1], expected[1])


@given(seed=st.integers(0, 1000))
def test_rows_are_the_same_to_single_precision_and_weights_go_with_them(seed):
    X = make_rows(seed)
    found, weights = canonicalize(X, np.arange(1.0, len(X) + 1))
    assert_allclose(found, X[weights.astype(int) - 1], rtol=2**-23)


@pytest.mark.parametrize(
    ("offset", "scale"), [(1e6, 1), (1e12, 1), (0, 1e200), (0, 1e-200)]
)
def test_what_single_precision_cannot_hold_stays(offset, scale, rng):
    X = offset + scale * rng.normal(size=(50, 1))
    assert_array_equal(canonical(X), np.sort(X, axis=0))


def test_many_rows_stay_where_they_are(rng):
    X = rng.normal(size=(FEW_ROWS, 2))
    assert canonical(X) is X


@pytest.mark.parametrize("decimals", [1, 9])
def test_a_fit_is_the_same_in_single_precision_and_in_another_order(
    decimals, iris, rng
):
    X = (iris + rng.uniform(-0.05, 0.05, iris.shape)).round(decimals)
    order, weights = rng.permutation(150), rng.uniform(0.5, 2, 150)
    estimators = []
    for rows, of_rows in ((X, weights), (X[order].astype("float32"), weights[order])):
        estimator = TiedAutoencoder(1, max_iter=20, random_state=0)
        estimators.append(estimator.fit(rows, sample_weight=of_rows))
    one, other = estimators
    assert one.loss_curve_ == other.loss_curve_
    assert_allclose(other.transform(X), one.transform(X), atol=1e-5)
    assert other.offset_ == pytest.approx(one.offset_, rel=1e-5)
