"""Rows give one fit in any order of their columns; few rows in any order and precision."""

from itertools import product

import numpy as np
import pytest
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


TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
"""Sums in another order round differently in single precision."""


def assert_same(one, other, X, order):
    """Two estimators are the same, the second of which has other places of columns."""
    for method in ("transform", "score_samples", "rarity"):
        found = getattr(other, method)(X[:, order])
        assert_allclose(found, getattr(one, method)(X), **TOLERANCE)
    for method in ("reconstruct", "impute"):
        found = getattr(other, method)(X[:, order])
        assert_allclose(found, getattr(one, method)(X)[:, order], **TOLERANCE)
    shares = one.explain(X).shares[:, order]
    assert_allclose(other.explain(X[:, order]).shares, shares, atol=1e-3)
    assert_allclose(other.feature_r2_, one.feature_r2_[order], **TOLERANCE)
    for name in ("offset_", "loss_curve_", "validation_curve_", "n_iter_"):
        assert_allclose(getattr(other, name), getattr(one, name), **TOLERANCE)


def draw_rows(n, gaps, rng):
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 7))
    X += 0.3 * rng.normal(size=X.shape)
    X[:, 3] **= 2
    X[:, 4] = X[:, 4] > 0.5
    X[:, 5] = 2.5  # a constant
    return with_gaps(X, gaps, rng)


OPTIONS = {
    "lbfgs": {"solver": "lbfgs"},
    "a number of components": {"n_components": "auto"},
    "a share of variance": {"n_components": 0.8},
    "another scaler": {"scaler": "minmax"},
    "noise": {"noise": 0.1},
    "held-out rows": {"X_val": True},
}


@pytest.mark.parametrize(
    ("n", "gaps", "options"),
    [
        *product([40, 300, 1200], [0, 0.05, 0.2], [{}]),
        *product([120], [0], OPTIONS.values()),
    ],
)
def test_a_fit_is_the_same_with_columns_in_another_order(n, gaps, options, rng):
    X = draw_rows(n, gaps, rng)
    order = rng.permutation(7)
    options = {"n_components": 2, "max_iter": 3, **options}
    fits = []
    is_held_out = options.pop("X_val", False)
    for rows in (X, X[:, order]):
        validation = {"X_val": rows[:40]} if is_held_out else {}
        fits.append(seeded(**options).fit(rows, **validation))
    assert_same(*fits, X, order)


def test_columns_of_any_kind_give_one_fit_in_any_order(rng):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    x = rng.normal(size=700)  # so many that numbers have pieces
    table = {
        "kind": np.where(x > 0, "plum", np.where(x > -1, "fig", "pear")),
        "size": x.round(2),
        "count": np.rint(3 * x).astype(int),
        "ripe": x + 0.3 * rng.normal(size=700) > 0,
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.rint(99 * x), "D"),
    }
    frame = pd.DataFrame(table)
    frame.loc[rng.random(700) < 0.1, ["kind", "size"]] = None
    names = list(rng.permutation(list(table)))
    one, other = (seeded(2, max_iter=3).fit(some) for some in (frame, frame[names]))
    for method in ("transform", "score_samples"):
        found = getattr(other, method)(frame)
        assert_allclose(found, getattr(one, method)(frame), **TOLERANCE)
    filled = one.impute(frame), other.impute(frame)
    for name in ("kind", "count", "ripe", "day"):
        assert (filled[0][name] == filled[1][name]).all()
