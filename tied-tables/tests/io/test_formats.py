"""The same rows are read from every format, wherever people keep them."""

import io
import json
import os
import pickle
import sys
import threading
import types
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.random import default_rng
from numpy.testing import assert_array_equal
from openpyxl import Workbook
from openpyxl.styles import Font
from tests.marks import needs_posix

from tied_tables.columns import Kind
from tied_tables.io import open_table

from .conftest import read, refused, save

NAMES = [
    "rows.csv",
    "rows.CSV",
    "rows.csv.gz",
    "rows.csv.bz2",
    "rows.tsv",
    "rows.parquet",
    "rows.feather",
    "rows.arrow",
    "rows.orc",
    "rows.jsonl",
    "rows.json",
    "rows.json.gz",
    "rows.xlsx",
    "rows.sqlite",
    "rows.db",
    "rows.duckdb",
]
N = 1000
WORDS = ["red", "green, dark", 'the "blue"', "Grün", None]


@pytest.fixture(scope="module")
def rows():
    rng = default_rng(5)
    return pa.table(
        {
            "number": rng.normal(size=N).round(4),
            "whole": [None if i % 11 == 3 else i * 3 for i in range(N)],
            "word": [WORDS[i % 5] for i in range(N)],
            "money": [f"${i * 1234.5:,.2f}" for i in range(N)],
            "zip": [f"{i % 7:05}" for i in range(N)],
        }
    )


@pytest.fixture(params=NAMES)
def saved(request, rows, folder):
    save(rows, request.param)
    return request.param


def test_a_file_is_read_as_it_was_saved(saved, rows):
    source = open_table(saved)
    assert read(source).to_pydict() == rows.to_pydict()
    assert source.n_rows == N
    kinds = [Kind.number, Kind.integer, Kind.text, Kind.text, Kind.text]
    assert source.kinds == dict(zip(rows.column_names, kinds, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_blanks_at_the_ends_of_names_are_no_part_of_them(rows, folder, name):
    names = [" number", "whole ", "wo rd", "money\t", "zip"]
    save(rows.rename_columns(names), name)
    opened = open_table(name)
    source = pickle.loads(pickle.dumps(opened))
    expected = ["number", "whole", "wo rd", "money", "zip"]
    assert source.schema.names == expected
    assert source.stored_names in (names, expected)
    found = read(source)
    assert found.column_names == expected
    assert read(source, names=["whole"])["whole"].to_pylist() == rows[1].to_pylist()


def test_names_that_differ_by_a_blank_stay_apart(folder):
    rows = pa.table({"a": [1, 2], "a ": [3, 4], " b ": [5, 6], " ": [7, 8]})
    pq.write_table(rows, "rows.parquet")
    assert open_table("rows.parquet").schema.names == ["a", "a ", "b", " "]


def test_categories_are_noted_by_names_with_blanks_too(folder):
    codes = pd.Categorical([7, 9] * 9)
    pd.DataFrame({" code ": codes, "x": range(18)}).to_parquet("rows.parquet")
    assert open_table("rows.parquet").categorical == ["code"]


@pytest.mark.parametrize("n_rows", [37, 128, N, 5 * N])
def test_batches_have_the_size_and_columns_asked_for(saved, rows, n_rows):
    names = ["word", "number"]
    batches = list(open_table(saved).batches(n_rows, names=names))
    *full, last = [batch.num_rows for batch in batches]
    assert set(full) <= {n_rows}
    assert 0 < last <= n_rows
    found = pa.Table.from_batches(batches)
    assert found.to_pydict() == rows.select(names).to_pydict()


def test_a_sample_is_of_distinct_rows_from_all_over_the_file(saved, rows):
    sample = open_table(saved).sample(100, seed=0)
    everywhere = rows["money"].to_pylist()
    places = [everywhere.index(money) for money in sample["money"].to_pylist()]
    assert len(places) == len(set(places)) == 100
    # Of ten equal parts of the file each has its ten rows, give or take what rounding
    # does.
    assert np.bincount(np.array(places) // 100, minlength=10).min() > 0
    assert places != sorted(places)


def test_parts_may_be_pickled_and_read_elsewhere(saved, rows):
    source = open_table(saved)
    parts = pickle.loads(pickle.dumps(source.split(300)))
    together = [batch for part in parts for batch in part.batches()]
    assert pa.Table.from_batches(together).to_pydict() == rows.to_pydict()


@pytest.mark.parametrize("part", [1, 7, 10_000])
def test_json_is_read_in_parts(rows, folder, monkeypatch, part):
    monkeypatch.setattr("tied_tables.io._rows.JSON_CHARACTERS", part)
    for indent in (None, 2):
        text = json.dumps(rows[:100].to_pylist(), indent=indent)
        (folder / "rows.json").write_text(text)
        assert read("rows.json").to_pydict() == rows[:100].to_pydict()


def test_rows_of_json_may_lack_values_and_hold_several_types(folder):
    (folder / "rows.jsonl").write_text(
        '{"a": 1, "b": "x"}\n\n{"a": 2.5}\n{"b": 3, "c": [1]}\n'
    )
    assert read("rows.jsonl").to_pydict() == {
        "a": [1.0, 2.5, None],
        "b": ["x", None, "3"],
        "c": [None, None, "[1]"],
    }


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", ">f8", "i1", "u2", ">i4", "i8", "u8", "?"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_with_columns_x0_x1(folder, rng, dtype, order):
    array = np.asarray(rng.integers(0, 2, (50, 3)), dtype, order=order)
    np.save("rows.npy", array)
    np.savez("rows.npz", array)
    np.savez_compressed("several.npz", other=array[:, :1], wanted=array)
    several = open_table("several.npz", array="wanted")
    for source in (open_table("rows.npy"), open_table("rows.npz"), several):
        found = read(source)
        assert found.column_names == ["x0", "x1", "x2"]
        assert_array_equal(np.column_stack(found.columns), array)
    with refused("'rows.npz'", "'third'"):
        open_table("rows.npz", array="third")
    with refused("2 arrays", "'other', 'wanted'"):
        open_table("several.npz")


def test_a_dictionary_of_arrow_is_read_as_text(folder):
    words = pa.array(["a", "b", None, "a"])
    pq.write_table(pa.table({"word": words.dictionary_encode()}), "rows.parquet")
    assert read("rows.parquet")["word"].combine_chunks().equals(words)


def test_a_sample_of_parquet_is_the_whole_or_of_some_row_groups(folder):
    pq.write_table(pa.table({"x": range(10_000)}), "rows.parquet", row_group_size=10)
    source = open_table("rows.parquet")
    sample = source.sample(200, seed=0)["x"].to_numpy()
    assert len(sample) == 200
    assert len(set(sample // 10)) <= 64
    assert_array_equal(np.sort(source.sample(20_000, seed=0)["x"]), range(10_000))
    for first, second in zip(source.batches(99), source.batches(99), strict=True):
        assert first.equals(second)  # read at once


@pytest.mark.parametrize("name", ["rows.sqlite", "rows.duckdb"])
def test_a_query_chooses_rows(rows, folder, name):
    save(rows, name)
    found = read(open_table(name, query="SELECT whole, zip FROM t WHERE whole < 30"))
    assert found.column_names == ["whole", "zip"]
    assert found["whole"].to_pylist() == [3 * i for i in range(10) if i != 3]


def test_a_sheet_and_its_first_line_are_chosen(rows, folder):
    frame = rows.to_pandas()
    with pd.ExcelWriter("rows.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False)
        frame[:0].to_excel(book, sheet_name="other", index=False)
    note = "reads the sheet 'first'; choose another with `sheet=...`: 'other'"
    assert open_table("rows.xlsx").notes == [note]
    assert open_table("rows.xlsx", sheet="first").notes == []
    found = read(open_table("rows.xlsx", skip=3, header=False))
    assert found["x0"].to_pylist() == rows["number"].to_pylist()[2:]
    with refused("no sheet 'third'; choose one of 'first', 'other'"):
        open_table("rows.xlsx", sheet="third")
    with refused("no rows"):
        open_table("rows.xlsx", sheet="other")


def write_sheet(*lines):
    book = Workbook()
    for place, line in enumerate(lines, 1):  # an appended empty line would be lost
        for column, value in enumerate(line, 1):
            book.active.cell(place, column, value)
    book.save("rows.xlsx")


SHOPS = [["shop", "staff"], ["A", 3], ["B", 4], ["C", 5]]
MONTHS = [["month", "visitors"], ["May", 300], ["June", 500]]


def test_a_title_above_two_tables_is_reported(folder):
    gap = [None]
    months = [*MONTHS, gap + gap]
    side_by_side = [a + gap + b for a, b in zip(SHOPS, months, strict=True)]
    write_sheet(["Shops of 2026"], [], *side_by_side)
    with refused("text in only one cell of its first line; use `skip=1` if that is"):
        open_table("rows.xlsx")
    [note] = open_table("rows.xlsx", skip=1).notes
    assert note == (
        "an empty column separates 'month', 'visitors' from the other columns; if these"
        " are another table, leave them out"
    )


def test_a_second_table_below_the_first_is_reported(folder):
    write_sheet(*SHOPS, [], *MONTHS)
    [note] = open_table("rows.xlsx").notes
    assert note == (
        "row 6 of the sheet, after an empty one, looks like the names of another table;"
        " move that table to another sheet"
    )


def test_empty_rows_and_columns_alone_separate_no_tables(folder):
    write_sheet(*SHOPS, [], ["D", 6], [], ["all", None])
    assert open_table("rows.xlsx").notes == []
    write_sheet(*([*line, None] for line in SHOPS))
    assert open_table("rows.xlsx").notes == []


def test_midnights_are_times_and_durations_are_read_in_a_sheet(folder):
    begin = datetime(2025, 1, 1)
    moments = ["soon", *(begin + timedelta(hours=8 * i) for i in range(9))]
    lengths = [timedelta(hours=7 * i, seconds=1) for i in range(10)]
    book = Workbook()
    for row in [[], [], ["when", "long"], *zip(moments, lengths, strict=True)]:
        book.active.append(row)
    for number in range(4, 14):
        book.active.cell(number, 2).number_format = "[hh]:mm:ss"
    book.save("rows.xlsx")
    table = read(open_table("rows.xlsx", skip=2))
    assert table["when"].to_pylist() == list(map(str, moments))
    assert table["long"].to_pylist() == lengths


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        ([date(2025, 1, 1), 4], ["2025-01-01", "4"]),
        ([time(1, 2), 3], ["01:02:00", "3"]),
        ([1.5, True], ["1.5", "true"]),
    ],
)
def test_a_number_beside_cells_of_another_kind_is_text(folder, cells, texts):
    book = Workbook()
    for cell in ["x", *cells]:
        book.active.append([cell])
    book.save("rows.xlsx")
    assert read("rows.xlsx")["x"].to_pylist() == texts


def test_a_sheet_with_cells_far_apart_is_refused(folder):
    book = Workbook()
    book.active.append(["a", "b"])
    book.active.append([1, 2])
    book.active["XFD1048576"].font = Font(bold=True)
    book.save("formatted.xlsx")
    assert open_table("formatted.xlsx").n_rows == 1
    book.active["XFD1048576"] = 1
    book.save("corner.xlsx")
    with refused("so far apart"):
        open_table("corner.xlsx")


def test_the_format_is_named_where_the_ending_does_not_tell(rows, folder):
    pq.write_table(rows, "rows.download")
    assert read(open_table("rows.download", format="parquet")).equals(rows)
    with refused("`format=...`"):
        open_table("rows.download")
    with refused("unknown format 'excel'; use one of csv"):
        open_table("rows.download", format="excel")


@pytest.fixture
def set_stdin(monkeypatch):
    """Makes bytes the standard input."""

    def set_content(content):
        stdin = types.SimpleNamespace(buffer=io.BytesIO(content))
        monkeypatch.setattr(sys, "stdin", stdin)

    return set_content


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "arrow", "parquet"])
def test_the_standard_input_is_read(rows, folder, set_stdin, kind):
    save(rows, f"rows.{kind}")
    set_stdin((folder / f"rows.{kind}").read_bytes())
    assert read("-").to_pydict() == rows.to_pydict()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "nothing on the standard input"),
        (b"a,b\n1\n", "'-' has 1 cell in line 2"),
    ],
)
def test_messages_name_the_standard_input(set_stdin, content, said):
    set_stdin(content)
    with refused(said):
        open_table("-")


@needs_posix
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_a_pipe_with_a_name_is_read_as_the_standard_input_is(name, folder):
    os.mkfifo(name)
    content = "a,b\n1,2\n3,4\n"
    writer = threading.Thread(target=(folder / name).write_text, args=[content])
    writer.start()
    source = open_table(name)
    writer.join()
    for _ in range(2):
        assert read(source).to_pydict() == {"a": [1, 3], "b": [2, 4]}


def test_files_of_s3_are_read(rows, folder, s3):
    for part in range(4):
        path = f"bucket/parts/part-{part}.parquet"
        pq.write_table(rows[250 * part :][:250], path, filesystem=s3)
    pq.write_to_dataset(rows, "bucket/keys", partition_cols=["zip"], filesystem=s3)
    for path in ("s3://bucket/parts", "s3://bucket/parts/part-*.parquet"):
        assert read(path).to_pydict() == rows.to_pydict()
    one = read("s3://bucket/parts/part-3.parquet")
    assert one.to_pydict() == rows[750:].to_pydict()
    assert open_table("s3://bucket/keys").schema.names[-1] == "zip"
    with refused("s3://bucket/none.csv"):
        open_table("s3://bucket/none.csv")


def test_a_folder_and_a_pattern_are_read_in_the_order_of_names(folder):
    for part in (2, 0, 1):
        pq.write_table(pa.table({"x": [part, part]}), f"part-{part}.parquet")
    for other in ("_SUCCESS", ".part-0.parquet.crc", "notes.txt"):
        (folder / other).write_text("not a table")
    for path in (str(folder), "part-*.parquet", "part-?.parquet", f"{folder}/*"):
        assert read(path)["x"].to_pylist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        (
            {"a.csv": "x,y\n1,\n", "b.csv": "y,x\nred,2.5\n"},
            "*.csv",
            {"x": [1.0, 2.5], "y": [None, "red"]},
        ),
        (
            {"a.csv": "x\n1.50\n1.50\n", "b.csv": "x\nnone yet\n"},
            ".",
            {"x": ["1.50", "1.50", "none yet"]},
        ),
        ({"a[1].csv": "x\n1\n", "a1.csv": "x\n2\n"}, "a[1].csv", {"x": [1]}),
    ],
)
def test_files_are_one_table_whatever_the_order_and_types_of_columns(
    folder, files, path, expected
):
    for name, content in files.items():
        (folder / name).write_text(content)
    assert read(path).to_pydict() == expected


def test_folders_that_are_called_by_a_value_are_columns(rows, folder):
    pq.write_to_dataset(rows[:50], "parts", partition_cols=["zip", "word"])
    source = open_table("parts", absent=["zip", "new"])
    names = ["number", "whole", "money", "zip", "word", "new"]
    assert source.schema.names == names
    found = read(source).sort_by("money").to_pydict()
    expected = rows[:50].sort_by("money").to_pydict()
    assert found.pop("new") == [None] * 50
    assert found == expected
    assert read(source, names=["zip"]).column_names == ["zip"]


def test_a_folder_that_is_called_by_no_value_is_an_empty_column(folder):
    (folder / "day=__HIVE_DEFAULT_PARTITION__").mkdir()
    (folder / "day=__HIVE_DEFAULT_PARTITION__" / "rows.csv").write_text("a\n1\n")
    assert read(open_table(".")).to_pydict() == {"a": [1], "day": [None]}


def test_a_name_of_a_column_that_is_no_text_is_refused(folder):
    table = pa.table({"long": [1.0, 2.0]})
    with pa.ipc.new_stream("rows.arrow", table.schema) as writer:
        writer.write_table(table)
    path = folder / "rows.arrow"
    path.write_bytes(path.read_bytes().replace(b"long", b"\x90ong"))
    with refused("'rows.arrow'"):
        open_table("rows.arrow")


def test_a_folder_of_one_file_is_no_pattern(folder):
    (folder / "run=3[final]").mkdir()
    (folder / "run=3[final]" / "rows.csv").write_text("a,b\n1,2\n")
    assert open_table("run=3[final]/rows.csv").schema.names == ["a", "b"]


def test_a_space_before_a_truth_value_makes_it_text(folder):
    (folder / "rows.csv").write_text("a,ok\n1, true\n2, false\n")
    assert read(open_table("rows.csv"))["ok"].to_pylist() == [" true", " false"]


def test_folders_of_a_pattern_are_columns_too(folder):
    for year in (2025, 2026):
        (folder / f"year={year}").mkdir()
        (folder / f"year={year}" / "rows.csv").write_text("x,year\n1,9\n")
    found = read("year=*/rows.csv").to_pydict()
    assert found == {"x": [1, 1], "year": [2025, 2026]}
    assert read("year=2025/rows.csv").to_pydict() == {"x": [1], "year": [9]}


def test_compressed_text_is_read_at_an_address(rows, folder):
    save(rows, "rows.csv.gz")
    address = (folder / "rows.csv.gz").as_uri()
    assert read(address).to_pydict() == rows.to_pydict()


def test_columns_that_some_files_lack_are_missing_on_request(rows, folder):
    save(rows[:9], "a.csv")
    save(rows[9:].drop_columns(["whole", "word"]), "b.csv")
    with refused("no column 'whole', 'word'"):
        open_table("*.csv")
    source = open_table("*.csv", absent=["word", "number", "whole", "never"])
    expected = rows.to_pydict() | {"never": [None] * N}
    for name in ("word", "whole"):
        expected[name][9:] = [None] * (N - 9)
    assert read(source).to_pydict() == expected
    assert source.notes == [
        "has no column 'never', which is imputed",
        "has no column 'word', 'whole', 'never', which is imputed",
    ]
    assert read(open_table("b.csv", absent=["word"]), names=["word"]).num_rows == N - 9


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl", "rows.db"])
@pytest.mark.parametrize("n_rows", [1, 499, N - 1, N])
def test_the_head_of_a_table_is_its_first_rows(rows, folder, name, n_rows):
    save(rows, name)
    source = open_table(name)
    head = source.head(n_rows)
    assert head.n_rows == n_rows
    assert read(head).equals(read(source)[:n_rows].combine_chunks())
    assert read(head, names=["word"]).num_rows == n_rows


def test_the_head_of_several_files_ends_in_one_of_them(rows, folder):
    for place in range(4):
        pq.write_table(rows[place * 100 : place * 100 + 100], f"{place}.parquet")
    head = open_table("?.parquet").head(230)
    assert read(head).equals(rows[:230])
    assert [part.n_rows for part in head.split()] == [100, 100, 30]
