"""What is said to have drifted, against tables that have drifted by construction, or
have not.
"""

import numpy as np
import pytest
from scipy import stats

from keras_tied.report import PageColumn
from keras_tied.report._drift import find_drift

from .conftest import make_report

COLUMNS = [
    *(PageColumn(f"number {i}") for i in range(8)),
    PageColumn("kind", "category", 3, {"levels": ["a", "b", "c"]}),
    PageColumn("holed"),
]


def make_table(rng, n=1000, shift=()):
    X = rng.normal(size=(n, 12))
    X[:, 8:11] = np.eye(3)[rng.choice(3, n, p=[0.5, 0.3, 0.2])]
    X[rng.random(n) < 0.1, 11] = np.nan
    if "number" in shift:
        X[:, 2] += 0.5
    if "kind" in shift:
        X[:, 8:11] = np.eye(3)[rng.choice(3, n, p=[0.3, 0.3, 0.4])]
    if "holed" in shift:
        X[rng.random(n) < 0.3, 11] = np.nan
    return X, rng.chisquare(5, n)


def drift(old, new):
    return find_drift(COLUMNS, old[0], new[0], old[1], new[1])


def test_three_columns_that_are_shifted_come_first(rng):
    found, of_error = drift(
        make_table(rng), make_table(rng, shift=("number", "kind", "holed"))
    )
    assert {each.name for each in found[:3]} == {"number 2", "kind", "holed"}
    assert [each.has_drifted for each in found] == [True] * 3 + [False] * 7
    assert not of_error.has_drifted
    assert next(each for each in found if each.name == "holed").by_missing


def test_errors_that_have_grown_are_said_to_have_drifted(rng):
    old, (X, errors) = make_table(rng), make_table(rng)
    found, of_error = drift(old, (X, 1.5 * errors))
    assert of_error.has_drifted
    assert not any(each.has_drifted for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("sampling", ["bootstrap", "halves"])
def test_nothing_is_said_to_have_drifted_in_100_resamples_of_the_same_table(
    rng, sampling
):
    X, errors = make_table(rng)
    alarms = 0
    for _ in range(100):
        if sampling == "bootstrap":
            parts = np.arange(1000), rng.integers(1000, size=1000)
        else:
            parts = np.split(rng.permutation(1000), 2)
        old, new = ((X[part], errors[part]) for part in parts)
        found, of_error = drift(old, new)
        alarms += of_error.has_drifted or any(each.has_drifted for each in found)
    assert alarms <= 5


def test_the_probabilities_are_those_of_scipy_times_the_number_of_tests(rng):
    X, errors = make_table(rng, 200, ("number",))
    old, old_errors = make_table(rng, 300)
    found, _ = drift((old, old_errors), (X, errors))
    first = found[0]
    expected = stats.ks_2samp(old[:, 2], X[:, 2], method="asymp")
    assert first.name == "number 2"
    assert first.moved == pytest.approx(expected.statistic)
    assert first.p == pytest.approx(
        21 * expected.pvalue
    )  # two tests a column, and the error


def test_columns_without_values_and_categories_that_are_rare_do_not_drift(rng):
    columns = [PageColumn("empty"), PageColumn("kind", "category", 3)]
    X = np.full((50, 4), np.nan)
    X[:, 1:] = np.eye(3)[[0] * 49 + [1]]
    Y = X.copy()
    Y[0, 1:] = [0, 0, 1]
    found, _ = find_drift(columns, X, Y, np.ones(50), np.ones(50))
    assert not any(each.has_drifted for each in found)


def test_the_page_names_what_has_drifted_first(rng):
    old, new = make_table(rng), make_table(rng, shift=("number",))
    X, errors = new
    squares = np.tile(errors[:, None], (1, 12))
    page = make_report(
        X, X[:, :2], X, squares, columns=COLUMNS, old=("old.csv", *old)
    ).to_html()
    assert "1 of 10 columns has drifted since old.csv: number 2." in page
    again = make_report(
        X, X[:, :2], X, squares, columns=COLUMNS, old=("old.csv", X, errors)
    ).to_html()
    assert "Nothing has drifted since old.csv." in again
