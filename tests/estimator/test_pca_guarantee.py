"""Never worse than PCA, on training rows always, on rows held out within
one per cent.
"""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder

slow = pytest.mark.slow
TABLES = {
    "breast cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "linnerud": datasets.load_linnerud,
    "wine": datasets.load_wine,
}


def pca_errors(train: np.ndarray, others: np.ndarray, width: int) -> list[float]:
    """PCA's mean squared errors on standardised rows."""
    scaler = StandardScaler().fit(train)
    pca = PCA(width, svd_solver="full").fit(scaler.transform(train))
    errors = []
    for rows in (train, others):
        scaled = scaler.transform(rows)
        errors.append(
            np.mean((pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2)
        )
    return errors


def own_errors(estimator: TiedAutoencoder, *tables: np.ndarray) -> list[float]:
    return [float(estimator.reconstruction_error(rows).mean()) for rows in tables]


@pytest.mark.parametrize(
    "name",
    [
        *("iris", "linnerud"),
        *(
            pytest.param(name, marks=slow)
            for name in ("breast cancer", "diabetes", "digits", "wine")
        ),
    ],
)
def test_not_worse_on_scikit_learns_tables(name):
    X = TABLES[name](return_X_y=True)[0]
    train, held_out = train_test_split(X, test_size=0.3, random_state=0)
    width = max(1, X.shape[1] // 4)
    steps = {"max_iter": 3} if name == "digits" else {}
    estimator = TiedAutoencoder(width, random_state=0, trim=False, **steps).fit(train)
    ours, of_pca = (
        own_errors(estimator, train, held_out),
        pca_errors(train, held_out, width),
    )
    assert ours[0] <= 1.001 * of_pca[0]
    assert ours[1] <= 1.01 * of_pca[1]


@slow
@given(
    seed=st.integers(0, 99),
    width=st.integers(1, 3),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
)
@settings(max_examples=6, deadline=None)
def test_is_pca_where_there_is_nothing_else_to_find(seed, width, scale):
    rng = np.random.default_rng(seed)
    X = scale * (
        rng.normal(size=(120, 3)) @ rng.normal(size=(3, 6)) + rng.normal(size=(120, 6))
    )
    estimator = TiedAutoencoder(width, max_iter=30, random_state=0).fit(X)
    np.testing.assert_array_less(
        own_errors(estimator, X), 1.001 * pca_errors(X, X, width)[0]
    )


def make_rare_levels(seed: int, n: int = 120) -> np.ndarray:
    """Rows of numbers, of heavy tails, and of levels, of which a rare one is far from
    the others.

    Levels so far apart are those of an inverse document frequency, log(n / count).
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 9)) + 0.7 * rng.normal(
        size=(n, 9)
    )
    X[:, 3:6] = np.sinh(X[:, 3:6])
    for column in range(6, 9):
        levels = np.sort(rng.exponential(size=4))
        levels[3] += 3
        shares = [0.4, 0.7, 1 - rng.uniform(0.01, 0.04)]
        ranks = X[:, column].argsort().argsort() / n
        X[:, column] = levels[np.digitize(ranks, shares)]
    return X


@pytest.mark.parametrize("gaps", [0.0, 0.05])
@pytest.mark.parametrize("n_absurd", [0, 2])
@given(seed=st.integers(0, 999))
@settings(max_examples=8)
def test_not_worse_with_rare_levels_heavy_tails_gaps_and_absurd_values(
    seed, gaps, n_absurd
):
    X = make_rare_levels(seed)
    rng = np.random.default_rng(seed)
    X[rng.uniform(size=X.shape) < gaps] = np.nan
    X[:n_absurd, 0] = 99_999
    with warnings.catch_warnings(action="ignore"):
        estimator = TiedAutoencoder(2, max_iter=60, random_state=0).fit(X)
    assume(estimator.n_trimmed_values_ == n_absurd)  # no heavy tail ends beyond a gap
    X[:n_absurd, 0] = np.nanmedian(X[:, 0])
    scaler = StandardScaler().fit(X)
    filled = estimator._fitted.preprocessing.forward(X, slice(None))[1]
    pca = PCA(2, svd_solver="full").fit(filled)
    of_pca = pca.inverse_transform(pca.transform(filled))
    ours = scaler.transform(estimator.reconstruct(X))
    present = ~np.isnan(X)
    errors = [
        np.mean((rows - scaler.transform(X))[present] ** 2) for rows in (ours, of_pca)
    ]
    assert errors[0] <= 1.001 * errors[1]


def test_few_rows_are_left_to_pca(rng):
    X = rng.normal(size=(20, 5))
    estimator = TiedAutoencoder(2, random_state=0).fit(X)
    assert estimator.is_pca_
    scaled = StandardScaler().fit_transform(X)
    pca = PCA(2, svd_solver="full").fit(scaled)
    np.testing.assert_allclose(
        np.abs(estimator.transform(X)), np.abs(pca.transform(scaled)), atol=1e-5
    )
    np.testing.assert_allclose(
        estimator.reconstruction_r2_, pca.explained_variance_ratio_.sum(), rtol=1e-6
    )


def test_bends_where_pca_cannot(rng):
    """A parabola is one number's worth of data, and no straight line."""
    t = rng.uniform(-1, 1, 300)
    X = np.stack([t, t**2], axis=1) + rng.normal(scale=0.01, size=(300, 2))
    estimator = TiedAutoencoder(1, random_state=0).fit(X)
    assert not estimator.is_pca_
    assert own_errors(estimator, X)[0] < 0.2 * pca_errors(X, X, 1)[0]


@pytest.mark.parametrize("solver", ["lbfgs", "nadam"])
def test_both_solvers_keep_to_it(solver, rng):
    X = rng.normal(size=(200, 8)) @ rng.normal(size=(8, 8))
    estimator = TiedAutoencoder(3, solver=solver, max_iter=5, random_state=0).fit(X)
    assert own_errors(estimator, X)[0] <= 1.001 * pca_errors(X, X, 3)[0]


@pytest.mark.parametrize(
    "share", [pytest.param(0.5, marks=slow), 0.9, pytest.param(0.99, marks=slow)]
)
def test_share_of_variance_gives_the_width_of_pca(share, digits):
    scaled = StandardScaler().fit_transform(digits[:300])
    expected = PCA(share, svd_solver="full").fit(scaled).n_components_
    estimator = TiedAutoencoder(share, max_iter=1, random_state=0).fit(digits[:300])
    assert estimator.n_components_ == expected
    assert estimator.transform(digits[:5]).shape == (5, expected)
