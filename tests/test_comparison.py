import itertools
import math
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import Isomap
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.comparison import MethodResult, choose_width, compare, compare_widths
from keras_tied.estimator.internal import epoch_callback

WIDTH, SEED = 3, 7


@pytest.fixture(scope="module")
def wine():
    return load_wine(return_X_y=True)[0]


@pytest.fixture(scope="module")
def compared(wine):
    """The rows of the comparison by name, with two that cannot work."""
    others = {"Isomap": Isomap(n_components=WIDTH), "KernelPCA": KernelPCA(WIDTH)}
    rows = compare(wine, WIDTH, others=others, random_state=SEED)
    return {row.name: row for row in rows}


@pytest.fixture(scope="module")
def parts(wine):
    """The rows that are learned from, and those held out, by scikit-learn alone."""
    train, held_out = train_test_split(wine, test_size=0.3, random_state=SEED)
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(held_out)


def mean_square(difference):
    return float((difference**2).sum() / difference.size)


def test_pca_has_the_error_of_scikit_learns_on_the_rows_held_out(compared, parts):
    train, held_out = parts
    axes = PCA(WIDTH).fit(train).components_
    assert compared["PCA"].error == pytest.approx(
        mean_square(held_out - held_out @ axes.T @ axes), rel=1e-6
    )


def test_the_perceptron_has_the_error_of_scikit_learns(compared, parts):
    train, held_out = parts
    network = MLPRegressor(
        hidden_layer_sizes=(64, WIDTH, 64),
        activation="tanh",
        early_stopping=True,
        random_state=SEED,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        restored = network.fit(train, train).predict(held_out)
    assert compared["MLPRegressor"].error == pytest.approx(mean_square(held_out - restored))


def test_the_tied_autoencoder_has_the_error_that_the_estimator_measures(compared, parts):
    train, held_out = parts
    estimator = TiedAutoencoder(WIDTH, random_state=SEED).fit(train)
    # Its own scale is that of the columns already.
    expected = estimator.reconstruction_error(held_out).mean()
    assert compared["tied autoencoder"].error == pytest.approx(expected, rel=1e-4)


def test_errors_are_relative_to_those_of_pca(compared):
    assert compared["PCA"].relative == 1
    for name in ("tied autoencoder", "MLPRegressor"):
        row = compared[name]
        assert row.relative == pytest.approx(row.error / compared["PCA"].error)


def test_the_tied_autoencoder_comes_first_and_pca_second(compared):
    assert list(compared)[:2] == ["tied autoencoder", "PCA"]


def test_each_method_that_works_took_some_seconds(compared):
    assert all(compared[name].seconds > 0 for name in ("tied autoencoder", "PCA", "MLPRegressor"))


@pytest.mark.parametrize(
    ("name", "said"), [("Isomap", "no inverse_transform"), ("KernelPCA", "fit_inverse_transform")]
)
def test_a_method_that_cannot_restore_rows_is_a_row_that_says_why(compared, name, said):
    row = compared[name]
    assert said in row.reason
    assert np.isnan([row.error, row.relative, row.seconds]).all()


def test_missing_values_do_not_count(wine):
    rng = np.random.default_rng(0)
    gaps = np.where(rng.random(wine.shape) < 0.1, np.nan, wine)
    rows = {row.name: row for row in compare(gaps, WIDTH, random_state=SEED)}
    train, held_out = train_test_split(gaps, test_size=0.3, random_state=SEED)
    mean, deviation = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    train, held_out = (train - mean) / deviation, (held_out - mean) / deviation
    pca = PCA(WIDTH).fit(np.nan_to_num(train))
    restored = pca.inverse_transform(pca.transform(np.nan_to_num(held_out)))
    present = ~np.isnan(held_out)
    expected = mean_square((restored - held_out)[present])
    assert rows["PCA"].error == pytest.approx(expected, rel=1e-6)
    assert rows["tied autoencoder"].reason == rows["MLPRegressor"].reason == ""


def test_a_table_that_pca_restores_wholly_has_no_relative_errors(rng):
    X = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5))
    rows = {row.name: row for row in compare(X, 2)}
    assert rows["PCA"].error < 1e-20
    assert np.isnan(rows["PCA"].relative)
    assert np.isnan(rows["MLPRegressor"].relative)


def test_the_same_seed_gives_the_same_errors(wine, compared):
    again = {row.name: row for row in compare(wine, WIDTH, random_state=SEED)}
    for name in ("tied autoencoder", "PCA", "MLPRegressor"):
        assert again[name].error == compared[name].error


def test_several_seeds_are_one_comparison_each(wine, compared):
    rows = {row.name: row for row in compare(wine, WIDTH, random_state=SEED - 1, n_seeds=2)}
    alone = {row.name: row for row in compare(wine, WIDTH, random_state=SEED - 1)}
    for name in ("tied autoencoder", "PCA", "MLPRegressor"):
        assert rows[name].errors == (alone[name].error, compared[name].error)
        assert rows[name].relatives == (alone[name].relative, compared[name].relative)
        assert rows[name].error == pytest.approx(np.mean(rows[name].errors))
        assert rows[name].relative == pytest.approx(np.mean(rows[name].relatives))


class FailsOnce(PCA):
    n_fits = 0

    def fit(self, X, y=None):
        FailsOnce.n_fits += 1
        if FailsOnce.n_fits == 2:
            raise ValueError("not this time")
        return super().fit(X)


def test_a_method_that_fails_with_one_seed_has_no_mean_and_a_reason(wine):
    row = compare(wine, WIDTH, others={"PCA that fails": FailsOnce(WIDTH)}, n_seeds=3)[-1]
    assert np.isfinite([row.errors[0], row.errors[2]]).all()
    assert np.isnan([row.errors[1], row.relatives[1], row.error, row.relative, row.seconds]).all()
    assert row.reason == "not this time"


def test_widths_with_several_seeds_have_the_errors_of_the_comparison_with_each(wine):
    (width,) = compare_widths(wine, [WIDTH], n_seeds=2)
    own, pca = compare(wine, WIDTH, n_seeds=2)[:2]
    assert width.errors == own.errors
    assert width.pca_errors == pca.errors
    assert (width.error, width.pca_error) == (own.error, pca.error)


@pytest.mark.parametrize(
    "measure", [compare, lambda X, k, **seeds: compare_widths(X, [k], **seeds)]
)
def test_no_seed_is_refused(wine, measure):
    with pytest.raises(ValueError, match="n_seeds=0 must be at least 1"):
        measure(wine, WIDTH, n_seeds=0)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_hidden_values_tell_how_many_components_there_are(rank, missing, rng):
    weights = rng.uniform(0.5, 1.5, size=(rank, 12)) * rng.choice([-1, 1], size=(rank, 12))
    X = rng.normal(size=(66, rank)) @ weights + 0.1 * rng.normal(size=(66, 12))
    if missing:
        X[rng.uniform(size=X.shape) < 0.05] = np.nan
    curve = compare_widths(X, range(1, 7))
    assert choose_width(curve) == rank


def test_hidden_values_of_columns_without_anything_in_common_are_not_reconstructed(rng):
    X = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))  # each value with each
    curve = compare_widths(X, [1, 2, 3])
    assert min(width.hidden_error for width in curve) > 1


def test_features_of_one_column_are_hidden_together(rng):
    """Each level of a category follows from the others, but not from another column."""
    levels = np.eye(4)[rng.integers(0, 4, 66)]
    X = np.column_stack([levels, rng.normal(size=66)])
    alone = compare_widths(X, [4])[0]
    together = compare_widths(X, [4], column_of=["kind"] * 4 + ["x"])[0]
    assert alone.hidden_error < 0.5
    assert together.hidden_error > 0.9
    with pytest.raises(ValueError, match=r"column_of has the shape \(2,\); .* each feature, 5"):
        compare_widths(X, [1], column_of=[0, 1])


def test_a_column_without_values_among_the_rows_to_learn_from_has_no_part(rng):
    X = rng.normal(size=(60, 5))
    without, with_one = np.delete(X, 1, axis=1), X.copy()
    _, held_out = train_test_split(np.arange(60), test_size=0.3, random_state=0)
    with_one[np.arange(60) != held_out[0], 1] = np.nan
    (expected,), (found,) = compare_widths(without, [2]), compare_widths(with_one, [2])
    assert found[:3] == pytest.approx(expected[:3], rel=1e-5)


def test_one_column_has_no_values_to_hide_and_no_best_width(rng):
    levels = np.eye(4)[rng.integers(0, 4, 66)]
    curve = compare_widths(levels, [1, 2], column_of=["kind"] * 4)
    assert all(math.isnan(width.hidden_error) for width in curve)
    with pytest.raises(ValueError, match="no value could be hidden: there is one column"):
        choose_width(curve)


def test_each_method_is_announced(wine):
    announced = []
    rows = compare(wine, WIDTH, on_method=announced.append)
    assert announced == [row.name for row in rows]


@pytest.mark.parametrize(("module", "name"), [("umap", "UMAP"), ("pyod", "PyOD AutoEncoder")])
def test_what_is_installed_is_compared_too(compared, module, name):
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    assert np.isfinite(compared[name].error) or compared[name].reason


@pytest.mark.parametrize(
    ("X", "width", "said"),
    [
        (np.ones((9, 4)), 2, "minimum of 10"),
        (np.ones((20, 1)), 1, "minimum of 2"),
        (np.ones((20, 4)), 4, "n_components=4 must be between 1 and 3"),
        (np.ones((20, 4)), 0, "n_components=0 must be between 1 and 3"),
        (np.ones((10, 90)), 8, "n_components=8 must be between 1 and 7"),
        (np.full((20, 4), np.inf), 2, "infinity"),
        (np.full((20, 4), "a"), 2, "string|numeric|dtype"),
    ],
)
def test_a_table_or_width_that_does_not_fit_is_refused(X, width, said):
    with pytest.raises(ValueError, match=said):
        compare(X, width)


def test_a_table_without_any_variance_is_compared(rng):
    rows = compare(np.ones((40, 3)), 1)
    assert isinstance(rows[0], MethodResult)
    assert rows[1].error == 0


def test_ctrl_c_ends_the_comparison(wine, ctrl_c):
    with epoch_callback(ctrl_c), pytest.raises(KeyboardInterrupt):
        compare(np.tile(wine, (9, 1)), WIDTH)
