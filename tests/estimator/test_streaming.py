"""Training on rows that come in batches, and what is told of a fitted estimator."""

import io
import zipfile

import h5py
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.estimator.internal import (
    baseline_errors,
    choose_batch_rows,
    fit_stream,
    fitted_value,
    largest_shares,
    ranks,
)


def draw_curve(rng, n):
    z = rng.normal(size=(n, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(n, 5))
    return X.astype(np.float32)


@pytest.fixture(scope="module")
def fitted():
    """Trained on few rows; tests must not change it."""
    rows = draw_curve(np.random.default_rng(1), 2000)
    return TiedAutoencoder(max_iter=2, random_state=0).fit(rows)


def test_more_rows_make_a_model_of_few_better(fitted, rng):
    rows, held_out = draw_curve(rng, 40 * 1024), draw_curve(rng, 2000)
    before = fitted.reconstruction_error(held_out).mean()
    result = fit_stream(fitted, np.split(rows, 40), 40, held_out)
    assert result.better
    after = result.estimator.reconstruction_error(held_out).mean()
    np.testing.assert_allclose([result.error_before, result.error], [before, after], rtol=1e-5)
    assert after < before


def test_the_estimator_is_left_as_it_is_and_kept_where_others_are_worse(fitted, rng):
    held_out = draw_curve(rng, 1000)
    before = fitted.transform(held_out)
    noise = rng.normal(size=(4, 1024, 5)).astype(np.float32) * 9
    result = fit_stream(fitted, noise, 4, held_out)
    assert not result.better
    assert result.estimator is fitted
    np.testing.assert_array_equal(fitted.transform(held_out), before)


def test_ctrl_c_is_heard_when_the_batch_is_learned(fitted, rng, ctrl_c):
    begun = []

    def batches():
        for batch in np.split(draw_curve(rng, 8 * 1024), 8):
            begun.append(batch)
            if len(begun) == 3:
                ctrl_c()
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit_stream(fitted, batches(), 8, draw_curve(rng, 1000))
    assert len(begun) == 3


def test_what_was_streamed_is_saved_without_an_optimizer(fitted, rng, tmp_path):
    batches = np.split(draw_curve(rng, 40 * 1024), 40)
    result = fit_stream(fitted, batches, 40, draw_curve(rng, 1000))
    assert result.better
    result.estimator.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    names: list[str] = []
    with h5py.File(content) as stored:
        stored.visit(names.append)
    assert not [name for name in names if "optimizer" in name]
    assert TiedAutoencoder.load(tmp_path / "m.keras").model_.optimizer is None


@pytest.mark.parametrize("n_rows", [1, 10_000, 10**9])
def test_batches_are_compiled_once_for_all(fitted, n_rows):
    rows = choose_batch_rows(fitted, n_rows)
    steps = rows // fitted.batch_size
    assert rows % fitted.batch_size == 0
    assert steps & (steps - 1) == 0
    assert rows * 5 <= 2**22


def test_errors_beside_pca_are_those_of_scikit_learn(rng):
    X, others = draw_curve(rng, 1500), draw_curve(rng, 500)
    estimator = TiedAutoencoder(max_iter=1, random_state=0).fit(X)
    scaler = StandardScaler().fit(X)
    pca = PCA(2).fit(scaler.transform(X))
    for measured in (X, others):
        scaled = scaler.transform(measured)
        restored = pca.inverse_transform(pca.transform(scaled))
        ours = baseline_errors(fitted_value(estimator), X, measured)
        expected = (
            estimator.reconstruction_error(measured).mean(),
            np.mean((restored - scaled) ** 2),
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_ranks_are_those_of_scipy(rng):
    from scipy.stats import rankdata

    errors = rng.integers(0, 9, 50).astype(float)
    np.testing.assert_array_equal(ranks(errors), rankdata(-errors, method="ordinal"))


def test_infinite_errors_share_the_error_of_their_row(rng):
    errors = np.array([[np.inf, 1.0, np.inf], [np.inf, np.nan, 2.0], [1.0, 3.0, np.nan]])
    names, order, shares = largest_shares(errors, ["a", "b", "c"], 3)
    found = [
        dict(zip(np.array(names)[o], s, strict=True)) for o, s in zip(order, shares, strict=True)
    ]
    assert found == [
        {"a": 0.5, "b": 0, "c": 0.5},
        {"a": 1, "b": 0, "c": 0},
        {"a": 0.25, "b": 0.75, "c": 0},
    ]


def test_shares_are_of_columns_and_what_is_missing_has_none(rng):
    errors = np.array([[1.0, 2.0, np.nan, 1.0], [0.0, 0.0, 0.0, 0.0]])
    names, order, shares = largest_shares(errors, ["a", "a", "b", "c"], 2)
    assert [[names[i] for i in row] for row in order] == [["a", "c"], ["a", "b"]]
    np.testing.assert_allclose(shares, [[0.75, 0.25], [0, 0]])
