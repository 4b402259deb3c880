"""Each thing that can be wrong with a file is one sentence that says what it is."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_tied.tables import TableError, open_table

LONG = "1,red\n" * 300_000  # more than a block


def says(error, *parts):
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "Error" not in message
    for part in parts:
        assert part in message


BAD_CSV = {
    "empty": (b"", ["'rows.csv' is empty"]),
    "only line ends": (b"\n\r\n\n", ["is empty"]),
    "header only": (b"a,b\n", ["a line of names and no rows"]),
    "header only, no line end": (b"a,b", ["a line of names and no rows"]),
    "a cell missing": (b"a,b\n1,2\n3\n", ["1 cells in line 3", "first line has 2"]),
    "a cell too many": (
        b"a,b\n1,2\n\n\n3,4,5\n",
        ["3 cells in line 5", "first line has 2"],
    ),
    "ragged after a line break in quotes": (
        b'a,b\n"1\n1",2\n3\n',
        ["1 cells in line 4"],
    ),
    "ragged late": (b"a,b\n" + LONG.encode() + b"3\n", ["1 cells in line 300002"]),
    "ragged behind semicolons": (
        b"a;b\n" + b"1;2\n" * 20 + b"3\n",
        ["1 cells in line 22"],
    ),
    "a title": (b"Report\na,b\n1,2\n", ["2 cells in line 2", "--skip (skip=...)"]),
    "a comment": (b"# by hand\na,b\n1,2\n", ["--comment '#' (comment='#')"]),
    "Japanese cells": ("a,b\n1,田中\n".encode("shift-jis"), ["not utf-8"]),
    "Greek names": (
        "γράμμα,b\n1,2\n".encode("iso-8859-7"),
        ["not utf-8", "line 1 (byte 0)"],
    ),
    "Greek cells": (
        "a,b\n1,2\n1,Γαλανό\n".encode("iso-8859-7"),
        ["not utf-8", "line 3 (byte 10)"],
    ),
    "no text late": (
        f"a,b\n{LONG}1,Gr".encode() + b"\x81\n",
        ["line 300002", f"byte {4 + len(LONG) + 4}"],
    ),
    "half a character at the end": (b"a,b\n1,Gr\xc3", ["not utf-8", "line 2"]),
    "numbers instead of names": (b"0.5,2\n1,3\n", ["begins with a line of numbers"]),
    "an open quote late": (
        b"a,b\n" + LONG.encode() + b'1,"x\n' + LONG.encode(),
        ["quotation"],
    ),
    "an open quote in the names": (b'"a,b\n' + b"1,2\n" * 50_000, ["quotation mark"]),
    "an open quote": (b'a,b\n1,"x\n' + LONG.encode(), ["quotation mark"]),
}


@pytest.mark.parametrize("what", BAD_CSV)
def test_bad_csv_is_one_sentence_that_says_where(folder, what):
    content, parts = BAD_CSV[what]
    (folder / "rows.csv").write_bytes(content)
    with pytest.raises(TableError) as error:
        open_table("rows.csv")
    says(error, *parts)


@pytest.mark.parametrize(
    ("n", "before", "limit"),
    [
        (5_000_000, LONG.encode(), 2**21),
        pytest.param(2**26 + 1, b"", 2**26, marks=pytest.mark.slow),
    ],
)
def test_a_cell_above_the_limit_is_no_open_quote(folder, monkeypatch, n, before, limit):
    monkeypatch.setattr("keras_tied.tables._csv.LARGEST_BLOCK", limit)
    (folder / "rows.csv").write_bytes(b"a,b\n" + before + b'1,"' + b"x" * n + b'"\n')
    with pytest.raises(TableError) as error:
        open_table("rows.csv")
    says(error, f"more than {limit:,} bytes", "shorten it")
    assert "quotation" not in str(error.value)


def test_an_encoding_or_delimiter_that_does_not_exist_is_one_sentence(folder):
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError) as error:
        open_table("rows.csv", encoding="utf-9")
    says(error, "utf-9")
    with pytest.raises(TableError) as error:
        open_table("rows.csv", delimiter="::")
    says(error, "::", "one character")


def test_a_wrong_encoding_is_one_sentence(folder):
    (folder / "rows.csv").write_text("a,b\n1,é\n", encoding="utf-8")
    with pytest.raises(TableError) as error:
        open_table("rows.csv", encoding="ascii")
    says(error, "not ascii", "line 2")


def test_csv_that_changes_while_it_is_read_is_one_sentence(folder):
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    source = open_table("rows.csv")
    (folder / "rows.csv").write_text("a,b\n1,2\n1,x\n")
    with pytest.raises(TableError) as error:
        list(source.batches())
    says(error, "column 'b' and row 2", "'x'")


def test_a_names_with_commas_of_a_single_column_are_no_wrong_delimiter(folder):
    (folder / "rows.tsv").write_text("length, in metres\n1\n2\n")
    assert open_table("rows.tsv").schema.names == ["length, in metres"]


def test_names_that_are_whole_numbers_are_names(folder):
    (folder / "rows.csv").write_text("0,1\n0.5,1.5\n")
    assert open_table("rows.csv").schema.names == ["0", "1"]


@pytest.mark.parametrize(
    "ending", ["csv", "csv.gz", "parquet", "feather", "arrow", "npy", "npz"]
)
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x93NUMPY\x01\x00"]
)
def test_a_file_that_is_not_what_its_ending_says_is_one_sentence(
    folder, ending, content
):
    name = f"rows.{ending}"
    (folder / name).write_bytes(content)
    with pytest.raises(TableError) as error:
        open_table(name)
    says(error, repr(name))


@pytest.mark.parametrize("ending", ["parquet", "arrow", "npy", "npz", "csv.gz"])
def test_a_file_that_was_cut_off_is_one_sentence(folder, rng, ending):
    array = rng.normal(size=(1000, 3))
    table = pa.table({"x": array[:, 0], "y": array[:, 1]})
    name = f"rows.{ending}"
    match ending:
        case "parquet":
            pq.write_table(table, name)
        case "arrow":
            with pa.ipc.new_file(name, table.schema) as writer:
                writer.write_table(table)
        case "npy":
            np.save(name, array)
        case "npz":
            np.savez(name, array)
        case "csv.gz":
            with pa.output_stream(name, compression="gzip") as file:
                pa.csv.write_csv(table, file)
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError) as error:
        list(open_table(name).batches())
    says(error, repr(name))


BAD_ARRAYS = {
    "pickled objects": (
        np.array([[1, None]], object),
        ["pickled objects", "never read"],
    ),
    "one axis": (np.zeros(3), ["shape (3,)", "rows and columns"]),
    "three axes": (np.zeros((2, 2, 2)), ["shape (2, 2, 2)"]),
    "text": (np.array([["a"]]), ["<U1"]),
    "complex numbers": (np.zeros((2, 2), complex), ["complex128"]),
    "fields": (np.zeros((2, 2), [("a", "f4")]), ["type [('a', '<f4')]"]),
    "no rows": (np.zeros((0, 3)), ["no rows"]),
}


@pytest.mark.parametrize("what", BAD_ARRAYS)
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_an_array_that_is_no_table_of_numbers_is_one_sentence(folder, what, ending):
    array, parts = BAD_ARRAYS[what]
    name = f"rows.{ending}"
    (np.save if ending == "npy" else np.savez)(name, array, allow_pickle=True)
    with pytest.raises(TableError) as error:
        open_table(name)
    says(error, repr(name), *parts)


def test_a_pickle_called_npy_is_not_run(folder):
    class Trap:
        def __reduce__(self):
            return os.mkdir, ("sprung",)

    np.save("rows.npy", np.array([[Trap()]], object), allow_pickle=True)
    with pytest.raises(TableError):
        open_table("rows.npy")
    assert not (folder / "sprung").exists()


def test_several_arrays_and_none_of_a_name_are_one_sentence(folder):
    np.savez("rows.npz", first=np.zeros((2, 2)), second=np.zeros((2, 2)))
    with pytest.raises(TableError) as error:
        open_table("rows.npz")
    says(error, "2 arrays", "'first', 'second'")
    with pytest.raises(TableError) as error:
        open_table("rows.npz", array="third")
    says(error, "'third'", "'first', 'second'")


def test_paths_without_a_table_are_one_sentence(folder):
    (folder / "empty").mkdir()
    (folder / "rows.txt").touch()
    for path, *parts in (
        ("none.csv", "none.csv", "No such file"),
        ("none/rows.csv", "No such file"),
        ("rows.txt", "endings", ".csv"),
        ("empty", "holds no file", ".parquet"),
        ("*.csv", "holds no file"),
        ("rows.txt/rows.csv", "Not a directory"),
        (f"{'a' * 300}.csv", "File name too long"),
    ):
        with pytest.raises(TableError) as error:
            open_table(path)
        says(error, *parts)


def test_a_file_that_may_not_be_read_is_one_sentence(folder):
    for name in ("rows.csv", "rows.parquet", "rows.arrow", "rows.npy", "rows.npz"):
        (folder / name).write_text("a\n1\n")
        (folder / name).chmod(0)
        if os.access(name, os.R_OK):
            pytest.skip("this user may read anything")
        with pytest.raises(TableError) as error:
            open_table(name)
        says(error, "Permission denied")


def test_a_folder_of_several_formats_is_one_sentence(folder):
    (folder / "a.csv").write_text("x\n1\n")
    pq.write_table(pa.table({"x": [1]}), "b.parquet")
    with pytest.raises(TableError) as error:
        open_table(folder)
    says(error, "a.csv", "b.parquet", "several formats")


DIFFERENT = {
    "a column missing": ("x,z\n1,1\n", "'b.csv' has no column 'y', which 'a.csv' has"),
    "a column more": (
        "x,y,z\n1,1,1\n",
        "'b.csv' has the column 'z', which 'a.csv' has not",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_files_that_differ_are_named_with_the_column(folder, what):
    content, part = DIFFERENT[what]
    (folder / "a.csv").write_text("x,y\n1,1\n")
    (folder / "b.csv").write_text(content)
    with pytest.raises(TableError) as error:
        open_table("*.csv")
    says(error, part)


def test_files_with_another_kind_in_a_column_are_named(folder):
    pq.write_table(pa.table({"y": [1]}), "a.parquet")
    pq.write_table(pa.table({"y": ["red"]}), "b.parquet")
    with pytest.raises(TableError) as error:
        open_table("*.parquet")
    says(error, "'b.parquet' has text in column 'y', where 'a.parquet' has integer")


def test_parquet_without_rows_or_with_a_name_twice_is_one_sentence(folder):
    pq.write_table(pa.table({"x": pa.array([], pa.int64())}), "none.parquet")
    with pytest.raises(TableError) as error:
        open_table("none.parquet")
    says(error, "columns and no rows")
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), "twice.parquet")
    with pytest.raises(TableError) as error:
        open_table("twice.parquet")
    says(error, "several columns of the name 'x'")


def test_a_column_that_is_not_there_is_named(folder):
    (folder / "rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TableError) as error:
        list(open_table("rows.csv").batches(names=["a", "c", "d"]))
    says(error, "no column 'c', 'd'")
