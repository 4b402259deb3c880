import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def donut_file() -> Path:
    """The article's own data, where this checkout has it."""
    path = SHARED_DATA / "donut_corr2.npy"
    if not path.exists():
        pytest.skip("the article's data file is not here: ../shared/data/donut_corr2.npy")
    return path


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
