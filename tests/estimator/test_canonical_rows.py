"""Few rows give one fit in any order and precision."""

from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal

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
