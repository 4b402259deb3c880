"""The same rows are read from wherever people keep them."""

import functools
import gzip
import http.server
import io
import json
import sqlite3
import sys
import threading
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, ipc, orc

from keras_tied.columns import Columns
from keras_tied.tables import TableError, open_table

N = 300


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return pa.table(
        {
            "number": rng.normal(size=N).round(4),
            "whole": pa.array([None if i % 11 == 3 else i * 3 for i in range(N)]),
            "word": [["red", "green", "blue", None][i % 4] for i in range(N)],
            "money": [f"${i * 1234.5:,.2f}" for i in range(N)],
            "zip": [f"{i % 7:05}" for i in range(N)],
        }
    )


def save_excel(rows, path):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    book.create_sheet("other").append(["nothing"])
    book.active.append(rows.column_names)
    for row in rows.to_pylist():
        book.active.append(list(row.values()))
    book.save(path)


def save_sqlite(rows, path):
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE t (number REAL, whole INTEGER, word, money, zip)"
        )
        values = [tuple(row.values()) for row in rows.to_pylist()]
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", values)
    database.close()


def save_duckdb(rows, path):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(path) as database:
        database.register("rows", rows)
        database.execute("CREATE TABLE t AS SELECT * FROM rows")


def save_json_lines(rows, path):
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows.to_pylist())


def save_json_array(rows, path, indent=None):
    with open(path, "w") as file:
        json.dump(rows.to_pylist(), file, indent=indent)


def save_stream(rows, path):
    with ipc.new_stream(path, rows.schema) as writer:
        writer.write_table(rows, 64)


def save_partitions(rows, path):
    pq.write_to_dataset(rows, path, partition_cols=["zip", "whole"])


SAVERS = {
    "rows.csv": csv.write_csv,
    "rows.jsonl": save_json_lines,
    "rows.json": save_json_array,
    "rows.orc": lambda rows, path: orc.write_table(rows, path, stripe_size=1024),
    "rows.arrow": save_stream,
    "rows.xlsx": save_excel,
    "rows.sqlite": save_sqlite,
    "rows.db": save_sqlite,
    "rows.duckdb": save_duckdb,
}


def read(source):
    return pa.Table.from_batches(source.batches())


def assert_same(source, rows):
    """The same values, the same columns and the same numbers as from Parquet."""
    found = read(source)
    pq.write_table(rows, "expected.parquet")
    expected = read(open_table("expected.parquet"))
    assert found.to_pylist() == expected.to_pylist()
    (batch,) = source.batches(N)
    (other,) = open_table("expected.parquet").batches(N)
    columns = Columns.survey(other)[0]
    assert Columns.survey(batch)[0] == columns
    np.testing.assert_array_equal(columns.encode(batch), columns.encode(other))


@pytest.mark.parametrize("name", SAVERS)
def test_rows_are_those_of_parquet(rows, folder, name):
    SAVERS[name](rows, name)
    assert_same(open_table(name), rows)


def test_a_database_with_a_log_is_read_whole_and_left_as_it_is(folder):
    database = sqlite3.connect("rows.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE t AS SELECT 1 AS a UNION SELECT 2")
    database.commit()
    for is_open in (True, False):  # first, what is written is in the log alone
        if not is_open:
            database.close()
        before = sorted(folder.iterdir())
        assert len(before) == (3 if is_open else 1)
        assert read(open_table("rows.sqlite")).to_pydict() == {"a": [1, 2]}
        assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["rows.sqlite", "rows.duckdb"])
def test_a_query_chooses_rows(rows, folder, name):
    SAVERS[name](rows, name)
    found = read(open_table(name, query="SELECT number, whole FROM t WHERE whole < 30"))
    expected = [{"number": r["number"], "whole": r["whole"]} for r in rows.to_pylist()]
    assert found.to_pylist() == [
        r for r in expected if r["whole"] is not None and r["whole"] < 30
    ]


def test_a_database_of_several_tables_asks_for_a_query(folder):
    with sqlite3.connect("rows.sqlite") as database:
        database.execute("CREATE TABLE a (x)")
        database.execute("CREATE TABLE b (x)")
    database.close()
    with pytest.raises(TableError, match=r"2 tables .'a', 'b'.; .*--query"):
        open_table("rows.sqlite")
    with pytest.raises(TableError, match="no such table"):
        open_table("rows.sqlite", query="SELECT * FROM c")


def test_a_view_of_a_database_reads_no_other_file(folder):
    duckdb = pytest.importorskip("duckdb")
    (folder / "secret.csv").write_text("x\n1\n")
    with duckdb.connect("rows.duckdb") as database:
        database.execute("CREATE VIEW v AS SELECT * FROM read_csv('secret.csv')")
    with pytest.raises(TableError, match=r"rows\.duckdb"):
        read(open_table("rows.duckdb"))


def test_a_sheet_is_chosen_by_name(rows, folder):
    save_excel(rows, "rows.xlsx")
    with pytest.raises(
        TableError, match="no sheet 'third'; name one of 'Sheet', 'other'"
    ):
        open_table("rows.xlsx", sheet="third")
    with pytest.raises(TableError, match="no rows"):
        open_table("rows.xlsx", sheet="other")


def test_the_other_sheets_are_named(rows, folder):
    save_excel(rows, "rows.xlsx")
    assert open_table("rows.xlsx").notes == [
        "reads the sheet 'Sheet'; --sheet names another: 'other'"
    ]
    assert open_table("rows.xlsx", sheet="Sheet").notes == []


def test_lines_before_the_names_of_a_sheet_are_skipped(folder):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    for line in (["Report", "of 2026"], ["a", "b"], [1, "x"], [2, "y"]):
        book.active.append(line)
    book.save("rows.xlsx")
    assert read(open_table("rows.xlsx", skip=1)).to_pydict() == {
        "a": [1, 2],
        "b": ["x", "y"],
    }


def test_folders_that_are_called_by_a_value_are_columns(rows, folder):
    save_partitions(rows, "parts")
    source = open_table("parts")
    assert source.schema.names == ["number", "word", "money", "zip", "whole"]

    def key(row):
        return row["number"], row["money"]

    expected = rows.select(source.schema.names).to_pylist()
    assert sorted(read(source).to_pylist(), key=key) == sorted(expected, key=key)
    assert next(source.batches(names=["zip"])).schema.names == ["zip"]


def test_the_format_is_named_where_the_ending_does_not_tell(rows, folder):
    pq.write_table(rows, "rows.download")
    with pytest.raises(TableError, match="--format"):
        open_table("rows.download")
    assert (
        read(open_table("rows.download", format="parquet")).to_pylist()
        == rows.to_pylist()
    )
    with pytest.raises(TableError, match="no format 'excel'; name one of csv"):
        open_table("rows.download", format="excel")


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "arrow", "parquet"])
def test_the_standard_input_is_read(rows, folder, monkeypatch, form):
    SAVERS.get(f"rows.{form}", pq.write_table)(rows, f"rows.{form}")
    content = io.BytesIO((folder / f"rows.{form}").read_bytes())
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=content))
    assert_same(open_table("-"), rows)


def test_an_empty_standard_input_is_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO()))
    with pytest.raises(TableError, match="nothing on the standard input"):
        open_table("-")


def test_messages_name_where_the_rows_come_from(monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"a,b\n1\n"))
    )
    with pytest.raises(TableError, match=r"^'-' has 1 cells in line 2"):
        open_table("-")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_page_is_read(rows, folder):
    pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    csv.write_csv(rows, "rows.csv")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            assert_same(open_table(f"{address}/rows.csv"), rows)
            with pytest.raises(TableError, match=f"{address}/none.csv"):
                open_table(f"{address}/none.csv")
        finally:
            server.shutdown()


def test_files_of_s3_are_read(rows, folder, s3):
    pq.write_table(rows, "bucket/one/rows.parquet", filesystem=s3)
    for part in range(3):
        some = rows.slice(part * 100, 100)
        pq.write_table(some, f"bucket/parts/part-{part}.parquet", filesystem=s3)
    pq.write_to_dataset(rows, "bucket/keys", partition_cols=["zip"], filesystem=s3)
    assert_same(open_table("s3://bucket/one/rows.parquet"), rows)
    assert_same(open_table("s3://bucket/parts"), rows)
    assert_same(open_table("s3://bucket/parts/part-*.parquet"), rows)
    assert open_table("s3://bucket/keys").schema.names[-1] == "zip"
    with pytest.raises(TableError, match=r"s3://bucket/none\.csv"):
        open_table("s3://bucket/none.csv")


def test_a_word_in_one_file_makes_text_of_the_column_in_all(folder):
    (folder / "a.csv").write_text("x,y\n" + "1,1.50\n" * 30)
    (folder / "b.csv").write_text("x,y\n1,none yet\n")
    found = read(open_table("*.csv"))
    assert found["y"].to_pylist() == ["1.50"] * 30 + ["none yet"]


CLEAR = {
    "semicolons": (b"a;b\n1;2,5\n", ["its delimiter is a semicolon"]),
    "tabs": (b"a\tb\n1\t2\n", ["its delimiter is a tab"]),
    "vertical bars": (b"a|b\n1|2\n", ["its delimiter is a vertical bar"]),
    "Windows": (
        "größe,b\nä,2\n".encode("cp1252"),
        ["not utf-8 text, and is read as cp1252"],
    ),
    "UTF-16": ("a;b\n1;2\n".encode("utf-16"), ["its delimiter is a semicolon"]),
    "Excel's delimiter": (b"sep=|\na|b\n1|2\n", []),
    "marks in text": (b"a,b\nx; y,1\n", []),
    "empty lines before names": (b"\n\na,a\n1,2\n", ["'a_2'"]),
    "spaces around names": (b"a, b\n1, 2\n", []),
    "a name twice": (
        b"a,b,a\n1,2,3\n",
        ["names that are empty or stand twice are now 'a_2'"],
    ),
    "no name": (b",b\n1,2\n", ["'column1'"]),
}


@pytest.mark.parametrize("what", CLEAR)
def test_what_is_clear_is_found_and_said(folder, what):
    content, notes = CLEAR[what]
    (folder / "rows.csv").write_bytes(content)
    source = open_table("rows.csv")
    assert source.n_rows == 1
    assert len(source.schema) > 1
    assert all(name == name.strip() for name in source.schema.names)
    assert len(source.notes) == len(notes)
    for note in notes:
        assert any(note in said for said in source.notes)


@pytest.mark.parametrize(
    "cell", ["x" * 3_000_000, "1" + " " * 3_000_000 + "x", "1," * 50_000]
)
def test_a_long_cell_takes_no_long_time(folder, cell):
    (folder / "rows.jsonl").write_text(
        "".join(json.dumps({"a": c}) + "\n" for c in (cell, "y"))
    )
    (folder / "rows.csv").write_text(f'"a",b\n"{cell[:100_000]}",1\n"y",2\n')
    for name in ("rows.jsonl", "rows.csv"):
        _, (fact, *_) = Columns.survey(next(open_table(name).batches()))
        assert fact.becomes == "left out: text of over 4,096 characters"


def test_a_file_without_names_has_numbered_ones(folder):
    (folder / "rows.csv").write_text("0.5,a\n1.5,b\n")
    (folder / "numbers.csv").write_text("0.5,2\n1.5,3\n")
    with pytest.raises(TableError, match="--no-header"):
        open_table("numbers.csv")
    assert read(open_table("rows.csv", header=False)).to_pylist() == [
        {"x0": 0.5, "x1": "a"},
        {"x0": 1.5, "x1": "b"},
    ]


def test_rows_of_json_may_lack_values_and_hold_several_types(folder):
    (folder / "rows.jsonl").write_text(
        '{"a": 1, "b": "x"}\n\n{"a": 2.5}\n{"b": 3, "c": [1]}\n'
    )
    assert read(open_table("rows.jsonl")).to_pylist() == [
        {"a": 1.0, "b": "x", "c": None},
        {"a": 2.5, "b": None, "c": None},
        {"a": None, "b": "3", "c": "[1]"},
    ]


@pytest.mark.parametrize("part", [1, 7, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects_is_read_in_parts(rows, folder, monkeypatch, part, indent):
    monkeypatch.setattr("keras_tied.tables._rows.PART", part)
    save_json_array(rows, "rows.json", indent)
    (folder / "rows.json.gz").write_bytes(
        gzip.compress((folder / "rows.json").read_bytes())
    )
    for name in ("rows.json", "rows.json.gz"):
        assert read(open_table(name)).to_pylist() == rows.to_pylist()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"a": 1},\n{"a": 2}', "line 2: Expecting value"),
        ('[{"a": 1},\n{"a": 2', "line 2: Expecting ',' delimiter"),
        ('[{"a": 1}]\n{"a": 2}', "line 1: Expecting value"),
        ("[\n[1, 2]]", "line 2: it is of another type"),
        ('[\n{"a": 1},\n\n{"a" 2}]', "line 4: Expecting ':' delimiter"),
        ("", "no columns|no rows"),
        ("[]", "no columns|no rows"),
    ],
)
def test_an_array_that_is_none_says_where(folder, content, said):
    (folder / "rows.json").write_text(content)
    with pytest.raises(TableError, match=said):
        open_table("rows.json")


COMMENTED = b"""# made by hand, "with" care; it's
# twice
name,text,x

ab,"first line
# of a text",1
# nothing
cd,e # no comment,2
#"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_comments_are_passed_over(folder, encoding):
    text = COMMENTED.decode().replace("cd", "çd")
    (folder / "rows.csv").write_bytes(text.encode(encoding))
    source = open_table("rows.csv", comment="#", encoding=encoding)
    assert read(source).to_pylist() == [
        {"name": "ab", "text": "first line\n# of a text", "x": 1},
        {"name": "çd", "text": "e # no comment", "x": 2},
    ]


def test_comments_may_be_many_and_lines_keep_their_numbers(folder):
    lines = ["# a", "x,y", *("# b" if i % 3 else f"{i},{-i}" for i in range(200_000))]
    (folder / "rows.csv").write_text("\n".join(lines))
    found = read(open_table("rows.csv", comment="#"))
    assert found["x"].to_pylist() == list(range(0, 200_000, 3))
    (folder / "rows.csv").write_text("\n".join([*lines, "1,2,3"]))
    with pytest.raises(TableError, match="3 cells in line 200003"):
        open_table("rows.csv", comment="#")


TITLES = {
    "title": ("Report of 2026\n", 1),
    "a quotation mark": ('5" pipes\n\n', 2),
    "more cells": ("a,b,c,d,e\r\nf\r\n", 2),
    "the delimiter of Excel": ("Report\nsep=;\n", 1),
}


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("comment", [None, "#"])
def test_lines_before_the_names_are_skipped(folder, title, header, comment):
    before, n = TITLES[title]
    (folder / "rows.csv").write_text(before + "a;b\n" * header + "1;x\n2;y\n")
    found = read(open_table("rows.csv", skip=n, header=header, comment=comment))
    assert list(found.to_pydict().values()) == [[1, 2], ["x", "y"]]
    assert found.column_names == (["a", "b"] if header else ["x0", "x1"])


@pytest.mark.parametrize("title", ["of 2026", "account;12", "a | b"])
def test_a_title_without_the_delimiter_of_the_table_is_said(folder, title):
    (folder / "rows.csv").write_text(f"{title}\n\na;b;c\n1;2;3\n2;3;4\n")
    (note,) = open_table("rows.csv").notes
    assert "most lines hold a semicolon" in note
    assert "--skip" in note
    assert open_table("rows.csv", skip=1).schema.names == ["a", "b", "c"]


@pytest.mark.parametrize("n", [140_000, 3_000_000])
@pytest.mark.parametrize("before", [0, 1_000])
def test_a_cell_of_csv_may_be_long(folder, n, before):
    text = 'a "" b\n' * (n // 7)
    (folder / "rows.csv").write_text("x,y\n" + "1,z\n" * before + f'2,"{text}"\n3,w\n')
    found = read(open_table("rows.csv")).slice(before)
    assert found.to_pydict() == {"x": [2, 3], "y": [text.replace('""', '"'), "w"]}


@pytest.mark.parametrize("line", ["[1, 2]", '{"a": 1', "1", '{"a": ' + "[" * 100_000])
def test_a_line_that_is_no_object_is_named(folder, line):
    (folder / "rows.jsonl").write_text(f'{{"a": 1}}\n{line}\n')
    with pytest.raises(
        TableError, match=r"'rows.jsonl' (has no JSON object in line 2|cannot)"
    ):
        open_table("rows.jsonl")


def test_columns_that_some_files_lack_are_missing_on_request(rows, folder):
    csv.write_csv(rows.slice(0, 9), "a.csv")
    csv.write_csv(rows.slice(9).drop_columns(["whole", "word"]), "b.csv")
    with pytest.raises(TableError, match="no column 'whole', 'word'"):
        open_table("*.csv")
    source = open_table("*.csv", absent=["word", "number", "whole", "never"])
    expected = rows.to_pandas().assign(never=None).convert_dtypes()
    expected.loc[9:, ["whole", "word"]] = None
    found = read(source).to_pandas().convert_dtypes()
    assert found.equals(expected[list(found)])
    assert source.notes == [
        "has no column 'never', which is imputed",
        "has no column 'word', 'whole', 'never', which is imputed",
    ]
    assert (
        next(open_table("b.csv", absent=["word"]).batches(names=["word"])).num_rows
        == N - 9
    )


def test_columns_that_partitions_lack_are_missing_on_request(rows, folder):
    save_partitions(rows, "parts")
    source = open_table("parts", absent=["zip", "new"])
    assert sorted(read(source)["zip"].to_pylist()) == sorted(rows["zip"].to_pylist())
    assert read(source)["new"].null_count == N
