import bz2
import csv
import gzip
import os
import pickle
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import feather, ipc

from keras_tied.columns import MISSING, Kind
from keras_tied.tables import ReadOptions, Source, TableError, open_table

N = 1000


@pytest.fixture
def rows(rng):
    return pa.table(
        {
            "number": rng.normal(size=N).astype(np.float32),
            "whole": rng.integers(-9, 9, N),
            "yes": rng.random(N) < 0.5,
            "word": rng.choice(["red", "green, dark", 'the "blue"', "Grün"], N),
        }
    )


def save_csv(table, path, delimiter=",", opening=open):
    """By Python's own writer, as an oracle for what is read."""
    with opening(path, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(table.column_names)
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        writer.writerows(
            [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]
            for row in rows
        )


def save_stream(table, path):
    with ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, 64)


SAVERS = {
    "rows.csv": save_csv,
    "rows.tsv": lambda table, path: save_csv(table, path, "\t"),
    "rows.CSV": save_csv,
    "rows.csv.gz": lambda table, path: save_csv(table, path, opening=gzip.open),
    "rows.csv.bz2": lambda table, path: save_csv(table, path, opening=bz2.open),
    "rows.parquet": lambda table, path: pq.write_table(table, path, row_group_size=128),
    "rows.feather": lambda table, path: feather.write_feather(
        table, str(path), chunksize=128
    ),
    "stream.arrow": save_stream,
}


def read(source, **how):
    return pa.Table.from_batches(source.batches(**how))


@pytest.mark.parametrize("name", SAVERS)
def test_a_file_is_read_as_it_was_saved(rows, folder, name):
    SAVERS[name](rows, folder / name)
    source = open_table(folder / name)
    found = read(source)
    assert source.n_rows == N
    assert list(source.kinds.items()) == [
        ("number", Kind.number),
        ("whole", Kind.integer),
        ("yes", Kind.boolean),
        ("word", Kind.text),
    ]
    np.testing.assert_array_equal(
        np.asarray(found["number"], np.float32), rows["number"].to_numpy()
    )
    for column in ("whole", "yes", "word"):
        assert found[column].to_pylist() == rows[column].to_pylist()


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("n_rows", [37, 128, N, 5 * N])
def test_batches_have_the_size_asked_for_and_are_the_whole_together(
    rows, folder, name, n_rows
):
    SAVERS[name](rows, folder / name)
    source = open_table(name)
    batches = list(source.batches(n_rows))
    sizes = [batch.num_rows for batch in batches]
    assert set(sizes[:-1]) <= {n_rows}
    assert 0 < sizes[-1] <= n_rows
    assert pa.Table.from_batches(batches).equals(read(source))


@pytest.mark.parametrize("name", SAVERS)
def test_columns_come_in_the_order_asked_for(rows, folder, name):
    SAVERS[name](rows, folder / name)
    source = open_table(name)
    found = read(source, names=["word", "number"])
    assert found.column_names == ["word", "number"]
    assert found.equals(read(source).select(["word", "number"]))


@pytest.mark.parametrize("name", SAVERS)
def test_a_sample_is_of_distinct_rows_from_all_over_the_file(folder, name):
    SAVERS[name](pa.table({"x": np.arange(N), "y": np.arange(N)}), folder / name)
    sample = open_table(name).sample(100, seed=0)
    found = sample["x"].to_numpy()
    assert sample.num_rows == len(set(found)) == 100
    # Of ten equal parts of the file each has its ten rows, give or take what rounding
    # does.
    shares = np.bincount(found // 100, minlength=10)
    assert shares.min() > 0
    assert not np.array_equal(found, np.sort(found))


def test_a_sample_of_as_many_rows_as_there_are_is_the_whole(folder):
    pq.write_table(pa.table({"x": np.arange(N)}), "rows.parquet", row_group_size=7)
    source = open_table("rows.parquet")
    for n in (N, 2 * N):
        np.testing.assert_array_equal(
            np.sort(source.sample(n, seed=0)["x"]), np.arange(N)
        )


def test_a_sample_of_a_large_parquet_file_reads_some_row_groups_only(folder):
    pq.write_table(
        pa.table({"x": np.arange(10_000)}), "rows.parquet", row_group_size=10
    )
    sample = open_table("rows.parquet").sample(200, seed=0)
    assert sample.num_rows == 200
    assert len(set(sample["x"].to_numpy() // 10)) <= 64


def test_a_folder_and_a_pattern_are_read_in_the_order_of_names(folder):
    for part in (2, 0, 1):
        pq.write_table(pa.table({"x": [part, part]}), f"part-{part}.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.parquet.crc").touch()
    (folder / "notes.txt").write_text("not a table")
    for path in (folder, "part-*.parquet", "part-?.parquet", f"{folder}/*"):
        assert read(open_table(path))["x"].to_pylist() == [0, 0, 1, 1, 2, 2]


def test_files_of_a_folder_may_have_columns_in_another_order_and_numbers_of_another_type(
    folder,
):
    (folder / "a.csv").write_text("x,y\n1,\n")
    (folder / "b.csv").write_text("y,x\nred,2.5\n")
    assert read(open_table(folder)).to_pylist() == [
        {"x": 1.0, "y": None},
        {"x": 2.5, "y": "red"},
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder):
    (folder / "a[1].csv").write_text("x\n1\n")
    (folder / "a1.csv").write_text("x\n2\n")
    assert read(open_table("a[1].csv"))["x"].to_pylist() == [1]


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", ">f8", "i1", "u2", ">i4", "i8", "u8", "?"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_with_columns_x0_x1(folder, rng, dtype, order):
    array = np.asarray(rng.integers(0, 2, (50, 3)), dtype, order=order)
    np.save("rows.npy", array)
    np.savez("rows.npz", array)
    np.savez_compressed("several.npz", other=array[:, :1], wanted=array)
    for source in (
        open_table("rows.npy"),
        open_table("rows.npz"),
        open_table("several.npz", array="wanted"),
    ):
        found = read(source)
        assert found.column_names == ["x0", "x1", "x2"]
        np.testing.assert_array_equal(np.column_stack(found.columns), array)


def test_missing_values_of_csv_are_null_in_every_kind_of_column(folder):
    lines = [f'{missing},{missing},"{missing}",{missing}' for missing in MISSING]
    (folder / "rows.csv").write_text(
        "\n".join(["number,whole,word,yes", "0.5,1,red,true", *lines])
    )
    source = open_table("rows.csv")
    assert list(source.kinds.values()) == [
        Kind.number,
        Kind.integer,
        Kind.text,
        Kind.boolean,
    ]
    assert [column.null_count for column in read(source).columns] == [len(MISSING)] * 4


def test_an_empty_line_is_a_missing_value_where_there_is_one_column(folder):
    (folder / "one.csv").write_text("x\n1\n\n3\n")
    (folder / "two.csv").write_text("x,y\n1,1\n\n3,3\n")
    assert read(open_table("one.csv"))["x"].to_pylist() == [1, None, 3]
    assert read(open_table("two.csv"))["x"].to_pylist() == [1, 3]


LATE = {
    "a word among whole numbers": ("1", "x", Kind.text, "1"),
    "a fraction among whole numbers": ("1", "2.5", Kind.number, 1.0),
    "a word among fractions": ("0.5", "x", Kind.text, "0.5"),
    "a word among booleans": ("true", "maybe", Kind.text, "true"),
    "a number among booleans": ("true", "7", Kind.text, "true"),
    "a word among dates": ("2020-01-02", "x", Kind.text, "2020-01-02"),
    "a whole number among missing ones": ("", "7", Kind.integer, None),
    "a fraction among missing ones": ("NA", "7.5", Kind.number, None),
    "a word among missing ones": ("?", "x", Kind.text, None),
    "a number after spaces among missing ones": ("", " 7", Kind.integer, None),
}


@pytest.mark.parametrize("what", LATE)
def test_a_column_is_of_the_kind_that_holds_what_comes_late(folder, what):
    early, late, expected, first = LATE[what]
    n = 200_000
    (folder / "rows.csv").write_text(
        "x,y\n" + f"{early},abcdefgh\n" * n + f"{late},z\n"
    )
    source = open_table("rows.csv")
    assert source.kinds == {"x": expected, "y": Kind.text}
    assert source.n_rows == n + 1
    found = read(source)["x"]
    assert found[0].as_py() == first
    assert str(found[n]) == late.strip()


def test_columns_named_as_text_stay_what_they_say(folder):
    (folder / "rows.csv").write_text("zip,n\n00501,1\n02138,2\n")
    source = open_table("rows.csv", text=["zip", "another"])
    assert read(source).to_pydict() == {"zip": ["00501", "02138"], "n": [1, 2]}


def test_csv_in_other_encodings_delimiters_and_line_ends_is_read(folder):
    expected = {"größe": [1, 2], "wort": ["ä;b", "c"]}
    text = 'größe;wort\r\n1;"ä;b"\r\n2;c\r\n'
    for encoding in ("latin-1", "utf-16", "utf-8", "utf-8-sig"):
        (folder / "rows.csv").write_bytes(text.encode(encoding))
        named = "utf-8" if encoding == "utf-8-sig" else encoding
        found = read(open_table("rows.csv", delimiter=";", encoding=named))
        assert found.to_pydict() == expected


def test_cells_with_line_breaks_are_read_whole(folder):
    (folder / "rows.csv").write_text('a,b\n"one\n\ntwo",1\n"x""y",2\n')
    assert read(open_table("rows.csv")).to_pydict() == {
        "a": ["one\n\ntwo", 'x"y'],
        "b": [1, 2],
    }


def test_a_dictionary_of_arrow_is_read_as_text(folder):
    table = pa.table({"word": pa.array(["a", "b", None, "a"]).dictionary_encode()})
    pq.write_table(table, "rows.parquet")
    source = open_table("rows.parquet")
    assert source.schema.field("word").type == pa.string()
    assert read(source)["word"].to_pylist() == ["a", "b", None, "a"]


@pytest.mark.slow
def test_fifty_thousand_columns_are_read(folder, rng):
    expected = np.round(rng.normal(size=(2, 50_000)), 3)
    with open("wide.csv", "w") as file:
        file.write(",".join(f"c{i}" for i in range(50_000)) + "\n")
        file.writelines(",".join(map(str, row)) + "\n" for row in expected.tolist())
    source = open_table("wide.csv")
    (batch,) = source.batches(2)
    assert len(source.kinds) == 50_000
    np.testing.assert_array_equal(np.column_stack(batch.columns), expected)


words = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=6).filter(
    lambda word: word not in MISSING
)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(words, numbers, st.none() | st.integers(-(2**63), 2**63 - 1)),
        min_size=1,
    )
)
@example([("sep=", None, None)])
@example([("0,", 0.0, None)])  # text that looks like a number with a decimal comma
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pythons_csv_writer_writes_is_read_back(folder, cells):
    with open("rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["word", "number", "whole"])
        writer.writerows(cells)
    found = read(open_table("rows.csv", text=["word"]))
    assert found["word"].to_pylist() == [word for word, _, _ in cells]
    assert found["number"].to_pylist() == [number for _, number, _ in cells]
    assert found["whole"].to_pylist() == [whole for _, _, whole in cells]


def test_a_source_may_be_read_several_times_at_once(folder):
    pq.write_table(pa.table({"x": np.arange(100)}), "rows.parquet", row_group_size=10)
    source = open_table("rows.parquet")
    assert isinstance(source, Source)
    for first, second in zip(source.batches(10), source.batches(10), strict=True):
        assert first.equals(second)


def test_options_are_a_value_or_keywords(folder):
    (folder / "rows.csv").write_text("1;2,5\n3;4,5\n")
    options = ReadOptions(delimiter=";", header=False)
    expected = read(open_table("rows.csv", delimiter=";", header=False, decimal=","))
    assert read(open_table("rows.csv", options, decimal=",")).equals(expected)


@pytest.mark.parametrize("name", SAVERS)
def test_parts_may_be_pickled_and_read_elsewhere(rows, folder, name):
    SAVERS[name](rows, folder / name)
    source = open_table(name)
    parts = pickle.loads(pickle.dumps(source.split(300)))
    together = [batch for part in parts for batch in part.batches()]
    assert pa.Table.from_batches(together).equals(read(source))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_file_that_is_cut_short_while_it_is_read_is_an_error(kind, share, tmp_path):
    path, n = tmp_path / f"rows.{kind}", 300_000
    table = pa.table({"a": np.arange(n) + 0.5, "b": np.arange(n) - 0.5})
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=50_000, compression="none")
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table, max_chunksize=50_000)
    source, n_read, size = open_table(str(path)), 0, path.stat().st_size
    try:
        for batch in source.batches():
            n_read += batch.num_rows
            os.truncate(path, int(share * size))
    except TableError as error:
        told = re.search(
            "had 300,000 rows when it was opened|cannot be read", str(error)
        )
        assert told
    else:
        assert n_read == n
        assert share > 0.5
