"""What is wrong is told in one sentence, with the right exit code, and leaves no file
behind.
"""

import errno
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from keras_tied.cli._messages import find_lack_of_memory

HEAD = "a,b,c\n"
ROWS = "".join(f"{i},{i * i % 7},{i % 5}\n" for i in range(40))


def assert_one_sentence(text):
    assert text.startswith("keras-tied: ")
    assert text.count("\n") == 1
    assert text.endswith(".\n")
    assert "Traceback" not in text
    assert "--debug" not in text


def array(values, pickled=False):
    return lambda path: np.save(path, values, allow_pickle=pickled)


def table(**columns):
    return lambda path: parquet.write_table(pa.table(columns), path)


BAD_TABLES = {
    "missing file": ("rows.csv", None, "rows.csv"),
    "empty file": ("rows.csv", "", "rows.csv"),
    "header only": ("rows.csv", HEAD, "no rows"),
    "ragged": ("rows.csv", HEAD + ROWS + "1,2\n", "row"),
    "not UTF-8": ("rows.csv", (HEAD + ROWS).encode() + b"\x81,1,2\n", "encoding"),
    "numbers and words": (
        "rows.csv",
        HEAD + ROWS + "x1,2,3\n" * 5,
        "column 'a' holds integers in 89%",
    ),
    "all columns missing": ("rows.csv", HEAD + ",,\n" * 9, "no value"),
    "infinite": ("rows.csv", HEAD + ROWS + "1,inf,3\n", "row 41"),
    "one row": ("rows.csv", HEAD + "1,2,3\n", "one row"),
    "no column that can be used": (
        "rows.csv",
        "a\n" + "\n".join(map(str, "abcdefgh")),
        "differs",
    ),
    "pickled array": ("rows.npy", array(np.array([[{}]]), pickled=True), "rows.npy"),
    "not an array": ("rows.npy", "text", "rows.npy"),
    "not Parquet": ("rows.parquet", "text", "rows.parquet"),
    "infinite in Parquet": (
        "rows.parquet",
        table(a=[1.0, np.inf, 2.0], b=[1, 2, 3]),
        "row 2",
    ),
    "no format": ("rows.xyz", "text", ".csv"),
}


def make(path, content):
    if callable(content):
        content(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(content)


@pytest.fixture
def data(tmp_path_factory):
    """Where the input is, apart from where the command runs."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_bad_table_is_one_sentence_and_exit_code_2(keras_tied, tmp_path, data, what):
    name, content, said = BAD_TABLES[what]
    make(data / name, content)
    done = keras_tied("fit", data / name, "-o", "model.safetensors", "--epochs", 2)
    assert done.code == 2
    assert_one_sentence(done.err)
    assert said in done.err
    assert done.out == ""
    assert not any(tmp_path.iterdir())


WRONG_OPTIONS = {
    "more components than columns": (["--components", "9"], "--components 9"),
    "no components": (["--components", "0"], "--components"),
    "components in words": (["--components", "many"], "--components 'many'"),
    "hidden in words": (["--hidden", "wide"], "--hidden 'wide'"),
    "nothing to train on": (["--validation", "1"], "--validation 1"),
    "a column that is not there": (["--columns", "a,z"], "'z'"),
    "an excluded column that is not there": (["--exclude", "z"], "'z'"),
    "a label that is not there": (["--label", "z"], "'z'"),
    "an id that is not there": (["--id", "z"], "'z'"),
    "everything excluded": (["--exclude", "a,b,c"], "no column can be used"),
    "a solver that is none": (["--solver", "steam"], "steam"),
    "an encoding that is none": (["--encoding", "klingon"], "klingon"),
    "a delimiter of two characters": (["--delimiter", ";;"], ";;"),
    "another ending": (["-o", "model.h5"], ".safetensors"),
    "a folder that is not there": (["-o", "none/model.safetensors"], "does not exist"),
    "a negative seed": (["--seed", "-1"], "--seed"),
}


@pytest.mark.parametrize("what", WRONG_OPTIONS)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(
    keras_tied, tmp_path, data, what
):
    options, said = WRONG_OPTIONS[what]
    make(data / "rows.csv", HEAD + ROWS)
    done = keras_tied("fit", data / "rows.csv", "-o", "model.safetensors", *options)
    assert done.code == 2
    assert_one_sentence(done.err)
    assert said in done.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "command", ["encode", "decode", "reconstruct", "score", "export"]
)
def test_a_model_file_that_is_none_is_wrong_use(
    keras_tied, tmp_path, data, fruit_csv, command
):
    tables = () if command == "export" else (fruit_csv,)
    ending = "onnx" if command == "export" else "csv"
    for name, content in (
        ("text.safetensors", "text"),
        ("none.safetensors", None),
        ("zip.safetensors", b"PK\x05\x06"),
    ):
        make(data / name, content)
        done = keras_tied(command, data / name, *tables, "-o", f"out.{ending}")
        assert done.code == 2
        assert_one_sentence(done.err)
        assert name in done.err
    assert not any(tmp_path.iterdir())


def without(text, column):
    """CSV without one of its columns."""
    lines = [line.split(",") for line in text.splitlines()]
    place = lines[0].index(column)
    return (
        "\n".join(",".join(line[:place] + line[place + 1 :]) for line in lines) + "\n"
    )


BAD_ROWS = {
    "a column is missing": (lambda text: without(text, "weight"), "'weight'"),
    "two columns are missing": (
        lambda text: without(without(text, "kind"), "count"),
        "'kind', 'count'",
    ),
    "words for numbers": (
        lambda text: text + 30 * "x,plum,heavy,1,2,true,2026-01-01,good\n",
        "'heavy' in row 301",
    ),
    "infinite": (
        lambda text: text + "x,plum,inf,1,2,true,2026-01-01,good\n",
        "row 301",
    ),
    "header only": (lambda text: text.splitlines()[0] + "\n", "no rows"),
}


@pytest.mark.parametrize("command", ["encode", "reconstruct", "score"])
@pytest.mark.parametrize("what", BAD_ROWS)
def test_rows_that_do_not_fit_the_model_are_wrong_use(
    keras_tied, tmp_path, data, model, fruit_csv, what, command
):
    change, said = BAD_ROWS[what]
    make(data / "rows.csv", change(fruit_csv.read_text()))
    done = keras_tied(command, model, data / "rows.csv", "-o", "out.csv")
    assert done.code == 2
    assert_one_sentence(done.err)
    assert said in done.err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["encode", "decode", "reconstruct", "score"])
@pytest.mark.parametrize(
    ("output", "said"),
    [("folder.csv", "folder"), ("none/out.csv", "does not exist"), ("out.xyz", ".csv")],
)
def test_an_output_that_cannot_be_written_is_wrong_use(
    keras_tied, tmp_path, model, fruit_csv, command, output, said
):
    (tmp_path / "folder.csv").mkdir()
    done = keras_tied(command, model, fruit_csv, "-o", output)
    assert done.code == 2
    assert_one_sentence(done.err)
    assert said in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


@pytest.mark.parametrize("command", ["fit", "encode", "export"])
def test_a_folder_that_may_not_be_written_to_is_wrong_use(
    keras_tied, tmp_path, model, fruit_csv, command
):
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("this user may write anywhere")
    arguments = {
        "fit": (fruit_csv, "-o", "m.safetensors"),
        "encode": (model, fruit_csv, "-o", "c.csv"),
        "export": (model, "-o", "m.onnx"),
    }
    done = keras_tied(command, *arguments[command])
    assert done.code == 2
    assert_one_sentence(done.err)


def test_json_and_rows_do_not_both_go_to_standard_output(keras_tied, model, fruit_csv):
    for command in ("encode", "score"):
        done = keras_tied(command, model, fruit_csv, "-o", "-", "--json")
        assert done.code == 2
        assert_one_sentence(done.err)


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a disk of its own, which a file fills."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    on_linux = sys.platform.startswith("linux")
    if not on_linux or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    (disk / "other").write_bytes(bytes(60 * 1024))
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("command", ["fit", "encode", "reconstruct", "score", "export"])
def test_a_disk_that_fills_up_is_exit_code_1_and_leaves_the_old_file_alone(
    keras_tied, full_disk, model, fruit_csv, command
):
    name = {"fit": "old.safetensors", "export": "old.onnx"}.get(command, "old.csv")
    (full_disk / name).write_text("what was there before")
    inputs = {"fit": (fruit_csv, "--epochs", 2), "export": (model,)}.get(command)
    done = keras_tied(command, *(inputs or (model, fruit_csv)), "-o", full_disk / name)
    assert done.code == 1
    assert_one_sentence(done.err)
    assert name in done.err
    assert (full_disk / name).read_text() == "what was there before"
    assert sorted(path.name for path in full_disk.iterdir()) == [name, "other"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_refuses_a_model_says_what_to_do(
    keras_tied, monkeypatch, fruit_csv, number
):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    done = keras_tied("fit", fruit_csv, "-o", "model.safetensors", "--epochs", 2, "-q")
    assert done.code == 1
    todo = "name another file" if number == errno.EROFS else "free some space"
    reason = f"cannot write 'model.safetensors': {os.strerror(number)}; {todo}."
    assert done.err == f"keras-tied: {reason}\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 8. MiB for an array"),
        pa.ArrowMemoryError("malloc of size 64 failed"),
        RuntimeError("can't start new thread"),
        ImportError("liblapack.so: failed to map segment from shared object"),
    ],
    ids=["numpy", "arrow", "threads", "libraries"],
)
def test_memory_at_its_limit_is_one_sentence(
    keras_tied, monkeypatch, model, fruit_csv, error
):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("keras_tied.tables.write_table", fail)
    done = keras_tied("encode", model, fruit_csv, "-o", "codes.csv", "-q")
    assert done.code == 1
    reason = f"there is too little memory ({error})"
    assert (
        done.err == f"keras-tied: {reason}; free some, or use fewer columns or rows.\n"
    )


def test_a_library_that_memory_does_not_hold_is_not_said_to_be_missing():
    def load():
        try:
            raise ImportError(
                "libopenblas.so: failed to map segment from shared object"
            )
        except ImportError as error:
            raise ImportError(f"Please read on.\\nThe error was: {error}") from error

    with pytest.raises(ImportError) as raised:
        load()
    lack = find_lack_of_memory(raised.value)
    assert str(lack) == "libopenblas.so: failed to map segment from shared object"
    assert find_lack_of_memory(ValueError("no")) is None


def test_a_table_that_memory_does_not_hold_is_not_said_to_be_damaged(
    keras_tied, monkeypatch, model, fruit_csv
):
    def fail(*_, **__):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr("pyarrow.csv.open_csv", fail)
    done = keras_tied("encode", model, fruit_csv, "-o", "codes.csv", "-q")
    assert done.code == 2
    assert_one_sentence(done.err)
    assert "malloc of size 64 failed, as there is too little memory" in done.err


def test_an_all_missing_column_is_left_out_and_told_of(keras_tied, tmp_path, data):
    lines = (HEAD + ROWS).splitlines()
    make(
        data / "rows.csv",
        "\n".join([lines[0] + ",d", *(f"{line}," for line in lines[1:])]),
    )
    done = keras_tied(
        "fit", data / "rows.csv", "-o", "model.safetensors", "--epochs", 2
    )
    assert done.code == 0, done.err
    assert "d (no value in 40 rows)" in " ".join(done.out.split())


@pytest.mark.slow
def test_a_csv_of_50_000_columns_is_fitted_and_encoded(keras_tied, tmp_path, data):
    rows = np.random.default_rng(0).normal(size=(30, 50_000)).round(3)
    names = [f"column{i}" for i in range(rows.shape[1])]
    np.savetxt(data / "wide.csv", rows, "%g", ",", header=",".join(names), comments="")
    fit = keras_tied("fit", data / "wide.csv", "-o", "model.safetensors", "--epochs", 1)
    assert fit.code == 0, fit.err
    assert (
        keras_tied(
            "encode", "model.safetensors", data / "wide.csv", "-o", "codes.npy"
        ).code
        == 0
    )
    assert np.load(tmp_path / "codes.npy").shape == (30, 2)
