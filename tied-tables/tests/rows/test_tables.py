"""Passes over the rows of a table, in one piece or part by part into a folder."""

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyarrow import parquet

from tied_tables.columns import Columns, Doubts
from tied_tables.io import TableError, open_table
from tied_tables.rows import (
    Here,
    OutputFolder,
    Scan,
    fold,
    load_transform,
    sample_table,
    transform_table,
)
from tied_tables.rows._folder import resume

from .conftest import NAMES, Reversed


@pytest.fixture
def output(tmp_path):
    return OutputFolder(str(tmp_path / "out"))


HERE = Here()


def write(source, transform, output, workers=HERE):
    return transform_table(workers, transform.scan(source), transform, output)


@pytest.mark.parametrize("kind", ["codes", "reconstructions", "scores"])
@pytest.mark.parametrize("workers", [HERE, Reversed()])
def test_a_folder_holds_what_the_function_gives_for_all_rows(
    kind, workers, model, folder, output, tmp_path
):
    source, transform = open_table(folder), load_transform(model, kind, id="who")
    n_rows, _ = write(source, transform, output, workers)
    found = parquet.read_table(tmp_path / "out")
    expected = transform(next(source.batches(4000)))
    assert n_rows == 4000
    assert found.combine_chunks().to_batches() == [expected]
    assert json.loads((tmp_path / "out" / "_manifest.json").read_text())["complete"]


def test_parts_that_are_there_are_not_made_again(model, folder, output, tmp_path):
    source, transform = open_table(folder), load_transform(model, id="who")

    class Failing(Here):
        def map(self, function, items):
            yield from super().map(function, items[:2])
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        write(source, transform, output, Failing())
    paths = sorted((tmp_path / "out").glob("*.parquet"))
    times = [path.stat().st_mtime_ns for path in paths]
    assert len(paths) == 2
    write(source, load_transform(model, id="who"), output)
    assert times == [path.stat().st_mtime_ns for path in paths]
    whole = parquet.read_table(tmp_path / "out")
    assert whole["who"].to_pylist() == [f"r{i}" for i in range(4000)]
    paths[0].write_bytes(b"PAR1" + bytes(99))
    paths[1].unlink()
    write(source, load_transform(model, id="who"), output)
    assert parquet.read_table(tmp_path / "out").equals(whole)


def test_of_commands_that_begin_a_folder_at_once_one_writes(output):
    begin = threading.Barrier(8)

    def begin_with(place):
        begin.wait()
        try:
            return resume(output, place)
        except TableError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(begin_with, range(8)))
    assert found.count({}) == 1
    assert output.read_manifest()["of"] == found.index({})


def test_parts_of_a_table_that_has_changed_are_those_of_another(
    model, folder, output, tmp_path
):
    table = tmp_path / "table"
    shutil.copytree(folder, table)
    transform = load_transform(model)
    write(open_table(table), transform, output)
    os.utime(table / "part-2.parquet", ns=(0, 0))
    with pytest.raises(TableError, match="parts of another model, table or command"):
        write(open_table(table), transform, output)


@pytest.mark.parametrize(
    ("is_ours", "message"),
    [
        (True, "parts of another model, table or command"),
        (False, r"holds 'letter\.txt'"),
    ],
)
def test_a_folder_of_something_else_is_left_alone(
    is_ours, message, model, folder, output, tmp_path
):
    source = open_table(folder)
    if is_ours:
        write(source, load_transform(model), output)
    else:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "letter.txt").write_text("dear")
    before = sorted((tmp_path / "out").iterdir())
    with pytest.raises(TableError, match=message):
        write(source, load_transform(model, "scores"), output)
    assert sorted((tmp_path / "out").iterdir()) == before


def write_parts(path, values, changes):
    """Two files of ones, with changed values in column b of the second."""
    path.mkdir()
    changed = [changes.get(place, value) for place, value in enumerate(values)]
    for part, b in enumerate((values, changed)):
        table = pa.table(
            dict.fromkeys(
                NAMES,
                np.ones(100),
            )
            | {"b": b}
        )
        parquet.write_table(table, path / f"{part}.parquet", row_group_size=30)
    return open_table(path)


def test_a_value_that_cannot_be_used_is_named_with_file_and_row(
    model, output, tmp_path
):
    source = write_parts(
        tmp_path / "rows", [1.0] * 100, dict.fromkeys(range(42, 60), np.inf)
    )
    message = r"1\.parquet'.*column 'b' has inf in row 43"
    with pytest.raises(TableError, match=message):
        write(source, load_transform(model), output)


@pytest.mark.parametrize("workers", [HERE, Reversed()])
def test_values_that_count_as_missing_are_told_with_their_rows(
    workers, model, output, tmp_path
):
    source = write_parts(tmp_path / "rows", ["1"] * 100, {42: "n/a?", 90: "x"})
    _, of_written = write(source, load_transform(model), output, workers)
    rows = Scan(source, Columns.of_numbers(["b"]))
    _, of_sampled = sample_table(workers, rows, 10, seed=0)
    lengths, of_pass = fold(rows, lambda batches: [len(x) for _, x in batches])
    again, _ = fold(rows, lambda batches: [len(x) for _, x in batches])
    assert sum(lengths) == sum(again) == 200
    for doubts, first in ((of_written, 0), (of_sampled, 0), (of_pass, 100)):
        said = f"'n/a?' in row {first + 43}, 'x' in row {first + 91}"
        assert doubts.misread.counts == {"b": 2}
        assert doubts.misread.describe("b") == said


def test_values_of_no_category_are_told_of_all_parts():
    later, doubts = Doubts(), Doubts()
    later.unseen.add(
        "kind",
        pa.array(["fig"]),
        np.array([0]),
        6,
    )
    doubts.update(later)
    assert doubts.unseen.describe("kind") == "'fig' in row 7"


def test_a_sample_comes_from_everywhere(folder):
    source = open_table(folder)
    rows = Scan(source, Columns.of_numbers(NAMES))
    chosen, _ = sample_table(HERE, rows, 500, seed=3)
    X = np.column_stack(next(source.batches(4000)).select(NAMES).columns)
    places = [np.flatnonzero((row == X).all(axis=1)).item() for row in chosen]
    assert len(set(places)) == 500
    assert_allclose(
        np.histogram(
            places,
            4,
            (0, 4000),
        )[0],
        125,
        atol=40,
    )
    assert places != sorted(places)
    again, _ = sample_table(Reversed(), rows, 500, seed=3)
    assert_array_equal(again, chosen)


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "rows.csv").write_text("who,x\nr,1\nr,2\nr,3\n")
    return Scan(open_table(tmp_path / "rows.csv"), Columns.of_numbers("x"), id="who")


def test_a_batch_has_the_rows_and_their_numbers_and_is_counted_when_used(counted):
    counts = []
    rows = replace(counted, advance=counts.append)
    for batch in rows.read(Doubts()):
        assert batch.rows.schema.names == ["x", "who"]
        assert batch.numbers.dtype == np.float32
        assert_array_equal(batch.numbers, [[1], [2], [3]])
        assert counts == []
    assert counts == [3]


@pytest.mark.parametrize("lines", ["r,1\n", "r,1\n" * 4])
def test_a_table_that_breaks_its_promise_is_an_error(counted, lines, tmp_path):
    (tmp_path / "rows.csv").write_text(f"who,x\n{lines}")
    with pytest.raises(TableError, match="was changed or replaced"):
        list(counted.read(Doubts()))


def test_parts_have_the_size_of_row_groups_and_know_their_first_row(folder):
    source = open_table(folder)
    parts = source.split(700)
    assert [part.n_rows for part in parts] == [600, 400] * 4
    assert [part.first_row for part in parts] == [0, 600] * 4
    assert [part.n_rows for part in source.split()] == [1000] * 4
