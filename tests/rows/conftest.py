import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied import TiedAutoencoder
from keras_tied.columns import Column, Columns, Kind
from keras_tied.tables import open_table

NAMES = list("abcde")


def make_table(n, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    X = np.column_stack([z, z**2, z.prod(axis=1)]) + 0.1 * rng.normal(size=(n, 5))
    columns = dict(zip(NAMES, X.astype(np.float32).T, strict=True))
    return pa.table({"who": [f"r{i}" for i in range(n)]} | columns)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """4,000 rows in 4 files of two row groups."""
    path = tmp_path_factory.mktemp("rows")
    table = make_table(4000)
    for index in range(4):
        part = table.slice(1000 * index, 1000)
        parquet.write_table(part, path / f"part-{index}.parquet", row_group_size=600)
    return path


@pytest.fixture(scope="session")
def model(folder):
    """The path of PCA, whose products are the same bit by bit in blocks of any size."""
    frame = open_table(folder).sample(4000, seed=0).select(NAMES).to_pandas()
    path = folder.parent / f"{folder.name}.safetensors"
    TiedAutoencoder(random_state=0).fit(frame[:49]).save(path)
    return path


@pytest.fixture(scope="session")
def columns():
    return Columns(tuple(Column(name, Kind.number) for name in NAMES))
