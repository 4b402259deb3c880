import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from keras_tied import TiedAutoencoder

from .networks import seeded


@pytest.fixture(scope="session")
def iris() -> np.ndarray:
    return load_iris(return_X_y=True)[0]


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    return load_digits(return_X_y=True)[0]


@pytest.fixture(scope="session")
def fitted(iris) -> TiedAutoencoder:
    """An estimator that has been trained; tests must not change it."""
    return seeded(1, max_iter=20).fit(iris)
