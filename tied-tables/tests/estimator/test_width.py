"""`n_components="auto"`: the number that a table was made with is found again."""

import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from tied_tables import TiedAutoencoder
from tied_tables.fit.width import measure_hidden

from .networks import seeded


def make_table(n_factors):
    rng = default_rng(0)
    factors = rng.normal(size=(48, n_factors)) @ rng.normal(size=(n_factors, 8))
    return factors + 0.3 * rng.normal(size=(48, 8))


@pytest.mark.parametrize("n_factors", [1, 3])
def test_the_factors_of_a_linear_table_are_counted(n_factors, reload):
    """By a fit, by batches, and by a clone of what comes from a file."""
    X = make_table(n_factors)
    estimator = seeded("auto")
    assert estimator.fit(X).n_components_ == n_factors
    loaded = reload(estimator)
    assert (loaded.n_components, loaded.n_components_) == ("auto", n_factors)
    batches = clone(loaded).partial_fit(X)
    assert batches.partial_fit(X).n_components_ == n_factors


def test_what_belongs_to_a_column_is_hidden_together_and_a_column_stays(rng):
    rows = rng.normal(size=(200, 3))[:, [0, 1, 1, 2]]
    given = []

    def reconstruct(imputed):
        given.append(imputed.copy())
        return np.full_like(imputed, 0.5)

    error = measure_hidden(
        reconstruct,
        rows,
        np.array([0, 1, 1, 2]),
        seed=0,
    )
    hidden = given[0] == 0
    assert_array_equal(hidden[:, 1], hidden[:, 2])
    assert hidden.mean(axis=0) == pytest.approx(0.15, abs=0.05)
    assert not hidden.all(axis=1).any()
    repeated = np.tile(rows, (4, 1))
    assert_array_equal(given[-1], np.where(hidden, 0.5, repeated))
    assert error == pytest.approx(np.mean((repeated[hidden] - 0.5) ** 2))


def test_a_frame_with_categories_is_taken(rng):
    sizes = rng.normal(size=45)
    frame = pd.DataFrame(
        {
            "kind": np.resize(["plum", "fig", "pear"], 45),
            "size": sizes,
            "weight": 2 * sizes,
        }
    )
    autoencoder = seeded("auto").fit(frame)
    # Size and weight, which are hidden values of each other, are in the code, whatever
    # else is.
    assert_allclose(
        autoencoder.feature_r2_[-2:],
        1.0,
        atol=1e-3,
    )


@pytest.mark.parametrize("shape", [(9, 4), (30, 1)])
def test_tables_that_are_too_small_are_refused(shape, rng):
    with pytest.raises(ValueError, match="give a number"):
        TiedAutoencoder("auto").fit(rng.normal(size=shape))


def test_neither_an_absurd_value_nor_another_order_changes_it(rng):
    X = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8))
    X += 0.3 * rng.normal(size=X.shape)
    odd = rng.permutation(np.vstack([[1e7, *X[0, 1:]], X[1:]]))
    with pytest.warns(UserWarning, match="1 absurd value"):
        model = seeded("auto", max_iter=3).fit(odd)
    assert model.n_components_ == 3
