"""The fitted value, against formulas and on any kind of rows."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler
from tests.marks import for_each

from tied_tables.model.tail import ranks

from .near import assert_near
from .networks import compute_by_hand, draw_network, with_gaps

METHODS = "transform reconstruct reconstruction_error score_samples predict".split()


def assert_computes(network, like, rows):
    """A network gives what the formula gives of the other, for any number of rows."""
    codes, reconstruction = compute_by_hand(like, rows)
    single = codes.astype(np.float32)
    for n in (0, 1, 17, len(rows)):
        for found, expected in (
            (network.encode(rows[:n]), codes[:n]),
            (network.decode(single[:n]), reconstruction[:n]),
        ):
            scale = max(1.0, np.abs(expected).max(initial=0.0))
            assert_allclose(
                found,
                expected,
                rtol=1e-5,
                atol=1e-5 * scale,
            )


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1),
        (1, 20, 1),
        (5, 5),
        (700, 3),
        (5, 1500, 8, 2),
    ],
    ids=str,
)
def test_a_network_of_any_width_is_its_formula(sizes, rng):
    network = draw_network(sizes)
    assert_computes(
        network,
        network,
        rng.normal(size=(300, sizes[0])).astype("f4"),
    )


def test_rows_that_overflow_are_silent():
    network = draw_network((5, 11, 9, 2), "relu")
    assert not np.isfinite(
        network.encode(
            np.full(
                (3, 5),
                3e38,
                np.float32,
            )
        )
    ).any()


def map_file(X, folder):
    """Read-only, too."""
    np.save(folder / "rows.npy", X)
    return np.load(folder / "rows.npy", mmap_mode="r")


INPUTS = {
    "Fortran's order": lambda X, folder: np.asfortranarray(X),
    "strided": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "CSR": lambda X, folder: sparse.csr_matrix(X),
    "COO": lambda X, folder: sparse.coo_matrix(X),
    "a mapped file": map_file,
    "single precision": lambda X, folder: X.astype(np.float32),
}


@for_each(INPUTS, "convert")
@pytest.mark.parametrize("n_rows", [150, 20_000])
def test_any_kind_of_rows_gives_what_arrays_give(
    convert, n_rows, fitted, iris, tmp_path
):
    rows = convert(np.resize(iris, (n_rows, 4)), tmp_path)
    for name in METHODS:
        found = getattr(fitted, name)(rows)
        expected = np.resize(getattr(fitted, name)(iris), found.shape)
        tolerance = 1e-3 if name == "score_samples" else 1e-5
        assert_near(found, expected, tolerance, name)
        if name in ("transform", "reconstruct"):
            assert found.dtype == rows.dtype


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_errors_and_score_are_those_of_scaled_values_that_are_there(
    missing, fitted, iris, rng
):
    weights = rng.uniform(size=len(iris))
    rows = with_gaps(iris, missing, rng)
    rows[0] = np.nan
    scaler = StandardScaler().fit(iris)
    scaled = scaler.transform(rows)
    squares = (scaler.transform(fitted.reconstruct(rows)) - scaled) ** 2
    assert_near(fitted.reconstruction_error(rows, per_feature=True), squares)
    with warnings.catch_warnings(action="ignore"):
        means = np.nan_to_num(np.nanmean(squares, axis=1))  # of nothing: 0
    assert_near(fitted.reconstruction_error(rows), means)
    sums = [weights @ np.nansum(each, axis=1) for each in (squares, scaled**2)]
    assert_near(fitted.score(rows, sample_weight=weights), 1 - sums[0] / sums[1])
    assert_near(fitted.score(iris), fitted.reconstruction_r2_)


@pytest.mark.parametrize("number", [1e300, -1e300, 3.4e38])
def test_a_number_out_of_range_is_an_infinite_error_and_an_outlier(
    number, fitted, iris
):
    rows = iris[:20].copy()
    rows[3, 1] = number
    rows[4] = np.nan
    errors = fitted.reconstruction_error(rows)
    scores = fitted.score_samples(rows)
    assert (errors[3], errors[4], scores[3]) == (np.inf, 0, -np.inf)
    assert fitted.predict(rows)[3] == -1
    others = np.delete(rows, 3, axis=0)
    assert_near(np.delete(errors, 3), fitted.reconstruction_error(others))
    assert_near(
        np.delete(scores, 3),
        fitted.score_samples(others),
        1e-4,
    )


def test_ranks_are_those_of_scipy(rng):
    scores = rng.integers(0, 9, 50).astype(np.float32)  # some are equal
    expected = rankdata(-scores, method="ordinal")
    assert_array_equal(ranks(scores), expected)
