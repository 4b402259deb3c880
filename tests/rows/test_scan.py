"""Passes over the rows of a table."""

from dataclasses import replace

import numpy as np
import pytest

from keras_tied.columns import Column, Columns, Kind
from keras_tied.rows import Doubts, Scan, fold
from keras_tied.tables import TableError, open_table

NUMBER = Columns((Column("x", Kind.number),))


def write_csv(path, values):
    path.write_text(
        "\n".join(["who,x", *(f"r{row},{value}" for row, value in enumerate(values))])
    )


@pytest.fixture
def rows(tmp_path):
    write_csv(tmp_path / "rows.csv", range(300))
    return Scan(open_table(tmp_path / "rows.csv"), NUMBER, id="who")


def test_a_batch_has_the_rows_and_their_numbers(rows):
    (batch,) = rows.read(Doubts())
    assert batch.rows.schema.names == ["x", "who"]
    np.testing.assert_array_equal(batch.numbers, np.arange(300)[:, None])
    assert batch.numbers.dtype == np.float32


def test_each_loop_is_a_pass_with_its_own_doubts(tmp_path):
    write_csv(
        tmp_path / "rows.csv",
        ["word" if row in (41, 82) else row for row in range(120)],
    )
    rows = Scan(open_table(tmp_path / "rows.csv"), NUMBER)
    for _ in range(2):
        lengths, doubts = fold(rows, lambda batches: [len(x) for _, x in batches])
        assert sum(lengths) == 120
        assert doubts.misread.counts == {"x": 2}
        assert doubts.misread.describe("x") == "'word' 2 times, first in row 42"


def test_rows_are_counted_as_they_are_used(rows):
    counts = []
    for _ in replace(rows, advance=counts.append).read(Doubts()):
        assert counts == []
    assert counts == [300]


@pytest.mark.parametrize(
    ("n_rows", "now"), [(299, "has 299 now"), (301, "has more now")]
)
def test_a_table_that_breaks_its_promise_is_an_error(rows, tmp_path, n_rows, now):
    write_csv(tmp_path / "rows.csv", range(n_rows))
    with pytest.raises(TableError, match=f"had 300 rows when it was opened, and {now}"):
        list(rows.read(Doubts()))
