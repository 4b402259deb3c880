"""What other packages are told of a fitted estimator: its errors beside PCA's, and their causes."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.estimator.internal import (
    baseline_errors,
    fitted_value,
    largest_shares,
    ranks,
)


def draw_curve(rng, n):
    z = rng.normal(size=(n, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(n, 5))
    return X.astype(np.float32)


def test_errors_beside_pca_are_those_of_scikit_learn(rng):
    X, others = draw_curve(rng, 1500), draw_curve(rng, 500)
    estimator = TiedAutoencoder(max_iter=1, random_state=0).fit(X)
    scaler = StandardScaler().fit(X)
    pca = PCA(2).fit(scaler.transform(X))
    for measured in (X, others):
        scaled = scaler.transform(measured)
        restored = pca.inverse_transform(pca.transform(scaled))
        ours = baseline_errors(fitted_value(estimator), X, measured)
        expected = (
            estimator.reconstruction_error(measured).mean(),
            np.mean((restored - scaled) ** 2),
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_ranks_are_those_of_scipy(rng, monkeypatch):
    from scipy.stats import rankdata

    from keras_tied.estimator import _attribution

    monkeypatch.setattr(_attribution, "CHUNK", 7)
    for errors in (rng.integers(0, 9, 50), rng.exponential(size=50), [0.0, -0.0, np.inf, 1e-45]):
        single = np.asarray(errors, np.float32)
        expected = rankdata(-single, method="ordinal")
        np.testing.assert_array_equal(ranks(single), expected)


def test_infinite_errors_share_the_error_of_their_row(rng):
    errors = np.array([[np.inf, 1.0, np.inf], [np.inf, np.nan, 2.0], [1.0, 3.0, np.nan]])
    names, order, shares = largest_shares(errors, ["a", "b", "c"], 3)
    found = [
        dict(zip(np.array(names)[o], s, strict=True)) for o, s in zip(order, shares, strict=True)
    ]
    assert found == [
        {"a": 0.5, "b": 0, "c": 0.5},
        {"a": 1, "b": 0, "c": 0},
        {"a": 0.25, "b": 0.75, "c": 0},
    ]


def test_shares_are_of_columns_and_what_is_missing_has_none(rng):
    errors = np.array([[1.0, 2.0, np.nan, 1.0], [0.0, 0.0, 0.0, 0.0]])
    names, order, shares = largest_shares(errors, ["a", "a", "b", "c"], 2)
    assert [[names[i] for i in row] for row in order] == [["a", "c"], ["a", "b"]]
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0, 0]])
