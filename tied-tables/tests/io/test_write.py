import csv
import errno
import gzip
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.random import default_rng
from numpy.testing import assert_array_equal
from tests.marks import needs_posix, slow
from tests.processes import run_python

from tied_tables import _files
from tied_tables.io import (
    OUTPUT_ENDINGS,
    TableError,
    WriteError,
    check_output,
    open_table,
    write_table,
)

from .conftest import read, refused

TABLES = [ending for ending in OUTPUT_ENDINGS if ending != "npy"]
ROWS = pa.record_batch(
    {
        "id": range(1000),
        "x": default_rng(0).normal(size=1000).astype(np.float32),
        "yes": [True, False] * 500,
        "word": ["red", "green, dark", 'the "blue"', "two\nlines"] * 250,
    }
)


def split(rows):
    return pa.Table.from_batches([rows]).to_batches(100)


@pytest.mark.parametrize("ending", TABLES)
def test_a_table_is_read_back_as_it_was_written(folder, ending):
    name = f"rows.{ending}"
    assert write_table(name, split(ROWS)) == 1000
    assert os.listdir() == [name]
    found = read(name)
    assert_array_equal(np.float32(found["x"]), ROWS["x"])
    others = ["id", "yes", "word"]
    assert found.select(others).to_pydict() == ROWS.select(others).to_pydict()
    write_table(f"again.{ending}/", split(ROWS))
    assert read(f"again.{ending}").equals(found)


def test_an_array_is_what_numpy_loads(folder):
    write_table("rows.npy", split(ROWS.select(["x", "yes"])))
    assert os.listdir() == ["rows.npy"]
    found = np.load("rows.npy")
    assert found.dtype == np.float32
    assert_array_equal(found, np.column_stack([ROWS["x"], ROWS["yes"]]))
    write_table("rows.npy", [pa.record_batch({"x": [2**40, None]})])
    assert_array_equal(read("rows.npy")["x0"], [2.0**40, np.nan])


@pytest.mark.parametrize(
    ("ending", "values", "said"),
    [
        ("npy", ["a"], "column 'x' is not numeric"),
        ("csv", [[1]], "column 'x' has values that CSV cannot hold"),
    ],
)
def test_values_that_a_format_cannot_hold_are_refused_by_name(
    folder, ending, values, said
):
    with refused(said):
        write_table(f"rows.{ending}", [pa.record_batch({"x": values})])
    assert os.listdir() == []


def test_parquet_has_row_groups_of_a_hundred_thousand_rows_however_small_the_batches(
    folder,
):
    batches = [pa.record_batch({"x": np.zeros(1000)})] * 300
    write_table("rows.parquet", batches)
    metadata = pq.read_metadata("rows.parquet")
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes == [131_072, 131_072, 37_856]


@pytest.mark.parametrize("ending", OUTPUT_ENDINGS)
def test_a_file_whose_name_is_no_text_is_written_and_refused_by_name(folder, ending):
    place = folder / os.fsdecode(b"\xff")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("names are text here")
    path = place / f"rows.{ending}"
    write_table(path, [ROWS.select(["x"])])
    if ending != "npy":  # which NumPy reads
        with refused(repr(str(path)), "its name is not in UTF-8; rename it"):
            open_table(path)
    os.rename(path, f"rows.{ending}")
    assert open_table(f"rows.{ending}").n_rows == 1000


@slow
def test_a_dash_writes_csv_to_the_standard_output(folder):
    program = (
        "import pyarrow as pa; from tied_tables.io import write_table\n"
        "print('first')\n"
        "write_table('-', [pa.record_batch({'x': [1.5, None], 'y': ['é', 'b']})])\n"
        "print('last')"
    )
    done = run_python("-c", program)
    assert done.stdout == "first\nx,y\n1.5,é\n,b\nlast\n"
    assert os.listdir() == []


letters = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0")
words = st.text(letters, max_size=6)
numbers = st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(words, numbers), min_size=1), st.sampled_from(",\t"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pythons_csv_reader_reads_what_is_written(folder, rows, delimiter):
    given_words, given_numbers = zip(*rows, strict=True)
    table = {"a": given_words, "b": pa.array(given_numbers, pa.float32())}
    name = "rows.csv" if delimiter == "," else "rows.tsv"
    write_table(name, [pa.record_batch(table)])
    with open(name, newline="", encoding="utf-8") as file:
        _, *lines = csv.reader(file, delimiter=delimiter)
    assert [word for word, _ in lines] == list(given_words)
    assert [np.float32(x) if x else None for _, x in lines] == list(given_numbers)


# Each text, and as it is where a spreadsheet may not run it.
FORMULAS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1,5": "-1,5",
    "-1+1": "'-1+1",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "\uff1d1": "'\uff1d1",
    "a;=1+1": "a;'=1+1",
    "\ufeff=1": "\ufeff'=1",
    "x\t=2": "x\t'=2",
    "a; +cmd|x": "a; '+cmd|x",
    "b,-2": "b,'-2",
    "\u200b@sum": "\u200b'@sum",
    "a-b=c": "a-b=c",
    "e;f": "e;f",
}


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz"])
def test_no_text_of_safe_csv_is_a_formula_and_numbers_stay_numbers(folder, ending):
    numbers = [-1.5] * len(FORMULAS)
    table = pa.record_batch({"=name": list(FORMULAS), "-x": numbers})
    write_table(f"rows.{ending}", [table], safe_csv=True)
    opening = gzip.open if ending == "csv.gz" else open
    delimiter = "\t" if ending == "tsv" else ","
    with opening(f"rows.{ending}", "rt", newline="", encoding="utf-8") as file:
        names, *lines = csv.reader(file, delimiter=delimiter)
    assert names == ["'=name", "'-x"]
    assert [text for text, _ in lines] == list(FORMULAS.values())
    assert {float(x) for _, x in lines} == {-1.5}
    write_table("rows.csv", [table])
    write_table("rows.parquet", [table], safe_csv=True)
    for name in ("rows.csv", "rows.parquet"):
        assert read(name)["=name"].to_pylist() == list(FORMULAS)


BAD_PATHS = {
    "rows.txt": "'rows.txt' has no supported extension; use .csv, .tsv, .parquet",
    "rows": "no supported extension",
    ".csv": "no supported extension",
    "folder.csv": "cannot write 'folder.csv': it is a folder; choose another file",
    "none/rows.csv": "/none'; choose another file",
    f"{'a' * 300}.csv": "File name too long",
    "locked/rows.csv": "may not write to",
}


def never():
    raise AssertionError("a row was asked for")
    yield


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_cannot_be_written_is_refused_before_any_row_is_asked_for(
    folder, path
):
    (folder / "folder.csv").mkdir()
    (folder / "locked").mkdir(0o500)
    if path.startswith("locked") and os.access("locked", os.W_OK):
        pytest.skip("this user may write anywhere")
    with refused(BAD_PATHS[path]):
        check_output(path)
    with refused(BAD_PATHS[path]):
        write_table(path, never())
    assert sorted(os.listdir()) == ["folder.csv", "locked"]


def test_a_path_that_can_be_written_is_accepted_and_no_rows_are_not(folder):
    for path in ("-", *(f"rows.{ending}" for ending in OUTPUT_ENDINGS)):
        check_output(path)
    with refused("no rows to write"):
        write_table("rows.csv", [])
    assert os.listdir() == []


@pytest.mark.parametrize("ending", OUTPUT_ENDINGS)
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, TableError, MemoryError, pa.ArrowMemoryError]
)
def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(folder, ending, error):
    def fail():
        yield pa.record_batch({"x": np.zeros(100_000)})
        raise error("half way")

    path = folder / f"rows.{ending}"
    path.write_text("the old file")
    with pytest.raises(error, match="half way"):
        write_table(path, fail())
    assert path.read_text() == "the old file"
    assert os.listdir() == [path.name]


@pytest.fixture
def small_disk(folder):
    """The folder, on a disk of its own of one megabyte."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    if (
        not sys.platform.startswith("linux")
        or subprocess.run(mount, capture_output=True).returncode
    ):
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("ending", OUTPUT_ENDINGS)
@pytest.mark.parametrize(("n_rows", "full"), [(1000, 2**20), (200_000, 2**19)])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    small_disk, rng, ending, n_rows, full
):
    (small_disk / "other").write_bytes(bytes(full))
    batches = [pa.record_batch({"x": rng.normal(size=n_rows)})] * 3
    message = r"cannot write '.*': No space left .*; free some space\.$"
    with pytest.raises(WriteError, match=message):
        write_table(small_disk / f"rows.{ending}", batches)
    assert os.listdir(small_disk) == ["other"]


@pytest.mark.parametrize(
    ("number", "todo"),
    [
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "choose another file"),
    ],
)
def test_what_the_disk_refuses_is_one_sentence_with_what_to_do(
    folder, refuse_flush, number, todo
):
    refuse_flush(number)
    with refused(f"cannot write 'rows.csv': {os.strerror(number)}; {todo}."):
        write_table("rows.csv", [ROWS])


def test_a_table_is_written_over_the_file_that_it_is_read_from_or_behind_a_link(folder):
    (folder / "link.csv").symlink_to("rows.csv")
    write_table(
        "link.csv", [pa.record_batch({"x": range(100_000), "a,b": ["é"] * 100_000})]
    )
    write_table("link.csv", open_table("rows.csv").batches(1000))
    assert (folder / "link.csv").is_symlink()
    assert read("rows.csv")["x"].to_pylist() == list(range(100_000))
    text = (folder / "rows.csv").read_text(encoding="utf-8")
    assert text.startswith('x,"a,b"\n0,é\n1,é\n')


COPY = (
    "import os; from tied_tables.io import open_table; "
    "source = open_table('-'); os.kill(0, 9)"
)


@needs_posix
def test_the_copy_of_a_killed_process_is_deleted_by_a_later_one(folder, monkeypatch):
    monkeypatch.setattr(_files, "gettempdir", lambda: str(folder))
    run_python(
        *("-c", COPY),
        code=-9,
        environment={"TMPDIR": str(folder)},
        input="a,b\n1,2\n",
        start_new_session=True,
    )
    [left] = folder.iterdir()
    with _files.temporary_folder():
        assert left.exists()  # it is new: its process may be about to lock it
    long_ago = (time.time() - 3600,) * 2
    os.utime(left / _files.LOCK, long_ago)
    with _files.temporary_folder() as own:
        os.utime(f"{own}/{_files.LOCK}", long_ago)
        with _files.temporary_folder():
            assert not left.exists()
            assert os.path.exists(own)


def test_a_name_that_no_folder_can_have_is_tidy(folder):
    with _files.keep_tidy(folder / ("a" * 300)):
        pass
