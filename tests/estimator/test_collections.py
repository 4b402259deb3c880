"""Rows of Dask: lazily transformed as NumPy's are, and fitted with the statistics of
all.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.preprocessing import StandardScaler

from keras_tied.fitting import sample

from .networks import draw_curve, seeded
from .pca import pca_error

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

KINDS = {
    "array": lambda rows: da.from_array(rows, chunks=(150, 2)),
    "frame": lambda rows: dd.from_pandas(pd.DataFrame(rows), npartitions=4),
}
METHODS = (
    "transform reconstruct reconstruction_error score_samples decision_function predict"
    " rarity"
)


@pytest.fixture(scope="module")
def rows():
    """In the order of their first number."""
    X = draw_curve(3000)
    return X[X[:, 0].argsort()]


make = partial(seeded, trim=False)


@pytest.fixture(scope="module")
def fitted(rows):
    return make(max_iter=2).fit(rows)


def assert_same(lazy, expected):
    """To the rounding of the largest numbers: BLAS has another for other blocks."""
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == expected.dtype
    size = np.abs(expected).max()  # of scores, less a threshold
    found = lazy.compute(scheduler="threads")
    assert_allclose(found, expected, rtol=0, atol=2e-5 * size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", METHODS.split())
def test_rows_of_dask_give_lazily_what_numpys_give(method, kind, fitted, rows):
    """Also where a filter has emptied some blocks."""
    call = getattr(fitted, method)
    X = KINDS[kind](rows)
    assert_same(call(X), call(rows))
    first = X[:, 0] if kind == "array" else X[0]
    assert_same(
        call(X[first > 1]),
        call(rows[rows[:, 0] > 1]),
    )


def test_codes_are_decoded_lazily(fitted, rows):
    codes = fitted.transform(rows)
    lazy = fitted.inverse_transform(da.from_array(codes, chunks=(1000, 1)))
    assert_same(lazy, fitted.inverse_transform(codes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_table_has_the_scale_of_all_rows_and_a_network_of_some(
    kind, rows, monkeypatch
):
    monkeypatch.setattr(sample, "MOST_ROWS", 1500)
    X = KINDS[kind](rows)
    if kind == "frame":
        X, rows = X[X[0] < 2], rows[rows[:, 0] < 2]  # of lengths that are not known
    ours = make(max_iter=20).fit(X)
    scaler = StandardScaler().fit(rows)
    scaling = ours._fitted.preprocessing.scaling
    assert_allclose(scaling.shift, scaler.mean_, rtol=1e-9, atol=1e-12)
    assert_allclose(scaling.scale, scaler.scale_, rtol=1e-12)
    assert ours.reconstruction_error(rows).mean() < pca_error(rows, rows, 2)


def test_frames_with_categories_are_encoded_block_by_block(rng, monkeypatch):
    frame = pd.DataFrame(
        {
            "word": rng.choice(["a", "b", "c"], 600),
            "number": rng.normal(size=600),
        }
    )
    parts = dd.from_pandas(frame, npartitions=3, sort=False)
    estimator = make(max_iter=1).fit(frame)
    ours = make(max_iter=1).fit(parts)
    assert_array_equal(
        ours.transform(frame),
        estimator.transform(frame),
    )
    assert_same(
        estimator.transform(parts),
        estimator.transform(frame),
    )
    assert_frame_equal(
        estimator.reconstruct(parts).compute(), estimator.reconstruct(frame)
    )
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    scaling = make(max_iter=1).fit(parts)._fitted.preprocessing.scaling
    numbers = estimator.to_numbers(frame)
    assert_allclose(scaling.shift, numbers.mean(axis=0), rtol=1e-5, atol=1e-6)


REFUSED = {
    "sample_weight is not supported": lambda _, X: make().fit(X, sample_weight=1.0),
    "set_output does not reach": lambda fitted, X: fitted.transform(X),
    "Expected 2D array, got 1D": lambda fitted, X: fitted.transform(X[:, 0]),
    "infinity": lambda _, X: make().fit(X),
    "feature names": lambda fitted, X: fitted.fit(
        dd.from_dask_array(X, list("abcdef"))
    ).transform(dd.from_dask_array(X, list("bacdef"))),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_dask_cannot_do_is_said(message, rows, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 100)
    X = rows.copy()
    if message == "infinity":
        X[7, 1] = np.inf
    fitted = make(max_iter=1).fit(rows[::10])
    if "set_output" in message:
        fitted.set_output(transform="pandas")
    with pytest.raises(ValueError, match=message):
        REFUSED[message](
            fitted,
            da.from_array(X, chunks=(1000, 6)),
        )
