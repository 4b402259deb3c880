"""`n_components="auto"`: the number that a table was made with is found again."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from keras_tied import TiedAutoencoder
from keras_tied.fitting.width import measure_hidden


def make_table(n_factors, n=900, d=8, seed=0):
    random = np.random.default_rng(seed)
    factors = random.normal(size=(n, n_factors)) @ random.normal(size=(n_factors, d))
    return factors + 0.3 * random.normal(size=(n, d))


@pytest.mark.slow
@pytest.mark.parametrize("n_factors", [1, 3])
def test_the_factors_of_a_linear_table_are_counted(n_factors):
    autoencoder = TiedAutoencoder("auto", random_state=0).fit(make_table(n_factors))
    assert autoencoder.n_components_ == n_factors
    assert autoencoder.get_params()["n_components"] == "auto"


def test_it_is_kept_by_files_clones_and_batches(tmp_path):
    X = make_table(2, n=40)
    autoencoder = TiedAutoencoder("auto", random_state=0).fit(X)
    autoencoder.save(tmp_path / "model.safetensors")
    again = TiedAutoencoder.load(tmp_path / "model.safetensors")
    assert (again.n_components, again.n_components_) == (
        "auto",
        autoencoder.n_components_,
    )
    assert clone(again).fit(X).n_components_ == autoencoder.n_components_
    batches = TiedAutoencoder("auto", random_state=0).partial_fit(X)
    assert batches.partial_fit(X).n_components_ == autoencoder.n_components_


def test_a_generator_is_used_once_for_the_fit_itself():
    X = make_table(2, n=45)
    state = np.random.RandomState(3)
    width = (
        TiedAutoencoder("auto", random_state=np.random.RandomState(3))
        .fit(X)
        .n_components_
    )
    TiedAutoencoder(width, random_state=np.random.RandomState(3)).fit(X)
    assert TiedAutoencoder("auto", random_state=state).fit(X).n_components_ == width


def test_what_belongs_to_a_column_is_hidden_together_and_a_column_stays():
    rows, columns = (
        np.random.default_rng(0).normal(size=(200, 6)),
        np.array([0, 1, 1, 1, 2, 2]),
    )
    seen = []

    def reconstruct(imputed):
        seen.append(imputed.copy())
        return np.full_like(imputed, 0.5)

    error = measure_hidden(reconstruct, rows, columns, seed=0)
    hidden = seen[0] == 0
    for column in range(3):
        part = hidden[:, columns == column]
        assert (part.all(axis=1) | ~part.any(axis=1)).all()
    assert hidden.any(axis=0).all()
    assert not hidden.all(axis=1).any()
    np.testing.assert_array_equal(seen[-1][~hidden], np.tile(rows, (4, 1))[~hidden])
    assert error == pytest.approx(np.mean((np.tile(rows, (4, 1))[hidden] - 0.5) ** 2))


def test_a_frame_with_categories_is_taken():
    kinds = np.resize(["plum", "fig", "pear"], 45)
    sizes = np.random.default_rng(0).normal(size=45)
    frame = pd.DataFrame({"kind": kinds, "size": sizes, "weight": 2 * sizes})
    autoencoder = TiedAutoencoder("auto", random_state=0).fit(frame)
    # Size and weight, which are hidden values of each other, are in the code, whatever
    # else is.
    np.testing.assert_allclose(autoencoder.feature_r2_[-2:], 1.0, atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 4), (30, 1)])
def test_tables_that_are_too_small_are_refused(shape):
    X = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(ValueError, match="give a number"):
        TiedAutoencoder("auto").fit(X)
