"""Ctrl-C and SIGTERM at random moments of every command, which runs as a process of its
own.
"""

import contextlib
import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from keras_tied import _files

COMMANDS = {
    "fit": "fit big.parquet -o out.safetensors --id id",
    "encode": "encode m.safetensors big.csv -o out.csv",
    "score": "score m.safetensors big.csv -o out.parquet",
    "report": "report m.safetensors big.parquet -o out.html",
    "export": "export m.safetensors -o out.onnx",
    "demo": "demo -o out.png",
    "check": "check big.csv",
}
CODES = {
    # Before the command begins, Python itself ends by the signal.
    signal.SIGINT: (130, -signal.SIGINT),
    signal.SIGTERM: (143, -signal.SIGTERM),
}
SECONDS = 6
"""To end in: 2 on an idle machine."""
FREED = 0.5
"""Seconds in which the system has freed the memory of a process that has exited."""


@contextmanager
def inherit(handler):
    """Let processes begin with this handler of SIGINT, which a shell's background jobs
    lack.
    """
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def start(arguments, folder):
    with inherit(signal.default_int_handler):
        return subprocess.Popen(
            [sys.executable, "-m", "keras_tied", *arguments.split()],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    X = np.random.default_rng(0).normal(size=(40_000, 12)).astype(np.float32)
    X[:, 6:] = X[:, :6] ** 2
    ids = [f"r{index}" for index in range(len(X))]
    table = pa.table({"id": ids} | {f"x{index}": x for index, x in enumerate(X.T)})
    parquet.write_table(table, folder / "big.parquet")
    csv.write_csv(table, folder / "big.csv")
    process = start("fit big.parquet -o m.safetensors --id id --epochs 2", folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_at_any_moment_ends_the_command_with_its_code(name, folder):
    for _ in range(2):  # the second time as fast as those that the signals end
        begin = time.monotonic()
        process = start(COMMANDS[name], folder)
        process.communicate()
        assert process.returncode == 0
        seconds = time.monotonic() - begin
    for kind in CODES:
        process = start(COMMANDS[name], folder)
        time.sleep(random.Random(f"{name} {kind}").uniform(0, 0.9 * seconds))
        process.send_signal(kind)
        begin = time.monotonic()
        _, errors = process.communicate()
        # A machine that was busy before is not now: the command was done, and the
        # system still freed its memory, which takes no longer than that.
        done = process.returncode == 0 and time.monotonic() - begin < FREED
        assert done or process.returncode in CODES[kind], errors
        # Python itself says where it was, if it had not begun with the command.
        assert "Traceback" not in errors or process.returncode == -kind
        assert time.monotonic() - begin < SECONDS
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_ctrl_c_in_a_destructor_is_not_lost(tmp_path):
    code = (
        "import os, signal, time\n"
        "from keras_tied._signals import run\n"
        "class Held:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGINT); time.sleep(0)\n"
        "def command():\n"
        "    Held(); time.sleep(60)\n"
        "    return 0\n"
        "run(command)"
    )
    with inherit(signal.default_int_handler):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (130, "keras-tied: interrupted.\n")


def test_a_job_in_the_background_stays_deaf_to_ctrl_c():
    code = (
        "import os, signal\n"
        "from keras_tied._signals import run\n"
        "run(lambda: os.kill(os.getpid(), signal.SIGINT) or 0)"
    )
    with inherit(signal.SIG_IGN):
        done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_what_a_killed_process_has_left_is_deleted_by_the_next(tmp_path):
    target = tmp_path / "codes.csv"
    code = (
        "import os, pathlib; from keras_tied._files import replace_atomically\n"
        f"with replace_atomically(pathlib.Path({str(target)!r})) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    [left] = tmp_path.iterdir()
    other = tmp_path / "other.csv"
    with _files.replace_atomically(other) as part:
        part.write_text("whole")
        with _files.replace_atomically(target) as another:
            another.write_text("whole")
            assert part.exists()
            assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "codes.csv",
        "other.csv",
    ]


def test_the_part_of_a_running_process_stays(tmp_path):
    target = tmp_path / "codes.csv"
    with _files.replace_atomically(target) as first:
        first.write_text("one")
        with _files.replace_atomically(target) as second:
            second.write_text("two")
        assert first.exists()
    assert target.read_text() == "one"
    assert os.listdir(tmp_path) == ["codes.csv"]


def test_the_part_of_another_process_stays_whatever_its_number(tmp_path):
    target = tmp_path / "codes.csv"
    code = (
        "import pathlib; from keras_tied._files import replace_atomically\n"
        f"with replace_atomically(pathlib.Path({str(target)!r})) as part:\n"
        "    part.write_text('slow'); print(part, flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as other:
        part = Path(other.stdout.readline().strip())
        with _files.replace_atomically(target) as own:
            own.write_text("fast")
        assert part.exists()
        other.communicate("\n")
    assert target.read_text() == "slow"
    assert os.listdir(tmp_path) == ["codes.csv"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(
    tmp_path, monkeypatch
):
    target, calls = tmp_path / "codes.csv", []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        calls.append(os.path.samestat(os.fstat(descriptor), os.stat(tmp_path)))
        fsync(descriptor)

    def note_replace(*names):
        calls.append("replace")
        replace(*names)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    with _files.replace_atomically(target) as part:
        part.write_text("whole")
    assert calls == [False, "replace", True]


def test_what_the_disk_refuses_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    target = tmp_path / "codes.csv"
    target.write_text("old")

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with (
        pytest.raises(OSError, match="No space left"),
        _files.replace_atomically(target) as part,
    ):
        part.write_text("new")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["codes.csv"]


@pytest.mark.parametrize(
    ("number", "is_said"), [(errno.EIO, True), (errno.EINVAL, False)]
)
def test_a_name_that_may_not_be_on_the_disk_is_said(
    number, is_said, tmp_path, monkeypatch
):
    """After a disk that fails, and not where a file system cannot flush folders."""
    fsync = os.fsync

    def refuse_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    target = tmp_path / "codes.csv"
    with pytest.raises(OSError, match="error") if is_said else contextlib.nullcontext():  # noqa: SIM117
        with _files.replace_atomically(target) as part:
            part.write_text("new")
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["codes.csv"]


def test_permissions_of_the_file_before_are_kept(tmp_path):
    target = tmp_path / "codes.csv"
    target.write_text("old")
    target.chmod(0o600)
    with _files.replace_atomically(target) as part:
        part.write_text("new")
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="there are no pipes with names here"
)
def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "codes.csv")
    with pytest.raises(
        ValueError, match=r"codes\.csv' is a pipe or a device, .* name a file"
    ):
        _files.check_writable(tmp_path / "codes.csv", ["csv"])
