"""What CSV holds, in whatever way people write it."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.marks import for_each

from tied_tables.columns import MISSING, Kind
from tied_tables.io import ReadOptions, TableError, find_total, open_table

from .conftest import read, refused

IO = Path("/proc/self/io")
TEXT = "größe,b\n1,ä\n2,y\n"
SEMICOLONS = TEXT.replace(",", ";")
SEMICOLON = "its delimiter is a semicolon"
WINDOWS = "it is not UTF-8 text, and is read as cp1252"
TITLE = "Report of 2026\n"
COMMENTS = '# made by hand, "with" care; it\'s\n#\n' + TEXT.replace("\n", '\n#"\n')

MIXED = "Käse für Åse, Großmütter, Gäste\n".encode("cp1252") + TEXT.encode("cp1252")
MIXED = "Büro, ".encode() + MIXED

# The same table: its bytes, or its text in UTF-8; options; what is said.
WAYS = {
    "commas": (TEXT, {}, []),
    "semicolons": (SEMICOLONS, {}, [SEMICOLON]),
    "tabs": (TEXT.replace(",", "\t"), {}, ["its delimiter is a tab"]),
    "bars": (TEXT.replace(",", "|"), {}, ["its delimiter is a vertical bar"]),
    "Excel's delimiter": ("sep=;\n" + SEMICOLONS, {}, []),
    "spaces around names": (TEXT.replace(",b", ", b"), {}, []),
    "empty lines": ("\n\n" + TEXT.replace("\n", "\r\n\r\n"), {}, []),
    "quotes": (TEXT.replace("ä", '"ä"'), {}, []),
    "Windows": (TEXT.encode("cp1252"), {}, [WINDOWS]),
    "Windows, with a cell in UTF-8": (MIXED, {"skip": 1}, [WINDOWS]),
    "UTF-16": (SEMICOLONS.encode("utf-16"), {}, [SEMICOLON]),
    "UTF-16 without a mark": (SEMICOLONS.encode("utf-16-le"), {}, [SEMICOLON]),
    "the other one": (SEMICOLONS.encode("utf-16-be"), {}, [SEMICOLON]),
    "a mark of UTF-8": (TEXT.encode("utf-8-sig"), {}, []),
    "latin-1": (TEXT.encode("latin-1"), {"encoding": "latin-1"}, []),
    "the delimiter named": (SEMICOLONS, {"delimiter": ";"}, []),
    "a title": (TITLE + TEXT, {"skip": 1}, []),
    "a quotation mark": ('5" pipes\n\n' + TEXT, {"skip": 2}, []),
    "more cells": ("a,b,c,d,e\r\nf\r\n" + TEXT, {"skip": 2}, []),
    "Excel behind a title": (TITLE + "sep=;\n" + SEMICOLONS, {"skip": 1}, []),
    "comments": (COMMENTS, {"comment": "#"}, []),
    "comments in UTF-16": (COMMENTS.encode("utf-16"), {"comment": "#"}, []),
    "comments and a title": (TITLE + COMMENTS, {"skip": 1, "comment": "#"}, []),
}


@for_each(WAYS, "content", "options", "notes")
def test_csv_is_read_however_it_is_written_and_what_was_found_is_said(
    folder, content, options, notes
):
    if isinstance(content, str):
        content = content.encode()
    (folder / "rows.csv").write_bytes(content)
    source = open_table("rows.csv", ReadOptions(**options))
    assert source.notes == notes
    assert read(source).to_pydict() == {"größe": [1, 2], "b": ["ä", "y"]}


@pytest.mark.parametrize(
    ("content", "options", "columns"),
    [
        ("a,a\n1,2\n", {}, {"a": [1], "a_2": [2]}),
        (",b\n1,2\n", {}, {"column1": [1], "b": [2]}),
        ("0,1\n0.5,1.5\n", {}, {"0": [0.5], "1": [1.5]}),
        ("a,b\nx; y,1\n", {}, {"a": ["x; y"], "b": [1]}),
        ("x\n1\n\n3\n", {}, {"x": [1, None, 3]}),
        ('a\n"one\n\ntwo"\n"x""y"\n', {}, {"a": ["one\n\ntwo", 'x"y']}),
        ("zip\n00501\n", {"text": ["zip", "z"]}, {"zip": ["00501"]}),
        ("0.5,a\n", {"header": False}, {"x0": [0.5], "x1": ["a"]}),
        ("T\n1\n", {"skip": 1, "header": False}, {"x0": [1]}),
        ("a, in m\n1\n2\n", {"format": "tsv"}, {"a, in m": [1, 2]}),
        ('a\n"x\n# y"\n# no\nz # z\n', {"comment": "#"}, {"a": ["x\n# y", "z # z"]}),
    ],
)
def test_csv_is_read_with_these_columns(open_text, content, options, columns):
    source = open_text(content, **options)
    assert list(read(source).to_pydict().items()) == list(columns.items())
    new = {"a_2", "column1"}.intersection(columns)
    notes = [f"renamed empty or duplicate column names to {name!r}" for name in new]
    assert source.notes == notes


QUOTES = {  # in which row one is not closed, and where the next one is
    "far": ([2, 9], 1),
    "next to each other": ([2, 3], 0),
}


@pytest.mark.parametrize("text", [(), None])
@for_each(QUOTES, "places", "n_notes")
def test_lines_that_a_quotation_mark_swallows_are_told(
    open_text, places, n_notes, text
):
    rows = [f"{row},a,b,c,d\n" for row in range(20)]
    for place in places:
        rows[place] = rows[place].replace("a", '"a')
    notes = open_text("n,x,y,z,w\n" + "".join(rows), text=text).notes
    assert sum("is its quotation mark closed?" in note for note in notes) == n_notes


@pytest.mark.parametrize("text", [(), None])
@pytest.mark.parametrize(
    ("numbers", "decimal"), [(["996", "1.033"], ","), (["0.125", "1.033"], ".")]
)
def test_a_point_may_stand_between_thousands(open_text, numbers, decimal, text):
    source = open_text("a;b\n" + ";2\n".join(numbers) + ";2\n", text=text)
    assert source.decimal == decimal
    is_told = any("use `decimal=.` if" in note for note in source.notes)
    assert is_told == (decimal == ",")


@pytest.mark.parametrize("title", ["of 2026", "account;12", "a | b"])
def test_a_title_without_the_delimiter_of_the_table_is_said(open_text, title):
    [note] = open_text(f"{title}\n\na;b;c\n1;2;3\n2;3;4\n").notes
    assert "most lines hold a semicolon" in note
    assert open_table("rows.csv", skip=1).schema.names == ["a", "b", "c"]


def test_missing_values_are_null_in_every_kind_of_column(open_text):
    lines = [f'{missing},{missing},"{missing}",{missing}\n' for missing in MISSING]
    kept = "number,whole,word,yes\n0.5,1,red,true\n"
    first, *missing = read(open_text(kept + "".join(lines))).to_pylist()
    assert list(first.values()) == [0.5, 1, "red", True]
    assert missing == [dict.fromkeys(first)] * len(MISSING)


@pytest.mark.parametrize(
    ("early", "late", "kind", "first"),
    [
        ("1", "x", Kind.text, "1"),
        ("1", "2.5", Kind.number, 1.0),
        ("true", "maybe", Kind.text, "true"),
        ("2020-01-02", "x", Kind.text, "2020-01-02"),
        ("NA", "7.5", Kind.number, None),
        ("?", "x", Kind.text, None),
        ("", " 7", Kind.integer, None),
        ("", "07", Kind.text, None),
    ],
)
def test_a_column_is_of_the_kind_that_holds_what_comes_late(
    open_text, early, late, kind, first
):
    n = 200_000
    text = "x,y\n" + f"{early},abcdefgh\n" * n + f"{late},z\n"
    source = open_text(text)
    found = read(source)["x"]
    assert source.kinds == {"x": kind, "y": Kind.text}
    assert (len(found), found[0].as_py()) == (n + 1, first)
    assert str(found[n]) == late.strip()


@pytest.mark.parametrize("max_copy", [2**34, 1])
@pytest.mark.parametrize("late", ["2.5", "x", "0.1,", ""])
def test_rows_are_the_same_where_there_is_no_room_to_keep_them(
    open_text, late, max_copy
):
    n = 100_000
    whole = [9_007_199_254_740_993, -5, 0]
    lines = [f'"{whole[i % 3]}",{i / 7},{i % 2 == 0},r{i}\n' for i in range(n)]
    text = "a,b,c,d\n" + "".join(lines).replace("T", "t").replace("F", "f")
    source = open_text(f'{text}"{late}",,,\n', max_copy=max_copy)
    found = read(source)
    if source.kinds["a"] is Kind.text:
        expected = [str(whole[i % 3]) for i in range(n)]
    else:
        expected = [type(found["a"][0].as_py())(whole[i % 3]) for i in range(n)]
    assert found["a"].to_pylist() == [*expected, None if late == "" else read_as(late)]
    assert found["b"].to_pylist() == [*(i / 7 for i in range(n)), None]
    assert found["c"].to_pylist() == [*(i % 2 == 0 for i in range(n)), None]
    assert found["d"].to_pylist() == [*(f"r{i}" for i in range(n)), None]


def read_as(text):
    return float(text) if text == "2.5" else text


@pytest.mark.parametrize("max_copy", [2**34, 1])
def test_truths_that_turn_out_to_be_text_stay_as_they_are_written(open_text, max_copy):
    texts = ["true"] * 300_000 + ["TRUE", "0"] * 300_000 + ["maybe"]
    source = open_text("a\n" + "\n".join(texts), max_copy=max_copy)
    assert read(source)["a"].to_pylist() == texts


def test_comments_that_take_too_large_a_copy_are_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("# x\na,b\n" + "1,2\n" * 1000)
    with pytest.raises(
        TableError, match="needs a temporary copy of more than 100 bytes"
    ):
        open_table(path, comment="#", max_copy=100)


def test_a_killed_process_leaves_no_copy_of_the_rows(folder):
    (folder / "rows.csv").write_text("a,b\n" + "1,2\n" * 800_000)
    (folder / "temporary").mkdir()
    code = "source = open_table('rows.csv'); os.kill(os.getpid(), signal.SIGKILL)"
    assert run(code, TMPDIR=str(folder / "temporary")).returncode == -signal.SIGKILL
    assert not list((folder / "temporary").iterdir())


def test_rows_are_read_where_the_disk_is_full(folder):
    (folder / "rows.csv").write_text("a,b\n" + "1,x2\n" * 800_000)
    code = (
        "import resource;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "source = open_table('rows.csv');"
        "rows = sum(batch.num_rows for batch in source.batches());"
        "print(rows, source.kinds['b'].name)"
    )
    assert run(code).stdout == "800000 text\n"


def run(code, **environment):
    """Run code in a process of its own."""
    code = f"import os, signal; from tied_tables.io import open_table; {code}"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not IO.exists(), reason="the system counts no bytes read")
def test_a_file_is_read_once_however_often_its_rows_are(open_text):
    n = 10_000
    text = "x,y\n" + "".join(f"{i},{'a' * 1000}\n" for i in range(n))
    before = count_bytes_read()
    source = open_text(text)
    for _ in range(3):
        assert read(source)["x"].to_pylist() == list(range(n))
    assert count_bytes_read() - before < 1.5 * len(text)


def count_bytes_read():
    [line] = [line for line in IO.read_text().splitlines() if "rchar" in line]
    return int(line.split()[1])


def test_thousands_may_come_late(open_text):
    text = "x;y\n" + "1,5;500\n" * 200_000 + "1,5;1.234\n"
    assert open_text(text, decimal=",").kinds["y"] is Kind.text


def test_comments_may_be_many_and_lines_keep_their_numbers(open_text):
    lines = ["# b" if i % 3 else f"{i},{-i}" for i in range(60_000)]
    text = "\n".join(["# a", "x,y", *lines])
    found = read(open_text(text, comment="#"))
    assert found["x"].to_pylist() == list(range(0, 60_000, 3))
    with refused("3 cells in line 60003"):
        open_text(f"{text}\n1,2,3", comment="#")


@pytest.mark.parametrize("n_before", [0, 1000])
@pytest.mark.parametrize("n", [140_000, 3_000_000])
def test_a_cell_may_be_long(open_text, n, n_before):
    text = 'a "" b\n' * (n // 7)
    before = "1,z\n" * n_before
    source = open_text(f'x,y\n{before}2,"{text}"\n3,w\n')
    assert read(source)[n_before:].to_pydict() == {
        "x": [2, 3],
        "y": [text.replace('""', '"'), "w"],
    }


words = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"]),
    max_size=6,
).filter(lambda word: word not in MISSING)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
whole = st.none() | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(words, numbers, whole), min_size=1))
@example([("sep=", None, None)])
@example([("0,", 0.0, None)])  # text that looks like a number with a decimal comma
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pythons_csv_writer_writes_is_read_back(folder, cells):
    with open("rows.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["word", "number", "whole"], *cells])
    found = read(open_table("rows.csv", text=["word"]))
    assert list(zip(*found.to_pydict().values(), strict=True)) == cells


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("x,1,5\ny,2,7\nTotal,3,12", "row 3, the last, says 'Total' in column 'a'"),
        ("x,1,5\ny,2,7\nz,3,12", "row 3, the last, holds the sums of the others"),
        ("x,1,5\ny,2,7\nTotal,3,12\n,,\n,,", "row 3, the last, says 'Total'"),
        ("x,1,5\ny,2,7\nz,3,13", ""),
        ("x,1,5\n,,\nz,3,13", ""),
        ("Total,1,5\ny,2,7\nTotal,3,1", ""),
        ("x,-3,5\ny,6,-7\nz,3,-2", ""),
    ],
)
def test_a_last_row_that_adds_up_the_others_is_said(open_text, rows, said):
    total = find_total(open_text(f"a,b,c\n{rows}\n"))
    assert said in str(total)
    assert bool(said) == bool(total)


@pytest.mark.parametrize(
    ("names", "are_row"),
    [
        ("M,0.455,0.365,15", True),
        ("6,148,72,35", True),
        ("1,1,2,3", True),
        ("n0,n1,51.1", False),
        ("n0,51.1,166.1", True),
        ("Ann,5,3", True),
        ("country,2019,2020", False),
        ("country,1990,2000,2010", False),
        ("country,2021,2020,2019", False),
        ("dose,0.1,0.5,1,5", False),
        ("a,b,5,3", False),
    ],
)
def test_most_names_may_be_numbers_in_order_alone(open_text, names, are_row):
    rows = [",".join("12345"[: 1 + names.count(",")])] * 2
    text = "\n".join([names, *rows])
    if are_row:
        with refused("begins with a line of numbers", "`header=False`"):
            open_text(text)
    assert read(open_text(text, header=not are_row))


def test_utf8_with_a_damaged_cell_is_no_other_encoding(folder):
    text = TEXT.encode() + "3,Käse\n".encode() + "4,ö\n".encode("cp1252") + b"5,z\n"
    (folder / "rows.csv").write_bytes(text)
    expected = r"not utf-8 text in line 5 \(byte \d+\); save it .* such as cp1252\."
    with pytest.raises(TableError, match=expected):
        open_table("rows.csv")
