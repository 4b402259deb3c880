"""Scale and start: in double precision whatever the dtype and in any unit."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tied_tables.model.pca import fit_pca
from tied_tables.model.scaling import fit_scaling

from .near import assert_near
from .networks import seeded, with_gaps

SCALERS = ("standard", "minmax", None)
FACTORS = (1e-300, 1e-200, 1e-20, 1e200, 1e305)


@pytest.fixture(scope="module")
def few():
    """Rows of decimals of which only PCA is fitted, with some missing, at different
    scales.
    """
    rng = default_rng(0)
    X = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5))
    X = X * [1, 10, 0.1, 1, 3] + [5, 0, 2, -4, 0]
    return with_gaps(X, 0.05, rng).round(3)


def fit_few(X, scaler="standard"):
    return seeded(2, scaler=scaler).fit(X)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_columns_are_measured_as_scikit_learn_measures_doubles(dtype, few, rng):
    X = few.astype(dtype)
    weights = rng.uniform(0.1, 2, len(X))
    standard = StandardScaler().fit(X.astype("float64"), sample_weight=weights)
    ranges = MinMaxScaler().fit(X.astype("float64"))
    for scaler, shift, scale in (
        ("standard", standard.mean_, standard.scale_),
        (None, standard.mean_, np.full(5, np.sqrt(standard.var_.mean()))),
        ("minmax", ranges.data_min_, ranges.data_range_),
    ):
        found = fit_scaling(X, scaler, weights)
        assert_near(found.shift, shift, 1e-13)
        assert_near(found.scale, scale, 1e-13)


def test_a_large_table_is_measured_without_a_copy_in_double_precision(rng):
    X = rng.random((2**19, 16), "float32")
    tracemalloc.start()
    fit_scaling(
        X,
        "standard",
        np.ones(len(X)),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.size * 8 / 1.5


@pytest.mark.parametrize(
    "factor",
    [*FACTORS, np.array(FACTORS)],
    ids=str,
)
@pytest.mark.parametrize("scaler", SCALERS)
def test_units_do_not_matter(scaler, factor, few):
    if scaler is None and np.ndim(factor):
        factor = FACTORS[0]  # one scale for all columns
    X = few * factor
    one = fit_few(few, scaler)
    other = fit_few(X, scaler)
    assert_near(other.transform(X), one.transform(few))
    assert_near(
        other.reconstruct(X) / factor,
        one.reconstruct(few),
        1e-4,
    )
    assert_near(
        other.score_samples(X),
        one.score_samples(few),
        1e-4,
    )
    assert_near(other.reconstruction_r2_, one.reconstruction_r2_)


@pytest.mark.parametrize("scaler", SCALERS)
@pytest.mark.parametrize("kind", ["float16", "float32", "1e7 and whole numbers"])
def test_small_dtypes_give_what_doubles_give(kind, scaler, few):
    X = few.astype("float16") if kind == "float16" else few.astype("float32")
    if kind.startswith("1e7"):
        X = X.round() + np.float32(1e7)
    double = X.astype("float64")
    one = fit_few(X, scaler)
    other = fit_few(double, scaler)
    assert one.transform(X).dtype == "float32"
    for name in ("transform", "reconstruction_error", "score_samples"):
        expected = getattr(other, name)(double)
        for rows in (X, double):
            assert_near(
                getattr(one, name)(rows),
                expected,
                1e-4,
            )


def test_components_are_those_of_scikit_learn(few):
    """Each with the sign that makes its largest weight positive."""
    Z = np.nan_to_num(few)
    for found, axis in zip(
        fit_pca(Z).vectors.T,
        PCA().fit(Z).components_,
        strict=True,
    ):
        largest = axis[np.abs(axis).argmax()]
        assert_near(
            found,
            axis * np.sign(largest),
            1e-9,
        )


@given(seed=st.integers(0, 99))
def test_two_standardized_columns_have_a_sign_whatever_the_rounding(seed):
    """Their components are (1, 1) and (1, -1): which of two equal numbers is larger is
    chance.
    """
    rows = default_rng(seed).normal(size=(30, 2))
    rows[:, 1] += rows[:, 0]
    Z = StandardScaler().fit_transform(rows)
    expected = np.sqrt(0.5) * np.array([[1, 1], [1, -1]])
    assert_near(fit_pca(Z).vectors, expected)
    assert_near(fit_pca(Z[:, ::-1]).vectors, expected)
