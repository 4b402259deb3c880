"""Ctrl-C, SIGTERM and kills at any moment, of commands that are processes."""

import errno
import os
import random
import shlex
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pytest
from numpy.random import default_rng
from pyarrow import csv, parquet
from tests.marks import needs_posix, slow, slow_but
from tests.processes import inherit

from tied_tables import TiedAutoencoder
from tied_tables.__main__ import run
from tied_tables._interrupts import interrupts

from .conftest import COMMAND

SAMPLE = "sample clients.csv --quiet"
CODES = {
    # Before the command begins, Python itself ends by the signal.
    signal.SIGINT: (130, -signal.SIGINT),
    signal.SIGTERM: (143, -signal.SIGTERM),
}
LINES = {
    "fit": "fit big.parquet -o out.safetensors --id id --epochs 9",
    "encode": "encode big.safetensors big.csv -o out.csv",
    "score": "score big.safetensors big.csv -o out.parquet",
    "report": "report big.safetensors big.parquet -o out.html",
    "export": "export big.safetensors -o out.onnx",
    "check": "check big.csv",
}


def start(line, folder, program=COMMAND):
    # Which a shell's background jobs lack.
    with inherit(signal.SIGINT, signal.default_int_handler):
        return subprocess.Popen(
            [sys.executable, "-c", program, *shlex.split(line)],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def finish(process):
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def big_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    X = default_rng(0).normal(size=(40_000, 12)).astype(np.float32)
    X[:, 6:] = X[:, :6] ** 2
    table = pa.table({f"x{index}": x for index, x in enumerate(X.T)})
    table = table.append_column("id", pa.array(map("r{}".format, range(len(X)))))
    parquet.write_table(table, folder / "big.parquet")
    csv.write_csv(table, folder / "big.csv")
    finish(start("fit big.parquet -o big.safetensors --id id --epochs 2", folder))
    return folder


@slow
@pytest.mark.parametrize("name", LINES)
def test_a_signal_at_any_moment_ends_the_command_with_its_code(name, big_folder):
    for _ in range(2):  # the second time as fast as those that the signals end
        begin = time.monotonic()
        finish(start(LINES[name], big_folder))
        seconds = time.monotonic() - begin
    moment = random.Random(name)
    for kind, codes in CODES.items():
        for tries in range(5):  # a machine that was busy before may not be now
            process = start(LINES[name], big_folder)
            time.sleep(moment.uniform(0, 0.9 * seconds / 2**tries))
            process.send_signal(kind)
            _, errors = process.communicate(timeout=60)
            if process.returncode:
                break
        assert process.returncode in codes, errors
        # Python itself says where it was, if it had not begun with the command.
        assert "Traceback" not in errors or process.returncode == -kind
        assert not list(big_folder.glob(".*"))


@slow
def test_ctrl_c_in_training_leaves_the_best_model_so_far(interrupted, folder, rng):
    np.save("rows.npy", rng.normal(size=(5_000, 8)))
    done = interrupted("fit rows.npy -o new.safetensors --epochs 100000", b"epoch 2")
    assert done.code == 130
    assert "interrupted; 'new.safetensors' is the best model so far" in done.err
    assert "Traceback" not in done.err
    assert "Warning" not in done.err
    assert not list(folder.glob(".*"))
    assert 2 <= TiedAutoencoder.load("new.safetensors").n_iter_ < 100_000


@slow
def test_ctrl_c_at_other_work_leaves_nothing(interrupted, folder, rng):
    np.save("rows.npy", rng.normal(size=(3_000_000, 4)))
    before = names(folder)
    done = interrupted("fit rows.npy -o new.safetensors", b"sampling")
    assert (done.code, "Traceback" in done.err) == (130, False)
    assert names(folder) == before


WORK = "import tied_tables.io as tables; tables.write_table = work"
DESTRUCTOR = f"""
import os, signal, time
class Held:
    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(0)
def work(*_, **__): Held(); time.sleep(60)
{WORK}; {COMMAND}
"""
HIMSELF = f"""
import os, signal
def work(*_, **__): os.kill(os.getpid(), signal.SIGINT)
{WORK}; {COMMAND}
"""


@pytest.mark.parametrize(
    ("program", "handler", "code", "said"),
    [
        (DESTRUCTOR, signal.default_int_handler, 130, "tied-tables: interrupted.\n"),
        (HIMSELF, signal.SIG_IGN, 0, ""),  # as in the background of a shell
    ],
)
def test_ctrl_c_ends_a_command_unless_it_begins_deaf(
    process, program, handler, code, said
):
    with inherit(signal.SIGINT, handler):
        done = process(SAMPLE, program)
    assert (done.code, done.err) == (code, said)


def test_a_signal_within_training_keeps_the_result(capsys, default_sigint):
    def train():
        with interrupts() as is_interrupted:
            os.kill(os.getpid(), signal.SIGTERM)
            print(is_interrupted(), end="")
        return 0

    assert run(train) == 143
    said = "tied-tables: interrupted; this is the result so far.\n"
    assert capsys.readouterr() == ("True", said)


# Stops at the part file, before it gets its name.
WAITS = f"import os; os.fsync = lambda _: input(print('at it')); {COMMAND}"
WITHOUT_LINKS = f"import os; os.link = lambda *_: open('/'); {WAITS}"


def start_and_wait(line, folder, program=WAITS):
    """Start a command, which waits with a part file until it gets a line."""
    process = start(line, folder, program)
    assert process.stdout.readline() == "at it\n"
    return process


SIGNALS = ("SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGALRM", "SIGPROF")


@pytest.mark.parametrize("name", slow_but(SIGNALS, SIGNALS[0]))
@needs_posix
def test_a_signal_that_can_be_caught_leaves_no_part_file(folder, signal_number):
    before = names(folder)
    process = start_and_wait(SAMPLE, folder)
    process.send_signal(signal_number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal_number
    assert said == "tied-tables: interrupted.\n"
    assert names(folder) == before


@slow
@pytest.mark.parametrize("program", [WAITS, WITHOUT_LINKS])
def test_of_two_commands_at_once_that_may_not_clobber_one_fails(folder, program):
    before = names(folder)
    line = f"{SAMPLE} --no-clobber"
    both = [start_and_wait(line, folder, program) for _ in range(2)]
    said = [process.communicate("\n\n", timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 2]
    text = "it already exists; choose another file.\n"
    assert said == ["", f"tied-tables: cannot write 'clients.csv': {text}"]
    assert names(folder) - before == {"clients.csv"}
    assert (folder / "clients.csv").read_text().count("\n") == 301


@slow
def test_cells_that_came_meanwhile_are_not_clobbered(folder):
    line = "fill m.safetensors fruit.csv -o new.csv --cells cells.csv --no-clobber -q"
    process = start_and_wait(line, folder)
    (folder / "cells.csv").write_text("mine")
    _, said = process.communicate("\n" * 9, timeout=60)
    assert "cannot write 'cells.csv': it already exists" in said
    assert process.returncode == 2
    assert (folder / "cells.csv").read_text() == "mine"


@slow
def test_four_commands_at_once_fit_and_keep_one_model(folder):
    before = names(folder)
    line = "score fruit.csv --id name --model kept.safetensors --quiet"
    four = [start(line, folder) for _ in range(4)]
    done = [(*each.communicate(timeout=300), each.returncode) for each in four]
    assert done == [(done[0][0], "", 0)] * 4
    assert names(folder) - before == {"kept.safetensors"}


# What a process leaves that is killed, and who deletes it.

DIES = f"import os; os.fsync = lambda _: os.kill(os.getpid(), 9); {COMMAND}"


@needs_posix
def test_a_half_written_file_is_deleted_by_the_next_command(
    tied_tables, process, folder
):
    before = names(folder)
    process(SAMPLE, DIES)
    [half] = names(folder) - before
    tied_tables("sample other.csv --quiet")
    assert half in names(folder)
    tied_tables(SAMPLE)
    assert names(folder) - before == {"clients.csv", "other.csv"}


@needs_posix
def test_the_file_of_a_process_that_still_writes_stays(tied_tables, folder):
    before = names(folder)
    other = start_and_wait(f"{SAMPLE} --seed 1", folder)
    [half] = names(folder) - before
    tied_tables(SAMPLE)
    fast = (folder / "clients.csv").read_bytes()
    assert half in names(folder)
    other.communicate("\n\n")
    assert (folder / "clients.csv").read_bytes() != fast
    assert names(folder) - before == {"clients.csv"}


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    tied_tables, folder, monkeypatch
):
    calls = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("folder" if is_folder else "file")
        fsync(descriptor)

    def note_replace(*paths):
        calls.append("replace")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    tied_tables(SAMPLE)
    assert calls == ["file", "replace", "folder"]


@pytest.mark.parametrize(("number", "code"), [(errno.EIO, 1), (errno.EINVAL, 0)])
def test_a_name_that_may_not_be_on_the_disk_is_said(
    tied_tables, folder, monkeypatch, number, code
):
    """After a disk that fails, and not where a file system cannot flush folders."""
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    assert bool(tied_tables(SAMPLE, code).err) == bool(code)
    assert (folder / "clients.csv").exists()
