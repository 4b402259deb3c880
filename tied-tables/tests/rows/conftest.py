import pickle

import numpy as np
import pyarrow as pa
import pytest
from numpy.random import default_rng
from pyarrow import parquet
from tests.processes import run_python

from tied_tables.io import open_table
from tied_tables.rows import Here

from ..estimator.networks import seeded

NAMES = list("abcde")


class Reversed(Here):
    """Workers that are this process, and have done the last part first."""

    def map(self, function, items):
        items = pickle.loads(pickle.dumps(list(items)))
        done = list(super().map(function, items))
        yield from reversed(done)


def run(*arguments):
    run_python("-m", "tied_tables", *arguments)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """4,000 rows in 4 files of two row groups."""
    path = tmp_path_factory.mktemp("rows")
    rng = default_rng(0)
    z = rng.normal(size=(4000, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(4000, 5))
    columns = dict(zip(NAMES, X.astype(np.float32).T, strict=True))
    table = pa.table({"who": [f"r{i}" for i in range(4000)]} | columns)
    for index in range(4):
        part = table[1000 * index :][:1000]
        parquet.write_table(part, path / f"part-{index}.parquet", row_group_size=600)
    return path


@pytest.fixture(scope="session")
def model(folder):
    """The path of PCA, whose products are the same bit by bit in blocks of any size."""
    frame = open_table(folder).sample(4000, seed=0).select(NAMES).to_pandas()
    path = folder.parent / f"{folder.name}.safetensors"
    seeded().fit(frame[:49]).save(path)
    return path
