"""What is wrong is told in one sentence, with its exit code, and changes no file."""

import errno
import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.marks import slow

from tied_tables.fit import sample
from tied_tables.io import TableError, open_table

from ..estimator.networks import seeded
from .conftest import save

HEAD = "a,b,c\n"
ROWS = "".join(f"{i},{i * i % 7},{i % 5}\n" for i in range(40))
TABLE = HEAD + ROWS
FILES = {
    "rows.csv": TABLE,
    "ragged.csv": TABLE + "1,2\n",
    "words.csv": TABLE + "x1,2,3\n" * 5,
    "infinite.csv": TABLE + "1,inf,3\n" * 5,
    "one.csv": HEAD + "1,2,3\n",
    "few.csv": HEAD + "1,2,3\n2,3,1\n4,1,1\n",
    "kinds.csv": "kind\n" + "pear\nplum\nfig\nlime\n" * 10,
    "towns.csv": "x,y,z\n"
    + "".join(f"{i * 7 % 13},town {i},same\n" for i in range(80)),
    "titled.csv": "Rows of 2026;;\n" + TABLE.replace(",", ";"),
    "text.safetensors": "text",
    "parts/a.csv": TABLE,
    "parts/b.csv": TABLE,
}
FIT = {
    "none.csv": "'none.csv'",
    "ragged.csv": "'ragged.csv' has 2 cells in line 42, but 3 in its first line",
    "words.csv": "column 'a' holds integers in 89%",
    "infinite.csv": "row 41",
    "one.csv": "'one.csv' has one row, but training needs at least 2; add rows.",
    "titled.csv": "has 3 columns, but text in only one cell of its first line",
    "titled.xlsx": "text in only one cell of its first line",
    "rows.csv --components 9": "--components 9 is too many for 40 rows of 3 numbers; use"
    " at most 3.",
    "few.csv --components 1..2": "3 sample(s) (shape=(3, 3)) while a minimum of 10 is",
    "towns.csv": "80 rows of 1 number; use at most 1, or use columns that were left out:"
    " y (text with 80 different values in 80 rows), z (always 'same').",
    "rows.csv --components 0": "--components '0' is invalid; use a positive integer",
    "rows.csv --components 1.0": "--components '1.0' is invalid",
    "rows.csv --components 3..1,2": "--components '3..1,2' is invalid",
    "rows.csv --components 1..": "--components '1..' is invalid",
    "rows.csv --components 1..65": "a list such as 1..16 or 1,2,4 (at most 64 values)",
    "rows.csv --components 0.5,2": "or a share between 0 and 1",
    "rows.csv --components 999999": "--components '999999' is invalid",
    "rows.csv --components 1..3": "--components 3 is too many for 40 rows of 3 numbers; "
    "use at most 2.",
    "kinds.csv -q --components 1..2": "no value could be hidden: there is one column",
    "rows.csv --columns a --components 1,2": "1 feature(s) (shape=(40, 1)) while a minimum",
    "rows.csv --hidden wide": "--hidden 'wide' is invalid; use auto, or numbers",
    "rows.csv --hidden 4,0": "--hidden '4,0' is invalid; use auto",
    "rows.csv --validation 1": "--validation",
    "rows.csv --columns a,z": "'z'",
    "rows.csv --exclude a,b,c": "no usable column",
    "rows.csv --solver steam": "steam",
    "rows.csv --seed -1": "--seed",
    "rows.csv --epochs 0": "--epochs",
    "rows.csv --epochs 9999999999": "'--epochs': it must be at most 1000000",
    "rows.csv --workers 2": "--workers needs --cluster local; add it, or",
    "rows.csv -o m.h5": "'m.h5' has no supported extension; use .safetensors",
    "rows.csv -o m.safetensors --no-clobber": "'m.safetensors' already exists",
}
WRONG = {
    **{f"fit -o new.safetensors {line}": said for line, said in FIT.items()},
    "encode plain.safetensors two.npy -o c.npy": "'two.npy' has 2 numeric columns, but"
    " 'plain.safetensors', fitted without column names, expects 3; give a table with these.",
    "fill m.safetensors fruit.csv -o a.csv --cells ./a.csv": "or the file of the table",
    "check infinite.csv": "row 41",
    "fill m.safetensors fruit.csv -o a.csv --cells -": "--cells '-' is the standard out",
    "decode m.safetensors rows.csv -o c.csv": "'rows.csv' has 3 numeric columns, but"
    " codes of 'm.safetensors' have 2 components; name the code columns code0, code1.",
    "encode m.safetensors parts -o parts/b.csv": "'parts/b.csv' is a table that is read",
    "encode m.safetensors parts/*.csv -o parts/b.csv": "is a table that is read",
    "encode m.safetensors fruit.csv -o c.csv --id z": "no column 'z' for --id; available:",
    "score m.safetensors fruit.csv --threshold nan": "'nan' is invalid; use a score such as 100",
    "score m.safetensors fruit.csv --threshold 1/0": "'1/0' is invalid; use a score such as 100",
    "score m.safetensors fruit.csv --threshold 1/1000": "cannot be estimated from 300"
    " training rows; use 1/300, or a score.",
    "score m.safetensors fruit.csv --na x": "cannot use --na with a fitted model; drop",
    "score m.safetensors fruit.csv --model m.safetensors": "both name a model",
    "score -": "a pipe can be read only once, but a model must be fitted first; save",
    "score fruit.csv --id nmae": "the table has no column 'nmae'; try 'name'.",
    "score": "no table given; example: tied-tables score",
    "score m.safetensors": "no table given",
    "report fruit.csv a.html": "'fruit.csv' and 'a.html' are given, but a command reads one",
    "encode fruit.csv": "Missing option '--output' / '-o'; example: tied-tables encode",
    "check": "example: tied-tables check rows.csv; see also tied-tables check --help.",
    "check rows.csv --sheet 2": "--sheet 2 is for .xlsx, .xlsm, .xlsb, .xls, .ods, and"
    " 'rows.csv' is read as .csv; drop it.",
    "check two.npy --no-header": "--no-header is for .csv, .tsv",
    "check rows.csv --array a": "--array a is for .npz",
    "check rows.csv --skip 90": "'rows.csv' has no row after 90 lines, which --skip 90",
    "check none*.csv": "no table matches 'none*.csv'; correct the path.",
    "fill fruit.csv -o a.json": "'a.json' has no supported extension; use .csv",
    "check http://127.0.0.1:9/a.csv": "': Connection refused; choose another file.",
    "check http://none.invalid/a.csv": "cannot read 'http://none.invalid/a.csv': ",
    "check rows.csv --dates ymd": "'--dates': 'ymd' is not one of 'auto', 'dmy'",
    "score rows.csv --top 0": "Invalid value for '--top': it must be at least 1;",
    "score rows.csv --top x": "Invalid value for '--top': it must be a whole number;",
    "check rows.csv --rules rows.csv": "'rows.csv' is no file of rules: it has no steps.",
    "check rows.csv few.csv": "give several tables as a pattern in quotes, such as '*.csv'",
    "check fruit.csv --delimter=;": "No such option: --delimter; try tied-tables check"
    " fruit.csv '--delimiter=;'.",
    "inspect old.h5": "tied-tables fit rows.csv -o model.safetensors writes one.",
    "score m.safetensors fruit.csv --top 0": "--top",
    "score m.safetensors fruit.csv --cluster local": "--cluster writes all rows; add",
    "plot m.safetensors fruit.csv -o a.txt": ".png, .svg, .pdf",
    "plot m.safetensors fruit.csv -o a.png --label z": "no column 'z'",
    "report m.safetensors fruit.csv -o a.pdf": ".html",
    "report m.safetensors fruit.csv -o a.html --against rows.csv": "--against rows.csv: the"
    " table lacks columns of the model: 'kind'",
    "export m.safetensors -o a.txt": ".onnx",
    "export m.safetensors -o a.onnx --part tail": "tail",
    "sample clients.xlsx": "clients.xlsx",
    "sample clients.npy": "an array holds only numbers; use .csv or .parquet",
    "chek rows.csv --strict": "'chek'; try tied-tables check rows.csv --strict.",
    "-x.csv": "example: tied-tables score rows.csv; see also tied-tables --help.",
    "encode m.safetensors fruit.csv -o out.csv --cluster local": "choose a folder",
    "steam": "there is no command 'steam'; tied-tables --help lists all.",
}


@pytest.fixture(scope="session")
def bad_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    for name in ("parts", "folder.csv"):
        (folder / name).mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    np.save(folder / "two.npy", np.eye(9)[:, :2])
    np.save(folder / "short.npy", np.eye(4)[:2])
    sheet = pd.DataFrame([["Rows of 2026", "", ""], ["a", "b", "c"], [1, 2, 3]])
    sheet.to_excel(folder / "titled.xlsx", index=False, header=False)
    estimator = seeded(max_iter=1).fit(np.eye(9)[:, :3])
    estimator.save(folder / "plain.safetensors")  # without column names
    return folder


@pytest.fixture
def files(folder, bad_folder):
    """Files of which most are bad, beside the table and its model."""
    shutil.copytree(bad_folder, folder, dirs_exist_ok=True)
    (folder / "link.csv").symlink_to("fruit.csv")
    (folder / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(folder / "pipe.csv")


@pytest.mark.parametrize("line", WRONG)
def test_wrong_use_is_refused(refused, files, line):
    assert WRONG[line] in refused(line)


@slow
def test_an_address_without_a_scheduler_is_told_of(refused, monkeypatch):
    monkeypatch.setattr("tied_tables.rows._cluster.CONNECT_SECONDS", 1)
    line = "encode m.safetensors fruit.csv -o out --cluster"
    assert "not an address such as tcp://" in refused(f"{line} 127.0.0.1", 1)
    assert "no Dask scheduler answers" in refused(f"{line} tcp://127.0.0.1:1", 1)


def test_a_deleted_working_folder_is_named(refused, folder, monkeypatch):
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert "the working directory was deleted; change to another" in refused(
        "fit fruit.csv"
    )


COMMANDS = {
    "encode": "out.csv",
    "reconstruct": "out.csv",
    "fill": "out.csv",
    "score": "out.csv",
    "plot": "out.png",
    "report": "out.html",
}
TABLES = {
    "none.csv": "none.csv",
    "absent.csv": "lacks columns of the model: 'weight'; add them, or impute",
    "heavy.csv": "'heavy' in row 301",
    "huge.csv": "row 301",
    "nothing.csv": "no rows",
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("command", COMMANDS)
def test_rows_that_do_not_fit_the_model_are_refused(
    refused, files, fruit, command, table
):
    save(fruit.drop(columns="weight"), "absent.csv")
    save(fruit[:0], "nothing.csv")
    row = fruit.iloc[[0]]
    heavy = [fruit, *30 * [row.assign(weight="heavy")]]
    save(pd.concat(heavy), "heavy.csv")
    huge = [fruit, *30 * [row.assign(weight="inf")]]
    save(pd.concat(huge), "huge.csv")
    line = f"{command} m.safetensors {table} -o {COMMANDS[command]}"
    assert TABLES[table] in refused(line)


OUTPUTS = {
    "folder.csv": "is a folder",
    "loop.csv": "cannot write 'loop.csv': Too many levels of symbolic links; choose",
    "none/out.csv": "/none'; choose another file",
    "out.xyz": ".csv",
    "pipe.csv": "it is a pipe or a device, and would be replaced; choose",
    "fruit.csv": "'fruit.csv' is a table that is read; choose another file with -o",
    "link.csv": "'link.csv' is a table that is read",
    "- --json": "--json and --output - both write to the standard output",
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    "command", ["encode", "decode", "reconstruct", "fill", "score"]
)
def test_an_output_that_cannot_be_written_is_refused(refused, files, command, output):
    line = f"{command} m.safetensors fruit.csv -o {output}"
    assert OUTPUTS[output] in refused(line)


@pytest.mark.parametrize("model", ["text.safetensors", "none.safetensors", "rows.csv"])
@pytest.mark.parametrize("command", [*COMMANDS, "inspect"])
def test_a_model_file_that_is_none_is_refused(refused, files, command, model):
    line = f"{command} {model}"
    if command in COMMANDS:
        line += f" fruit.csv -o {COMMANDS[command]}"
    assert repr(model) in refused(line)


WRITING = [
    "fit fruit.csv --epochs 2 -o out.safetensors",
    "encode m.safetensors fruit.csv -o out.csv",
    "score m.safetensors fruit.csv -o out.csv",
    "export m.safetensors -o out.onnx",
    "plot m.safetensors fruit.csv -o out.svg",
    "report m.safetensors fruit.csv -o out.html",
    "sample out.csv",
]


@pytest.mark.parametrize("line", WRITING)
def test_a_full_disk_leaves_the_old_file(refused, folder, refuse_flush, line):
    output = line.split()[-1]
    (folder / output).write_text("what was there before")
    refuse_flush(errno.ENOSPC)
    reason = f"cannot write {output!r}: No space left on device; free some space.\n"
    assert refused(f"{line} --quiet", 1) == f"tied-tables: {reason}"


def missing(library):
    """The error of an import that fails, as NumPy words it, and why."""
    error = ImportError("Please read on.\nThe error was that.")
    error.__cause__ = ImportError(f"{library}: failed to map segment")
    return error


MEMORY = "not enough memory (%s); free some, or use fewer columns or rows."


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (MemoryError("Unable to allocate"), MEMORY % "Unable to allocate", 1),
        (MemoryError(), MEMORY % "none is left", 1),
        (
            RuntimeError("can't start new thread"),
            MEMORY % "can't start new thread",
            1,
        ),
        (missing("blas.so"), MEMORY % "blas.so: failed to map segment", 1),
        (ValueError("what?"), "failed with ValueError: what?; --debug shows where.", 1),
        (KeyError(), "failed with KeyError; --debug shows where.", 1),
        (ImportError("run pip install x."), "run pip install x.", 2),
        (ImportError("no x"), "failed with ImportError: no x; --debug shows where.", 1),
        (
            ModuleNotFoundError("no", name="pyarrow"),
            'pyarrow is not installed; run pip install "tied-tables[cli]".',
            2,
        ),
        (
            ModuleNotFoundError("no", name="rapidfuzz"),
            'rapidfuzz is not installed; run pip install "tied-tables[cli]".',
            2,
        ),
        (KeyboardInterrupt(), "interrupted.", 130),
    ],
)
def test_any_failure_is_one_sentence(refused, monkeypatch, error, said, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("tied_tables.io.write_table", fail)
    line = "encode m.safetensors fruit.csv -o codes.csv"
    assert refused(line, code) == f"tied-tables: {said}\n"


def test_a_table_that_memory_does_not_hold_is_not_said_to_be_damaged(
    refused, monkeypatch
):
    def fail(*_, **__):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr("pyarrow.csv.open_csv", fail)
    said = refused("encode m.safetensors fruit.csv -o codes.csv")
    assert "malloc of size 64 failed, as there is too little memory" in said


def test_a_bad_row_outside_the_sample_is_found_before_training(
    refused, monkeypatch, rng
):
    monkeypatch.setattr(sample, "MOST_TRAINING_ROWS", 2_000)
    rows = rng.normal(size=(9_000, 4))
    rows[8_000:, 2] = np.inf
    np.save("rows.npy", rows)
    assert "row 8001" in refused("fit rows.npy -o new.safetensors --quiet")


def test_a_misread_value_outside_the_sample_is_told(
    tied_tables,
    monkeypatch,
    rng,
):
    rows = pd.DataFrame(rng.normal(size=(2_500, 3))).astype(object)
    rows.loc[2_499, 0] = "far"
    save(rows)
    monkeypatch.setattr(sample, "MOST_TRAINING_ROWS", 1_000)
    said = tied_tables("fit rows.csv -o new.safetensors --epochs 1").err
    assert "1 value treated as missing: 'far' in row 2,500" in said


def test_debug_shows_the_traceback_before_the_sentence(tied_tables):
    done = tied_tables("check none.csv --debug", 2)
    *lines, last = done.err.splitlines()
    assert lines[0].startswith("Traceback")
    assert last.startswith("tied-tables: cannot read 'none.csv'")


@pytest.mark.parametrize(
    ("text", "option", "argument"),
    [
        ("Report,,\n,,\na,b,c\n1,2,3\n", "--skip 2", "skip=2"),
        ("0.5,2\n1,3\n", "--no-header", "header=False"),
        ("% by hand\na,b\n1,2\n", "--comment", "comment=..."),
        ("a;b\n1.500;1\n2.500;2\n", "--decimal .", "decimal=."),
    ],
)
def test_an_option_is_named_as_the_shell_or_python_writes_it(
    tied_tables, folder, text, option, argument
):
    (folder / "rows.csv").write_text(text)
    code = 0 if argument == "decimal=." else 2
    said = tied_tables("check rows.csv", code).words
    assert f" {option}" in said
    assert argument not in said
    assert "`" not in said
    try:
        said = str(open_table("rows.csv").notes)
    except TableError as error:
        said = str(error)
    assert argument in said
    assert "--" not in said
