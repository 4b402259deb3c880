import pickle
from contextlib import suppress
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm
from sklearn.preprocessing import minmax_scale

from keras_tied.datasets import (
    load_donuts,
    make_clients,
    make_correlated_donuts,
    prepare,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def polar(X):
    return np.hypot(X[:, 0], X[:, 1]), np.arctan2(X[:, 1], X[:, 0])


@pytest.mark.parametrize(("label", "mean"), [(0, 5.0), (1, 10.0)])
def test_the_radius_of_a_label_is_normal_around_its_ring(label, mean):
    X, y = make_correlated_donuts(20_000, random_state=0)
    radius, _ = polar(X[y == label])
    assert kstest(radius, norm(mean, 1.0).cdf).pvalue > 0.01


@pytest.mark.parametrize("label", [0, 1])
def test_the_angle_is_uniform(label):
    X, y = make_correlated_donuts(20_000, random_state=0)
    _, angle = polar(X[y == label])
    assert kstest(angle, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01


@pytest.mark.parametrize("feature", [2, 3])
def test_a_repeated_feature_is_the_first_times_a_uniform_factor(feature):
    X, _ = make_correlated_donuts(20_000, random_state=0)
    assert kstest(X[:, feature] / X[:, 0], "uniform", (0.9, 0.2)).pvalue > 0.01


def test_the_two_factors_are_independent():
    X, _ = make_correlated_donuts(20_000, random_state=0)
    factors = X[:, 2:] / X[:, :1]
    # Three standard deviations of a correlation between independent columns.
    assert abs(np.corrcoef(factors.T)[0, 1]) < 3 / np.sqrt(len(X))


@pytest.fixture(scope="module")
def many():
    """So many rows that only the chance in the article's 9000 remains
    in a comparison.
    """
    return make_correlated_donuts(500_000, random_state=0)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("feature", range(4))
def test_a_feature_is_distributed_as_in_the_articles_file(
    donut_file, many, feature, label
):
    (X, y), (theirs, their_y) = many, load_donuts(donut_file)
    assert (
        kstest(theirs[their_y == label, feature], X[y == label, feature]).pvalue > 0.01
    )


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("of", [0, 1], ids=["radius", "angle"])
def test_radius_and_angle_are_distributed_as_in_the_articles_file(
    donut_file, many, of, label
):
    (X, y), (theirs, their_y) = many, load_donuts(donut_file)
    assert (
        kstest(polar(theirs[their_y == label])[of], polar(X[y == label])[of]).pvalue
        > 0.01
    )


@pytest.mark.parametrize("feature", [2, 3])
def test_a_repeated_feature_strays_as_far_as_in_the_articles_file(
    donut_file, many, feature
):
    ours, theirs = (
        (rows[:, feature] / rows[:, 0]).std()
        for rows, _ in (many, load_donuts(donut_file))
    )
    assert ours == pytest.approx(theirs, rel=0.03)


@pytest.mark.parametrize(
    ("n_samples", "counts"), [(9000, [4500, 4500]), (5, [3, 2]), (1, [1])]
)
def test_rows_are_sorted_by_label_and_shared_out_evenly(n_samples, counts):
    X, y = make_correlated_donuts(n_samples, random_state=0)
    assert X.shape == (n_samples, 4)
    assert X.dtype == np.float64
    assert np.issubdtype(y.dtype, np.integer)
    np.testing.assert_array_equal(y, np.repeat([0, 1][: len(counts)], counts))


def test_the_same_random_state_draws_the_same_rows():
    again = make_correlated_donuts(10, random_state=np.random.RandomState(3))[0]
    np.testing.assert_array_equal(make_correlated_donuts(10, random_state=3)[0], again)


def test_another_random_state_draws_other_rows():
    first, second = (
        make_correlated_donuts(10, random_state=seed)[0] for seed in (0, 1)
    )
    assert not np.isin(first, second).any()


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="n_samples is 0"):
        make_correlated_donuts(0)


@settings(max_examples=100)
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=FINITE)
)
def test_prepared_columns_span_zero_to_one_or_are_zero(X):
    prepared, _ = prepare(X, random_state=0)
    assert prepared.dtype == np.float32
    assert (prepared.min(axis=0) == 0).all()
    assert np.isin(prepared.max(axis=0), [0, 1]).all()


def test_prepared_rows_are_scikit_learns_min_max_scaling_shuffled():
    X, _ = make_correlated_donuts(1000, random_state=0)
    row = np.arange(len(X))
    prepared, order = prepare(X, row, random_state=0)
    assert sorted(order) == row.tolist()
    assert (order != row).any()
    np.testing.assert_allclose(prepared, minmax_scale(X)[order], atol=1e-7)


def test_preparing_leaves_the_given_rows_alone():
    X = np.array([[1.0, 2.0], [3.0, 5.0]])
    before = X.copy()
    prepare(X, random_state=0)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0], [np.nan]], None, "NaN or infinite"),
        ([["a"], ["b"]], None, "real numbers"),
        ([1.0, 2.0], None, "shape"),
        (np.empty((0, 4)), None, "shape"),
        ([[1.0], [2.0]], [0], "2 rows and y has 1"),
    ],
)
def test_what_cannot_be_prepared_is_refused(X, y, message):
    with pytest.raises(ValueError, match=message):
        prepare(X, y)


def saved(path: Path, array) -> Path:
    np.save(path, array)
    return path


def test_a_file_with_a_label_gives_back_rows_and_label(tmp_path, rng):
    X, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    rows, labels = load_donuts(saved(tmp_path / "rows.npy", np.column_stack([X, y])))
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(labels, y)


def test_a_file_without_a_label_gives_back_rows_and_none(tmp_path, rng):
    X = rng.normal(size=(6, 4)).astype(np.float32)
    rows, labels = load_donuts(saved(tmp_path / "rows.npy", X))
    np.testing.assert_array_equal(rows, X)
    assert labels is None


class Planted:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["npy", "pickle"])
def test_pickled_objects_are_refused_and_never_unpickled(tmp_path, how):
    planted = Planted(tmp_path / "unpickled")
    path = tmp_path / "rows.npy"
    if how == "npy":
        np.save(path, np.array([[planted] * 5] * 2, dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(planted))
    with pytest.raises(ValueError, match="never unpickled"):
        load_donuts(path)
    assert not planted.path.exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 3)), "3 columns"),
        (np.ones((3, 6)), "6 columns"),
        (np.ones(5), "shape"),
        (np.ones((0, 5)), "shape"),
        (np.full((3, 5), "text"), "real numbers"),
        (np.ones((3, 5), dtype=complex), "real numbers"),
        (np.array([[1, 2, 3, 4, 0], [1, np.inf, 3, 4, 0]]), "column 2 of 5"),
        (np.full((3, 5), 0.5), "not whole numbers"),
        (np.full((3, 5), 1e300), "not whole numbers"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path, array, message):
    with pytest.raises(ValueError, match=message):
        load_donuts(saved(tmp_path / "rows.npy", array))


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_donuts(tmp_path / "none.npy")


@pytest.mark.parametrize("length", [0, 3, 50, 200])
def test_a_file_cut_short_is_refused(tmp_path, length):
    path = saved(tmp_path / "rows.npy", np.ones((9, 5)))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="not a whole"):
        load_donuts(path)


@settings(max_examples=100)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_damaged_bytes_never_end_in_another_error(tmp_path_factory, noise, start):
    path = saved(tmp_path_factory.getbasetemp() / "damaged.npy", np.ones((9, 5)))
    whole = bytearray(path.read_bytes())
    whole[start : start + len(noise)] = noise
    path.write_bytes(whole)
    with suppress(ValueError, MemoryError):
        load_donuts(path)


def test_clients_follow_their_formula():
    n = 30_000
    clients = {name: np.array(values) for name, values in make_clients(n, 0).items()}
    is_odd = np.isin(np.arange(n), [n // 3, 2 * n // 3])
    is_known = clients["income"] != None  # noqa: E711
    assert abs(np.mean(is_known) - 0.9) < 0.01
    income, age = clients["income"][is_known].astype(float), clients["age"][is_known]
    assert (
        kstest((np.log(income) - 10 - np.minimum(age, 50) / 50) / 0.3, "norm").pvalue
        > 0.01
    )
    orders = clients["orders"][is_known & ~is_odd].astype(float)
    of = income[~is_odd[is_known]] / 4000
    assert abs(np.mean((orders - of) ** 2 / of) - 1) < 0.05
    buys = (clients["orders"] > 0) & ~is_odd
    each = clients["spent"][buys] / clients["orders"][buys]
    assert abs(np.mean(each) - 40) < 0.2
    assert set(clients["plan"]) == {"basic", "plus", "premium"}
    assert income[clients["plan"][is_known] == "basic"].max() <= 40_000


def test_clients_are_those_of_their_seed():
    assert make_clients(9, random_state=1) == make_clients(9, random_state=1)
    assert make_clients(9, random_state=1) != make_clients(9, random_state=2)
    assert [len(values) for values in make_clients(1).values()] == [1] * 9
    with pytest.raises(ValueError, match="n_samples is 0"):
        make_clients(0)
