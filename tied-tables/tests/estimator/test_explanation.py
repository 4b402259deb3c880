"""What `explain` returns, and the names of the numbers that stand for rows."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from tied_tables import TiedAutoencoder
from tied_tables.datasets import make_clients

from .libraries import LIBRARIES, assert_is_of, each_library


@pytest.fixture(scope="module")
def clients():
    return pd.DataFrame(make_clients(random_state=0)).set_index("client")


@pytest.fixture(scope="module")
def fitted(clients):
    return TiedAutoencoder(2, max_iter=20, random_state=0).fit(clients)


def test_the_text_of_an_explanation_is_short_and_names_the_columns(fitted, clients):
    reasons = fitted.explain(clients)
    lines = str(reasons).splitlines()
    assert lines[0] == f"Explanation of {len(clients)} rows:"
    assert lines[1:4] == [
        f"{name}: {text}"
        for name, text in zip(clients.index[:3], reasons.sentences(), strict=False)
    ]
    assert lines[4:] == ["..."]
    assert len(reasons) == len(clients)


@each_library
def test_a_frame_of_reasons_is_of_the_library_of_the_rows(fitted, clients, library):
    some = clients.head(4)
    reasons = fitted.explain(LIBRARIES[library](some))
    frame = reasons.to_frame()
    assert_is_of(library, frame)
    whys = frame["why"]
    whys = whys.to_pylist() if library == "pyarrow" else list(whys)
    assert whys == reasons.sentences() == fitted.explain(some).sentences()


def test_a_frame_of_reasons_has_the_scores_and_the_index_of_the_rows(fitted, clients):
    some = clients.iloc[[3, 50, 7]]
    frame = fitted.explain(some).to_frame()
    assert list(frame.index) == list(some.index)
    assert np.allclose(frame["score"], -fitted.score_samples(some))
    assert np.allclose(frame["one_in"], fitted.rarity(some))
    assert list(frame)[2:5] == ["column1", "share1", "expected1"]


def test_rows_of_numbers_are_explained_by_the_names_of_their_features(rng):
    X = rng.normal(size=(200, 1)) * [1.0, 2.0, 3.0]
    model = TiedAutoencoder(1, max_iter=1, random_state=0).fit(X)
    odd = [[1.0, 2.0, 60.0]]
    [sentence] = model.explain(odd).sentences()
    assert sentence.startswith("x2 60; the other columns suggest ")
    assert model.explain(odd).to_frame()["column1"].tolist() == ["x2"]
    model = TiedAutoencoder(1, max_iter=1, random_state=0)
    model.fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    frame = pd.DataFrame(odd, columns=["a", "b", "c"])
    assert model.explain(frame).sentences() == [sentence.replace("x2", "c")]


def test_an_explanation_can_be_pickled(fitted, clients):
    reasons = fitted.explain(clients.head(3))
    assert str(pickle.loads(pickle.dumps(reasons))) == str(reasons)


def test_without_arrow_the_arrays_are_there_and_the_words_name_what_is_missing(
    rng, monkeypatch
):
    X = rng.normal(size=(60, 3))
    model = TiedAutoencoder(1, max_iter=1, random_state=0).fit(X)
    for name in [*sys.modules]:
        if name.startswith(("tied_tables.columns", "tied_tables.model.causes")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    reasons = model.explain(X[:2])
    assert reasons.shares.shape == (2, 3)
    assert str(reasons) == "Explanation of 2 rows"
    with pytest.raises(ImportError, match=r"need pyarrow; run pip install"):
        reasons.sentences()


def test_names_of_numbers_tell_which_column_and_category_each_is(fitted, clients):
    names = fitted.get_number_names_out()
    numbers = fitted.to_numbers(clients)
    assert numbers.shape == (len(clients), len(names))
    assert fitted.feature_r2_.shape == (len(names),)
    errors = fitted.reconstruction_error(clients, per_feature=True)
    assert errors.shape == numbers.shape
    columns = dict(zip(names, numbers.T, strict=True))
    for name in ("age", "orders", "spent"):
        assert np.array_equal(columns[name], clients[name].astype(np.float32))
    for town in set(clients["town"]):
        assert np.array_equal(columns[f"town={town}"], clients["town"] == town)


def test_names_of_numbers_are_those_of_the_features_of_an_array(rng):
    X = rng.normal(size=(60, 3))
    model = TiedAutoencoder(1, max_iter=1, random_state=0)
    with pytest.raises(NotFittedError):
        model.get_number_names_out()
    assert model.fit(X).get_number_names_out().tolist() == ["x0", "x1", "x2"]
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    assert model.fit(frame).get_number_names_out().tolist() == ["a", "b", "c"]
