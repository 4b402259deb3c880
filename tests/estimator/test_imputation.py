"""Missing values: left out of the loss, filled in by `reconstruct`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge

from keras_tied import TiedAutoencoder
from keras_tied.fitted.file import read
from keras_tied.fitted.gaussian import Gaussian, find_patterns, fit_gaussian, fit_pieces
from keras_tied.fitted.imputation import Preprocessing, fit_network_weights
from keras_tied.fitted.layout import Layout
from keras_tied.fitted.scaling import Scaling
from keras_tied.fitting.file import write_outcome
from keras_tied.fitting.fit import fit
from keras_tied.fitting.plan import Parameters

LINE = np.outer(np.linspace(-2, 2, 200), [1.0, -2.0, 0.5, 3.0])


def with_holes(X: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    holes = np.random.default_rng(seed).uniform(size=X.shape) < share
    holes[:, 0] &= ~holes.all(axis=1)
    return np.where(holes, np.nan, X)


def test_filled_in_from_what_is_there():
    """On a straight line in four dimensions one number tells the others."""
    X = with_holes(LINE, 0.2)
    filled = TiedAutoencoder(1, max_iter=20, random_state=0).fit(X).reconstruct(X)
    rms = np.sqrt(np.mean((filled - LINE)[np.isnan(X)] ** 2))
    mean = np.sqrt(np.mean((SimpleImputer().fit_transform(X) - LINE)[np.isnan(X)] ** 2))
    assert rms < 0.2 * mean


def test_left_out_of_the_error():
    X = with_holes(LINE, 0.2)
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    errors = estimator.reconstruction_error(X, per_feature=True)
    np.testing.assert_array_equal(np.isnan(errors), np.isnan(X))
    np.testing.assert_allclose(
        estimator.reconstruction_error(X), np.nanmean(errors, axis=1)
    )
    assert np.isfinite(estimator.score_samples(X)).all()
    assert np.isfinite(estimator.score(X))


def test_not_worse_than_pca_where_little_is_missing(iris):
    X = with_holes(iris, 0.03)
    estimator = TiedAutoencoder(2, max_iter=30, random_state=0).fit(X)
    scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
    filled = fit_gaussian(scaled, np.random.RandomState(0)).impute(scaled)
    pca = PCA(2, svd_solver="full").fit(filled)
    reconstruction = pca.inverse_transform(pca.transform(filled))
    of_pca = np.nanmean((reconstruction - scaled) ** 2)
    errors = estimator.reconstruction_error(X, per_feature=True)
    assert np.nanmean(errors) <= 1.001 * of_pca


def test_row_and_column_of_nothing():
    X = LINE.copy()
    X[:, 3] = np.nan
    X[7] = np.nan
    with pytest.warns(UserWarning, match=r"no value in the columns \[3\]"):
        estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    np.testing.assert_allclose(estimator.reconstruct(X)[:, 3], 0, atol=0.1)


def test_missing_only_where_codes_are_wanted(iris):
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(iris)
    X = iris.copy()
    X[:, 2] = np.nan
    mean = iris.copy()
    mean[:, 2] = iris[:, 2].mean()
    np.testing.assert_allclose(
        estimator.transform(X), estimator.transform(mean), atol=1e-5
    )


@given(seed=st.integers(0, 50), d=st.integers(2, 6))
def test_conditional_means_are_those_of_the_formula(seed, d):
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(80, d)) @ rng.normal(size=(d, d))
    fitted = fit_gaussian(Z, np.random.RandomState(0))
    covariance = np.linalg.inv(fitted.precision)
    row = Z[0].copy()
    gone = np.arange(d) < rng.integers(1, d)
    expected = row.copy()
    expected[gone] = fitted.mean[gone] + covariance[
        np.ix_(gone, ~gone)
    ] @ np.linalg.solve(covariance[np.ix_(~gone, ~gone)], (row - fitted.mean)[~gone])
    row[gone] = np.nan
    np.testing.assert_allclose(
        fitted.impute(row[None])[0], expected, rtol=1e-6, atol=1e-8
    )


@given(seed=st.integers(0, 50), patterns=st.sampled_from([1, 3, 40]))
def test_rows_with_the_same_gaps_are_imputed_as_one_by_one(seed, patterns):
    """With the conditional means and covariances of the formula, for each row."""
    rng = np.random.default_rng(seed)
    n, d = 40, 5
    mixing = rng.normal(size=(d, d))
    gaussian = Gaussian(np.zeros(d), np.linalg.inv(mixing @ mixing.T + np.eye(d)))
    missing = (rng.uniform(size=(patterns, d)) < 0.5)[rng.integers(patterns, size=n)]
    rows = np.where(missing, 0.0, rng.normal(size=(n, d)))
    expected, covariance = rows.copy(), np.zeros((d, d))
    for row, gone in zip(expected, missing, strict=True):
        inverse = np.linalg.inv(gaussian.precision[np.ix_(gone, gone)])
        row[gone] = -inverse @ gaussian.precision[np.ix_(gone, ~gone)] @ row[~gone]
        covariance[np.ix_(gone, gone)] += inverse
    found = gaussian.condition(rows, find_patterns(missing))
    np.testing.assert_allclose(found, covariance, atol=1e-9)
    np.testing.assert_allclose(rows, expected, atol=1e-9)
    imputed = gaussian.impute(np.where(missing, np.nan, expected))
    np.testing.assert_allclose(imputed, expected, atol=1e-9)


# Pieces of numbers, and classes.


@pytest.mark.parametrize(("n", "count"), [(599, 0), (600, 2), (1200, 4), (3000, 4)])
def test_many_rows_have_pieces_between_quantiles(rng, n, count):
    rows = rng.normal(size=(n, 2))
    rows[:3, 1] = np.nan
    pieces = fit_pieces(rows, Layout.of_numbers(2))
    if not count:
        assert pieces is None
        return
    added = pieces.add(rows)
    assert added.shape == (n, 2 + 2 * count)
    np.testing.assert_array_equal(
        np.isnan(added[:, 2 + count :]).any(axis=1), np.arange(n) < 3
    )
    low, high = np.quantile(rows[:, 0], [0, 1 / count])
    share = np.clip((rows[:, 0] - low) / (high - low), 0, 1)
    expected = (share - share.mean()) / share.std() * rows[:, 0].std()
    np.testing.assert_allclose(added[:, 2], expected, atol=1e-9)


def test_numbers_of_few_values_classes_and_wide_tables_have_no_pieces(rng):
    rows = np.column_stack(
        [rng.integers(2, size=1200), rng.normal(size=1200), np.ones(1200)]
    )
    layout = Layout(np.arange(3), np.array([0, 1, 0]))
    assert fit_pieces(rows.astype(float), layout) is None
    assert fit_pieces(rng.normal(size=(1200, 100)), Layout.of_numbers(100)) is None
    assert (
        len(fit_pieces(rng.normal(size=(1200, 80)), Layout.of_numbers(80)).low) == 160
    )


def test_pieces_impute_along_a_bent_line(rng):
    x = rng.uniform(-2, 2, 1500)
    X = np.column_stack([x, np.abs(x)])
    hidden = rng.uniform(size=1500) < 0.2
    Z = np.where(hidden[:, None] & [False, True], np.nan, X)
    straight = fit_gaussian(Z, np.random.RandomState(0)).impute(Z)
    bent = fit_gaussian(Z, np.random.RandomState(0), Layout.of_numbers(2)).impute(Z)
    errors = [np.mean((rows - X)[hidden, 1] ** 2) for rows in (straight, bent)]
    assert errors[1] < 0.05 * errors[0]
    np.testing.assert_array_equal(bent[~hidden], X[~hidden])


def test_the_marginal_distribution_has_the_covariance_of_its_features(rng):
    Z = rng.normal(size=(900, 2)) @ rng.normal(size=(2, 2))
    gaussian = fit_gaussian(Z, np.random.RandomState(0), Layout.of_numbers(2))
    marginal = gaussian.marginalize(2)
    covariance = np.linalg.inv(gaussian.precision)[:2, :2]
    np.testing.assert_allclose(np.linalg.inv(marginal.precision), covariance, atol=1e-9)
    assert marginal.pieces is None


MIXED = Layout(np.array([0, 1, 1, 1, 2, 3]), np.array([0, 2, 2, 2, 1, 0]))
"""A number, a category, a boolean and a number."""


def make_mixed_rows(n: int = 700) -> np.ndarray:
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    kind = np.digitize(size + 0.5 * rng.normal(size=n), [-0.3, 1.0])
    return np.column_stack([size, np.eye(3)[kind], size > 0.5, rng.normal(size=n)])


def hide_columns(X: np.ndarray, share: float = 0.2) -> np.ndarray:
    hidden = np.random.default_rng(1).uniform(size=(len(X), 4)) < share
    return np.where(hidden[:, MIXED.columns], np.nan, X)


def test_the_class_is_the_one_whose_indicator_has_the_largest_conditional_mean():
    X = hide_columns(make_mixed_rows())
    mean, scale = np.nanmean(X, axis=0), np.nanstd(X, axis=0)
    Z = (X - mean) / scale
    gaussian = fit_gaussian(Z, np.random.RandomState(0), MIXED)
    preprocessing = Preprocessing(Scaling(mean, scale), np.zeros(6), MIXED, gaussian)
    found = preprocessing.impute(Z) * scale + mean
    means = gaussian.impute(Z) * scale + mean
    missing = np.isnan(X)
    rows = missing[:, 1]
    expected = np.eye(3)[means[rows, 1:4].argmax(axis=1)]
    np.testing.assert_allclose(found[rows, 1:4], expected, atol=1e-6)
    rows = missing[:, 4]
    np.testing.assert_allclose(found[rows, 4], means[rows, 4] > 0.5, atol=1e-6)
    np.testing.assert_allclose(found[:, [0, 5]], means[:, [0, 5]])
    np.testing.assert_array_equal(preprocessing.impute(Z)[~missing], Z[~missing])


def test_columns_are_hidden_whole(rng):
    Z = np.where(make_mixed_rows() > 1, np.nan, make_mixed_rows())
    preprocessing = Preprocessing(Scaling(np.zeros(6), np.ones(6)), np.zeros(6), MIXED)
    filled, hidden = preprocessing.hide(Z, 3, np.random.RandomState(0))
    assert filled.shape == (2100, 6)
    of_category = ~np.isnan(hidden[:, 1:4])
    assert (of_category.all(axis=1) == of_category.any(axis=1)).all()
    assert of_category[:, 0].mean() == pytest.approx(0.2, abs=0.03)


def test_mixed_rows_are_filled_in_with_classes_and_come_back_from_a_file(tmp_path):
    X = hide_columns(make_mixed_rows()).astype(np.float32)
    parameters = Parameters(max_iter=2, random_state=0)
    outcome = fit(parameters, X, np.ones(len(X)), layout=MIXED)
    filled = outcome.fitted.reconstruct(X)
    missing = np.isnan(X)
    classes = filled[:, 1:5][missing[:, 1:5]]
    assert np.isin(classes.round(5), [0, 1]).all()
    wrong = (
        (filled.round() != make_mixed_rows())[:, 1:4].any(axis=1)[missing[:, 1]].mean()
    )
    assert wrong < 0.5  # and 0.6 with the most frequent class
    write_outcome(tmp_path / "m.safetensors", outcome, parameters.to_dict())
    again = read(tmp_path / "m.safetensors").fitted
    assert again.outlier_score.gaussian.pieces is not None
    np.testing.assert_array_equal(again.reconstruct(X), filled)
    np.testing.assert_array_equal(
        again.outlier_scores(X), outcome.fitted.outlier_scores(X)
    )


def test_covariance_of_rows_with_holes_is_near_that_of_whole_ones(rng):
    mixing = rng.normal(size=(3, 3))
    Z = rng.normal(size=(2000, 3)) @ mixing
    fitted = fit_gaussian(with_holes(Z, 0.2), np.random.RandomState(0))
    np.testing.assert_allclose(
        np.linalg.inv(fitted.precision),
        np.cov(Z.T),
        atol=0.1 * np.trace(np.cov(Z.T)) / 3,
    )


def test_dataframe_with_missing_values():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [1.0, None, 3.0] * 20, "b": [1, 2, 3] * 20})
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X)[1::3, 0], 2.0, atol=0.2)


# The network and the normal distribution.


MIXING = np.eye(4) + 0.5 * np.tri(4)


def make_normal_rows() -> np.ndarray:
    """400 rows of a normal distribution that no code of one number tells much about."""
    return np.random.default_rng(1).normal(size=(400, 4)) @ MIXING


def make_curve() -> np.ndarray:
    """400 rows on a curve, of whose numbers no two are correlated."""
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, 400)
    X = np.column_stack(
        [np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)]
    )
    return X + 0.02 * rng.normal(size=X.shape)


ROWS = {"normal": make_normal_rows, "curve": make_curve}
SHARES = {"much": 0.2, "little": 0.05}


@pytest.fixture(
    scope="module", params=[(a, b) for a in ROWS for b in SHARES], ids="-".join
)
def imputed(request):
    """The rows, these with holes, the estimator, and what the normal distribution makes
    of them.
    """
    kind, amount = request.param
    X = ROWS[kind]()
    holes = with_holes(X, SHARES[amount])
    estimator = TiedAutoencoder(1 if kind == "normal" else 2, random_state=0).fit(holes)
    scaling, mean = np.nanstd(holes, axis=0), np.nanmean(holes, axis=0)
    scaled = (holes - mean) / scaling
    conditional_means = fit_gaussian(scaled, np.random.RandomState(0)).impute(scaled)
    return kind, X, holes, estimator, conditional_means * scaling + mean


def mean_square(values: np.ndarray, X: np.ndarray, holes: np.ndarray) -> float:
    return float(np.mean((values - X)[np.isnan(holes)] ** 2))


def test_never_worse_than_conditional_means(imputed):
    _, X, holes, estimator, conditional_means = imputed
    ours = mean_square(estimator.reconstruct(holes), X, holes)
    assert ours <= 1.01 * mean_square(conditional_means, X, holes)


def test_better_than_conditional_means_where_columns_depend_without_correlation(
    imputed,
):
    kind, X, holes, estimator, conditional_means = imputed
    if kind == "curve":
        ours = mean_square(estimator.reconstruct(holes), X, holes)
        assert ours < 0.9 * mean_square(conditional_means, X, holes)


def test_near_the_best_of_all_predictions_of_normal_rows(imputed):
    """Which are the conditional means by the covariance that the rows
    were drawn with.
    """
    kind, X, holes, estimator, _ = imputed
    if kind == "normal":
        covariance, best = MIXING.T @ MIXING, holes.copy()
        for row, missing in zip(best, np.isnan(holes), strict=True):
            known = covariance[np.ix_(~missing, ~missing)]
            to_known = covariance[np.ix_(missing, ~missing)]
            row[missing] = to_known @ np.linalg.solve(known, row[~missing])
        ours = mean_square(estimator.reconstruct(holes), X, holes)
        assert ours <= 1.1 * mean_square(best, X, holes)


def test_missing_values_are_between_conditional_means_and_decoded_codes(imputed):
    _, _, holes, estimator, conditional_means = imputed
    found = estimator.reconstruct(holes)
    decoded = estimator.inverse_transform(estimator.transform(holes))
    missing = np.isnan(holes)
    np.testing.assert_allclose(found[~missing], decoded[~missing], rtol=1e-5, atol=1e-6)
    low, high = (
        np.minimum(decoded, conditional_means),
        np.maximum(decoded, conditional_means),
    )
    assert ((found >= low - 1e-4) & (found <= high + 1e-4))[missing].all()


def test_whole_rows_are_decoded_codes(imputed):
    _, X, _, estimator, _ = imputed
    decoded = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(estimator.reconstruct(X), decoded, rtol=1e-6, atol=1e-6)


def test_the_network_fills_in_where_nothing_was_missing_in_training(iris):
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(iris)
    X = with_holes(iris, 0.2)
    decoded = estimator.inverse_transform(estimator.transform(X))
    np.testing.assert_allclose(estimator.reconstruct(X), decoded, rtol=1e-6, atol=1e-6)


def test_partial_fit_keeps_the_weights():
    X = with_holes(LINE, 0.2)
    estimator = TiedAutoencoder(1, max_iter=2, random_state=0).fit(X)
    before = estimator._fitted.imputation_weights
    after = estimator.partial_fit(X)._fitted.imputation_weights
    assert before is not None
    np.testing.assert_array_equal(after, before)


def test_tables_too_small_for_hidden_numbers_have_conditional_means():
    X = np.array([[np.nan, 1.0], [1.0, 2.0], [2.0, 4.0]])
    for seed in range(9):  # for some, no number is hidden
        estimator = TiedAutoencoder(1, random_state=seed).fit(X)
        scaled = (X - np.nanmean(X, axis=0)) / np.nanstd(X, axis=0)
        expected = fit_gaussian(scaled, np.random.RandomState(0)).impute(scaled)[0, 0]
        found = (estimator.reconstruct(X)[0, 0] - 1.5) / 0.5
        assert found == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 50), d=st.integers(1, 4))
def test_weights_are_those_of_ridge_regression_less_standard_errors(seed, d):
    """Of the errors of the conditional means on the way to the network's values."""
    rng = np.random.default_rng(seed)
    numbers, imputed, steps = rng.normal(size=(3, 30, d))
    steps += 0.5 * (numbers - imputed)
    weights = rng.uniform(0.5, 2, 30)
    numbers[rng.uniform(size=numbers.shape) < 0.5] = np.nan
    found = fit_network_weights(numbers, imputed, imputed + steps, weights)
    for j in range(d):
        known = ~np.isnan(numbers[:, j])
        errors = (numbers - imputed)[known, j]
        alpha = np.average(errors**2, weights=weights[known]) / 0.3**2
        step, weight = steps[known, j, None], weights[known]
        ridge = Ridge(alpha=alpha, fit_intercept=False).fit(
            step, errors, sample_weight=weight
        )
        scores = step * (errors - ridge.predict(step))[:, None]
        bread = 1 / (np.sum(weight * step[:, 0] ** 2) + alpha)
        standard_error = bread * np.sqrt(np.sum(weight * scores[:, 0] ** 2))
        expected = np.clip(ridge.coef_[0] - standard_error, 0, 1)
        assert found[j] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("n", [1, 60])
def test_weights_of_no_numbers_and_of_equal_ones_are_0(n):
    numbers = np.full((n, 2), [np.nan, 1.0])
    weights = fit_network_weights(numbers, np.ones((n, 2)), np.ones((n, 2)), np.ones(n))
    np.testing.assert_array_equal(weights, 0)


def test_rows_with_gaps_after_a_fit_to_complete_ones_are_filled_by_conditional_means(
    rng,
):
    """Those of linear regression on the other columns, as there are enough rows."""
    Z = rng.normal(size=(4000, 2))
    X = np.column_stack([Z, Z @ [2.0, -1.0] + 0.1 * rng.normal(size=4000)])
    estimator = TiedAutoencoder(2, max_iter=1, random_state=0).fit(X)
    gaps = X[:200].copy()
    gaps[:, 2] = np.nan
    expected = LinearRegression().fit(X[:, :2], X[:, 2]).predict(X[:200, :2])
    imputed = estimator.impute(gaps)
    np.testing.assert_array_equal(imputed[:, :2], gaps[:, :2])
    np.testing.assert_allclose(imputed[:, 2], expected, atol=0.15)


def make_skewed(random, n=300):
    """Counts and amounts, none below 0, many near it, with gaps."""
    size = random.normal(size=n)
    X = np.column_stack(
        [
            random.poisson(np.exp(1 + size)),
            np.exp(4 + 1.2 * size + 0.5 * random.normal(size=n)),
            1 / (1 + np.exp(-2 * size + random.normal(size=n))),
        ]
    )
    return np.where(random.uniform(size=X.shape) < 0.2, np.nan, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_filled_in_is_within_the_values_of_its_column(rng, tmp_path, dtype):
    X = make_skewed(rng).astype(dtype)
    autoencoder = TiedAutoencoder(1, random_state=0, trim=False).fit(X)
    smallest, largest = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    autoencoder.save(tmp_path / "model.safetensors")
    for model in (autoencoder, TiedAutoencoder.load(tmp_path / "model.safetensors")):
        for rows in (X, make_skewed(rng).astype(dtype), np.full((2, 3), np.nan, dtype)):
            filled = model.impute(rows)[np.isnan(rows)]
            columns = np.nonzero(np.isnan(rows))[1]
            assert (filled >= smallest[columns]).all()
            assert (filled <= largest[columns]).all()
    assert (autoencoder.reconstruct(X) < smallest).any()  # else nothing is tested


def test_what_is_expected_is_within_the_values_of_its_column(rng):
    X = make_skewed(rng)
    autoencoder = TiedAutoencoder(1, random_state=0).fit(X)
    odd = np.nan_to_num(X[:50]) * [1, -20, 30]
    expected = autoencoder.explain(odd).expected
    assert (expected >= np.nanmin(X, axis=0) - 1e-5).all()
    assert (expected <= np.nanmax(X, axis=0) + 1e-5).all()


def test_batches_widen_the_values_that_are_filled_in():
    rng = np.random.default_rng(0)
    autoencoder = TiedAutoencoder(1, random_state=0, trim=False)
    first, second = rng.uniform(0, 1, (40, 3)), rng.uniform(5, 6, (40, 3))
    for batch in (first, second):
        batch[::4, 2] = np.nan
        autoencoder.partial_fit(batch)
    X = np.vstack([first, second])
    ends = np.nanmin(X, axis=0), np.nanmax(X, axis=0)
    np.testing.assert_array_equal(autoencoder._fitted.ends, ends)
