"""What a command says beside its work: help, progress, and what streams get."""

import os
import re
import shlex
import time

import pytest
from tests.marks import slow, slow_but
from tests.processes import serve_folder

from tied_tables import __version__, cli
from tied_tables.cli import _progress
from tied_tables.columns import Columns
from tied_tables.datasets import make_clients
from tied_tables.io import open_table

from .conftest import COMMAND, save

SAID = {
    "fit fruit.csv -o new.safetensors --epochs 1": r"model +new\.safetensors\n.* score new\.safetensors fruit\.csv\n",
    "encode m.safetensors fruit.csv -o codes.csv": r"encoded 300 rows to codes\.csv in"
    r" \d+\.\d s\n",
    "reconstruct m.safetensors fruit.csv -o a.csv": r"reconstructed 300 rows to a\.csv .*",
    "decode m.safetensors codes.npy -o a.csv": r"decoded 300 rows to a\.csv in .*\n",
    "score m.safetensors fruit.csv -o a.csv": r"scored 300 rows, none of which stands out, to a\.csv\n",
    "export m.safetensors -o m.onnx": r"exported the encoder to m\.onnx\n",
    "plot m.safetensors fruit.csv -o a.svg": r"drew 300 of 300 rows to a\.svg\n",
    "report m.safetensors fruit.csv -o a.html": r"reported on 300 rows to a\.html\n",
}


@pytest.mark.parametrize("line", SAID)
def test_a_command_says_what_it_did_to_people_machines_or_nobody(tied_tables, line):
    tied_tables("encode m.safetensors fruit.csv -o codes.npy")
    before = set(os.listdir())
    done = tied_tables(line)
    assert re.fullmatch(SAID[line], done.out, re.DOTALL)
    [written] = {*os.listdir()} - before or {"codes.csv"}
    if "plot" not in line and "report" not in line:  # which take long
        assert tied_tables(f"{line} --json").json["output"] == written
        assert tied_tables(f"{line} --quiet") == (0, "", "")


def test_version_is_the_packages(tied_tables):
    assert tied_tables("--version").out == f"tied-tables {__version__}\n"


def test_without_a_command_the_help_lists_all_in_the_order_of_their_use(tied_tables):
    done = tied_tables("", 2)
    assert "Usage: tied-tables" in done.out
    commands = done.out.split("Commands:")[1]
    listed = re.findall(r"^  (\w+)  ", commands, re.MULTILINE)
    assert listed == cli.COMMANDS
    for words in ("--help", "-h", "help"):
        assert tied_tables(words).out == done.out
    assert tied_tables("help fit").out == tied_tables("fit -h").out


@slow
def test_what_can_be_done_with_a_file_can_be_pasted(tied_tables):
    for name in ("fruit.csv", "m.safetensors"):
        lines = re.findall(r"\$ tied-tables (.*)", tied_tables(name, 2).out)
        assert len(lines) >= 9
        for line in lines:
            tied_tables(line.replace("rows.csv", "fruit.csv"))


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_help_of_each_command_has_an_example(tied_tables, command):
    done = tied_tables(f"{command} --help")
    assert not re.search(r"<\w+>|[{}]", done.out)
    assert f"tied-tables {command} " in done.out.split("Example:")[1]
    assert ("--no-clobber" in done.out) == (command not in ("check", "inspect"))


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("fit", ["Options", "Columns", "How the table is read"]),
        ("decode", ["Options", "How the table is read"]),
    ],
)
def test_the_help_lists_options_of_columns_and_of_reading_apart(
    tied_tables, command, headings
):
    said = tied_tables(f"{command} --help").out
    parts = dict(re.findall(r"^([A-Z].+?):\n((?:  .*\n)+)", said, re.MULTILINE))
    assert list(parts) == ["Arguments", *headings]
    for option, heading in (
        ("--output", "Options"),
        ("--delimiter", headings[-1]),
        ("--id", headings[-2]),
    ):
        assert [name for name in headings if option in parts[name]] == [heading]


def test_completion_is_there_for_a_shell(tied_tables, monkeypatch):
    monkeypatch.setenv("_TIED_TABLES_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tied-tables enc")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert tied_tables("").out.split() == ["encode"]


def test_a_pipe_gets_lines_that_can_be_read(tied_tables, fruit, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    name = "a-long-name-of-a-column-that-is-not-cut" * 3
    save(fruit.rename(columns={"weight": name}), sep=";")
    out = tied_tables("check rows.csv").out
    assert out.startswith("note: its delimiter is a semicolon\n")
    lines = out.splitlines()
    assert name in lines  # whole, to be copied
    assert max(len(line) for line in lines if line != name) <= 80


READING = {
    "--delimiter tab": ("a\tb\n1\t2\n3\t4\n", "ab"),
    r"--delimiter '\t'": ("a\tb\n1\t2\n3\t4\n", "ab"),
    "--delimiter space": ("a b\n1 2\n3 4\n", "ab"),
    "--skip 1 --comment #": ("Of; 2026\n# by hand\nx;y\n1;2\n3;4\n# end\n", "xy"),
    "--no-header": ("1,2\n3,4\n", ["x0", "x1"]),
}


@pytest.mark.parametrize("options", READING)
def test_a_table_is_read_as_the_options_say(tied_tables, folder, options):
    text, names = READING[options]
    (folder / "rows.csv").write_text(text)
    found = tied_tables(f"check rows.csv {options} --json").json
    next_line = tied_tables(f"check rows.csv {options}").err.partition("next: ")[2]
    words = ["tied-tables", "score", "rows.csv", *shlex.split(options)]
    assert shlex.split(next_line) == words
    assert found["rows"] == 2
    assert [fact["name"] for fact in found["columns"]] == list(names)


@pytest.mark.parametrize("name", ["clients.csv", "clients.parquet", "clients.tsv.gz"])
def test_sample_writes_the_clients_of_its_seed(tied_tables, name):
    done = tied_tables(f"sample {name} --seed 1")
    said = f"wrote 300 rows to {name}.\ntied-tables: next: tied-tables check {name}\n"
    assert done[1:] == ("", f"tied-tables: {said}")
    rows = next(open_table(name).batches(300))
    clients = make_clients(random_state=1)
    assert rows["town"].to_pylist() == list(clients["town"])
    columns, _ = Columns.survey(rows)
    assert ["client", *columns.names] == list(clients)
    towns = [row["town"] for row in tied_tables("sample - --quiet").rows]
    assert towns == list(make_clients(random_state=0)["town"])


@pytest.fixture
def hasty(tied_tables, monkeypatch):
    """Lets the command say at once and often how far it has come."""
    for name in ("SECONDS_BETWEEN_LINES", "SHORTEST_STAGE"):
        monkeypatch.setattr(_progress, name, 0.001)


def test_work_is_said_to_go_on_however_long_a_step_takes(
    tied_tables, hasty, monkeypatch, capfd
):
    said = ""

    def write(output, batches, **_):
        nonlocal said
        n_rows = sum(batch.num_rows for batch in batches)
        for _ in range(1000):
            said += capfd.readouterr().err
            if said.count("encoded: 300 of 300 rows") > 1:
                break
            time.sleep(0.01)
        return n_rows

    monkeypatch.setattr("tied_tables.io.write_table", write)
    tied_tables("encode m.safetensors fruit.csv -o codes.csv")
    assert said.count("tied-tables: encoded: 300 of 300 rows\n") > 1


@pytest.mark.parametrize("options", ["", "--json", "--quiet"])
def test_work_is_said_to_go_on_to_people_alone(
    tied_tables, hasty, monkeypatch, options
):
    def open_slowly(*args, **settings):
        time.sleep(0.1)
        return open_table(*args, **settings)

    monkeypatch.setattr("tied_tables.io.open_table", open_slowly)
    said = tied_tables(f"check fruit.csv {options}").err
    assert ("tied-tables: reading\n" in said) == (options == "")


HEAVY = set("keras jax sklearn scipy h5py torch tensorflow pandas".split())
IMPORTS = {
    "encode m.safetensors fruit.csv -o codes.csv": HEAVY,
    "fit fruit.csv -o new.safetensors --epochs 2": HEAVY,
    "check fruit.csv": HEAVY | {"bokeh", "matplotlib"},
    "--help": HEAVY | {"numpy", "pyarrow", "bokeh", "matplotlib"},
    "plot m.safetensors fruit.csv -o a.svg": {"matplotlib.pyplot", "keras", "jax"},
}


@pytest.mark.parametrize("line", slow_but(IMPORTS, *list(IMPORTS)[:2]))
def test_a_command_imports_nothing_that_it_does_not_need(process, line):
    program = "import sys; from tied_tables import cli; cli.run(); print(*sys.modules)"
    done = process(line, program)
    assert done.code == 0
    imported = done.out.splitlines()[-1].split()
    assert not IMPORTS[line].intersection(imported)


@pytest.mark.parametrize(
    ("missing", "line", "code", "said"),
    [
        ("typer", "sample", 1, "tied-tables[cli]"),
        ("onnx", "export m.safetensors -o m.onnx", 2, "tied-tables[onnx]"),
    ],
)
@slow
def test_what_is_not_installed_is_named(process, missing, line, code, said):
    hide = f"import sys; sys.modules[{missing!r}] = None; {COMMAND}"
    done = process(line, hide)
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert said in done.err


@slow
def test_a_fit_notes_versions_and_writes_nothing_into_the_home(process, folder):
    environment = {"HOME": str(folder / "home")}
    done = process("fit fruit.csv -o new.safetensors --json", **environment)
    versions = done.json["versions"]
    assert list(versions) == ["python", "tied-tables", "numpy", "scipy"]
    assert not (folder / "home").exists()


@slow
def test_a_file_name_beyond_the_encoding_of_a_stream_is_printed_escaped(process):
    line = "encode m.safetensors fruit.csv -o Δ.csv"
    done = process(line, PYTHONIOENCODING="ascii")
    assert r"\u0394.csv" in done.out
    assert os.path.exists("Δ.csv")


FULL = "No space left on device"
LOST = f"tied-tables: cannot write to the standard output: {FULL}.\n"


@slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [
        (">&-", 0, ""),
        (">/dev/full", 1, LOST),
        ("2>&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("-q 2>&-", 0, ""),
        ("-q >&-", 0, ""),
    ],
)
def test_work_is_done_though_nothing_can_be_printed(fruit, shell, streams, code, said):
    save(fruit.assign(more=1), "more.csv")  # which is remarked on
    done = shell(f"encode m.safetensors more.csv -o codes.csv {streams}")
    assert done.code == code
    assert done.err.endswith(said)
    assert open_table("codes.csv").n_rows == 300


@slow
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("encode m.safetensors fruit.csv -o - >/dev/full", 1, f"'-': {FULL}; free"),
        ("encode m.safetensors fruit.csv -o - >&-", 1, "'-': it is closed"),
        ("fill m.safetensors fruit.csv -o - >/dev/full", 1, f"'-': {FULL}; free"),
        ("check - <&-", 2, "cannot read '-'"),
        ("--help >/dev/full", 1, FULL),
        ("--version >&-", 0, ""),
        ("check none.csv 2>&-", 2, ""),
    ],
)
def test_what_cannot_be_told_is_an_exit_code_and_no_traceback(shell, line, code, said):
    done = shell(line)
    assert (done.code, done.err.count("\n")) == (code, bool(said))
    assert said in done.err


@slow
def test_a_user_without_a_home_and_a_name_has_all_commands(shell, folder):
    stranger = "unshare --user --map-user=54321"
    if shell("--version", f"{stranger} env -u HOME").code:
        pytest.skip("there are no namespaces of users here")
    for command, output in (("report", "a.html"), ("plot", "a.png")):
        line = f"{command} m.safetensors fruit.csv -o {output} -q"
        assert shell(line, f"{stranger} env -u HOME") == (0, "", "")


@slow
def test_a_reader_that_has_closed_its_pipe_ends_the_command_without_a_word(process):
    closed = "import os; reader, writer = os.pipe(); os.close(reader); "
    done = process(
        "encode m.safetensors fruit.csv -o -", f"{closed}os.dup2(writer, 1); {COMMAND}"
    )
    assert (done.code, done.err) == (1, "")


ADDRESSES = {
    "fit {} -o new.safetensors --hidden 2 --epochs 1 --json": 0,
    "encode {} --model new.safetensors -o codes.csv": 0,
    "report new.safetensors {} -o new.html --against {}": 0,
    "inspect new.safetensors --json": 0,
    "check {}": 0,
    "check {} --columns none --debug": 2,
    "score {} --thresh 3": 2,
    "chekc {}": 2,
}


@slow
def test_secrets_of_an_address_are_neither_kept_nor_told(tied_tables, folder):
    with serve_folder(folder) as place:
        address = f"'http://user:s3cret@{place}/fruit.csv?token=T0KEN'"
        done = [
            tied_tables(line.format(address, address), code)
            for line, code in ADDRESSES.items()
        ]
    texts = [result.out + result.err for result in done]
    assert place in texts[0]
    for name in ("new.safetensors", "new.html"):
        texts.append((folder / name).read_bytes().decode(errors="replace"))
    for text in texts:
        assert not re.search("user:|s3cret|T0KEN", text)


def test_an_escape_code_in_the_name_of_a_file_does_not_reach_the_terminal(tied_tables):
    name = "a\x1b[31mb"
    os.rename("fruit.csv", f"{name}.csv")
    for line in (
        f"fit '{name}.csv' -o '{name}.safetensors' --epochs 1",
        f"check '{name}.csv'",
        f"encode '{name}.safetensors' '{name}.csv' -o '{name}.npy'",
        f"score '{name}.safetensors' '{name}.csv' -o '{name}.parquet'",
        f"inspect '{name}.safetensors'",
    ):
        done = tied_tables(line)
        assert "[31mb" in done.out
        assert "\x1b" not in done.out + done.err


def test_a_star_in_the_name_of_an_output_stands_for_the_table(tied_tables, folder):
    tied_tables("encode m.safetensors fruit.csv -o '*-codes.csv'")
    assert (folder / "fruit-codes.csv").exists()


def test_a_switch_is_listed_without_a_value(tied_tables):
    for command, switch in (
        ("", "--version"),
        ("check", "--strict"),
        ("fit", "--json"),
    ):
        [line] = [
            line
            for line in tied_tables(f"{command} --help").out.splitlines()
            if f" {switch} " in line
        ]
        assert "bool" not in line
