"""Odd rows: those with an absurd value come first, move nothing, and are explained."""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import huber
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from tests.marks import for_each

from tied_tables._layout import NUMBER, Layout
from tied_tables.model.fences import fit_absurd_limits, fit_fences
from tied_tables.model.gaussian import RIDGE
from tied_tables.model.imputation import Preprocessing
from tied_tables.model.outlier_score import Block, fit_outlier_score
from tied_tables.model.scaling import Scaling
from tied_tables.model.tail import Tail, fit_tail

from .classes import both
from .networks import seeded, with_gaps


def draw(n=400):
    """Rows of five numbers that two factors explain, in units of their own."""
    rng = default_rng(0)
    rows = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5))
    rows += 0.2 * rng.normal(size=(n, 5))
    return rows * [1.0, 1e3, 1e-4, 50.0, 7.0] + [0.0, 2e4, 1.0, -80.0, 3.0]


make = partial(seeded, 2, hidden_layer_sizes=8, max_iter=3)


# Where the values of a column end.


def test_fences_of_exponential_tails_are_their_quantiles():
    n, d = 2002, 3
    shares = (np.arange(n) + 0.5) / n
    column = stats.laplace.ppf(shares)
    X = np.tile(column[:, None], (1, d))
    fences = fit_fences(X)
    expected = stats.laplace.isf(0.1 / (n * d))
    assert_allclose(fences.high, expected, rtol=0.02)
    assert_allclose(fences.low, -fences.high, rtol=1e-6)


@given(
    seed=st.integers(0, 999),
    tail=st.sampled_from(["normal", "exponential", "lognormal"]),
    scale=st.sampled_from([1e-6, 1.0, 1e9]),
)
def test_fences_move_with_the_unit_and_few_values_are_beyond(seed, tail, scale):
    rng = default_rng(seed)
    X = getattr(rng, tail)(size=(500, 4))
    fences, moved = fit_fences(X), fit_fences(3 - scale * X)
    assert_allclose(
        moved.low,
        3 - scale * fences.high,
        rtol=1e-6,
        atol=1e-6 * scale,
    )
    assert fences.find(X).any(axis=1).sum() <= 5


MIDDLE = np.linspace(-1, 1, 2000)
COUNTS = default_rng(0).integers(0, 60, 400)
ORDINARY = {
    "seldom true": np.repeat(
        [0.0, 1.0],
        [490, 10],
    ),
    "of levels, one of them rare": np.repeat(
        [0.7, 1, 2.1, 90],
        [150, 110, 37, 3],
    ),
    "seldom anything but 0": np.append(
        np.zeros(2000),
        MIDDLE[:20],
    ),
    "of two groups": np.append(MIDDLE, np.full(41, 1000.0)),
    "of few rows": np.append(MIDDLE[:48], 1e9),
    "of two levels": np.append(np.ones(99), -1),
    "of counts, of which two are negative": np.append(COUNTS, [-1.0, -2.0]),
    "of counts, of which a fraction is negative": np.append(COUNTS, -0.7),
}


@for_each(ORDINARY, "column")
def test_no_value_is_absurd_in_a_column_that_is(column):
    X = column[:, None]
    assert not fit_fences(X).find(X).any()
    assert not fit_absurd_limits(X).find(X).any()


ENDINGS = {
    "of fifty rows": np.append(MIDDLE[:49], 1e9),
    "the only negative count": np.append(COUNTS, -1.0),
    "the only negative one of few counts": np.r_[np.zeros(190), 1:10, -1],
    "a level that is there once": np.r_[np.tile([10.0, 20.0, 50.0], 100), 90, 20_000],
}


@for_each(ENDINGS, "column")
def test_the_last_value_alone_is_beyond_the_fence(column):
    X = column[:, None]
    assert np.flatnonzero(fit_fences(X).find(X)).tolist() == [len(X) - 1]


@pytest.mark.parametrize(
    ("value", "times", "count"),
    [
        (7 + 90, 4, 0),
        (7 + 110, 4, 4),
        (1e6, 8, 8),
        (1e6, 9, 0),
    ],
)
def test_few_values_beyond_a_gap_of_ten_ranges_are_absurd(value, times, count):
    X = np.linspace(-3, 7, 400)[:, None]
    X[:times] = value
    assert fit_absurd_limits(X).find(X).sum() == count


# Whole rows.


@pytest.mark.parametrize("solver", ["nadam", "lbfgs"])
@pytest.mark.parametrize("n", [400, 999])
def test_absurd_values_stand_out_and_count_as_medians(solver, n):
    X = draw(n)
    absurd = X.copy()
    rows, columns = [0, 1, 2], [1, 3, 0]
    absurd[rows, columns] = 9_999_999, 4e8, -5e5
    X[rows, columns] = np.median(absurd[:, columns], axis=0)
    clean = make(solver=solver).fit(X)
    with pytest.warns(UserWarning, match=r"3 absurd values .*, in \[0, 1, 3\]: "):
        other = make(solver=solver).fit(absurd)
    assert other.n_trimmed_values_ == 3
    for name in ("transform", "reconstruct", "score_samples"):
        assert_array_equal(
            getattr(other, name)(X),
            getattr(clean, name)(X),
        )
    standing_out = other._model.stand_out(-other.score_samples(absurd), n)
    assert_array_equal(np.flatnonzero(standing_out), rows)


def test_absurd_values_of_batches_count_as_medians_too():
    X = draw()
    X[5, 0] = 1e7
    estimator = make().partial_fit(X)
    assert estimator.n_trimmed_values_ == 1
    assert estimator.score_samples(X).argmin() == 5


def test_without_trimming_absurd_values_move_the_scale():
    X = draw()
    X[0, 1] = 1e9
    estimator = make(trim=False).fit(X)
    assert estimator.n_trimmed_values_ == 0
    found = estimator._model.preprocessing.scaling.shift
    assert_allclose(found, X.mean(axis=0))


def assert_mended(estimator, odd, reasons, column):
    """A row has the score that is told, with what is expected of a column."""
    mended = odd.copy()
    mended[0, column] = reasons.expected[0, column]
    score = -estimator.score_samples(mended)
    assert_allclose(score, reasons.scores[:, column], rtol=1e-4)


@given(
    row=st.integers(0, 399),
    column=st.integers(0, 4),
    spreads=st.floats(8, 1e6),
    sign=st.sampled_from([-1, 1]),
)
@example(109, 3, 8.0, 1)  # expected below all others
def test_the_planted_row_comes_first_and_its_column_is_named(
    row, column, spreads, sign
):
    X = draw()
    middle = np.median(X[:, column])
    X[row, column] = middle + sign * spreads * X[:, column].std()
    with warnings.catch_warnings(action="ignore"):
        estimator = make(max_iter=1).fit(X)
    assert estimator.score_samples(X).argmin() == row
    odd = X[[row]]
    assert estimator.rarity(odd) == 400
    reasons = estimator.explain(odd)
    assert reasons.shares[0, column] > 0.5  # than all others together
    assert_mended(estimator, odd, reasons, column)
    # What is expected is what linear regression on the other columns predicts, of rows
    # without the value, but within the values of the column.
    without = X.copy()
    without[row, column] = middle
    known = without if estimator.n_trimmed_values_ else X
    scaler = StandardScaler().fit(known)
    scaled = scaler.transform(without)
    predicted = predict(scaled, np.arange(5) == column)[row, 0]
    values = scaler.transform(known)[:, column]
    found = scaler.transform(reasons.expected)[0, column]
    expected = predicted.clip(values.min(), values.max())
    assert found == pytest.approx(expected, abs=1e-3)


def test_two_values_that_contradict_each_other_are_both_named(rng):
    X = rng.normal(size=(1000, 4))
    X[:, 1] = X[:, 0]
    X[:, :2] += 0.05 * rng.normal(size=(1000, 2))
    estimator = make().fit(X)
    odd = [[1.2, -1.2, 0.1, -0.2]]  # each of them is ordinary
    assert estimator.rarity(odd) > 100
    [shares] = estimator.explain(odd).shares
    assert shares[:2].min() > 0.3
    assert shares[2:].max() < 0.1


def test_anomalies_do_not_bend_what_judges_them(rng):
    """A twentieth of the rows lie where no other does, and are as far as some others."""
    X = rng.normal(size=(400, 6))
    X[:, 1:] += 2 * X[:, :1]
    X[:20] = rng.normal(0, 0.3, size=(20, 6))
    X[:20, ::2] += 2.0
    X[:20, 1::2] -= 2.0
    oddest = np.argsort(make().fit(X).score_samples(X))[:20]
    assert np.mean(oddest < 20) >= 0.9


@pytest.mark.parametrize("n", [150, 1500])
def test_two_kinds_that_are_there_once_do_not_explain_each_other(n, rng):
    kind = rng.integers(0, 3, n)
    number, noise = rng.normal(kind, 0.3), rng.normal(size=n)
    frame = pd.DataFrame({"number": number, "double": 2 * number + 0.2 * noise})
    frame["colour"] = np.array(["red", "green", "blue"], object)[kind]
    frame["size"] = rng.choice(["S", "M", "L"], n)
    frame.loc[7, ["colour", "size"]] = "Quartz", "Wumpus"
    assert make(max_iter=1).fit(frame).score_samples(frame).argmin() == 7


def test_gaps_are_imputed_anew_beside_what_is_expected(rng):
    X = rng.normal(size=(400, 1)) * [1, 2, 3, 4] + 0.3 * rng.normal(size=(400, 4))
    X = with_gaps(X, 0.05, rng)
    estimator = make(max_iter=1).fit(X)
    odd = np.array([[1, np.nan, np.nan, 40.0]])
    reasons = estimator.explain(odd)
    for column in (0, 3):
        assert_mended(estimator, odd, reasons, column)


def test_the_likeliest_category_is_expected_where_it_is_clearly_likelier(rng):
    size, noise = rng.normal(size=(2, 900))
    kind = np.where(size + 0.3 * noise > 0, "large", "small")
    estimator = make().fit(pd.DataFrame({"size": size, "kind": kind}))
    odd = pd.DataFrame(
        {
            "size": [2.0, 0.1],
            "kind": ["small", "small"],
        }
    )
    reasons = estimator.explain(odd)
    assert reasons.expected["kind"].tolist() == ["large", "small"]
    numbers, classes = reasons.ratios.T
    assert numbers.tolist() == [1, 1]
    assert classes[0] > 10
    assert 1 <= classes[1] < 3


# The score against its formula.


LAYOUTS = {
    "numbers": Layout.of_numbers(4),
    "pairs": Layout(
        np.array([0, 0, 1, 1]),
        np.zeros(4, int),
    ),
    "boolean": Layout(
        np.arange(3),
        np.array([0, 0, 1]),
    ),
    "category": Layout(
        np.array([0, 1, 2, 2, 2]),
        np.array([0, 0, 2, 2, 2]),
    ),
}


def make_block(kind):
    """Two numbers, and what follows the first of them."""
    rng = default_rng(0)
    level = rng.integers(0, 3, 60)
    numbers = rng.normal(size=(60, 4))
    numbers[:, 0] += level
    numbers[:, 3] += level
    others = {
        "boolean": level[:, None] > 0,
        "category": np.eye(3)[level],
    }
    X = np.hstack(
        [
            numbers[:, :2],
            others.get(kind, numbers[:, 2:]),
        ]
    )
    return Block(
        X,
        X,
        codes=X[:, :2],
        reconstruction=1.01 * X,
    )


def standardize(values, least=0.0):
    """Less the median, in units of the median absolute deviation."""
    deviations = values - np.median(values, axis=0)
    scale = stats.median_abs_deviation(values, scale="normal")
    spread = values.std(axis=0)
    scale = np.where(scale > 0.05 * spread, scale, spread)
    return deviations / np.maximum(scale, least)


def rotate(values):
    """The coordinates along the principal axes that vary."""
    axes = PCA().fit_transform(values)
    spread = axes.std(axis=0)
    return axes[:, spread > 1e-3 * spread[0]]


def predict(X, own, without=()):
    """Ridge regression on the other columns, of all rows or all but one."""
    mean = X.mean(axis=0)
    deviations = X - mean
    ridge = Ridge(RIDGE * np.sum(deviations**2) / len(mean), fit_intercept=False)
    rows = np.delete(deviations, without, axis=0)
    ridge.fit(rows[:, ~own], rows[:, own])
    predicted = ridge.predict(deviations[:, ~own])
    return mean[own] + predicted.reshape(len(X), -1)


def find_chances(p, classes):
    """Of the classes that rows have, none of them far below its frequency.

    The chance is that of the frequency in four rows more.
    """
    p, classes = both(p), both(classes)
    frequency = classes.mean(axis=0)
    p = np.maximum(p, 0.05 * frequency)
    p /= p.sum(axis=1, keepdims=True)
    p *= 1 - 4 / (classes.sum(axis=0) + 4)
    p += np.outer(1 - p.sum(axis=1), frequency)
    return np.sum(p * classes, axis=1)


def find_distances(z, sums):
    """Mahalanobis distances from the rows of the lowest sums, relative to the median."""
    roots = np.sign(z) * np.sqrt(2 * huber(2, z))
    core = roots[sums <= np.quantile(sums, 0.75)]
    covariance = np.cov(core.T, bias=True)
    ridge = 0.003 * covariance.diagonal().mean()
    inverse = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
    mean = core.mean(axis=0, keepdims=True)
    distances = cdist(roots, mean, "mahalanobis", VI=inverse)[:, 0]
    return distances / np.median(distances)


def score_by_formula(block, layout, optimism):
    """With an optimism, of each row as if it had not been trained on."""
    scores = add_up(block, layout, optimism)
    if layout.has_classes:
        return scores
    z = standardize(block.scaled)
    distances = find_distances(z, add_up(block, layout, None))
    return scores * np.maximum(distances, 1)


def add_up_huber(z):
    return huber(2, z).sum(axis=1)


def add_up(block, layout, optimism):
    X = block.scaled
    surprises, logs = [], 0.0
    for column in range(layout.columns[-1] + 1):
        own = layout.columns == column
        means = predict(X, own)
        if optimism:
            each = [predict(X, own, row)[row] for row in range(len(X))]
            means, of_all = np.array(each), means
        if layout.kinds[own][0] != NUMBER:
            logs += np.log(find_chances(means, X[:, own]))
            continue
        surprise = X[:, own] - (of_all if optimism else means)
        least = 0.5 if own.sum() == 1 else 1.0
        z = standardize(
            surprise,
            least * surprise.std(axis=0),
        )
        if optimism:
            z *= (X[:, own] - means) / surprise
        surprises.append(z)
    of_surprises = add_up_huber(np.hstack(surprises))
    features = add_up_huber(standardize(X))
    codes = add_up_huber(standardize(rotate(block.codes)))
    others = features + codes + of_surprises
    residuals = standardize(
        rotate(block.residuals),
        0.05 * layout.has_classes,
    )
    if optimism:
        growth = (optimism - 1) * others / others.mean()
        residuals *= np.sqrt(1 + growth)[:, None]
    scores = others + add_up_huber(residuals)
    return scores + layout.has_classes * 12 * (of_surprises - 4 * logs)


@pytest.mark.parametrize(
    ("kind", "optimism"),
    [(kind, None) for kind in LAYOUTS]
    + [(kind, 1.5) for kind in ("numbers", "boolean", "category")],
)
def test_the_score_is_that_of_its_formula(kind, optimism):
    """Of rows, and of each if it had not been trained on."""
    block, layout = make_block(kind), LAYOUTS[kind]
    d = len(layout.columns)
    scaling = Scaling(
        np.zeros(d),
        np.ones(d),
    )
    score = fit_outlier_score(
        block,
        np.ones(len(block.scaled)),
        Preprocessing(scaling, np.zeros(d), layout),
        fit_fences(block.scaled),
    )
    found = score.score_held_out(block, optimism) if optimism else score.score(block)
    expected = score_by_formula(block, layout, optimism)
    assert_allclose(found, expected, rtol=1e-5)


# How rare a score is.


@pytest.mark.parametrize(
    "law",
    [
        stats.expon(),
        stats.genpareto(0.4),
        stats.gamma(5),
    ],
)
def test_the_tail_is_that_of_the_law(law):
    """Beyond a share of rows that had absurd values, which come first."""
    trimmed = 0.01
    scores = law.rvs(20_000, random_state=0)
    tail = fit_tail(scores, scores, trimmed, 20_000)
    one_in = np.array([1.5, 5, 20, 100, 1000])
    shares = tail.find_shares(law.isf(1 / one_in))
    expected = trimmed + (1 - trimmed) / one_in
    assert_allclose(shares[:3], expected[:3], rtol=0.05)
    assert_allclose(shares, expected, rtol=0.3)
    assert tail.find_rarity(np.array([1e9])) == 20_000


@given(
    n=st.integers(1, 2000),
    step=st.sampled_from([0.0, 1.0]),
)
def test_any_scores_have_a_tail_whose_shares_fall(n, step):
    scores = 2 + step * np.arange(n)
    tail = fit_tail(scores, scores, 0.0, n)
    Tail.from_numbers(tail.numbers)  # which refuses what is none
    shares = tail.find_shares(np.append(scores, 1e9))
    assert 0 <= shares[-1] <= shares[0] <= 1
    assert (np.diff(shares) <= 1e-12).all()
    if not step:  # of equal scores all rows are as odd
        assert tail.find_rarity(scores[:1]) == 1


@pytest.mark.parametrize("n_odd", [0, 1, 3])
def test_scores_that_lengthen_the_tail_stand_out_of_what_is_below(n_odd):
    scores = 30 + 10 * stats.expon().rvs(300, random_state=0)
    odd = scores[:n_odd] = 1000 + np.arange(n_odd)
    far = fit_tail(scores, scores, 0.0, 300).far
    assert np.sort(scores)[299 - n_odd] < far <= 1.5 * scores.max()
    assert (odd > far).all()


@pytest.mark.parametrize("n", [300, 2000])
def test_rarities_are_those_of_other_rows(n):
    """Within the 95 % interval of n rows and of these, of 12 tables of one law."""
    rng = default_rng(1)
    n_new = 3000
    found = []
    for _ in range(12):
        z = rng.normal(size=(n + n_new, 2))
        X = np.column_stack(
            [
                z,
                z**2,
                z.prod(axis=1),
            ]
        )
        X += 0.3 * rng.normal(size=X.shape)
        rarity = make(max_iter=10, trim=False).fit(X[:n]).rarity(X[n:])
        for one_in in (20, 100):
            law = stats.betabinom(n_new, n / one_in, n - n / one_in)
            low, high = law.ppf([0.025, 0.975])
            found.append(low <= np.count_nonzero(rarity >= one_in) <= high)
    assert np.mean(found) >= 0.85


def test_a_gap_is_no_surprise_though_none_was_in_training(rng):
    X = rng.normal(size=(600, 1)) + 0.1 * rng.normal(size=(600, 4))
    model = seeded(1, max_iter=2).fit(X)
    gaps = np.where(np.arange(4) == 2, np.nan, X)
    assert np.mean(model.predict(gaps) < 0) < 0.12
    filled = model.impute(gaps)
    assert_allclose(model.score_samples(gaps), model.score_samples(filled), rtol=0.3)
    assert_allclose(model.explain(gaps).expected[:, 2], filled[:, 2], rtol=1e-4)


@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("n_features", [2, 3])
def test_a_row_with_a_value_far_outside_has_a_reason(n_features, noise, rng):
    """Also where what the other columns suggest would fit them worse."""
    X = rng.normal(size=(400, 1)) * np.arange(1, n_features + 1)
    X += noise * rng.normal(size=X.shape)
    estimator = seeded(1, max_iter=20).fit(X)
    fences = fit_fences(X)
    rows = rng.uniform(fences.low, fences.high, size=(2_000, n_features))
    rows[:, 0] = fences.high[0] + 0.02 * np.ptp(X[:, 0])
    assert estimator.explain(rows).shares.any(axis=1).all()
