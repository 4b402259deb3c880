"""Rows are those of one moment, or an error, whoever writes to their file meanwhile."""

import os
import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pyarrow as pa
import pytest

from tied_tables.io import _databases, open_table, write_patch

from .conftest import read, refused, save

N = 3000
FORMATS = [
    "csv",
    "csv.gz",
    "parquet",
    "feather",
    "arrow",
    "orc",
    "jsonl",
    "npy",
    "xlsx",
]
OLD = pa.table({"a": np.arange(N) + 0.5, "b": np.arange(N) - 0.5})
NEW = pa.table({"a": np.arange(N) * 2.0, "b": np.arange(N) * 3.0})
CHANGED = "was changed or replaced while it was read"
SQL = "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)"


def replace(name):
    new = name.replace("rows", "new")
    save(NEW, new)
    os.replace(new, name)


def append(name):
    with open(name, "ab") as file:
        file.write(b"1,2\n")


def cut(name):
    os.truncate(name, os.path.getsize(name) // 2)


def overwrite(name):
    """Change some bytes, and hide it from who looks at size and time alone."""
    before = os.stat(name)
    with open(name, "r+b") as file:
        file.seek(before.st_size // 2)
        file.write(b"7777")
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("change", [replace, append, cut, overwrite])
def test_a_file_that_changes_after_it_was_opened_is_an_error(folder, ending, change):
    name = f"rows.{ending}"
    save(OLD, name)
    source = open_table(name)
    assert read(source).num_rows == N
    batches = source.batches(100)
    next(batches)
    change(name)
    with refused(repr(name), CHANGED):
        list(batches)
    with refused(repr(name), CHANGED):
        read(source)
    with refused(repr(name), CHANGED):
        source.sample(10, seed=0)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "xlsx"])
def test_no_copy_with_new_cells_is_made_of_a_file_that_changes(folder, ending):
    name, copy = f"rows.{ending}", f"copy.{ending}"
    save(OLD, name)
    patch = open_table(name).find_patch(copy)

    def read_and_change():
        yield from [{}] * (N - 1)
        append(name)
        yield {"a": "0"}

    with refused(repr(name), CHANGED):
        write_patch(copy, patch, read_and_change())
    assert not os.path.exists(copy)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_is_read_as_it_was_when_it_was_opened(folder, mode):
    with closing(sqlite3.connect("rows.db")) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.executescript(SQL)
        source = open_table("rows.db")
        database.execute("UPDATE t SET a = a + 1000")
        database.execute("INSERT INTO t VALUES (3)")
        database.commit()
        assert read(source).to_pydict() == {"a": [1, 2]}
        assert read("rows.db").to_pydict() == {"a": [1001, 1002, 3]}
    os.remove("rows.db")
    assert read(source).to_pydict() == {"a": [1, 2]}


def test_a_database_is_read_as_it_was_also_if_a_writer_comes_and_goes(
    folder, monkeypatch
):
    run = _databases._run

    def write_and_run(*args):
        with closing(sqlite3.connect("rows.db")) as writer:
            writer.executescript("UPDATE t SET a = a + 1000")
        return run(*args)

    with closing(sqlite3.connect("rows.db")) as database:
        database.executescript(f"PRAGMA journal_mode = WAL; {SQL}")
    monkeypatch.setattr(_databases, "_run", write_and_run)
    assert read("rows.db").to_pydict() == {"a": [1, 2]}


@pytest.mark.parametrize("mode", [0o755, 0o555])
@pytest.mark.parametrize("has_log", [True, False])
def test_a_database_is_read_and_left_as_it_is_also_where_nobody_may_write(
    folder, has_log, mode
):
    place = folder / "place"
    place.mkdir()
    database = sqlite3.connect(place / "rows.db")
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(SQL)
    if not has_log:
        database.close()
    before = sorted(place.iterdir())
    place.chmod(mode)
    try:
        assert read(str(place / "rows.db")).to_pydict() == {"a": [1, 2]}
        assert sorted(place.iterdir()) == before
    finally:
        place.chmod(0o755)
        database.close()


QUERIES = {
    "db": [
        "VACUUM INTO 'new.db'",
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE new (a)",
    ],
    "duckdb": [
        "SELECT 1; ATTACH 'new.duckdb' AS new",
        "COPY t TO 'new.csv'",
        "EXPORT DATABASE 'new'",
        "SET memory_limit = '1TB'",
    ],
}
for ending, queries in QUERIES.items():
    queries += [f"ATTACH 'new.{ending}' AS new", "DELETE FROM t", ""]


@pytest.mark.parametrize(
    ("ending", "query"),
    [(ending, query) for ending in QUERIES for query in QUERIES[ending]],
)
def test_a_query_reads_and_does_no_more(folder, ending, query):
    name = f"rows.{ending}"
    save(OLD, name)
    content = (folder / name).read_bytes()
    said = "from within a transaction" if "VACUUM" in query else "give one SELECT"
    with refused(repr(name), said):
        open_table(name, query=query)
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == content


def test_a_member_of_an_npz_file_that_is_no_array_is_passed_over(folder):
    with zipfile.ZipFile("rows.npz", "w") as archive:
        archive.writestr("notes.txt", "by hand")
    with refused("holds 0 arrays"):
        open_table("rows.npz")
    with zipfile.ZipFile("rows.npz", "a") as archive:
        archive.writestr("rows.npy", "no array")
    with refused("'rows.npz'", "not a complete NumPy file"):
        open_table("rows.npz")


@pytest.mark.parametrize("ending", ["sqlite", "duckdb", "npz"])
def test_folders_of_files_that_are_copied_name_columns_too(folder, ending):
    for year in (1, 2):
        (folder / f"year={year}").mkdir()
        rows = pa.table({"x0": [year * 10] * 2})
        save(rows, f"year={year}/rows.{ending}")
    found = read(str(folder)).to_pydict()
    assert found == {"x0": [10, 10, 20, 20], "year": [1, 1, 2, 2]}


def test_a_copy_takes_no_more_bytes_than_it_may(folder):
    save(OLD, "rows.sqlite")
    np.savez("rows.npz", np.zeros((N, 2)))
    for name in ("rows.sqlite", "rows.npz"):
        with refused(repr(name), "more than 4,000 bytes", "`max_copy=...`"):
            open_table(name, max_copy=4000)
