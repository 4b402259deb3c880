"""Each thing that can be wrong with a file is one sentence that says what it is."""

import bz2
import gzip
import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.lib import format as npy
from numpy.testing import assert_array_equal
from tests.marks import for_each, needs_posix, slow
from tests.processes import run_python

from tied_tables.io import TableError, open_table

from .conftest import read, refused, save

LONG = b"1,red\n" * 300_000  # more than a block
LISTS = "[" * 32_000 + "]" * 32_000
NUMBERS = (
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
)


def query(*statements):
    """The content of a database of SQLite."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(";".join(statements))
        return database.serialize()


def declare(shape):
    """The content of an array of NumPy that tells its shape itself."""
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    return file.getvalue()


def to_parquet(table):
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


# The name of a file, its bytes or its text, and what is said.
BAD_FILES = {
    "empty.csv": ("", "'empty.csv' is empty"),
    "line ends.csv": ("\n\r\n\n" * 100_000, "is empty"),
    "names.csv": ("a,b\n", "column names but no rows"),
    "a cell missing.csv": ("a,b\n1,2\n3\n", "1 cell in line 3, but 2 in its first line"),
    "a cell too many.csv": ("a,b\n1,2\n\n\n3,4,5\n", "3 cells in line 5"),
    "ragged behind quotes.csv": ('a,b\n"1\n1",2\n3\n', "1 cell in line 4"),
    "ragged late.csv": (b"a,b\n" + LONG + b"3\n", "1 cell in line 300002"),
    "ragged semicolons.csv": ("a;b\n" + "1;2\n" * 20 + "3\n", "1 cell in line 22"),
    "title.csv": ("Report\na,b\n1,2\n", "2 cells in line 2.*`skip=...`"),
    "title, empty.csv": ("Report,,\n,,\na,b,c\n1,2,3\n", "`skip=2`"),
    "comment, last.csv": ("a,b\n1,2\n# end\n", "`comment=...`"),
    "comment.csv": ("% by hand\na,b\n1,2\n", "`comment=...`"),
    "Japanese.csv": ("a,b\n1,田中\n".encode("shift-jis"), "not utf-8"),
    "Greek names.csv": ("γράμμα,b\n1,2\n".encode("iso-8859-7"), "not utf-8.*line 1 .byte 0."),
    "Greek.csv": ("a,b\n1,2\n1,Γαλανό\n".encode("iso-8859-7"), "not utf-8.*line 3 .byte 10."),
    "no text late.csv": (
        b"a,b\n" + LONG + b"1,Gr\x81\n",
        f"line 300002 .byte {len(LONG) + 8}",
    ),
    "half a character.csv": (b"a,b\n1,Gr\xc3", "not utf-8.*line 2"),
    "numbers.csv": ("0.5,2\n1,3\n", "begins with a line of numbers.*`header=False`"),
    "open quote late.csv": (b"a,b\n" + LONG + b'1,"x\n' + LONG, "quotation mark"),
    "open quote in names.csv": ('"a,b\n' + "1,2\n" * 50_000, "quotation mark"),
    "open quote of few.csv": (b'a,b\n1,"x\n2,y\n3,z\n', "quotation mark"),
    "open quote.csv": (b'a,b\n1,"x\n' + LONG, "quotation mark"),
    "lists.jsonl": ('{"a": 1}\n[1, 2]\n', "no JSON object in line 2"),
    "cut.jsonl": ('{"a": 1}\n{"a": 1\n', "no JSON object in line 2"),
    "cut.json": ('[{"a": 1},\n{"a": 2}', "line 2: Expecting value"),
    "more.json": ('[{"a": 1}]\n{"a": 2}', "line 1: Expecting value"),
    "lists.json": ("[\n[1, 2]]", "line 2: it is of another type"),
    "broken.json": ('[\n{"a": 1},\n\n{"a" 2}]', "line 4: Expecting ':' delimiter"),
    "empty.json": ("", "no columns|no rows"),
    "none.json": ("[]", "no columns|no rows"),
    "none.parquet": (to_parquet(pa.table({"x": pa.nulls(0)})), "columns but no rows"),
    "twice.parquet": (
        to_parquet(pa.table([[1], [2]], names=["x", "x"])),
        "duplicate column names: 'x'",
    ),
    "tables.sqlite": (
        query("CREATE TABLE a (x)", "CREATE TABLE b (x)"),
        "not hold exactly one table .*: 'a', 'b'.; .*`query=",
    ),
    # Small ones that would take much memory or time.
    "no rows.npy": (declare((0, 10**8)), "has 100,000,000 columns, more than"),
    "no columns.npy": (declare((10**8, 0)), "shape .100000000, 0."),
    "commas.csv": ("," * 2_000_000 + "\n1", "2,000,001 columns"),
    "quoted.csv": (
        '"a,b",' * 60_000 + "\n1",
        "60,001 columns, more than 50,000; .*`max_columns=",
    ),
    "deep.json": (LISTS, "cannot be read"),
    "deep.jsonl": (f'{{"a": {LISTS}}}', "cannot be read"),
    "keys.jsonl": (
        "\n".join(f'{{"a{i}": 1, "b{i}": 1}}' for i in range(30_000)),
        "columns, more than 50,000",
    ),
    "long.jsonl.gz": (
        gzip.compress(b'{"a": "' + b"x" * 20_000_000),
        "line 1: it has more than 16,777,216 characters",
    ),
    "surrogate.jsonl": ('{"a\\ud800": 1}\n' * 2, "cannot be read"),
    "endless.sqlite": (query(f"CREATE VIEW v AS {NUMBERS}"), "not hold exactly one table .*: 'v'.; .*`query="),
    "generated.sqlite": (
        query(
            "CREATE TABLE t (a, b AS (zeroblob(900000000)))",
            "INSERT INTO t (a) VALUES (1)",
        ),
        "too big",
    ),
    "zeros.csv.bz2": (
        bz2.compress(bytes([48]) * 150_000_000),
        "line of more than 16,777,216 bytes",
    ),
    "spaces.csv.gz": (
        gzip.compress(b"a,b\n" + b" " * 150_000_000),
        "line of more than 16,777,216 bytes",
    ),
}  # fmt: skip
HARMFUL = list(BAD_FILES)[list(BAD_FILES).index("no rows.npy") :]
HEAVY = ("zeros.csv.bz2", "spaces.csv.gz", "generated.sqlite")


def write(name):
    content, message = BAD_FILES[name]
    with open(name, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return message


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=slow) if n in HEAVY else n for n in BAD_FILES]
)
def test_a_bad_file_is_one_sentence_that_says_where(folder, name):
    message = write(name)
    with refused(repr(name)) as error:
        read(name)
    assert re.search(message, str(error.value))


READ = """
import resource, sys
from tied_tables.io import TableError, open_table

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
try:
    sum(batch.num_rows for batch in open_table(sys.argv[1]).batches())
except TableError as error:
    print(error)
"""


@slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory differ elsewhere")
@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_file_takes_neither_much_memory_nor_time(folder, name):
    message = write(name)
    assert re.search(message, run_python("-c", READ, name).stdout)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"encoding": "utf-9"}, ["utf-9", "such as utf-8"]),
        ({"encoding": "ascii"}, ["not ascii", "line 2"]),
        ({"delimiter": "::"}, ["::", "one character"]),
    ],
)
def test_an_option_that_does_not_fit_is_one_sentence(folder, options, parts):
    (folder / "rows.csv").write_text("a,b\n1,é\n", encoding="utf-8")
    with refused(*parts):
        open_table("rows.csv", **options)
    with refused("no column 'c', 'd'"):
        list(open_table("rows.csv").batches(names=["a", "c", "d"]))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl"])
def test_the_bound_of_columns_can_be_lifted(folder, name):
    save(pa.table({f"x{i}": [1.0, 2.0] for i in range(12)}), name)
    with refused("has 12 columns, more than 11;", "max_columns=..."):
        open_table(name, max_columns=11)
    assert len(open_table(name, max_columns=12).schema) == 12


@pytest.mark.parametrize(
    ("n", "before", "limit"),
    [(5_000_000, LONG, 2**21), pytest.param(2**24 + 1, b"", 2**24, marks=slow)],
)
def test_a_cell_above_the_limit_is_no_open_quote(folder, monkeypatch, n, before, limit):
    monkeypatch.setattr("tied_tables.io._csv.LARGEST_BLOCK", limit)
    (folder / "rows.csv").write_bytes(b"a,b\n" + before + b'1,"' + b"x" * n + b'"\n')
    with refused(f"more than {limit:,} bytes", "shorten it"):
        open_table("rows.csv")


@pytest.mark.parametrize(
    "ending", ["csv", "csv.gz", "parquet", "feather", "arrow", "npy", "npz"]
)
@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\xff" * 100, b"\x93NUMPY\x01\x00"]
)
def test_a_file_that_is_not_what_its_ending_says_is_one_sentence(
    folder, ending, content
):
    (folder / f"rows.{ending}").write_bytes(content)
    with refused(f"'rows.{ending}'"):
        open_table(f"rows.{ending}")


@pytest.mark.parametrize("ending", ["parquet", "feather", "npy", "npz", "csv.gz"])
def test_a_file_that_was_cut_off_is_one_sentence(folder, rng, ending):
    name = f"rows.{ending}"
    save(pa.table({"x": rng.normal(size=3000)}), name)
    os.truncate(name, os.path.getsize(name) // 2)
    with refused(repr(name)):
        read(name)


class Trap:
    """Leaves a folder behind if it is ever unpickled."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


BAD_ARRAYS = {
    "objects": (np.array([[Trap()]], object), "pickled objects, which could run code"),
    "one axis": (np.zeros(3), "shape (3,)"),
    "three axes": (np.zeros((2, 2, 2)), "shape (2, 2, 2)"),
    "text": (np.array([["a"]]), "<U1"),
    "complex numbers": (np.zeros((2, 2), np.complex64), "complex64"),
    "fields": (np.zeros((2, 2), [("a", "f4")]), "type [('a', '<f4')]"),
    "no rows": (np.zeros((0, 3)), "no rows"),
}


@for_each(BAD_ARRAYS, "array", "said")
@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_an_array_that_is_no_table_of_numbers_is_one_sentence(
    folder, array, said, ending
):
    save = np.save if ending == "npy" else np.savez
    save(f"rows.{ending}", array, allow_pickle=True)
    with refused(f"'rows.{ending}'", said):
        open_table(f"rows.{ending}")
    assert os.listdir() == [f"rows.{ending}"]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("none.csv", ["'none.csv'", "No such file"]),
        ("none/rows.csv", ["No such file"]),
        ("rows.txt", ["no supported extension", ".csv"]),
        ("empty", ["has no file with", ".parquet"]),
        ("*.tsv", ["no table matches '*.tsv'"]),
        ("rows.txt/rows.csv", ["Not a directory"]),
        (f"{'a' * 300}.csv", ["File name too long"]),
        ("several", ["a.csv", "b.jsonl", "several formats"]),
        ("[a1].csv", ["'a.csv' has the column 'y', which '1.csv' does not have"]),
        ("[ab].csv", ["'b.csv' has no column 'y', which 'a.csv' has"]),
        (
            "[ab].jsonl",
            ["'b.jsonl' has text in column 'y', but 'a.jsonl' has integer"],
        ),
        pytest.param(
            "/dev/zero", ["a device or a socket; give a file"], marks=needs_posix
        ),
    ],
)
def test_a_path_without_one_table_is_one_sentence(folder, path, parts):
    for name in ("empty", "several"):
        (folder / name).mkdir()
    for name, content in {
        "rows.txt": "",
        "a.csv": "x,y\n1,1\n",
        "1.csv": "x\n1\n",
        "b.csv": "x,z\n1,1\n",
        "a.jsonl": '{"y": 1}\n',
        "b.jsonl": '{"y": "red"}\n',
        "several/a.csv": "x\n1\n",
        "several/b.jsonl": '{"x": 1}\n',
    }.items():
        (folder / name).write_text(content)
    options = {"format": "csv"} if path == "/dev/zero" else {}
    with refused(*parts):
        open_table(path, **options)


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow", "npy", "npz"])
def test_a_file_that_may_not_be_read_is_one_sentence(folder, ending):
    path = folder / f"rows.{ending}"
    path.write_text("a\n1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read anything")
    with refused("Permission denied"):
        open_table(path)


def test_a_view_is_read_where_it_is_asked_for_alone(folder):
    content = query(
        "CREATE TABLE t (a)",
        "INSERT INTO t VALUES (5)",
        "CREATE VIEW few AS SELECT 1 AS a UNION ALL SELECT 2",
        f"CREATE VIEW endless AS {NUMBERS}",
    )
    (folder / "rows.sqlite").write_bytes(content)
    assert read("rows.sqlite").to_pydict() == {"a": [5]}
    source = open_table("rows.sqlite", query="SELECT * FROM few")
    assert read(source).to_pydict() == {"a": [1, 2]}
    with refused("no such table"):
        open_table("rows.sqlite", query="SELECT * FROM absent")


def test_a_view_of_a_database_reads_no_other_file(folder):
    duckdb = pytest.importorskip("duckdb")
    (folder / "secret.csv").write_text("x\n1\n")
    with duckdb.connect("rows.duckdb") as database:
        database.execute("CREATE VIEW v AS SELECT * FROM read_csv('secret.csv')")
    with pytest.raises(TableError, match=r"rows\.duckdb"):
        read("rows.duckdb")


@slow
def test_fifty_thousand_columns_of_one_name_are_told_apart(folder, rng):
    n = 50_000
    expected = rng.integers(9, size=(2, n))
    names = ",".join("a" * n)
    np.savetxt("rows.csv", expected, "%d", ",", header=names, comments="")
    found = read("rows.csv", n_rows=2)
    assert found.column_names == ["a", *(f"a_{i + 2}" for i in range(n - 1))]
    assert_array_equal(np.column_stack(found.columns), expected)


@slow
@needs_posix
@pytest.mark.parametrize(
    ("number", "of_shell"),
    [
        (signal.SIGINT, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
        (signal.SIGINT, signal.SIG_IGN),
    ],
)
def test_waiting_for_a_pipe_obeys_signals_unless_the_shell_ignores_them(
    number, of_shell, folder, default_sigint
):
    os.mkfifo("pipe")
    signal.signal(signal.SIGINT, of_shell)
    command = [sys.executable, "-m", "tied_tables", "check", "pipe"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while "reading" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(number)
            if of_shell == signal.SIG_IGN:
                (folder / "pipe").write_text("a,b\n1,2\n3,4\n")
            output, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    if of_shell == signal.SIG_IGN:
        assert "2 rows" in output
    else:
        assert process.returncode == 128 + number
        assert errors == "tied-tables: interrupted.\n"
