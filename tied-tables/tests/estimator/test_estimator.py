"""What the estimator gives, against NumPy, scikit-learn, and itself on other input."""

import copy
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import r2_score
from tests.marks import slow

from tied_tables import TiedAutoencoder
from tied_tables.fit import solver
from tied_tables.fit.progress import epoch_callback

from .near import assert_near
from .networks import seeded, with_gaps

quick = partial(seeded, n_components=1, max_iter=3)


# What fit gives.


def test_predict_calls_a_share_of_the_rows_outliers(iris):
    """The rest that holds of `offset_`, scikit-learn checks."""
    estimator = quick(contamination=0.2).fit(iris)
    is_outlier = estimator.predict(iris) == -1
    assert is_outlier.mean() == pytest.approx(0.2, abs=1 / len(iris))
    estimator.offset_ = np.median(estimator.score_samples(iris))
    assert np.mean(estimator.predict(iris) == -1) == 0.5


def test_sparse_rows_are_learned_like_dense_ones(digits):
    X = digits[:45]
    for kind in (sparse.csr_matrix, sparse.csc_array):
        assert_near(quick().fit_transform(kind(X)), quick().fit_transform(X))


def test_a_fit_is_that_of_its_seed_and_rows_alone(iris, digits):
    """And leaves the caller's random numbers alone."""
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.uniform(size=3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    estimator = quick().fit(digits[:60])
    codes = estimator.fit(iris).transform(iris)
    assert_array_equal(np.random.uniform(size=3), expected)  # noqa: NPY002
    assert_array_equal(quick().fit_transform(iris), codes)


@pytest.mark.parametrize("solver", ["lbfgs", pytest.param("nadam", marks=slow)])
def test_row_of_weight_two_counts_as_two(solver, iris, rng):
    """To 1e-4, whatever the batches; scikit-learn's own check of it takes few rows."""
    weights = rng.integers(0, 3, len(iris))
    estimator = quick(
        solver=solver,
        early_stopping=False,
        batch_size=1000,
        hidden_layer_sizes=6,
        activation="tanh",  # smooth: L-BFGS amplifies what rounding does at corners
        weight_decay=1e-3,
        max_iter=10 if solver == "lbfgs" else 2,
    )
    estimator.fit(np.repeat(iris, weights, axis=0))
    expected = estimator.reconstruction_error(iris).mean()
    estimator.fit(iris, sample_weight=weights)
    assert_near(estimator.reconstruction_error(iris).mean(), expected, 1e-4)


@pytest.mark.parametrize("objective", ["noise", "sparsity", "weight_decay"])
def test_objectives_change_what_is_learned_and_keep_the_network(objective, iris):
    other = quick(early_stopping=False, max_iter=20, weight_decay=0.0, random_state=1)
    plain = clone(other).fit(iris)
    other.set_params(**{objective: 0.1}).fit(iris)
    assert not other.is_pca_
    assert other.loss_curve_[-1] > plain.loss_curve_[-1]
    assert np.abs(other.transform(iris) - plain.transform(iris)).max() > 1e-4


@pytest.mark.parametrize(
    "sizes",
    [6, (), [6, 4], np.array([6, 4, 3])],
    ids=repr,
)
def test_hidden_layers_are_as_wide_as_told(sizes, iris):
    estimator = quick(hidden_layer_sizes=sizes, noise=0.1).fit(iris)
    found = estimator._model.network.layer_sizes[1:-1]
    assert list(found) == [size + 1 for size in np.atleast_1d(sizes)]


def test_early_stopping_off_uses_every_row(iris):
    estimator = quick(early_stopping=False, max_iter=20).fit(iris)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 20
    assert estimator.validation_curve_ == []


# Batches.


def test_partial_fit_goes_on_after_fit_and_a_copy_by_itself(iris):
    estimator = quick().fit(iris)
    codes = estimator.transform(iris)
    other = copy.copy(estimator).partial_fit(iris + 1)
    assert_array_equal(estimator.transform(iris), codes)
    estimator.partial_fit(iris)
    assert estimator.validation_curve_ == []
    assert 0 < np.abs(estimator.transform(iris) - codes).max() < 1
    assert np.abs(estimator.transform(iris) - other.transform(iris)).max() > 0


# Columns that are constant in training, and not in a new row.

STEPS = np.array([0.0, 0.5, 1.0, 2.0, 4.0])


def with_column(X, values):
    return np.column_stack([X, np.broadcast_to(values, len(X))])


@pytest.mark.parametrize("scaler", ["standard", "minmax", None])
@pytest.mark.parametrize("value", [0.0, 1e-9, 7.0, 1e8, -2e6])
def test_the_score_falls_with_the_deviation_from_a_constant(scaler, value, iris):
    """Few rows, of which only PCA is fitted."""
    X = with_column(iris[::4], value)
    estimator = quick(scaler=scaler).fit(X)
    assert_near(estimator.reconstruct(X)[:, 4], value)
    assert estimator.reconstruction_r2_ > 0.7
    unit = max(1, 1e-5 * abs(value))
    if scaler is None:
        unit = X[:, :4].std()
    for deviations in (unit * STEPS, -unit * STEPS):
        rows = with_column(np.tile(iris[0], (5, 1)), value + deviations)
        scores = estimator.score_samples(rows)
        assert_near(
            scores[0],
            estimator.score_samples(X)[0],
            1e-7,
        )
        assert scores[0] - scores[1] > 1
        slopes = np.diff(scores[1:]) / np.diff(STEPS[1:])
        assert_near(slopes / slopes[0], 1, 1e-3)


def test_a_deviation_from_a_constant_is_in_error_and_score_alone(iris):
    of_seven = quick().fit(with_column(iris, 7.0))
    same, other, missing = (with_column(iris, it) for it in (7.0, 9.0, np.nan))
    assert (of_seven.predict(other) == -1).all()
    for name in ("transform", "reconstruct"):
        method = getattr(of_seven, name)
        assert_array_equal(method(other), method(same))
    errors = of_seven.reconstruction_error(other, per_feature=True)
    assert_near(errors[:, 4], 4)
    assert_near(of_seven.score_samples(missing), of_seven.score_samples(same))


def test_all_constant_rows_are_reconstructed():
    X = np.full((60, 3), 2.5)
    estimator = quick().fit(X)
    assert_near(estimator.reconstruct(X), X)
    assert np.isfinite(estimator.score_samples(X)).all()
    assert estimator.score(X) == 1.0


@pytest.mark.parametrize("value", [0.1, 1e8 / 3])
def test_rounding_to_single_precision_is_no_deviation(value, iris):
    double = with_column(iris[::4], value)
    single = double.astype("float32")
    for train, other in [(double, single), (single, double)]:
        estimator = quick().fit(train)
        scores = estimator.score_samples(train)
        assert_near(estimator.score_samples(other), scores, 0.02)


# What somebody who comes from `sklearn.decomposition.PCA` looks for.


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_r2_of_each_feature_is_that_of_scikit_learn(missing, iris, rng):
    """Near to that of what is there, where deviations are from the mean of rows that
    are filled in.
    """
    X = with_gaps(iris, missing, rng)
    weights = rng.uniform(0.5, 2, len(X))
    estimator = quick().fit(X, sample_weight=weights)
    rows = estimator.reconstruct(X)
    for place, found in enumerate(estimator.feature_r2_):
        is_there = ~np.isnan(X[:, place])
        expected = r2_score(
            X[is_there, place],
            rows[is_there, place],
            sample_weight=weights[is_there],
        )
        assert found == pytest.approx(expected, abs=5e-3 if missing else 1e-5)


def test_r2_of_a_constant_feature_is_one_and_of_nothing_nan(iris):
    """What a feature of nothing is reconstructed as, a warning tells."""
    X = with_column(with_column(iris[::4], 0.1), np.nan)
    with pytest.warns(UserWarning, match=r"no value in the columns \[5\]"):
        estimator = seeded(1).fit(X)
    found = estimator.feature_r2_
    assert np.isfinite(found[:4]).all()
    assert found[4] == 1
    assert np.isnan(found[5])
    assert_array_equal(estimator.reconstruct(X)[:, 5], 0)
    scores = [estimator.score_samples(with_column(X[:, :5], it)) for it in (0.0, 50.0)]
    assert_array_equal(*scores)


def test_r2_of_features_follows_partial_fit_and_is_not_in_a_file(iris, reload):
    estimator = quick().partial_fit(iris)
    expected = r2_score(iris, estimator.reconstruct(iris))
    assert_near(estimator.feature_r2_.mean(), expected)
    loaded = reload(estimator)
    with pytest.raises(AttributeError, match=r"feature_r2_.*not stored in a file"):
        loaded.feature_r2_  # noqa: B018


@pytest.mark.parametrize(
    "name", ["components_", "explained_variance_ratio_", "singular_values_", "mean_"]
)
def test_attribute_of_pca_says_what_to_use(name, fitted):
    with pytest.raises(
        AttributeError, match=f"TiedAutoencoder has no {name}, as .*: use "
    ):
        getattr(fitted, name)


def test_other_attributes_are_missed_as_ever(fitted):
    for estimator, name in ((fitted, "depth_"), (TiedAutoencoder(), "components_")):
        with pytest.raises(AttributeError, match=f"object has no attribute '{name}'"):
            getattr(estimator, name)


@pytest.mark.parametrize("n_components", [None, "mle"])
def test_number_of_components_of_pca_that_is_not_there(n_components, iris):
    with pytest.raises(
        ValueError, match=f"n_components={n_components!r}.*share of variance"
    ):
        TiedAutoencoder(n_components).fit(iris)


# Ctrl-C.


@pytest.fixture
def press(ctrl_c):
    """Presses Ctrl-C at epoch 3."""

    def tell(epoch, *_):
        if epoch == 3:
            ctrl_c()

    return epoch_callback(tell)


@pytest.mark.parametrize("name", ["nadam", "lbfgs"])
def test_ctrl_c_ends_training_with_the_best_so_far(name, press, iris):
    estimator = quick(solver=name, max_iter=50 if name == "lbfgs" else 1000)
    with (
        press,
        pytest.warns(UserWarning, match="this TiedAutoencoder is the best so far"),
    ):
        estimator.fit(iris)
    assert len(estimator.validation_curve_) == len(estimator.loss_curve_)
    assert estimator.n_iter_ < estimator.max_iter / 10
    assert np.isfinite(estimator.score_samples(iris)).all()


def test_a_batch_is_learned_before_ctrl_c_raises(ctrl_c, iris):
    take_steps = solver.take_steps

    def press_and_take_steps(*arguments):
        ctrl_c()
        return take_steps(*arguments)

    estimator = quick()
    with (
        patch.object(solver, "take_steps", press_and_take_steps),
        pytest.raises(KeyboardInterrupt),
    ):
        estimator.partial_fit(iris)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    assert estimator.partial_fit(iris).n_iter_ == 2
