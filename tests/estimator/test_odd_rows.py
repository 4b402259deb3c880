"""Odd rows: those with an absurd value come first, move nothing, and are explained."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import huber
from sklearn.covariance import empirical_covariance
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.fitted import outlier_score
from keras_tied.fitted.fences import fit_ends, fit_fences
from keras_tied.fitted.gaussian import RIDGE
from keras_tied.fitted.imputation import Preprocessing
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.outlier_score import Block, fit_outlier_score
from keras_tied.fitted.scaling import Scaling
from keras_tied.fitted.tail import Tail, fit_tail
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters

QUICK = {"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0}


def draw(n=400, seed=0):
    """Rows of five numbers that two factors explain, in units of their own."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.2 * rng.normal(
        size=(n, 5)
    )
    return rows * [1.0, 1e3, 1e-4, 50.0, 7.0] + [0.0, 2e4, 1.0, -80.0, 3.0]


@pytest.fixture(scope="module")
def fitted():
    return TiedAutoencoder(2, **QUICK).fit(draw())


def test_fences_of_exponential_tails_are_their_quantiles():
    n, d = 1001, 3
    of_half = stats.expon.ppf((np.arange(1, n + 1) - 0.5) / n)
    X = np.tile(np.concatenate([-of_half, of_half])[:, None], (1, d))
    fences = fit_fences(X)
    expected = stats.expon.isf(0.1 / (2 * n * d) * 2)  # on each side half of the rows
    np.testing.assert_allclose(fences.high, expected, rtol=0.02)
    np.testing.assert_allclose(fences.low, -fences.high, rtol=1e-6)


@given(
    seed=st.integers(0, 999),
    tail=st.sampled_from(["normal", "exponential", "lognormal"]),
    scale=st.sampled_from([1e-6, 1.0, 1e9]),
)
def test_fences_move_with_the_unit_and_few_values_are_beyond(seed, tail, scale):
    X = getattr(np.random.default_rng(seed), tail)(size=(500, 4))
    fences, moved = fit_fences(X), fit_fences(3 - scale * X)
    np.testing.assert_allclose(
        3 - scale * fences.high, moved.low, rtol=1e-6, atol=1e-6 * scale
    )
    assert fences.find_rows(X).sum() <= 5


@pytest.mark.parametrize("value", [999.0, -40.0, 1e7, 1e300])
@pytest.mark.parametrize("times", [1, 10])
def test_a_few_absurd_values_are_beyond_the_fences(rng, value, times):
    X = rng.normal(45, 14, size=(1000, 6)).clip(18, 90)
    X[:times, 2] = value
    beyond = fit_fences(X).find(X)
    np.testing.assert_array_equal(np.flatnonzero(beyond[:, 2]), np.arange(times))
    assert beyond.sum() == times


def test_a_group_of_its_own_is_no_absurd_value(rng):
    X = rng.normal(size=(2000, 2))
    X[:40, 0] += 1000
    assert not fit_fences(X).find(X).any()
    X[0, 0] = 1e6
    assert fit_fences(X).find_rows(X).sum() == 1


def test_columns_of_few_values_and_without_any_have_no_fences(rng):
    X = np.column_stack(
        [rng.random(500) < 0.02, np.full(500, 3.0), np.full(500, np.nan)]
    )
    assert not fit_fences(X.astype(float)).find(X).any()
    assert (
        not fit_fences(rng.normal(size=(49, 2)) ** 9)
        .find_rows(np.full((1, 2), 1e9))
        .any()
    )


def test_a_rare_level_is_neither_far_nor_absurd():
    counts = [150, 110, 37, 3]
    X = np.log(300 / np.repeat(counts, counts))[
        :, None
    ]  # as inverse document frequencies
    assert not fit_fences(X).find(X).any()
    assert not fit_ends(X).find(X).any()


@pytest.mark.parametrize(("beyond", "count"), [(9.0, 0), (11.0, 4)])
def test_a_value_is_absurd_beyond_a_gap_of_ten_ranges(beyond, count):
    X = np.linspace(-3, 7, 400)[:, None]
    X[:4] = 7 + beyond * 10
    assert fit_ends(X).find(X).sum() == count


def test_a_value_of_a_column_that_hardly_varies_is_not_absurd(rng):
    X = np.zeros((2000, 1))
    X[:20, 0] = np.repeat([1.0, 250.0], 10)
    assert not fit_ends(X).find(X).any()


def test_no_value_that_many_rows_have_is_absurd(rng):
    X = rng.normal(size=(100, 1))
    X[:3] = 1e6
    assert not fit_ends(X).find(X).any()
    X[0] = 0.0
    assert fit_ends(X).find(X).sum() == 2


@pytest.mark.parametrize("solver", ["nadam", "lbfgs"])
@pytest.mark.parametrize("n", [400, 999])
def test_absurd_values_count_as_medians(solver, n):
    X = draw(n)
    absurd = X.copy()
    places = [0, 1, 2], [1, 3, 0]
    absurd[places] = 9_999_999, 4e8, -5e5
    X[places] = np.median(absurd[:, places[1]], axis=0)
    clean = TiedAutoencoder(2, solver=solver, **QUICK).fit(X)
    with pytest.warns(UserWarning, match="3 absurd values"):
        other = TiedAutoencoder(2, solver=solver, **QUICK).fit(absurd)
    assert other.n_trimmed_values_ == 3
    for name in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(getattr(other, name)(X), getattr(clean, name)(X))
    assert other.reconstruction_r2_ == clean.reconstruction_r2_


def test_rows_with_an_absurd_value_stand_out_and_no_others():
    X = draw()
    X[[3, 50, 77], 1] = 1e7, -3e6, 2e6
    with pytest.warns(UserWarning, match="3 absurd values"):
        fitted = TiedAutoencoder(2, **QUICK).fit(X)._fitted
    standing_out = fitted.stand_out(fitted.outlier_scores(X), len(X))
    assert np.flatnonzero(standing_out).tolist() == [3, 50, 77]


def test_without_trimming_absurd_rows_count():
    X = draw()
    X[0, 1] = 1e9
    estimator = TiedAutoencoder(2, trim=False, **QUICK).fit(X)
    assert estimator.n_trimmed_values_ == 0
    np.testing.assert_allclose(
        estimator._fitted.preprocessing.scaling.shift, X.mean(axis=0)
    )


@given(
    row=st.integers(0, 399),
    column=st.integers(0, 4),
    spreads=st.floats(8, 1e6),
    sign=st.sampled_from([-1, 1]),
)
def test_the_absurd_row_comes_first_and_its_column_is_named(row, column, spreads, sign):
    X = draw()
    X[row, column] = np.median(X[:, column]) + sign * spreads * X[:, column].std()
    with warnings.catch_warnings(action="ignore"):
        estimator = TiedAutoencoder(2, **(QUICK | {"max_iter": 1})).fit(X)
    assert estimator.score_samples(X).argmin() == row
    assert estimator.rarity(X[[row]])[0] == 400
    reasons = estimator.explain(X[[row]])
    assert reasons.shares[0].argmax() == column
    assert reasons.shares[0, column] > 0.9
    kept = X.copy()
    if estimator.n_trimmed_values_:
        kept[row, column] = np.median(X[:, column])
    scaler = StandardScaler().fit(kept)
    scaled, odd = scaler.transform(kept), scaler.transform(X[[row]])
    ridge = Ridge(RIDGE * len(kept)).fit(
        np.delete(scaled, column, axis=1), scaled[:, column]
    )
    expected = ridge.predict(np.delete(odd, column, axis=1))[0]
    found = scaler.transform(reasons.expected)[0, column]
    assert found == pytest.approx(expected, abs=1e-3)


def test_two_values_that_contradict_each_other_are_both_named(rng):
    size = rng.normal(size=1000)
    X = np.column_stack(
        [size, size, rng.normal(size=(1000, 2)).T[0], rng.normal(size=1000)]
    )
    X[:, :2] += 0.05 * rng.normal(size=(1000, 2))
    estimator = TiedAutoencoder(2, **QUICK).fit(X)
    odd = np.array([[1.2, -1.2, 0.1, -0.2]])  # each of them is ordinary
    assert (estimator.score_samples(X) <= estimator.score_samples(odd)).mean() < 0.01
    [shares] = estimator.explain(odd).shares
    assert set(np.argsort(-shares)[:2]) == {0, 1}
    assert shares[:2].min() > 0.3
    assert shares.sum() == pytest.approx(1)


def test_shares_add_up_to_one_and_a_missing_value_has_none(rng):
    X = draw()
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    estimator = TiedAutoencoder(2, **QUICK).fit(X)
    reasons = estimator.explain(X)
    totals = reasons.shares.sum(axis=1)
    assert (np.isclose(totals, 1) | (totals == 0)).all()
    assert (reasons.shares[np.isnan(X)] == 0).all()
    assert np.isfinite(reasons.expected).all()


def test_a_mended_row_has_the_score_that_was_said(fitted):
    X = draw(seed=3)[:20]
    X[:, 3] = 400.0
    reasons = fitted.explain(X)
    mended = X.copy()
    mended[:, 3] = reasons.expected[:, 3]
    np.testing.assert_allclose(
        -fitted.score_samples(mended), reasons.scores[:, 3], rtol=1e-4
    )


def test_a_category_is_replaced_whole_and_only_where_another_is_clearly_more_likely(
    rng,
):
    size = rng.normal(size=900)
    kind = np.digitize(size, [-0.5, 0.5])
    X = np.column_stack([size + 0.1 * rng.normal(size=900), np.eye(3)[kind]]).astype(
        np.float32
    )
    layout = Layout(np.array([0, 1, 1, 1]), np.array([0, 2, 2, 2]))
    fitted = fit(Parameters(**QUICK), X, np.ones(900), layout=layout).fitted
    odd = np.array([[2.0, 1, 0, 0]], np.float32)
    reasons = fitted.explain(odd)
    assert reasons.shares.shape == (1, 2)
    np.testing.assert_allclose(reasons.expected[0, 1:], [0, 0, 1], atol=1e-5)
    between = np.array([[0.55, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(
        fitted.explain(between).expected[0, 1:], [0, 0, 1], atol=1e-5
    )
    assert reasons.ratios[0, 0] == 1  # a number
    assert reasons.ratios[0, 1] > 10
    assert 1 <= fitted.explain(between).ratios[0, 1] < 3


@pytest.mark.parametrize("kind", ["boolean", "category"])
def test_classes_are_as_likely_as_linear_regression_on_the_others_makes_them(rng, kind):
    """Clipped at a twentieth of the frequency, and made to add up to 1."""
    size = rng.normal(size=200)  # too few for pieces
    level = np.digitize(size + 0.5 * rng.normal(size=200), [-0.5, 0.5])
    classes = np.eye(3)[level] if kind == "category" else (level > 0)[:, None] * 1.0
    X = np.column_stack([size, rng.normal(size=200), classes])
    k = classes.shape[1]
    layout = Layout(
        np.r_[0, 1, np.full(k, 2)], np.r_[0, 0, np.full(k, 2 if k > 1 else 1)]
    )
    score = fit_outlier_score(
        make_rows(X), np.ones(200), without_gaps(layout), fit_fences(X)
    )
    covariance = empirical_covariance(X)
    covariance += (
        RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    )
    slope = np.linalg.solve(covariance[:2, :2], covariance[:2, 2:])
    p = classes.mean(axis=0) + (X[:, :2] - X[:, :2].mean(axis=0)) @ slope
    if k == 1:
        p, classes = (
            np.column_stack([1 - p, p]),
            np.column_stack([1 - classes, classes]),
        )
    p = np.maximum(p, 0.05 * classes.mean(axis=0))
    p /= p.sum(axis=1, keepdims=True)
    found = score.compare_classes(X, X)
    np.testing.assert_array_equal(found.given[:, :2], 1)
    np.testing.assert_allclose(found.given[:, 2], (p * classes).sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.most[:, 2], p.max(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(
        found.likeliest[:, -1], p.argmax(axis=1) == len(p.T) - 1
    )
    X[:, 2:] = np.nan
    np.testing.assert_array_equal(score.compare_classes(X, np.nan_to_num(X)).given, 1)
    unknown = score.compare_classes(np.zeros((1, 2 + k)), np.zeros((1, 2 + k)))
    if k > 1:  # no class at all
        assert unknown.given[0, 2] == pytest.approx(0.05 * classes.mean(axis=0).min())


def test_surprises_weigh_more_beside_classes_and_only_there(rng, monkeypatch):
    X = np.column_stack([rng.normal(size=(200, 3)), rng.integers(0, 2, 200)])
    X[:, 1] += X[:, 0] + X[:, 3]
    for kinds in ([0, 0, 0, 1], [0, 0, 0, 0]):
        layout = Layout(np.arange(4), np.array(kinds))
        score = fit_outlier_score(
            make_rows(X), np.ones(200), without_gaps(layout), fit_fences(X)
        )
        z = (X - X.mean(axis=0)) @ score.surprise[:, :3]
        z = (z - score.median[-3 - (kinds[3] == 0) :][:3]) / score.scale[
            -3 - (kinds[3] == 0) :
        ][:3]
        given = score.compare_classes(X, X).given[:, 3]
        expected = 12 * (huber(2, z).sum(axis=1) - 4 * np.log(given)) * kinds[3]
        found = score.score(make_rows(X))
        with monkeypatch.context() as patch:
            patch.setattr(outlier_score, "SURPRISE_WEIGHT", 0.0)
            rest = score.score(make_rows(X))
        np.testing.assert_allclose(found - rest, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["boolean", "category"])
def test_classes_of_rows_that_were_not_fitted_to_are_as_likely_as_in_a_fit_without_them(
    rng, monkeypatch, kind
):
    level = rng.integers(0, 3, 60)
    classes = np.eye(3)[level] if kind == "category" else (level > 0)[:, None] * 1.0
    k = classes.shape[1]
    X = np.column_stack([level + rng.normal(size=60), rng.normal(size=60), classes])
    layout = Layout(
        np.r_[0, 1, np.full(k, 2)], np.r_[0, 0, np.full(k, 2 if k > 1 else 1)]
    )
    score = fit_outlier_score(
        make_rows(X), np.ones(60), without_gaps(layout), fit_fences(X)
    )
    held_out = score.score_held_out(make_rows(X), 1.0)
    monkeypatch.setattr(outlier_score, "CLASS_WEIGHT", 0.0)
    found = (held_out - score.score_held_out(make_rows(X), 1.0)) / 48
    mean = X.mean(axis=0)
    deviations = X - mean
    ridge = RIDGE * np.trace(empirical_covariance(X)) / (2 + k) * np.eye(2 + k)
    for row in range(60):
        covariance = (
            deviations.T @ deviations - np.outer(*2 * [deviations[row]])
        ) / 60 + ridge
        slope = np.linalg.solve(covariance[:2, :2], covariance[:2, 2:])
        p, least = mean[2:] + deviations[row, :2] @ slope, 0.05 * mean[2:]
        place = level[row]
        if k == 1:
            p, least, place = (
                np.r_[1 - p, p],
                np.r_[0.05 - least, least],
                int(level[row] > 0),
            )
        p = np.maximum(p, least)
        assert found[row] == pytest.approx(-np.log(p[place] / p.sum()), rel=1e-5)


def test_a_class_that_contradicts_the_number_beside_it_is_odd(rng):
    size = rng.normal(size=900)
    X = np.column_stack([size, np.eye(2)[(size > 0).astype(int)]]).astype(np.float32)
    layout = Layout(np.array([0, 1, 1]), np.array([0, 2, 2]))
    fitted = fit(Parameters(**QUICK), X, np.ones(len(X)), layout=layout).fitted
    rows = np.array([[1.0, 0, 1], [1, 1, 0], [-1, 1, 0], [-1, 0, 1]], np.float32)
    fits, contradicts, *others = fitted.outlier_scores(rows)
    assert contradicts > 2 * fits
    assert others[1] > 2 * others[0]


def make_rows(X):
    return Block(X, X, X[:, :2], 1.1 * X)


def without_gaps(layout: Layout) -> Preprocessing:
    """Nothing was missing in training, and the rows are scaled already."""
    d = len(layout.columns)
    return Preprocessing(Scaling(np.zeros(d), np.ones(d)), np.zeros(d), layout)


def test_surprises_are_those_of_linear_regression(rng):
    """In a normal distribution a conditional mean is that of regression on the other
    columns.
    """
    X = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    columns = np.array([0, 0, 1, 2, 2, 2])
    layout = Layout(columns, np.zeros(6, int))
    score = fit_outlier_score(
        make_rows(X), np.ones(500), without_gaps(layout), fit_fences(X)
    )
    covariance = empirical_covariance(X)
    covariance += RIDGE * np.trace(covariance) / 6 * np.eye(6)
    surprises = (X - X.mean(axis=0)) @ score.surprise
    for column in range(3):
        own, others = columns == column, columns != column
        slope = np.linalg.solve(
            covariance[np.ix_(others, others)], covariance[others][:, own]
        )
        expected = (X - X.mean(axis=0))[:, own] - (X - X.mean(axis=0))[
            :, others
        ] @ slope
        np.testing.assert_allclose(surprises[:, own], expected, atol=1e-8)


def test_surprises_of_rows_that_were_not_fitted_to_are_those_of_a_fit_without_them(
    rng, monkeypatch
):
    monkeypatch.setattr(outlier_score, "HUBER_DELTA", np.inf)  # squares of z / 2
    X = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3))
    preprocessing = without_gaps(Layout.of_numbers(3))
    score = fit_outlier_score(make_rows(X), np.ones(60), preprocessing, fit_fences(X))
    z = score._standardize(make_rows(X))
    ends = score._ends
    deviations = X - score.gaussian.mean
    ridge = np.linalg.inv(score.gaussian.precision) - empirical_covariance(X)
    for row in (0, 7, 31):
        covariance = (
            deviations.T @ deviations - np.outer(*2 * [deviations[row]])
        ) / 60 + ridge
        precision = np.linalg.inv(covariance)
        surprise = precision @ deviations[row] / precision.diagonal()
        before = (
            score.gaussian.precision
            @ deviations[row]
            / score.gaussian.precision.diagonal()
        )
        z[row, ends[2] :] *= surprise / before
        expected = np.square(z[row]).sum() / 2
        found = score.score_held_out(make_rows(X), 1.0)[row]
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("law", [stats.expon(), stats.genpareto(0.4), stats.gamma(5)])
def test_the_tail_is_that_of_the_law(law):
    scores = law.rvs(20_000, random_state=0)
    tail = fit_tail(scores, 0.0, scores.max(), 20_000)
    for one_in in (5, 20, 100, 1000):
        [found] = tail.find_rarity(law.isf([1 / one_in]))
        assert found == pytest.approx(one_in, rel=0.05 if one_in < 100 else 0.3)
    assert tail.find_rarity(np.array([1e9])) == 20_000
    order = tail.find_shares(np.linspace(0, scores.max(), 500))
    assert (np.diff(order) <= 1e-12).all()


def test_trimmed_rows_are_counted_among_the_rare_ones():
    scores = stats.expon.rvs(size=1000, random_state=0)
    tail = fit_tail(scores, 0.01, 10.0, 1010)
    assert tail.find_rarity(np.array([10.0]))[0] == pytest.approx(100, rel=0.05)
    assert tail.find_rarity(np.array([1000.0]))[0] == 1010


@given(n=st.integers(1, 60), equal=st.booleans())
def test_any_scores_have_a_tail(n, equal):
    scores = np.full(n, 2.0) if equal else np.arange(n, dtype=float)
    tail = fit_tail(scores, 0.0, float(scores.max()), n)
    Tail.from_numbers(tail.numbers)  # which refuses what is none
    shares = tail.find_shares(np.array([-1.0, *scores, 1e9]))
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (np.diff(shares) <= 1e-12).all()


@pytest.mark.parametrize("n", [300, 2000])
def test_rarities_are_those_of_rows_held_out(n):
    """Within the 95 % interval of as many rows, of 12 other tables of the same law."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(12):
        z = rng.normal(size=(n + 3000, 2))
        X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.3 * rng.normal(
            size=(n + 3000, 5)
        )
        estimator = TiedAutoencoder(2, **(QUICK | {"max_iter": 10}), trim=False).fit(
            X[:n]
        )
        rarity = estimator.rarity(X[n:])
        calibrated = n if n < 1000 else n // 10
        for one_in in (20, 100):
            a, b = calibrated / one_in, calibrated - calibrated / one_in
            low, high = stats.betabinom.ppf([0.025, 0.975], 3000, a, b)
            found.append(low <= np.count_nonzero(rarity >= one_in) <= high)
    assert np.mean(found) >= 0.85


def test_absurd_values_of_batches_count_as_medians_too(fitted):
    X = draw()
    X[5, 0] = 1e7
    estimator = TiedAutoencoder(2, **QUICK).partial_fit(X)
    assert estimator.n_trimmed_values_ == 1
    assert estimator.score_samples(X).argmin() == 5


def test_a_file_keeps_reasons_and_rarities(fitted, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    loaded, X = TiedAutoencoder.load(tmp_path / "m.safetensors"), draw(seed=1)
    np.testing.assert_array_equal(loaded.rarity(X), fitted.rarity(X))
    for found, expected in zip(loaded.explain(X), fitted.explain(X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    with pytest.raises(AttributeError, match="not stored in a file"):
        _ = loaded.n_trimmed_values_


def test_a_new_row_whose_class_the_network_gets_wrong_is_not_beyond_all_others():
    """Rows of one distribution have scores of one distribution, trained on or not."""

    def draw(seed, n=300):
        rng = np.random.default_rng(seed)
        x, town = rng.normal(size=n), rng.choice(["a", "b"], n)
        kind = np.array(["low", "middle", "high"])[np.digitize(x, [-0.5, 0.5])]
        columns = {"x": x, "y": x + rng.normal(0, 0.3, n), "kind": kind, "town": town}
        return pd.DataFrame(columns)

    autoencoder = TiedAutoencoder(1, hidden_layer_sizes=32, random_state=0).fit(draw(1))
    assert not autoencoder.is_pca_
    old, new = (-autoencoder.score_samples(draw(seed)) for seed in (1, 101))
    assert new.max() < 3 * old.max()
