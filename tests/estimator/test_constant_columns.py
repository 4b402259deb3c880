"""A column that is constant in training, and is not in a new row."""

import dataclasses

import numpy as np
import pytest

from keras_tied import TiedAutoencoder

STEPS = np.array([0.0, 0.5, 1.0, 2.0, 4.0])


def quick(**parameters) -> TiedAutoencoder:
    return TiedAutoencoder(1, max_iter=3, random_state=0, **parameters)


def with_column(X: np.ndarray, values) -> np.ndarray:
    return np.column_stack([X, np.broadcast_to(values, len(X))])


@pytest.fixture(scope="module")
def of_seven(iris) -> TiedAutoencoder:
    """Fitted to rows whose last column is 7; tests must not change it."""
    return quick().fit(with_column(iris, 7.0))


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
@pytest.mark.parametrize("value", [0.0, 1e-9, 7.0, -2e6])
def test_the_score_falls_with_the_deviation(scaler, value, iris):
    """Few rows, of which only PCA is fitted."""
    X = with_column(iris[::4], value)
    estimator = quick(scaler=scaler).fit(X)
    unit = X[:, :4].std() if scaler is None else max(1, 1e-5 * abs(value))
    for sign in (-1, 1):
        rows = with_column(
            np.tile(iris[:1], (len(STEPS), 1)), value + sign * unit * STEPS
        )
        scores = estimator.score_samples(rows)
        np.testing.assert_allclose(scores[0], estimator.score_samples(X[:1])[0])
        falls = scores[0] - scores[1:]
        slopes = np.diff(falls) / np.diff(STEPS[1:])
        assert falls[0] > 1
        np.testing.assert_allclose(slopes, slopes[0], rtol=1e-3)


def test_a_value_never_seen_is_an_outlier(of_seven, iris):
    assert (of_seven.predict(with_column(iris, 8.0)) == -1).all()


def test_it_is_not_compared_with_codes_and_reconstructions_of_others(of_seven, iris):
    rows = with_column(iris, 9.0)
    np.testing.assert_array_equal(
        of_seven.transform(rows), of_seven.transform(with_column(iris, 7.0))
    )
    np.testing.assert_allclose(of_seven.reconstruct(rows)[:, 4], 7.0)
    errors = of_seven.reconstruction_error(rows, per_feature=True)
    np.testing.assert_allclose(errors[:, 4], 4.0)


def test_scores_of_other_rows_are_as_without_it(of_seven, iris):
    """The term of the column is 0 where it has its constant."""
    value = of_seven._fitted
    X = with_column(iris, 7.0)
    score = value.outlier_score
    assert score is not None
    scale = np.where(np.arange(len(score.scale)) == 4, np.inf, score.scale)
    without = dataclasses.replace(score, scale=scale)
    inputs = value.fold(X, lambda part, block: block)
    found, expected = (
        np.concatenate([each.score(rows) for rows in inputs])
        for each in (score, without)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [0.1, 1e8 / 3])
def test_rounding_to_single_precision_is_no_deviation(value, iris):
    X = with_column(iris[::4], value)
    for train, other in [(X, X.astype("float32")), (X.astype("float32"), X)]:
        estimator = quick().fit(train)
        np.testing.assert_allclose(
            estimator.score_samples(other),
            estimator.score_samples(train),
            rtol=1e-3,
            atol=0.02,
        )


def test_a_file_keeps_it(of_seven, iris, tmp_path):
    of_seven.save(tmp_path / "seven.safetensors")
    rows = with_column(iris[:5], 8.0)
    np.testing.assert_allclose(
        TiedAutoencoder.load(tmp_path / "seven.safetensors").score_samples(rows),
        of_seven.score_samples(rows),
    )


def test_a_missing_value_is_no_deviation(of_seven, iris):
    np.testing.assert_allclose(
        of_seven.score_samples(with_column(iris, np.nan)),
        of_seven.score_samples(with_column(iris, 7.0)),
    )


def test_a_column_without_any_value_says_nothing_of_a_new_one(iris):
    estimator = quick()
    with pytest.warns(UserWarning, match="no value"):
        estimator.fit(with_column(iris[::4], np.nan))
    scores = [
        estimator.score_samples(with_column(iris, value)) for value in (0.0, 50.0)
    ]
    np.testing.assert_array_equal(*scores)
