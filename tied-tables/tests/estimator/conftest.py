import pytest
from sklearn.datasets import load_digits, load_iris

from tied_tables import TiedAutoencoder

from .model_files import save
from .networks import seeded


@pytest.fixture(scope="session")
def iris():
    return load_iris().data


@pytest.fixture(scope="session")
def digits():
    return load_digits().data


@pytest.fixture(scope="session")
def fitted(iris):
    """An estimator that has been trained; tests must not change it."""
    return seeded(1, max_iter=20).fit(iris)


@pytest.fixture
def reload(tmp_path):
    """Saves an estimator in a file, and loads it."""

    return lambda estimator: TiedAutoencoder.load(save(estimator, tmp_path))
