"""Missing values: left out of the loss, filled in by `reconstruct` and `impute`."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, Ridge

from tied_tables import TiedAutoencoder
from tied_tables._layout import Layout
from tied_tables.comparison import compare_widths
from tied_tables.model.gaussian import (
    RIDGE,
    Gaussian,
    find_patterns,
    fit_gaussian,
    fit_pieces,
)
from tied_tables.model.imputation import Preprocessing, fit_network_weights
from tied_tables.model.scaling import Scaling

from .classes import LAYOUT, both, draw_classes
from .networks import seeded

SEEDS = st.integers(0, 1000)


def with_holes(X, share):
    """A copy in which each row keeps its first value, if no other one."""
    holes = default_rng(0).uniform(size=X.shape) < share
    holes[:, 0] &= ~holes.all(axis=1)
    return np.where(holes, np.nan, X)


def fit_normal(Z, layout=None):
    weights = np.ones(len(Z))
    return fit_gaussian(Z, weights, np.random.RandomState(0), layout)


def impute_by_normal(X):
    """X with conditional means in a normal distribution."""
    mean, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    scaled = (X - mean) / scale
    return fit_normal(scaled).impute(scaled) * scale + mean


def condition(X, mean, covariance):
    """X with conditional means, row by row, and the sum of the covariances."""
    complete = X - mean
    total = np.zeros_like(covariance)
    for row in complete:
        gone = np.isnan(row)
        known = covariance[~gone]
        slope = np.linalg.solve(
            known[:, ~gone],
            known[:, gone],
        )
        row[gone] = row[~gone] @ slope
        explained = covariance[gone][:, ~gone] @ slope
        total[np.ix_(gone, gone)] += covariance[gone][:, gone] - explained
    return complete + mean, total


# The normal distribution.


@given(
    seed=st.integers(0, 50),
    patterns=st.sampled_from([1, 3, 40]),
)
def test_rows_have_the_conditional_means_and_covariances_of_the_formula(seed, patterns):
    rng = default_rng(seed)
    n, d = 40, 5
    mixing = rng.normal(size=(d, d))
    mean, covariance = rng.normal(size=d), mixing @ mixing.T + np.eye(d)
    of_patterns = rng.uniform(size=(patterns, d)) < 0.5
    missing = of_patterns[rng.integers(patterns, size=n)]
    X = np.where(
        missing,
        np.nan,
        rng.normal(size=(n, d)),
    )
    gaussian = Gaussian(mean, np.linalg.inv(covariance))
    means, total = condition(X, mean, covariance)
    assert_allclose(gaussian.impute(X), means, atol=1e-9)
    deviations = np.nan_to_num(X - mean)
    found = gaussian.condition(deviations, find_patterns(missing))
    assert_allclose(found, total, atol=1e-9)


def test_the_covariance_is_that_of_the_rows_and_near_it_where_some_are_missing(rng):
    Z = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 3))
    expected = np.cov(Z.T, bias=True)
    variance = np.trace(expected) / 3
    expected += RIDGE * variance * np.eye(3)
    found = np.linalg.inv(fit_normal(Z).precision)
    assert_allclose(found, expected, rtol=1e-9)
    found = np.linalg.inv(fit_normal(with_holes(Z, 0.2)).precision)
    assert_allclose(found, expected, atol=0.1 * variance)


@pytest.mark.parametrize(
    ("n", "d", "count"),
    [
        (600, 2, 2),
        (3000, 2, 4),
        (1200, 80, 2),
    ],
)
def test_many_rows_have_pieces_between_quantiles(rng, n, d, count):
    rows = rng.normal(size=(n, d))
    layout = Layout.of_numbers(d)
    assert fit_pieces(rows[:599], layout) is None
    added = fit_pieces(rows, layout).add(rows)
    assert added.shape == (n, d + d * count)
    number = rows[:, 0]
    for place in range(count):
        ends = place / count, (place + 1) / count
        piece = np.clip(
            number,
            *np.quantile(number, ends),
        )
        expected = (piece - piece.mean()) / piece.std() * number.std()
        assert_allclose(added[:, d + place], expected, atol=1e-9)


def test_rows_of_more_weight_tell_more_of_what_is_missing(rng):
    x, noise = rng.normal(size=(2, 400))
    is_heavy = np.arange(400) < 200
    X = np.column_stack([x, np.where(is_heavy, x, -x) + 0.1 * noise])
    X[::25, 1] = np.nan
    weights = np.where(is_heavy, 1e6, 1.0)
    filled = [
        seeded(1, max_iter=1)
        .fit(some, sample_weight=some_weights)
        .impute([[2, np.nan]])
        for some, some_weights in ((X, weights), (X[is_heavy], None))
    ]
    assert_allclose(*filled, atol=0.1)


# The range of training.


def make_clipped(seed, decimals):
    """Rows with many values at the ends of their columns, and the same with gaps."""
    rng = default_rng(seed)
    X = rng.normal(size=(200, 4))
    X[:, 2:] = 2 * X[:, :2]
    low, high = (-1.7, 1.9) if decimals else (-np.sqrt(3), np.sqrt(5))
    X = X.clip(low, high)
    X = X if decimals is None else X.round(decimals)
    return X, rng.random(X.shape) < 0.3


def assert_within(filled, X, gaps):
    filled = np.asarray(filled, dtype=np.float64)
    beyond = (filled < X.min(axis=0)) | (filled > X.max(axis=0))
    assert not (beyond & gaps).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("decimals", [1, None])
@given(seed=SEEDS)
def test_what_is_filled_in_lies_within_the_values_of_training(decimals, dtype, seed):
    X, gaps = make_clipped(seed, decimals)
    estimator = seeded(1, max_iter=1).fit(X)
    filled = estimator.impute(np.where(gaps, np.nan, X).astype(dtype))
    assert filled.dtype == dtype
    assert_within(filled, X, gaps)


def test_a_constant_that_single_precision_lacks_is_filled_in_by_the_nearest(rng):
    X = np.column_stack([rng.normal(size=60), np.full(60, 1.7)])
    estimator = seeded(1, max_iter=1).fit(X)
    filled = estimator.impute(np.array([[0.0, np.nan]], np.float32))
    assert filled[0, 1] == np.float32(1.7)


@pytest.mark.parametrize("decimals", [1, None])
@given(seed=SEEDS)
def test_what_is_filled_into_a_frame_of_kinds_lies_within_the_values_of_training(
    decimals, seed
):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X, gaps = make_clipped(seed, decimals)
    frame = pd.DataFrame(X, columns=list("abcd"))
    kinds = np.where(X[:, 0] > 0, "plum", "pear")
    estimator = seeded(1, max_iter=1).fit(frame.assign(kind=kinds))
    filled = estimator.impute(frame.mask(gaps).assign(kind=kinds))
    assert_within(filled[list("abcd")], X, gaps)


@given(seed=SEEDS)
def test_what_is_expected_lies_within_the_values_of_training(seed):
    X, _ = make_clipped(seed, 1)
    expected = seeded(1, max_iter=1).fit(X).explain(2 * X).expected
    assert_within(expected, X, np.full(X.shape, True))


# Masked arrays.


@pytest.fixture
def masked(rng):
    """Rows whose masked cells hide a large number, and the same with NaN there."""
    rows = rng.normal(size=(60, 3))
    mask = rng.random(rows.shape) < 0.2
    with_nan = np.where(mask, np.nan, rows)
    return np.ma.MaskedArray(np.where(mask, 1e6, rows), mask), with_nan


ROW_METHODS = (
    "transform reconstruct impute reconstruction_error score score_samples rarity"
    " decision_function predict to_numbers"
).split()


@pytest.mark.parametrize("method", ROW_METHODS)
def test_masked_cells_are_missing(method, masked):
    rows, with_nan = masked
    estimator = seeded(1, max_iter=1).fit(with_nan)
    found = getattr(estimator, method)(rows)
    assert_array_equal(found, getattr(estimator, method)(with_nan))


def test_masked_cells_are_missing_in_training(masked):
    rows, with_nan = masked
    validation = {"X_val": rows}, {"X_val": with_nan}
    found, expected = (
        seeded(1, max_iter=1).fit(X, **options).score_samples(with_nan)
        for X, options in zip(masked, validation, strict=True)
    )
    assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "object"])
def test_masked_cells_are_missing_whatever_the_dtype(dtype, rng):
    values = rng.integers(0, 2, (60, 3))
    mask = rng.random(values.shape) < 0.2
    rows = np.ma.MaskedArray(values.astype(dtype), mask)
    with_nan = np.where(mask, np.nan, values)
    estimator = seeded(1, max_iter=1).fit(with_nan)
    assert_allclose(estimator.score_samples(rows), estimator.score_samples(with_nan))
    kinds = seeded(1, max_iter=1, categorical_features=[0]).fit(rows)
    assert_array_equal(kinds.impute(rows), kinds.impute(with_nan))


def test_widths_are_compared_without_masked_cells(masked):
    found, expected = (compare_widths(X, [1], random_state=0) for X in masked)
    assert found == expected


def test_a_fitted_value_refuses_a_masked_array(masked):
    rows, with_nan = masked
    fitted = seeded(1, max_iter=1).fit(with_nan)._model
    for method in ("transform", "impute", "score_samples", "find_far_values"):
        with pytest.raises(ValueError, match="are a MaskedArray"):
            getattr(fitted, method)(rows)


# Classes.


@pytest.fixture
def mixed():
    """Scaled rows with gaps, and what is done to them before the network."""
    X = draw_classes(700, missing=0.2)
    mean, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    Z = (X - mean) / scale
    return Z, Preprocessing(
        Scaling(mean, scale),
        np.zeros(8),
        LAYOUT,
        fit_normal(Z, LAYOUT),
    )


def test_the_class_is_the_one_whose_indicator_has_the_largest_conditional_mean(mixed):
    Z, preprocessing = mixed
    mean, scale = preprocessing.scaling
    expected = preprocessing.gaussian.impute(Z) * scale + mean
    for part in LAYOUT.classes:
        means = both(expected[:, part])
        likeliest = np.eye(means.shape[1])[means.argmax(axis=1)]
        expected[:, part] = likeliest[:, part.start - part.stop :]
    found = preprocessing.impute(Z)
    missing = np.isnan(Z)
    assert_allclose(
        (found * scale + mean)[missing],
        expected[missing],
        atol=1e-6,
    )
    assert_array_equal(found[~missing], Z[~missing])


def test_a_fifth_of_the_values_is_hidden_in_whole_columns(mixed):
    Z, preprocessing = mixed
    _, hidden = preprocessing.hide(
        Z,
        3,
        np.random.RandomState(0),
    )
    is_hidden = ~np.isnan(hidden)
    rows = np.tile(Z, (3, 1))
    assert_array_equal(hidden[is_hidden], rows[is_hidden])
    assert_array_equal(
        is_hidden[:, 2],
        is_hidden[:, 4],
    )
    assert is_hidden[~np.isnan(rows)].mean() == pytest.approx(0.2, abs=0.02)


# The network and the normal distribution.


MIXING = np.eye(4) + 0.5 * np.tri(4)


def make_rows(kind):
    """400 rows of a normal distribution that no code of one number tells much about, or
    on a curve of whose numbers no two are correlated.
    """
    rng = default_rng(1)
    if kind == "normal":
        return rng.normal(size=(400, 4)) @ MIXING
    angles = rng.uniform(0, 2 * np.pi, (400, 1)) * [1, 2]
    X = np.hstack(
        [
            np.cos(angles),
            np.sin(angles),
        ]
    )
    return X + 0.02 * rng.normal(size=X.shape)


make = partial(seeded, hidden_layer_sizes=16, trim=False)


@pytest.fixture(
    scope="module",
    params=product(["normal", "curve"], [0.2, 0.05]),
)
def imputed(request):
    """The kind of rows, these, with holes, and the estimator."""
    kind, share = request.param
    X = make_rows(kind)
    holes = with_holes(X, share)
    estimator = make(1 if kind == "normal" else 2).fit(holes)
    return kind, X, holes, estimator


def test_imputation_is_never_worse_than_conditional_means(imputed):
    """Near the best of all of normal rows, and better where a curve has none."""
    kind, X, holes, estimator = imputed
    ours = np.mean((estimator.reconstruct(holes) - X)[np.isnan(holes)] ** 2)
    means = np.mean((impute_by_normal(holes) - X) ** 2) * X.size
    means /= np.isnan(holes).sum()
    if kind == "curve":
        assert ours < 0.9 * means
        return
    assert ours <= 1.01 * means
    best, _ = condition(
        holes,
        np.zeros(4),
        MIXING.T @ MIXING,
    )
    assert ours <= 1.1 * np.mean((best - X)[np.isnan(holes)] ** 2)


def test_missing_values_are_between_conditional_means_and_decoded_codes(imputed):
    _, _, holes, estimator = imputed
    found = estimator.reconstruct(holes)
    decoded = estimator.inverse_transform(estimator.transform(holes))
    missing = np.isnan(holes)
    assert_allclose(found[~missing], decoded[~missing], rtol=1e-5, atol=1e-6)
    ends = np.stack([decoded, impute_by_normal(holes)])
    assert (found >= ends.min(axis=0) - 1e-4)[missing].all()
    assert (found <= ends.max(axis=0) + 1e-4)[missing].all()


def test_after_a_fit_to_complete_rows_gaps_count_as_means_and_are_predicted(rng):
    """By linear regression on the other columns, as there are enough rows."""
    X = rng.normal(size=(4000, 3))
    X[:, 2] += 2 * X[:, 0] - X[:, 1]
    others = X[:, :2]
    estimator = seeded(2, max_iter=1).fit(X)
    gaps, means = X.copy(), X.copy()
    gaps[:, 2] = np.nan
    means[:, 2] = X[:, 2].mean()
    for method in (estimator.transform, estimator.reconstruct):
        assert_allclose(method(gaps), method(means), rtol=1e-4, atol=1e-5)
    expected = LinearRegression().fit(others, X[:, 2]).predict(others)
    imputed = estimator.impute(gaps)
    assert_array_equal(imputed[:, :2], others)
    assert_allclose(imputed[:, 2], expected, atol=0.15)


def test_tables_too_small_for_hidden_numbers_have_conditional_means():
    X = np.array(
        [
            [np.nan, 1.0],
            [1.0, 2.0],
            [2.0, 4.0],
        ]
    )
    expected = impute_by_normal(X)[0, 0]
    for seed in range(9):  # for some, no number is hidden
        estimator = TiedAutoencoder(1, random_state=seed).fit(X)
        assert estimator.reconstruct(X)[0, 0] == pytest.approx(expected, abs=1e-5)


@given(
    seed=st.integers(0, 50),
    slope=st.floats(-1, 2),
)
def test_weights_are_those_of_ridge_regression_less_standard_errors(seed, slope):
    """Of the errors of the conditional means on the way to the network's values."""
    rng = default_rng(seed)
    steps, errors = rng.normal(size=(2, 30, 1))
    errors += slope * steps
    weights = rng.uniform(0.5, 2, 30)
    errors[20:] = np.nan  # not known
    found = fit_network_weights(errors, np.zeros((30, 1)), steps, weights)
    steps, errors, weights = steps[:20], errors[:20, 0], weights[:20]
    variance = np.average(errors**2, weights=weights)
    alpha = variance / 0.3**2
    ridge = Ridge(alpha, fit_intercept=False)
    ridge.fit(steps, errors, sample_weight=weights)
    left = errors - ridge.predict(steps)
    noise = weights * (steps[:, 0] * left) ** 2
    size = weights @ steps**2
    standard_error = np.sqrt(noise.sum()) / (size + alpha)
    expected = np.clip(
        ridge.coef_ - standard_error,
        0,
        1,
    )
    assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


# Batches, and absurd values.


def test_batches_widen_the_values_that_are_filled_in(rng):
    estimator = make(1)
    batches = rng.uniform(size=(2, 40, 3))
    batches[1] += 5
    batches[1, :, 0] = np.nan
    for batch in batches:
        batch[::4, 2] = np.nan
        estimator.partial_fit(batch)
    X = np.vstack(batches)
    fitted = estimator._model
    assert_array_equal(fitted.smallest, np.nanmin(X, axis=0))
    assert_array_equal(fitted.largest, np.nanmax(X, axis=0))


def test_what_is_absurd_tells_nothing_of_a_gap_beside_it(rng):
    X = rng.normal(size=(600, 1)) + 0.2 * rng.normal(size=(600, 4))
    X[::17, 1] = np.nan
    X[5] = [1e7, np.nan, 0, 0]
    with pytest.warns(UserWarning, match="1 absurd value"):
        model = seeded(1, max_iter=2).fit(X)
    [expected] = model.impute([[np.nan, np.nan, 0, 0]])
    assert_allclose(model.impute(X[5:6])[0, 1], expected[1])
    assert_allclose(model.explain(X[5:6]).expected[0, :2], expected[:2], atol=0.2)
