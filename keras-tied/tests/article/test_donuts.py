import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from keras_tied.article import (
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
        rows = np.load(request.getfixturevalue("donut_file"))
        X, y = rows[:, :4], rows[:, 4]
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
        (make_correlated_donuts, [0], "n_samples=0"),
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
