"""`n_components="auto"`: the number that a table was made with is found again."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from keras_tied import TiedAutoencoder


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
    assert (again.n_components, again.n_components_) == ("auto", autoencoder.n_components_)
    assert clone(again).fit(X).n_components_ == autoencoder.n_components_
    batches = TiedAutoencoder("auto", random_state=0).partial_fit(X)
    assert batches.partial_fit(X).n_components_ == autoencoder.n_components_


def test_a_generator_is_used_once_for_the_fit_itself():
    X = make_table(2, n=45)
    state = np.random.RandomState(3)
    width = TiedAutoencoder("auto", random_state=np.random.RandomState(3)).fit(X).n_components_
    TiedAutoencoder(width, random_state=np.random.RandomState(3)).fit(X)
    assert TiedAutoencoder("auto", random_state=state).fit(X).n_components_ == width


def test_levels_of_a_category_are_hidden_together():
    kinds = np.resize(["plum", "fig", "pear"], 45)
    sizes = np.random.default_rng(0).normal(size=45) + (kinds == "fig")
    frame = pd.DataFrame({"kind": kinds, "size": sizes, "weight": 2 * sizes})
    assert 1 <= TiedAutoencoder("auto", random_state=0).fit(frame).n_components_ <= 4


@pytest.mark.parametrize("shape", [(8, 4), (30, 1)])
def test_tables_that_are_too_small_are_refused(shape):
    X = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(ValueError, match="give a number"):
        TiedAutoencoder("auto").fit(X)
