import pytest


@pytest.fixture
def rows(rng):
    return rng.uniform(size=(60, 4)).astype("float32")
