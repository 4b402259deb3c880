"""Few rows give one fit in any order and precision."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal

from keras_tied.fitting.plan import FEW_ROWS, Parameters
from keras_tied.fitting.prepare import canonicalize_few_rows, take_rows

from .networks import seeded, with_gaps

SEEDS = st.integers(0, 1000)


def make_rows(seed):
    """Continuous numbers, decimals and whole numbers, with gaps."""
    rng = default_rng(seed)
    scale = 1e-8, 3e4, 20, 1e5
    X = rng.normal(size=(60, 4)) * scale
    X[:, 2] = X[:, 2].round(2)
    X[:, 3] = X[:, 3].round()
    X = with_gaps(X, 0.02, rng)
    X[:9, :3] = X[9, :3]  # these differ in the last column alone
    X[40:] = X[:20]  # and these in their weight
    return X


def fit(X, weights):
    return seeded(2, max_iter=1).fit(X, sample_weight=weights)


def canonicalize(X, weights):
    rows = canonicalize_few_rows(take_rows(Parameters(trim=False), X, weights))
    return rows.X, rows.weights


@given(seed=SEEDS)
def test_a_fit_is_the_same_in_single_precision_and_in_another_order(seed):
    X = make_rows(seed)
    rng = default_rng(seed)
    weights = rng.integers(1, 4, 60)
    order = rng.permutation(60)
    one = fit(X, weights)
    other = fit(
        X[order].astype("float32"),
        weights[order],
    )
    assert_array_equal(other.transform(X), one.transform(X))
    assert_allclose(other.rarity(X), one.rarity(X), rtol=1e-5)


@given(
    seed=SEEDS,
    factor=st.sampled_from([10, 3, 1e-3, 2.5]),
)
def test_rows_stay_what_they_are_to_single_precision_in_any_unit(seed, factor):
    X = make_rows(seed) * factor
    found, weights = canonicalize(X, np.arange(60.0))
    assert_allclose(found, X[weights.astype(int)], rtol=2**-23)


def test_what_single_precision_cannot_hold_stays(rng):
    X = np.sort(
        1e12 + rng.normal(size=(50, 1)),
        axis=0,
    )
    found, _ = canonicalize(
        X[::-1],
        np.ones(50),
    )
    assert_array_equal(found, X)


def test_many_rows_stay_where_they_are(rng):
    X = rng.normal(size=(FEW_ROWS, 2))
    found, _ = canonicalize(X, np.ones(FEW_ROWS))
    assert found is X


def test_the_least_numbers_are_numbers(rng):
    X = rng.integers(0, 9, size=(400, 2)) / 10
    X[:, 0] = np.maximum(X[:, 0], np.finfo(float).tiny)
    shift = seeded(1, max_iter=2).fit(X)._fitted.preprocessing.scaling.shift
    assert_allclose(shift, X.mean(axis=0))
