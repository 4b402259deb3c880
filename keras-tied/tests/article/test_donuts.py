import pickle
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from keras_tied.article import (
    load_donuts,
    make_correlated_donuts,
    prepare,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
FACTOR = stats.uniform(0.9, 0.2)
LAWS = {
    "radius": stats.norm(5),
    "angle": stats.uniform(-np.pi, 2 * np.pi),
    "third": FACTOR,
    "fourth": FACTOR,
}


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("name", ["by the formula", "in the article's file"])
def test_donuts_are_drawn_from_their_laws(name, label, request):
    if name == "by the formula":
        X, y = make_correlated_donuts(20_000, random_state=0)
    else:
        X, y = load_donuts(request.getfixturevalue("donut_file"))
    first, second, third, fourth = X[y == label].T
    drawn = {
        "radius": np.hypot(first, second) - 5 * label,
        "angle": np.arctan2(second, first),
        "third": third / first,
        "fourth": fourth / first,
    }
    for part, law in LAWS.items():
        assert stats.kstest(drawn[part], law.cdf).pvalue > 0.01, part
    # Three standard deviations of a correlation between independent columns.
    correlations = np.corrcoef(list(drawn.values())) - np.eye(4)
    assert np.abs(correlations).max() < 3 / np.sqrt(len(first))


def test_rows_are_those_of_their_seed():
    first, again, other = (
        str(make_correlated_donuts(9, random_state=seed)) for seed in (3, 3, 4)
    )
    assert first == again != other


@settings(max_examples=100)
@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2),
        elements=FINITE,
    )
)
def test_prepared_rows_are_the_given_ones_shuffled_and_scaled_to_0_and_1(X):
    rows = np.arange(len(X))
    prepared, order = prepare(X, rows, random_state=0)
    assert prepared.dtype == np.float32
    assert_array_equal(np.sort(order), rows)
    shifted = X.astype(np.longdouble) - X.min(axis=0)
    largest = shifted.max(axis=0)
    expected = shifted / np.where(largest > 0, largest, 1)
    assert_allclose(prepared, expected[order], atol=1e-6)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (make_correlated_donuts, [0], "n_samples is 0"),
        (prepare, [[[1.0], [np.nan]]], "finite real numbers"),
        (prepare, [[["a"], ["b"]]], "finite real numbers"),
        (prepare, [[1.0, 2.0]], "shape"),
        (prepare, [np.empty((0, 4))], "shape"),
        (
            prepare,
            [[[1.0], [2.0]], [0]],
            "2 rows and y has 1",
        ),
    ],
)
def test_what_cannot_be_drawn_or_prepared_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.npy"


@pytest.mark.parametrize("has_labels", [True, False])
def test_a_file_gives_back_its_rows_and_labels(path, rng, has_labels):
    X, y = rng.normal(size=(6, 4)), rng.integers(0, 3, 6)
    np.save(
        path,
        np.column_stack([X, y]) if has_labels else X,
    )
    rows, labels = load_donuts(path)
    assert_array_equal(rows, X)
    assert_array_equal(labels, y if has_labels else None)


@pytest.mark.parametrize("is_array", [True, False])
def test_pickled_objects_are_refused_and_never_unpickled(path, is_array):
    unpickled = path.with_name("unpickled")

    class Planted:
        def __reduce__(self):
            return Path.touch, (unpickled,)

    if is_array:
        np.save(path, np.array([[Planted()] * 5], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Planted()))
    with pytest.raises(ValueError, match=r"allow_pickle|magic string"):
        load_donuts(path)
    assert not unpickled.exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((3, 6)), "6 columns"),
        (np.ones((3, 3)), "3 columns"),
        (np.ones((3, 5), dtype=complex), "finite real numbers"),
        ([[1, 2, 3, 4, 0], [1, np.inf, 3, 4, 0]], "finite real numbers"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(path, array, message):
    np.save(path, array)
    with pytest.raises(ValueError, match=message):
        load_donuts(path)
