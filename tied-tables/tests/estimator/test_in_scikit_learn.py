"""As a part of pipelines, searches and column transformers."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.utils.estimator_checks import parametrize_with_checks

from .networks import seeded


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@parametrize_with_checks([seeded(max_iter=20)])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_output_of_a_library_reaches_codes_and_rows(kind, iris):
    library = pytest.importorskip(kind)
    names = list("abcd")
    X = library.DataFrame(dict(zip(names, iris.T, strict=True)))
    X = X[50:]  # whose index is not that of new rows
    estimator = seeded(2, max_iter=3).fit(X)
    expected, rows = estimator.transform(X), estimator.reconstruct(X)
    assert type(rows) is np.ndarray
    with sklearn.config_context(transform_output=kind):
        codes = estimator.transform(X)
        frames = estimator.reconstruct(X), estimator.inverse_transform(codes)
    assert list(codes.columns) == ["tiedautoencoder0", "tiedautoencoder1"]
    assert_allclose(codes.to_numpy(), expected)
    for frame in frames:
        assert isinstance(frame, library.DataFrame)
        assert list(frame.columns) == names
        assert_allclose(
            frame.to_numpy(),
            rows,
            rtol=1e-5,
        )
        if kind == "pandas":
            assert frame.index.equals(X.index)
