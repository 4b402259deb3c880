"""Passes over the rows of a table."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied.tables import Column, Columns, Here, Kind, Scan, TableError, open_table

NUMBER = Columns((Column("x", Kind.number),))


def write_csv(path, values):
    path.write_text("\n".join(["who,x", *(f"r{row},{value}" for row, value in enumerate(values))]))


@pytest.fixture
def rows(tmp_path):
    write_csv(tmp_path / "rows.csv", range(300))
    return Scan(open_table(tmp_path / "rows.csv"), NUMBER, id="who")


@pytest.fixture
def parts(tmp_path):
    """A table of three files, with a word where a number was expected in two of them."""
    for part in range(3):
        values = [str(value) for value in range(40)]
        values[part] = "word" if part else "0"
        table = pa.table({"x": values})
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    return Scan(open_table(tmp_path), NUMBER)


def test_a_batch_has_the_rows_and_their_numbers(rows):
    (batch,) = rows
    assert batch.rows.schema.names == ["x", "who"]
    np.testing.assert_array_equal(batch.numbers, np.arange(300)[:, None])
    assert batch.numbers.dtype == np.float32


def test_each_loop_is_a_pass_with_its_own_tallies(parts):
    for _ in range(2):
        assert sum(len(batch.numbers) for batch in parts) == 120
        assert parts.misread.counts == {"x": 2}
        assert parts.misread.describe("x") == "'word' 2 times, first in row 42"


def test_rows_are_counted_as_they_are_used(rows):
    counts = []
    rows.advance = counts.append
    for _ in rows:
        assert counts == []
    assert counts == [300]


@pytest.mark.parametrize(("n_rows", "now"), [(299, "has 299 now"), (301, "has more now")])
def test_a_table_that_breaks_its_promise_is_an_error(rows, tmp_path, n_rows, now):
    write_csv(tmp_path / "rows.csv", range(n_rows))
    with pytest.raises(TableError, match=f"had 300 rows when it was opened, and {now}"):
        list(rows)


class Reversed(Here):
    def map(self, function, items):
        yield from reversed(list(super().map(function, pickle.loads(pickle.dumps(items)))))


def last_number(part, factor):
    return [factor * int(batch.numbers[-1, 0]) for batch in part]


@pytest.mark.parametrize("workers", [Here(), Reversed()])
def test_parts_are_folded_in_any_order_and_counted_in_theirs(parts, workers):
    results = parts.fold(workers, last_number, parts.split(), [(1,), (2,), (3,)])
    assert [result for _, result in sorted(results)] == [[39], [78], [117]]
    assert parts.misread.describe("x") == "'word' 2 times, first in row 2"


def test_an_error_in_a_part_names_its_file(tmp_path):
    for part, value in enumerate((0.5, np.inf)):
        parquet.write_table(pa.table({"x": [1.5, value]}), tmp_path / f"{part}.parquet")
    rows = Scan(open_table(tmp_path), NUMBER)
    with pytest.raises(TableError, match=r"1\.parquet': column 'x' holds inf in row 2"):
        list(rows.fold(Here(), last_number, rows.split(), [(1,), (1,)]))
