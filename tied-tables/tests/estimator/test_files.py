"""`save` and `load`, pickle, joblib and copies, in this process and in a new one."""

import copy
import os
import pickle
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.random import default_rng
from numpy.testing import assert_array_equal
from tests.marks import for_each
from tests.processes import run_python

import tied_tables
from tied_tables import TiedAutoencoder
from tied_tables.model import file as files
from tied_tables.model.file import format

from .model_files import as_bytes, save
from .networks import seeded

METHODS = (
    "transform reconstruct impute reconstruction_error score_samples rarity".split()
)
ATTRIBUTES = (
    "n_iter_ loss_curve_ validation_curve_ is_pca_ reconstruction_r2_ offset_".split()
)


def assert_same(one, other, X):
    """All that two estimators give for some rows is equal, to the last bit."""
    for name in METHODS:
        assert_array_equal(
            getattr(one, name)(X),
            getattr(other, name)(X),
            err_msg=name,
        )
    assert one.score(X) == other.score(X)


@pytest.fixture
def file(fitted, tmp_path):
    """A file of the fitted estimator."""
    return save(fitted, tmp_path)


def dump_with_joblib(estimator, folder):
    joblib.dump(estimator, folder / "m.joblib")
    return joblib.load(folder / "m.joblib")


WAYS = {
    "file": lambda estimator, folder: TiedAutoencoder.load(save(estimator, folder)),
    "joblib": dump_with_joblib,
    "pickle": lambda estimator, folder: pickle.loads(pickle.dumps(estimator)),
    "deepcopy": lambda estimator, folder: copy.deepcopy(estimator),
    "copy": lambda estimator, folder: copy.copy(estimator),
}


@pytest.fixture(scope="module", params=["names and gaps", "numbers of NumPy"])
def trained(request, iris):
    """An estimator, and its rows."""
    if request.param == "numbers of NumPy":
        estimator = TiedAutoencoder(
            n_components=0.9,
            hidden_layer_sizes=np.int64(8),
            random_state=np.int64(3),
            solver="lbfgs",
            max_iter=2,
        )
        return estimator.fit(iris), iris
    frame = pd.DataFrame(iris, columns=list("abcd"))
    X = frame.mask(default_rng(0).uniform(size=frame.shape) < 0.1)
    return seeded(max_iter=2).fit(X), X


@for_each(WAYS, "reload")
def test_an_estimator_comes_back_the_same(reload, trained, tmp_path):
    estimator, X = trained
    other = reload(estimator, tmp_path)
    assert_same(estimator, other, X)
    assert other.get_params() == estimator.get_params()
    for name in ATTRIBUTES:
        assert getattr(other, name) == getattr(estimator, name), name
    names = [getattr(each, "feature_names_in_", []) for each in (estimator, other)]
    assert_array_equal(*names)
    assert_same(other.fit(X), estimator, X)


def test_a_fitted_value_gives_what_its_estimator_gives(file, fitted, iris):
    assert_same(tied_tables.load(file), fitted, iris)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_partial_fit_goes_on_where_it_was(way, iris, tmp_path):
    """With the averages of Nadam, and the number of its steps."""
    estimator = seeded(1, batch_size=30).partial_fit(iris)
    other = WAYS[way](estimator, tmp_path)
    contents = []
    for each in (other, estimator):
        assert each.partial_fit(iris).n_iter_ == 2
        contents.append(as_bytes(each, tmp_path))
    assert contents[0] == contents[1]


ALONE = """
import sys
import numpy as np
import tied_tables
rows = np.load(sys.argv[2])
fitted = tied_tables.load(sys.argv[1])
for name in ("reconstruct", "score_samples", "explain"):
    getattr(fitted, name)(rows)
heavy = "keras jax tensorflow torch sklearn scipy h5py pandas matplotlib pyarrow"
print(fitted.transform(rows).sum(), *sorted({*heavy.split()} & set(sys.modules)))
"""


def test_a_fitted_value_is_read_with_numpy_and_safetensors_alone(
    file, fitted, iris, tmp_path
):
    np.save(tmp_path / "rows.npy", iris)
    done = run_python("-c", ALONE, file, tmp_path / "rows.npy")
    total, *modules = done.stdout.split()
    assert float(total) == pytest.approx(fitted.transform(iris).sum())
    assert modules == []


# Writing.


def test_a_curve_that_is_too_long_to_be_read_back_is_not_written(file):
    content = file.read_bytes()
    contents = files.read(file)
    curve = [0.123456789012345] * 1_000_000
    training = contents.model.training._replace(loss_curve=curve)
    model = replace(contents.model, training=training)
    with pytest.raises(ValueError, match="shorten loss_curve_"):
        files.write(file, contents._replace(model=model))
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_replaced_keeps_its_mode(file, fitted):
    file.chmod(0o600)
    fitted.save(file)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["m.pkl", "m.keras", "m"])
def test_save_refuses_another_ending(name, fitted):
    with pytest.raises(
        ValueError, match=rf"'{name}' must end in '.safetensors'.* to_keras"
    ):
        fitted.save(name)


# Reading.


def test_file_that_is_cut_off_while_it_is_read(file, monkeypatch):
    """It is not mapped into memory: there the system would end this process."""
    load = format.load

    def load_and_cut_off(content):
        arrays = load(content)
        os.truncate(file, 0)
        return arrays

    monkeypatch.setattr(format, "load", load_and_cut_off)
    assert np.isfinite(tied_tables.load(file).transform(np.ones((2, 4)))).all()


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((2, 4), int),
        np.ones((2, 1)),
        np.ones(4),
        np.ones((2, 4), np.float16),
    ],
)
def test_a_fitted_value_refuses_what_would_give_wrong_numbers_in_silence(rows, file):
    value = tied_tables.load(file)
    for method in (value.transform, value.reconstruct, value.score_samples):
        with pytest.raises(ValueError, match="float32 or float64"):
            method(rows)
    with pytest.raises(ValueError, match=r"of shape \(n, 1\)"):
        value.inverse_transform(np.ones((2, 1), int))
