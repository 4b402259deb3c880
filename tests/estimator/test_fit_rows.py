"""What other packages are told of a fitted estimator: its errors beside PCA's, and
ranks.
"""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.tail import ranks
from keras_tied.fitted.value import baseline_errors
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters


def draw_curve(rng, n):
    z = rng.normal(size=(n, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(n, 5))
    return X.astype(np.float32)


def test_errors_beside_pca_are_those_of_scikit_learn(rng):
    X, others = draw_curve(rng, 1500), draw_curve(rng, 500)
    estimator = TiedAutoencoder(max_iter=1, random_state=0, trim=False).fit(X)
    scaler = StandardScaler().fit(X)
    pca = PCA(2).fit(scaler.transform(X))
    for measured in (X, others):
        scaled = scaler.transform(measured)
        restored = pca.inverse_transform(pca.transform(scaled))
        ours = baseline_errors(estimator._fitted, X, measured)
        expected = (
            estimator.reconstruction_error(measured).mean(),
            np.mean((restored - scaled) ** 2),
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_nothing_that_counts_has_no_error(fitted, iris):
    X = np.full((3, 4), np.nan)
    assert baseline_errors(fitted._fitted, X) == (0.0, 0.0)
    assert baseline_errors(fitted._fitted, iris, X) == (0.0, 0.0)


def test_ranks_are_those_of_scipy(rng):
    from scipy.stats import rankdata

    for errors in (
        rng.integers(0, 9, 50),
        rng.exponential(size=50),
        [0.0, -0.0, np.inf, 1e-45],
    ):
        single = np.asarray(errors, np.float32)
        expected = rankdata(-single, method="ordinal")
        np.testing.assert_array_equal(ranks(single), expected)


def test_parameters_have_the_defaults_of_the_estimator():
    assert Parameters().to_dict() == TiedAutoencoder().get_params()


def test_a_fit_without_scikit_learn_is_that_of_the_estimator(rng):
    X = draw_curve(rng, 60)
    X[0, 0] = np.nan
    outcome = fit(Parameters(random_state=0, max_iter=5), X)
    estimator = TiedAutoencoder(random_state=0, max_iter=5).fit(X)
    for name in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(
            getattr(outcome.fitted, name)(X), getattr(estimator, name)(X), err_msg=name
        )


@pytest.mark.slow
def test_of_classes_both_errors_are_deviances_and_the_network_s_is_less(rng):
    """About 1 is what the frequencies alone would get."""
    kind, noise = rng.integers(0, 4, 1200), rng.normal(size=(1200, 4))
    X = np.column_stack([np.eye(4)[kind], kind[:, None] + 0.3 * noise]).astype(
        np.float32
    )
    layout = Layout(np.array([0, 0, 0, 0, 1, 2, 3, 4]), np.array([2] * 4 + [0] * 4))
    fitted = fit(Parameters(random_state=0), X, np.ones(1200), layout=layout).fitted
    error, of_pca = baseline_errors(fitted, X)
    shares = np.clip(fitted.reconstruct(X)[:, :4].astype(float), 1e-9, 1)
    entropy = -np.sum(X[:, :4].mean(axis=0) * np.log(X[:, :4].mean(axis=0)))
    deviance = -np.log(shares[X[:, :4] > 0.5]).mean() / entropy
    squares = (fitted.reconstruct(X)[:, 4:] - X[:, 4:]) ** 2
    relative = squares.mean(axis=0) / X[:, 4:].var(axis=0)
    np.testing.assert_allclose(error, np.mean([deviance, *relative]), rtol=0.02)
    assert error < of_pca < 1


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "missing"),
    [
        (400, 0.15),
        *(pytest.param(2_000, missing, marks=SLOW) for missing in (0.15, 0.0)),
    ],
)
def test_the_error_of_rows_held_out_is_that_of_rows_from_elsewhere(n, missing):
    rng = np.random.default_rng(n)
    sources = rng.normal(size=(6 * n, 3))
    X = sources @ rng.normal(size=(3, 10)) + np.sin(
        2 * sources @ rng.normal(size=(3, 10))
    )
    X += 0.3 * rng.normal(size=X.shape)
    X[rng.random(X.shape) < missing] = np.nan
    outcome = fit(Parameters(n_components=3, random_state=0), X[:n])
    elsewhere = baseline_errors(outcome.fitted, X[:n], X[n:])
    np.testing.assert_allclose(outcome.held_out_errors, elsewhere, rtol=0.15)
