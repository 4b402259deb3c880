"""Rows of Dask: lazily transformed as NumPy's are, and fitted with the statistics of
all.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from keras_tied import TiedAutoencoder
from keras_tied.fitting import sample

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

METHODS = (
    "transform reconstruct reconstruction_error score_samples decision_function predict"
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 2))
    return np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(3000, 5))


@pytest.fixture(scope="module")
def fitted(rows):
    return TiedAutoencoder(max_iter=2, random_state=0, trim=False).fit(rows)


def rounds_alike() -> bool:
    """Whether this BLAS rounds a row alike whatever rows are beside it.

    OpenBLAS's for AVX-512 does where they are multiples of 16; its one for Haswell does
    not.
    """
    random = np.random.default_rng(0)
    kernel, units = (random.normal(size=(64, n)).astype("float32") for n in (72, 3008))
    return np.array_equal((kernel.T @ units)[:, :704], kernel.T @ units[:, :704].copy())


def assert_same(actual, expected):
    """Bitwise the same, or where BLAS rounds otherwise, to its rounding of the largest
    numbers.
    """
    tolerance = 0 if rounds_alike() else 2e-5
    size = np.abs(
        expected
    ).max()  # of scores, which the threshold that is taken off cancels
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("method", METHODS.split())
def test_arrays_are_transformed_lazily_and_as_numpys_are(method, fitted, rows):
    X = da.from_array(rows, chunks=(700, 2))
    lazy, expected = getattr(fitted, method)(X), getattr(fitted, method)(rows)
    assert isinstance(lazy, da.Array)
    assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
    assert_same(lazy.compute(scheduler="threads"), expected)


@pytest.mark.parametrize("method", METHODS.split())
def test_frames_are_transformed_lazily_and_their_names_are_checked(method, rows):
    frame = pd.DataFrame(rows, columns=list("abcde"))
    fitted = TiedAutoencoder(max_iter=1, random_state=0).fit(frame)
    X = dd.from_pandas(frame, npartitions=4)
    lazy, expected = getattr(fitted, method)(X), getattr(fitted, method)(frame)
    assert lazy.dtype == expected.dtype
    assert_same(lazy.compute(scheduler="sync"), expected)
    with pytest.raises(ValueError, match="feature names"):
        getattr(fitted, method)(X[list("bacde")])


@pytest.mark.parametrize("method", METHODS.split())
def test_blocks_that_a_filter_has_emptied_give_no_rows(method, fitted, rows):
    ordered = rows[rows[:, 0].argsort()]
    X, few = da.from_array(ordered, chunks=(1000, 5)), ordered[ordered[:, 0] > 1]
    expected = getattr(fitted, method)(few)
    frame = dd.from_pandas(pd.DataFrame(ordered), npartitions=3)
    for lazy in (X[X[:, 0] > 1], frame[frame[0] > 1]):
        np.testing.assert_array_equal(getattr(fitted, method)(lazy).compute(), expected)


def test_codes_are_decoded_lazily(fitted, rows):
    codes = fitted.transform(rows)
    lazy = fitted.inverse_transform(da.from_array(codes, chunks=(1000, 1)))
    assert_same(lazy.compute(), fitted.inverse_transform(codes))


def test_a_table_that_fits_into_memory_is_fitted_as_numpys_is(fitted, rows):
    X = da.from_array(rows, chunks=(1000, 5))
    ours = TiedAutoencoder(max_iter=2, random_state=0, trim=False).fit(X)
    np.testing.assert_array_equal(ours.transform(rows), fitted.transform(rows))


@pytest.mark.parametrize("frame", [False, True])
def test_a_larger_table_has_the_scale_of_all_rows_and_a_network_of_some(
    frame, rows, monkeypatch
):
    monkeypatch.setattr(sample, "MOST_ROWS", 1500)
    if frame:
        table = pd.DataFrame(rows, columns=list("abcde"))
        X = dd.from_pandas(table, npartitions=20)
        X = X[
            X.a < X.a.max()
        ]  # some partition may lose rows, so that lengths are not known
        whole = X.compute().to_numpy()
    else:
        X, table, whole = da.from_array(rows, chunks=(130, 5)), rows, rows
    ours = TiedAutoencoder(max_iter=20, random_state=0, trim=False).fit(X)
    scaling = ours._fitted.preprocessing.scaling
    np.testing.assert_allclose(scaling.shift, whole.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaling.scale, whole.std(axis=0), rtol=1e-12)
    scaled = (whole - whole.mean(axis=0)) / whole.std(axis=0)
    pca = PCA(2).fit(scaled)
    of_pca = np.mean((pca.inverse_transform(pca.transform(scaled)) - scaled) ** 2)
    assert not ours.is_pca_
    assert ours.reconstruction_error(table).mean() < of_pca
    assert hasattr(ours, "feature_names_in_") == frame


def test_what_dask_cannot_do_is_said(fitted, rows):
    X = da.from_array(rows, chunks=(1000, 5))
    with pytest.raises(ValueError, match="sample_weight is not supported"):
        TiedAutoencoder().fit(X, sample_weight=np.ones(len(rows)))
    with pytest.raises(ValueError, match="set_output does not reach"):
        TiedAutoencoder(max_iter=1).fit(rows).set_output(transform="pandas").transform(
            X
        )


def test_rows_of_other_shapes_are_refused(fitted, rows):
    with pytest.raises(ValueError, match="Expected 2D array, got 1D"):
        fitted.transform(da.from_array(rows[:, 0], chunks=1000))
    with pytest.raises((TypeError, ValueError)):
        fitted.transform(dask.delayed(rows))


def test_blocks_of_known_length_are_read_for_the_sample_and_for_the_moments(
    rows, monkeypatch
):
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    reads = []
    X = da.from_array(rows, chunks=(1500, 5)).map_blocks(
        lambda block: reads.append(len(block)) or block, meta=np.empty((0, 5))
    )
    TiedAutoencoder(max_iter=1, random_state=0).fit(X)
    assert reads == 2 * [1500, 1500]


def test_infinite_values_anywhere_are_refused(rows, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    with_infinity = rows.copy()
    with_infinity[7, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        TiedAutoencoder(random_state=0).fit(
            da.from_array(with_infinity, chunks=(500, 5))
        )
