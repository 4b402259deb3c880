"""Small tables that would take much memory or time, in a process with
little of both.
"""

import bz2
import gzip
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
from numpy.lib import format as npy

from keras_tied import _files
from keras_tied.columns import Columns
from keras_tied.rows import Doubts, Scan
from keras_tied.tables import TableError, open_table, write_table

POSIX = pytest.mark.skipif(os.name != "posix", reason="no such files")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save_npy(path, shape, content=b""):
    with path.open("wb") as file:
        npy.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        file.write(content)


def save_view(path, query):
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE VIEW v AS {query}")
    database.close()


def save_generated(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a, b AS (zeroblob(900000000)))")
        database.execute("INSERT INTO t (a) VALUES (1)")
    database.close()


NUMBERS = (
    "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
)
HARMFUL = {
    "no rows.npy": (
        lambda path: save_npy(path, (0, 10**8)),
        "has 100,000,000 columns, more than",
    ),
    "wide.npy": (
        lambda path: save_npy(path, (1, 60_000), bytes(480_000)),
        "60,000 columns",
    ),
    "no columns.npy": (lambda path: save_npy(path, (10**8, 0)), "shape .100000000, 0."),
    "commas.csv": (
        lambda path: path.write_text("," * 2_000_000 + "\n1"),
        "2,000,001 columns",
    ),
    "quoted.csv": (
        lambda path: path.write_text('"a,b",' * 60_000 + "\n1"),
        "60,001 columns, more than 50,000; .* --max-columns",
    ),
    "empty lines.csv": (lambda path: path.write_text("\n" * 300_000), "is empty"),
    "zeros.csv.bz2": (
        lambda path: path.write_bytes(bz2.compress(bytes([48]) * 150_000_000)),
        "line of more than 67,108,864 bytes",
    ),
    "spaces.csv.gz": (
        lambda path: path.write_bytes(gzip.compress(b"a,b\n" + b" " * 150_000_000)),
        "line of more than 67,108,864 bytes",
    ),
    "lists.json": (
        lambda path: path.write_text("[" * 32_000 + "]" * 32_000),
        "cannot be read",
    ),
    "lists.jsonl": (
        lambda path: path.write_text('{"a":' + "[" * 32_000 + "]" * 32_000 + "}"),
        "cannot be read",
    ),
    "names.jsonl": (
        lambda path: path.write_text(
            "\n".join(
                json.dumps({f"k{i}_{j}": 1 for j in range(100)}) for i in range(600)
            )
        ),
        "columns, more than 50,000",
    ),
    "surrogate.jsonl": (
        lambda path: path.write_text('{"a": "\\ud800"}\n' * 2),
        "cannot be read as a file of JSON objects",
    ),
    "name.jsonl": (
        lambda path: path.write_text('{"a\\ud800": 1}\n' * 2),
        "cannot be read as a file of JSON objects",
    ),
    "endless.sqlite": (
        lambda path: save_view(path, NUMBERS),
        "1 view .'v'.; .*--query",
    ),
    "large.sqlite": (
        lambda path: save_view(path, "SELECT hex(zeroblob(1000000000)) AS a"),
        "1 view",
    ),
    "generated.sqlite": (save_generated, "too big"),
}

QUICK = ("no rows.npy", "commas.csv", "endless.sqlite", "name.jsonl")

READ = """
import resource, sys
from keras_tied.tables import TableError, open_table

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
try:
    sum(batch.num_rows for batch in open_table(sys.argv[1]).batches())
except TableError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory differ elsewhere")
@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in HARMFUL],
)
def test_a_small_table_takes_neither_much_memory_nor_time(name, folder):
    save, message = HARMFUL[name]
    save(folder / name)
    done = subprocess.run(
        [sys.executable, "-c", READ, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-300:]
    [line] = done.stdout.splitlines()
    assert re.search(message, line), line


@pytest.mark.parametrize("name", ["rows.csv", "rows.npy", "rows.jsonl", "rows.parquet"])
def test_the_bound_of_columns_can_be_lifted(name, folder):
    table = pa.table({f"x{i}": [1.0, 2.0] for i in range(12)})
    match name.rpartition(".")[2]:
        case "npy":
            np.save(name, np.ones((2, 12)))
        case "jsonl":
            (folder / name).write_text(
                "\n".join(json.dumps(row) for row in table.to_pylist())
            )
        case _:
            write_table(name, table.to_batches())
    with pytest.raises(
        TableError, match=r"has 12 columns, more than 11; .*max_columns=\.\.\."
    ):
        open_table(name, max_columns=11)
    assert len(open_table(name, max_columns=12).schema) == 12


@pytest.mark.slow
@pytest.mark.parametrize("n", [40_000])
def test_many_columns_of_one_name_are_told_apart(n, folder):
    (folder / "rows.csv").write_text(
        ",".join(["a"] * n) + "\n" + ",".join(["1"] * n) + "\n"
    )
    names = open_table("rows.csv").schema.names
    assert len(set(names)) == n
    assert names[:2] == ["a", "a_2"]
    assert names[-1] == f"a_{n}"


def test_a_view_is_read_where_it_is_asked_for(folder):
    save_view("rows.sqlite", "SELECT 1 AS a UNION ALL SELECT 2")
    [batch] = open_table("rows.sqlite", query="SELECT * FROM v").batches()
    assert batch.to_pydict() == {"a": [1, 2]}


def test_a_view_beside_the_only_table_does_not_run(folder):
    with sqlite3.connect("rows.sqlite") as database:
        database.execute("CREATE TABLE t (a)")
        database.execute("INSERT INTO t VALUES (5)")
    database.close()
    save_view("rows.sqlite", NUMBERS)
    [batch] = open_table("rows.sqlite").batches()
    assert batch.to_pydict() == {"a": [5]}


@POSIX
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_a_pipe_with_a_name_is_read_as_the_standard_input_is(name, folder):
    os.mkfifo(name)
    writer = threading.Thread(
        target=(folder / name).write_text, args=["a,b\n1,2\n3,4\n"]
    )
    writer.start()
    source = open_table(name)
    writer.join()
    for _ in range(2):
        [batch] = source.batches()
        assert batch.to_pydict() == {"a": [1, 3], "b": [2, 4]}


@pytest.fixture
def check_pipe(folder):
    """`keras-tied check` of a pipe, and waiting for rows."""
    os.mkfifo("pipe")
    command = [sys.executable, "-m", "keras_tied", "check", "pipe"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr:
                if "reading" in line:
                    break
            yield process
        finally:
            process.kill()


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_waiting_for_a_pipe_obeys_signals(number, default_sigint, check_pipe):
    check_pipe.send_signal(number)
    _, errors = check_pipe.communicate(timeout=20)
    assert check_pipe.returncode == 128 + number
    assert errors == "keras-tied: interrupted.\n"


@pytest.fixture
def ignored_sigint():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@POSIX
def test_waiting_for_a_pipe_goes_on_where_the_shell_ignores_ctrl_c(
    ignored_sigint, folder, check_pipe
):
    check_pipe.send_signal(signal.SIGINT)
    (folder / "pipe").write_text("a,b\n1,2\n3,4\n")
    output, errors = check_pipe.communicate(timeout=20)
    assert check_pipe.returncode == 0, errors
    assert "2 rows" in output


@POSIX
def test_a_device_is_no_table():
    with pytest.raises(
        TableError, match="'/dev/zero' is a device or a socket; name a file"
    ):
        open_table("/dev/zero", format="csv")


def test_text_that_begins_a_formula_elsewhere_in_the_world_is_escaped_too(folder):
    texts = [
        "a;=1+1",
        "\ufeff=1",
        "x\t=2",
        "a; +cmd|x",
        "b,-2",
        "\u200b@sum",
        "a-b=c",
        "e;f",
    ]
    table = pa.record_batch({"\ufeff=n": texts})
    write_table("rows.csv", [table], safe_csv=True)
    text = (folder / "rows.csv").read_text(encoding="utf-8").replace('"', "")
    assert text.splitlines() == [
        "\ufeff'=n", "a;'=1+1", "\ufeff'=1", "x\t'=2", "a; '+cmd|x", "b,'-2", "\u200b'@sum",
        "a-b=c", "e;f",
    ]  # fmt: skip


@POSIX
def test_the_copy_of_a_killed_process_is_deleted_by_a_later_one(folder, monkeypatch):
    monkeypatch.setattr(_files, "gettempdir", lambda: str(folder))
    code = (
        "import os; from keras_tied.tables import open_table; "
        "source = open_table('-'); os.kill(0, 9)"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        input=b"a,b\n1,2\n",
        env={**os.environ, "TMPDIR": str(folder)},
        check=False,
        start_new_session=True,
    )
    [left] = folder.iterdir()
    with _files.temporary_folder():
        assert left.exists()  # it is new: its process may be about to lock it
    before = time.time() - 3600
    os.utime(left / _files.LOCK, (before, before))
    with _files.temporary_folder() as own:
        os.utime(f"{own}/{_files.LOCK}", (before, before))
        with _files.temporary_folder():
            assert not left.exists()
            assert os.path.exists(own)


NUMBER = {"name": "a", "kind": "number"}
LONG = "y" * 5000


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": [NUMBER | {"form": {"form": "number", "suffix": LONG}}]},
        {"columns": [NUMBER | {"kind": "text", "categories": ["x", LONG]}]},
        {"columns": [NUMBER], "restored": [{"name": "b", "value": LONG}]},
    ],
    ids=["unit", "category", "constant"],
)
def test_a_model_file_cannot_make_rows_long(changes):
    with pytest.raises(TableError, match=r"is damaged .*text that is too long"):
        Columns.from_json(json.dumps({"version": 1, **changes}).encode())


@pytest.mark.parametrize(
    "shares", [(1.0, 0.0), (0.5, 0.5)], ids=["constant", "categories"]
)
def test_very_long_text_is_left_out_and_said(shares):
    texts = [LONG] * int(40 * shares[0]) + ["short"] * int(40 * shares[1])
    columns, facts = Columns.survey(pa.record_batch({"a": range(40), "b": texts}))
    assert columns.names == ["a"]
    assert facts[1].becomes == "left out: text of over 4,096 characters"


@pytest.mark.slow
def test_rows_that_decode_to_many_columns_come_in_small_batches(folder):
    write_table("rows.csv", [pa.record_batch({"a": range(2000)})])
    restored = [{"name": f"b{i}", "value": 1} for i in range(120_000)]
    description = {"version": 1, "columns": [NUMBER], "restored": restored}
    columns = Columns.from_json(json.dumps(description).encode())
    rows = Scan(open_table("rows.csv"), columns)
    batches = [len(batch.numbers) for batch in rows.read(Doubts())]
    assert sum(batches) == 2000
    assert max(batches) * 120_000 * 8 <= 2**27
