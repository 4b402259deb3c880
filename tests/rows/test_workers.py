"""A function of the parts of a table, on workers that are this process."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied.columns import Column, Columns, Kind
from keras_tied.rows import Here, Scan
from keras_tied.rows._workers import fold_parts
from keras_tied.tables import TableError, open_table

NUMBER = Columns((Column("x", Kind.number),))


@pytest.fixture
def parts(tmp_path):
    """A table of three files, with a word where a number was expected in
    two of them.
    """
    for part in range(3):
        values = [str(value) for value in range(40)]
        values[part] = "word" if part else "0"
        table = pa.table({"x": values})
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    return Scan(open_table(tmp_path), NUMBER)


class Reversed(Here):
    def map(self, function, items):
        yield from reversed(
            list(super().map(function, pickle.loads(pickle.dumps(items))))
        )


def last_number(batches, factor):
    return [factor * int(batch.numbers[-1, 0]) for batch in batches]


@pytest.mark.parametrize("workers", [Here(), Reversed()])
def test_parts_are_folded_in_any_order_and_counted_in_theirs(parts, workers):
    items = zip(parts.split(), (1, 2, 3), strict=True)
    results, doubts = fold_parts(workers, last_number, list(items))
    assert results == [[39], [78], [117]]
    assert doubts.misread.describe("x") == "'word' 2 times, first in row 2"


def test_an_error_in_a_part_names_its_file(tmp_path):
    for part, value in enumerate((0.5, np.inf)):
        parquet.write_table(pa.table({"x": [1.5, value]}), tmp_path / f"{part}.parquet")
    rows = Scan(open_table(tmp_path), NUMBER)
    with pytest.raises(TableError, match=r"1\.parquet': column 'x' holds inf in row 2"):
        fold_parts(Here(), last_number, [(part, 1) for part in rows.split()])
