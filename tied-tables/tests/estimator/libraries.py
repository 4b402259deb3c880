"""Frames of each library, from those of pandas."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest


def to_arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


LIBRARIES = {
    "pandas": pd.DataFrame,
    "polars": pl.from_pandas,
    "pyarrow": to_arrow,
}
each_library = pytest.mark.parametrize("library", LIBRARIES)


def assert_is_of(library, frame):
    assert type(frame).__module__.partition(".")[0] == library
