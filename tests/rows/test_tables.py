"""Tables that go through part by part into a folder, in this process."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied.rows import (
    Here,
    OutputFolder,
    Scan,
    load_transform,
    measure_table,
    transform_table,
)
from keras_tied.tables import TableError, open_table


def write(workers, source, transform, output):
    rows = transform.scan(source)
    n_rows, _ = transform_table(workers, rows, transform, output)
    return n_rows


def test_parts_hold_all_rows_in_order(folder):
    source = open_table(folder)
    parts = source.split(700)
    assert [part.n_rows for part in parts] == [600, 400] * 4
    assert [part.first_row for part in parts] == [0, 600] * 4
    whole = pa.Table.from_batches(source.batches())
    assert pa.Table.from_batches([b for p in parts for b in p.batches()]).equals(whole)
    assert [part.n_rows for part in source.split()] == [1000] * 4


@pytest.mark.parametrize("kind", ["codes", "reconstructions", "scores"])
def test_a_folder_holds_what_the_function_gives_for_all_rows(
    kind, model, folder, tmp_path
):
    source, transform = open_table(folder), load_transform(model, kind, id="who")
    output = OutputFolder(str(tmp_path / "out"))
    assert write(Here(), source, transform, output) == 4000
    found = parquet.read_table(tmp_path / "out")
    expected = transform(next(source.batches(4000)))
    assert found.select(expected.schema.names).equals(pa.Table.from_batches([expected]))
    if kind == "scores":
        order = np.argsort(-np.array(found["score"]), kind="stable")
        np.testing.assert_array_equal(
            np.array(found["rank"])[order], np.arange(1, 4001)
        )
    assert json.loads((tmp_path / "out" / "_manifest.json").read_text())["complete"]


def test_parts_that_are_there_are_not_made_again(model, folder, tmp_path):
    source, transform = open_table(folder), load_transform(model, id="who")
    output = OutputFolder(str(tmp_path / "out"))

    class Failing(Here):
        def map(self, function, items):
            for index, item in enumerate(items):
                if index == 2:
                    raise OSError("lost")
                yield index, function(*item)

    with pytest.raises(OSError, match="lost"):
        write(Failing(), source, transform, output)
    times = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")
    }
    assert len(times) == 2
    assert write(Here(), source, load_transform(model, id="who"), output) == 4000
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert parquet.read_table(tmp_path / "out")["who"].to_pylist() == [
        f"r{i}" for i in range(4000)
    ]


def test_a_folder_of_something_else_is_left_alone(model, folder, tmp_path):
    source = open_table(folder)
    write(Here(), source, load_transform(model), OutputFolder(str(tmp_path / "out")))
    with pytest.raises(TableError, match="parts of another model, table or command"):
        write(
            Here(),
            source,
            load_transform(model, "scores"),
            OutputFolder(str(tmp_path / "out")),
        )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(TableError, match=r"holds 'letter\.txt'"):
        write(
            Here(), source, load_transform(model), OutputFolder(str(tmp_path / "mine"))
        )
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_value_that_cannot_be_used_is_named_with_file_and_row(
    model, folder, tmp_path
):
    table = parquet.read_table(folder / "part-0.parquet")
    column = table["b"].to_pylist()
    column[42] = np.inf
    broken = table.set_column(2, "b", pa.array(column, pa.float32()))
    (tmp_path / "rows").mkdir()
    parquet.write_table(table, tmp_path / "rows" / "0.parquet")
    parquet.write_table(broken, tmp_path / "rows" / "1.parquet", row_group_size=10)
    output = OutputFolder(str(tmp_path / "out"))
    with pytest.raises(
        TableError, match=r"1\.parquet'.*column 'b' holds inf in row 43"
    ):
        write(Here(), open_table(tmp_path / "rows"), load_transform(model), output)


def test_values_that_count_as_missing_are_told_with_their_rows(model, folder, tmp_path):
    table = parquet.read_table(folder / "part-0.parquet")
    column = table["b"].cast(pa.string()).to_pylist()
    column[42], column[900] = "n/a?", "x"
    words = table.set_column(2, "b", pa.array(column))
    parquet.write_table(words, tmp_path / "rows.parquet", row_group_size=100)
    source, transform = open_table(tmp_path / "rows.parquet"), load_transform(model)
    written, measured = transform.scan(source), transform.scan(source)
    output = OutputFolder(str(tmp_path / "out"))
    _, of_written = transform_table(Here(), written, transform, output)
    moments, _, of_measured = measure_table(Here(), measured, 10, seed=0)
    for doubts in (of_written, of_measured):
        assert doubts.misread.counts == {"b": 2}
        assert doubts.misread.describe("b") == "'n/a?' in row 43, 'x' in row 901"
    assert moments.counts.tolist() == [1000, 998, 1000, 1000, 1000]


def test_a_sample_comes_from_everywhere_beside_the_moments_of_all(folder, columns):
    source = open_table(folder)
    moments, chosen, _ = measure_table(Here(), Scan(source, columns), 500, seed=3)
    X = np.column_stack(
        [pa.Table.from_batches(source.batches())[name] for name in "abcde"]
    )
    np.testing.assert_allclose(moments.means, X.mean(axis=0, dtype=float), rtol=1e-12)
    rows = {row.tobytes(): place for place, row in enumerate(X)}
    places = [rows[row.tobytes()] for row in chosen]
    assert len(set(places)) == 500
    np.testing.assert_allclose(np.histogram(places, 4, (0, 4000))[0], 125, atol=40)
    assert places != sorted(places)
    _, again, _ = measure_table(Here(), Scan(source, columns), 500, seed=3)
    np.testing.assert_array_equal(again, chosen)
