"""Few rows give one fit in any order and precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_tied import TiedAutoencoder
from keras_tied.fitting.plan import FEW_ROWS, Parameters
from keras_tied.fitting.prepare import canonicalize_few_rows, take_rows


def make_rows(seed: int, n: int = 60) -> np.ndarray:
    """Continuous numbers, decimals, whole numbers, one of two, and some missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)) * [1, 1e-8, 3e4, 20, 1e5, 1] + [0, 0, 1e3, 5, 0, 0]
    X[:, 3], X[:, 4], X[:, 5] = X[:, 3].round(2), X[:, 4].round(), X[:, 5] > 0
    return np.where(rng.uniform(size=X.shape) < 0.02, np.nan, X)


def canonicalize(X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = canonicalize_few_rows(take_rows(Parameters(trim=False), X, weights))
    return rows.X, rows.weights


def canonical(X: np.ndarray) -> np.ndarray:
    return canonicalize(X, np.ones(len(X)))[0]


@given(seed=st.integers(0, 1000))
def test_single_precision_and_order_make_no_difference(seed):
    X = make_rows(seed)
    order = np.random.default_rng(seed).permutation(len(X))
    np.testing.assert_array_equal(canonical(X[order].astype("float32")), canonical(X))


@given(seed=st.integers(0, 1000), width=st.sampled_from([1, 17, 200]))
def test_rows_that_differ_in_a_late_column_or_in_weight_alone_are_sorted(seed, width):
    rng = np.random.default_rng(seed)
    X, weights = np.zeros((30, width)), rng.integers(1, 4, 30).astype(float)
    X[:, -1] = rng.integers(0, 4, 30)
    order = rng.permutation(30)
    for found, expected in zip(
        canonicalize(X[order], weights[order]),
        canonicalize(X, weights),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@given(seed=st.integers(0, 1000), factor=st.sampled_from([10, 3, 1e-3, 2.5]))
def test_the_unit_of_decimals_makes_no_difference(seed, factor):
    X = make_rows(seed)[:, 3:4].round(1)
    np.testing.assert_allclose(canonical(X * factor) / factor, canonical(X), rtol=1e-15)


@given(seed=st.integers(0, 1000))
def test_rows_are_the_same_to_single_precision_and_weights_go_with_them(seed):
    X = make_rows(seed)
    found, weights = canonicalize(X, np.arange(1.0, len(X) + 1))
    np.testing.assert_allclose(found, X[weights.astype(int) - 1], rtol=2**-23)


@pytest.mark.parametrize("offset", [1e6, 1e12])
def test_a_small_spread_beside_a_large_mean_stays(offset, rng):
    X = offset + rng.normal(size=(50, 1))
    np.testing.assert_array_equal(canonical(X), np.sort(X, axis=0))


def test_numbers_beyond_single_precision_stay(rng):
    X = rng.normal(size=(50, 2)) * [1e200, 1e-200]
    found = canonical(X)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(X, axis=0))


def test_many_rows_stay_where_they_are(rng):
    X, weights = rng.normal(size=(FEW_ROWS, 2)), rng.uniform(size=FEW_ROWS)
    found = canonicalize(X, weights)
    assert found[0] is X
    assert found[1] is weights


@pytest.mark.parametrize("decimals", [1, 9])
def test_a_fit_is_the_same_in_single_precision_and_in_another_order(
    decimals, iris, rng
):
    X = (iris + (rng.uniform(-0.05, 0.05, iris.shape) if decimals > 1 else 0)).round(
        decimals
    )
    order, weights = rng.permutation(len(X)), rng.uniform(0.5, 2, len(X))
    other = X[order].astype("float32")
    fits = [
        TiedAutoencoder(1, max_iter=20, random_state=0).fit(rows, sample_weight=each)
        for rows, each in [(X, weights), (other, weights[order])]
    ]
    assert fits[0].loss_curve_ == fits[1].loss_curve_
    np.testing.assert_allclose(
        fits[1].transform(other), fits[0].transform(X)[order], atol=1e-5
    )
    np.testing.assert_allclose(fits[1].offset_, fits[0].offset_, rtol=1e-5)
