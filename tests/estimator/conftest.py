import pytest
from sklearn.datasets import load_digits, load_iris

from .networks import seeded


@pytest.fixture(scope="session")
def iris():
    return load_iris(return_X_y=True)[0]


@pytest.fixture(scope="session")
def digits():
    return load_digits(return_X_y=True)[0]


@pytest.fixture(scope="session")
def fitted(iris):
    """An estimator that has been trained; tests must not change it."""
    return seeded(1, max_iter=20).fit(iris)
