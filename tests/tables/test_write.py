import csv
import errno
import gzip
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_tied.columns import MISSING
from keras_tied.tables import (
    OUTPUT_ENDINGS,
    TableError,
    WriteError,
    check_output,
    open_table,
    write_table,
)

N = 1000
ARRAYS = ("npy", "npz")


@pytest.fixture
def batches(rng):
    return [
        pa.record_batch(
            {
                "id": pa.array(range(begin, begin + 100)),
                "x": rng.normal(size=100).astype(np.float32),
                "yes": rng.random(100) < 0.5,
                "word": rng.choice(
                    ["red", "green, dark", 'the "blue"', "two\nlines"], 100
                ),
            }
        )
        for begin in range(0, N, 100)
    ]


def read(path):
    return pa.Table.from_batches(open_table(path).batches())


@pytest.mark.parametrize(
    "ending", [ending for ending in OUTPUT_ENDINGS if ending not in ARRAYS]
)
def test_a_table_is_read_back_as_it_was_written(folder, batches, ending):
    n_rows = write_table(f"rows.{ending}", batches)
    assert n_rows == N
    assert os.listdir() == [f"rows.{ending}"]
    found, expected = read(f"rows.{ending}"), pa.Table.from_batches(batches)
    assert found.column_names == expected.column_names
    for name in ("id", "yes", "word"):
        assert found[name].to_pylist() == expected[name].to_pylist()
    np.testing.assert_array_equal(np.float32(found["x"]), expected["x"])


@pytest.mark.parametrize("ending", ARRAYS)
def test_an_array_is_what_numpy_loads(folder, batches, ending):
    batches = [batch.select(["x", "yes"]) for batch in batches]
    write_table(f"rows.{ending}", batches)
    assert os.listdir() == [f"rows.{ending}"]
    found = np.load(f"rows.{ending}")
    found = found if ending == "npy" else found["rows"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(
        found, np.column_stack(pa.Table.from_batches(batches).columns)
    )


def test_an_array_of_whole_numbers_is_double_with_nan_for_a_missing_one(folder):
    write_table("rows.npy", [pa.record_batch({"x": [2**40, None]})])
    np.testing.assert_array_equal(np.load("rows.npy"), [[2.0**40], [np.nan]])


@pytest.mark.parametrize("ending", ARRAYS)
def test_an_array_of_text_is_refused_by_name(folder, batches, ending):
    with pytest.raises(
        TableError, match=r"column 'word' does not hold numbers.*use .csv"
    ):
        write_table(f"rows.{ending}", batches)
    assert os.listdir() == []


def test_values_that_csv_cannot_hold_are_refused_by_name(folder):
    with pytest.raises(TableError, match=r"column 'list' holds values that CSV cannot"):
        write_table("rows.csv", [pa.record_batch({"list": [[1]]})])
    assert os.listdir() == []


def test_parquet_has_row_groups_of_a_hundred_thousand_rows_however_small_the_batches(
    folder,
):
    batches = (pa.record_batch({"x": np.zeros(1000)}) for _ in range(300))
    write_table("rows.parquet", batches)
    metadata = pq.ParquetFile("rows.parquet").metadata
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [132_000, 132_000, 36_000]


def test_text_is_in_quotes_only_where_it_has_to_be(folder):
    write_table("rows.csv", [pa.record_batch({"a": ["x"], "b,c": [0.1]})])
    assert (folder / "rows.csv").read_text() == 'a,"b,c"\nx,0.1\n'


def test_a_dash_writes_csv_to_the_standard_output(folder):
    program = (
        "import pyarrow as pa; from keras_tied.tables import write_table\n"
        "print('first')\n"
        "write_table('-', [pa.record_batch({'x': [1.5, None], 'y': ['é', 'b']})])\n"
        "print('last')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60
    )
    assert done.stdout.decode() == "first\nx,y\n1.5,é\n,b\nlast\n"
    assert os.listdir() == []


words = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=6
)
numbers = st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(words, numbers), min_size=1), st.sampled_from(["csv", "tsv"]))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pythons_csv_reader_reads_what_is_written(folder, rows, ending):
    table = {
        "a": [word for word, _ in rows],
        "b": pa.array([x for _, x in rows], pa.float32()),
    }
    write_table(f"rows.{ending}", [pa.record_batch(table)])
    with open(f"rows.{ending}", newline="", encoding="utf-8") as file:
        _, *found = csv.reader(file, delimiter={"csv": ",", "tsv": "\t"}[ending])
    assert [word for word, _ in found] == [word for word, _ in rows]
    assert [np.float32(x) if x else None for _, x in found] == [x for _, x in rows]


@given(
    st.lists(
        st.tuples(words.filter(lambda word: word not in MISSING), numbers), min_size=1
    )
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_csv_is_read_back_as_it_was_written(folder, rows):
    table = {
        "a": [word for word, _ in rows],
        "b": pa.array([x for _, x in rows], pa.float32()),
    }
    write_table("rows.csv", [pa.record_batch(table)])
    (found,) = open_table("rows.csv", text=["a"]).batches(len(rows))
    assert found["a"].to_pylist() == table["a"]
    assert (
        found["b"].cast(pa.float32(), safe=False).to_pylist() == table["b"].to_pylist()
    )


DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_no_cell_or_name_of_safe_csv_begins_a_formula_and_numbers_stay_numbers(
    folder, ending
):
    table = {"=name": [*DANGEROUS, "safe", "a=b", None], "-x": [-1.5] * 12}
    write_table(f"rows.{ending}", [pa.record_batch(table)], safe_csv=True)
    opening = gzip.open if ending.endswith("gz") else open
    delimiter = "\t" if ending == "tsv" else ","
    with opening(f"rows.{ending}", "rt", newline="", encoding="utf-8") as file:
        names, *rows = csv.reader(file, delimiter=delimiter)
    assert names == ["'=name", "'-x"]
    texts = [text for text, _ in rows]
    assert all(text.startswith("'") for text in texts[: len(DANGEROUS)])
    given = [*DANGEROUS, "safe", "a=b", ""]
    assert [text.replace("'", "") for text in texts] == [
        text.replace("'", "") for text in given
    ]
    assert {float(x) for _, x in rows} == {-1.5}


def test_csv_is_left_as_it_is_without_safe_csv_and_so_is_parquet(folder):
    batch = pa.record_batch({"=name": DANGEROUS})
    write_table("rows.csv", [batch])
    write_table("rows.parquet", [batch], safe_csv=True)
    assert (
        read("rows.csv").to_pydict()
        == read("rows.parquet").to_pydict()
        == batch.to_pydict()
    )


BAD_PATHS = {
    "rows.txt": "'rows.txt' has not one of the endings .csv, .tsv, .parquet",
    "rows": "endings",
    ".csv": "endings",
    "folder.csv": "'folder.csv' is a folder; name a file in it",
    "none/rows.csv": "folder that does not exist; create 'none'",
    f"{'a' * 300}.csv": "File name too long",
}


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_cannot_be_written_is_refused_before_any_row_is_asked_for(
    folder, path
):
    def never():
        raise AssertionError("a row was asked for")
        yield

    (folder / "folder.csv").mkdir()
    for refuse in (check_output, lambda path: write_table(path, never())):
        with pytest.raises(TableError, match=BAD_PATHS[path]):
            refuse(path)
    assert os.listdir() == ["folder.csv"]


def test_a_folder_that_may_not_be_written_to_is_refused(folder):
    (folder / "locked").mkdir(0o500)
    if os.access("locked", os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(TableError, match="may not write to"):
        check_output("locked/rows.csv")


def test_a_path_that_can_be_written_is_accepted(folder):
    for ending in OUTPUT_ENDINGS:
        check_output(f"rows.{ending}")
    check_output("-")
    assert os.listdir() == []


def test_no_batches_are_refused(folder):
    with pytest.raises(TableError, match="no rows to write"):
        write_table("rows.csv", [])


@pytest.mark.parametrize("ending", OUTPUT_ENDINGS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, TableError, MemoryError, pa.ArrowMemoryError]
)
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(folder, ending, error):
    def batches():
        yield pa.record_batch({"x": np.zeros(100_000)})
        raise error("half way")

    path = folder / f"rows.{ending}"
    path.write_text("the old file")
    with pytest.raises(error, match="half way"):
        write_table(path, batches())
    assert path.read_text() == "the old file"
    assert os.listdir() == [path.name]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("this user may not mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("ending", OUTPUT_ENDINGS)
@pytest.mark.parametrize("n_rows", [1_000, 200_000])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    small_disk, rng, ending, n_rows
):
    (small_disk / "other").write_bytes(bytes(2**20 if n_rows < 10_000 else 2**19))
    batches = (pa.record_batch({"x": rng.normal(size=n_rows)}) for _ in range(3))
    with pytest.raises(
        WriteError, match=r"cannot write '.*': No space left .*; free some space\.$"
    ):
        write_table(small_disk / f"rows.{ending}", batches)
    assert [path.name for path in small_disk.iterdir()] == ["other"]


@pytest.mark.parametrize(
    ("number", "todo"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "name another file"),
    ],
)
def test_what_the_disk_refuses_is_one_sentence_with_what_to_do(
    folder, monkeypatch, number, todo
):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(
        WriteError, match=rf"cannot write 'rows.csv': [\w -]+; {todo}\.$"
    ):
        write_table("rows.csv", [pa.record_batch({"x": [1]})])


def test_a_table_may_be_written_over_the_file_that_it_is_read_from(folder):
    write_table("rows.csv", [pa.record_batch({"x": np.arange(100_000)})])
    write_table("rows.csv", open_table("rows.csv").batches(1000))
    assert read("rows.csv")["x"].to_pylist() == list(range(100_000))


def test_a_link_stays_a_link(folder):
    (folder / "link.csv").symlink_to("rows.csv")
    write_table("link.csv", [pa.record_batch({"x": [1]})])
    assert (folder / "link.csv").is_symlink()
    assert (folder / "rows.csv").read_text() == "x\n1\n"
