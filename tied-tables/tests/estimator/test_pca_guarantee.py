"""Never worse than PCA, on training rows always, on rows held out within a few per
cent; and how the network and PCA are compared.
"""

import warnings
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy.stats import ttest_1samp
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tests.marks import slow, slow_but

from tied_tables import TiedAutoencoder
from tied_tables.fit import members, prepare
from tied_tables.fit.fit import fit
from tied_tables.fit.held_out import is_clearly_less
from tied_tables.fit.plan import Parameters
from tied_tables.model.value import baseline_errors

from .near import assert_near
from .networks import draw_curve, seeded, with_gaps
from .pca import fit_pca, pca_error

TABLES = "iris linnerud breast_cancer diabetes digits wine".split()


def own_error(estimator, rows):
    return estimator.reconstruction_error(rows).mean()


@pytest.mark.parametrize("name", slow_but(TABLES, *TABLES[:2]))
def test_not_worse_on_scikit_learns_tables(name):
    """On training rows each fit, and on others their mean over some seeds."""
    X = getattr(datasets, f"load_{name}")().data
    train, held_out = train_test_split(X, test_size=0.3, random_state=0)
    width = max(1, X.shape[1] // 4)
    steps = 3 if name == "digits" else None
    errors = []
    for seed in range(3):
        estimator = seeded(width, max_iter=steps, trim=False, random_state=seed)
        estimator.fit(train)
        expected = pca_error(train, train, width)
        assert own_error(estimator, train) <= 1.001 * expected
        errors.append(own_error(estimator, held_out))
    assert np.mean(errors) <= 1.01 * pca_error(train, held_out, width)


@given(
    seed=st.integers(0, 99),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
)
@pytest.mark.parametrize("solver", ["nadam", "lbfgs"])
@pytest.mark.parametrize("n", [40, 150])
def test_not_worse_where_there_is_nothing_but_pca_to_find(solver, n, seed, scale):
    rng = default_rng(seed)
    X = rng.normal(size=(n + 500, 2)) @ rng.normal(size=(2, 6))
    X = scale * (X + 0.5 * rng.normal(size=X.shape))
    train, others = X[:n], X[n:]
    estimator = seeded(2, solver=solver, max_iter=5).fit(train)
    assert own_error(estimator, train) <= 1.001 * pca_error(train, train, 2)
    assert own_error(estimator, others) <= 1.05 * pca_error(train, others, 2)


def make_rare_levels(seed):
    """Rows of numbers, of heavy tails, and of levels, of which a rare one is far from
    the others.

    Levels so far apart are those of an inverse document frequency, log(n / count).
    """
    rng = default_rng(seed)
    X = rng.normal(size=(120, 2)) @ rng.normal(size=(2, 9))
    X += 0.7 * rng.normal(size=X.shape)
    X[:, 3:6] = np.sinh(X[:, 3:6])
    for column in X.T[6:]:
        levels = np.sort(rng.exponential(size=4))
        levels[3] += 3
        ends = np.quantile(column, [0.4, 0.7, 1 - rng.uniform(0.01, 0.04)])
        column[:] = levels[np.digitize(column, ends)]
    return X


@pytest.mark.parametrize("gaps", [0.0, 0.05])
@pytest.mark.parametrize("n_absurd", [0, 2])
@given(seed=st.integers(0, 999))
def test_not_worse_with_rare_levels_heavy_tails_gaps_and_absurd_values(
    seed, gaps, n_absurd
):
    X = with_gaps(make_rare_levels(seed), gaps, default_rng(seed))
    X[:n_absurd, 0] = 99_999
    with warnings.catch_warnings(action="ignore"):
        estimator = seeded(2, max_iter=60).fit(X)
    assume(estimator.n_trimmed_values_ == n_absurd)  # no heavy tail ends beyond a gap
    X[:n_absurd, 0] = np.nanmedian(X[:, 0])
    scaled = StandardScaler().fit_transform(X)
    filled = estimator._model.preprocessing.forward(X, slice(None))[1]
    pca = PCA(2, svd_solver="full").fit(filled)
    restored = pca.inverse_transform(pca.transform(filled))
    expected = np.nanmean((restored - scaled) ** 2)
    ours = estimator.reconstruction_error(X, per_feature=True)
    assert np.nanmean(ours) <= 1.001 * expected


@pytest.mark.parametrize("n_others", [0, 10])
def test_few_rows_are_left_to_pca(n_others, rng):
    """All of them, if others are held out."""
    X = rng.normal(size=(20, 5))
    others = X[:n_others] if n_others else None
    estimator = seeded(2).fit(X, X_val=others)
    assert estimator.is_pca_
    pca = fit_pca(X, 2)
    codes = estimator.transform(X)
    assert_near(np.abs(codes), np.abs(pca.transform(X)))
    assert_near(estimator.reconstruct(X), pca.inverse_transform(pca.transform(X)))
    variance = pca[1].explained_variance_ratio_.sum()
    assert_near(estimator.reconstruction_r2_, variance)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_share_of_variance_gives_the_width_of_pca(share, digits):
    X = digits[:45]
    estimator = seeded(share, trim=False).fit(X)
    assert estimator.n_components_ == fit_pca(X, share)[1].n_components_


# Errors beside those of PCA.


def test_errors_beside_pca_are_those_of_scikit_learn():
    X, others = draw_curve(1500), draw_curve(500, seed=1)
    estimator = seeded(max_iter=1, trim=False).fit(X)
    for rows in (X, others):
        expected = own_error(estimator, rows), pca_error(X, rows, 2)
        assert_near(
            baseline_errors(estimator._model, X, rows),
            expected,
            1e-4,
        )
    nothing = np.full((3, 6), np.nan)
    assert baseline_errors(estimator._model, nothing) == (0.0, 0.0)
    assert baseline_errors(estimator._model, X, nothing) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("n", "missing"),
    [(400, 0.0), *(pytest.param(n, 0.15, marks=slow) for n in (400, 2_000))],
)
def test_the_error_of_rows_held_out_is_that_of_rows_from_elsewhere(n, missing):
    """For the network and for PCA."""
    X = with_gaps(draw_curve(n + 4_000), missing, default_rng(0))
    model = fit(Parameters(n_components=2, random_state=0, trim=False), X[:n])
    expected = baseline_errors(
        model,
        X[:n],
        X[n:],
    )
    assert_near(model.training.held_out_errors, expected, 0.2)
    if not missing:
        assert (
            model.training.held_out_errors[0] < 0.9 * model.training.held_out_errors[1]
        )


def test_parameters_have_the_defaults_of_the_estimator():
    assert vars(Parameters()) == TiedAutoencoder().get_params()


def test_each_fold_starts_from_the_pca_of_its_training_rows(monkeypatch):
    rows = default_rng(0).normal(size=(60, 5)) * [5, 4, 3, 2, 1]
    rows = rows[rows[:, 0].argsort()]  # the order in which an estimator takes them
    folds = np.split(np.arange(60), 5)
    monkeypatch.setattr(members, "make_folds", lambda *_: folds)
    monkeypatch.setattr(prepare, "order_columns", lambda _: np.arange(5))
    with patch.object(members, "start_network", wraps=members.start_network) as start:
        seeded(2, scaler=None, max_iter=1).fit(rows)
    # Those with hidden layers: PCA itself is a network without any.
    calls = [call for call in start.call_args_list if len(call.args) > 1]
    for call, places in zip(
        calls,
        [*folds, []],
        strict=True,
    ):
        part = np.delete(rows, places, axis=0)
        principal = call.args[0]
        products = PCA(2).fit(part).components_ @ principal.vectors
        assert_near(
            np.abs(products),
            np.eye(2),
            1e-3,
        )


@given(
    seed=st.integers(0, 999),
    shift=st.floats(-0.1, 0.4),
)
def test_a_network_is_kept_if_it_is_two_standard_errors_ahead_of_pca(seed, shift):
    rng = default_rng(seed)
    of_pca = rng.uniform(0.5, 1.5, 5)
    errors = of_pca * (1 - shift) + rng.normal(scale=0.1, size=5)
    gains = of_pca - errors
    is_ahead = ttest_1samp(gains, 0.0).statistic > 2
    expected = is_ahead and gains.sum() > 0.01 * of_pca.sum()
    assert (
        is_clearly_less(
            errors,
            of_pca,
            np.ones(5),
            2,
            4,
            np.inf,
        )
        == expected
    )


# `X_val`: rows of the user's own are held out.


@pytest.mark.parametrize(
    "settings",
    [
        {"max_iter": 80},
        {"max_iter": 20, "solver": "lbfgs"},
        {"max_iter": 20, "noise": 0.1},
        {"max_iter": 2, "noise": 0.1, "batch_size": 7},
    ],
    ids=str,
)
@pytest.mark.parametrize("n", [300, 1500])
def test_the_curve_is_of_the_rows_held_out_and_ends_at_its_least(settings, n):
    others = draw_curve(200, seed=1)
    estimator = seeded(2, **settings).fit(draw_curve(n), X_val=others)
    assert not estimator.is_pca_
    assert estimator.n_iter_ == len(estimator.loss_curve_)
    curve = estimator.validation_curve_
    assert min(curve) == pytest.approx(own_error(estimator, others), rel=1e-5)
    assert len(curve) == len(estimator.loss_curve_)


def test_a_network_is_judged_by_the_rows_held_out(rng):
    X = draw_curve(1500)
    line = rng.normal(size=(300, 6)) * X.std(axis=0) + X.mean(axis=0)
    estimator = seeded(2, max_iter=10)
    assert estimator.fit(X, X_val=line).is_pca_
    assert not estimator.fit(X, X_val=draw_curve(300, seed=1)).is_pca_


def test_rarity_is_that_among_rows_like_those_of_training_whatever_is_held_out():
    others = 3 * draw_curve(200, seed=1)
    estimator = seeded(2, max_iter=2, trim=False)
    estimator.fit(draw_curve(300), X_val=others)
    shares = 1 / estimator.rarity(draw_curve(300, seed=2))
    assert shares.mean() == pytest.approx(0.5, abs=0.1)
    assert (1 / estimator.rarity(others)).mean() < 0.2


def test_frames_with_categories_are_held_out():
    frame = pd.DataFrame(draw_curve(400)).rename(columns=str)
    frame["kind"] = np.where(frame["2"] > 1, "far", "near")
    frame.loc[::9, "kind"] = None
    estimator = seeded(2, max_iter=20).fit(frame[:300], X_val=frame[300:])
    assert np.isfinite(estimator.validation_curve_).all()
    with pytest.raises(ValueError, match="kind"):
        estimator.fit(frame, X_val=frame.drop(columns="kind"))


def test_wrong_rows_to_hold_out_are_refused_before_training():
    X = draw_curve(100)
    with pytest.raises(ValueError, match="6 features"):
        TiedAutoencoder(2).fit(X, X_val=X[:, :4])
    with pytest.raises(ValueError, match="early_stopping=False"):
        TiedAutoencoder(2, early_stopping=False).fit(X, X_val=X)


def test_a_code_may_be_wider_than_a_fold_has_rows(rng):
    X = rng.normal(size=(60, 80))
    assert seeded(0.99, max_iter=1).fit(X).n_components_ > 48
