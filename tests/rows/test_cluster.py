"""The command on real workers of Dask, some of which are killed."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest
from pyarrow import parquet

pytest.importorskip("distributed")
slow = pytest.mark.slow
COMMAND = [sys.executable, "-m", "keras_tied"]


def run(*arguments):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def dask(*arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def start_worker(address):
    return dask("worker", address, "--nthreads", 1, "--no-nanny")


@contextmanager
def start_cluster():
    """The address of a scheduler, its process, and two worker processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            dask("scheduler", "--host", "127.0.0.1", "--port", port)
        )
        workers = [stack.enter_context(start_worker(address)) for _ in range(2)]
        yield address, scheduler, workers


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["encode", *(pytest.param(k, marks=slow) for k in ("reconstruct", "score"))]
)
def test_local_workers_give_what_the_command_gives_alone(kind, model, folder, tmp_path):
    arguments = [kind, model, folder, "--id", "who"]
    run(*arguments, "-o", tmp_path / "alone.parquet")
    run(*arguments, "-o", tmp_path / "out", "--cluster", "local", "--workers", 2)
    found, expected = (
        parquet.read_table(tmp_path / name) for name in ("out", "alone.parquet")
    )
    assert found.schema.equals(expected.schema)
    assert found.equals(expected)


@slow
def test_a_killed_worker_loses_no_row(model, folder, tmp_path):
    run("encode", model, folder, "--id", "who", "-o", tmp_path / "alone.parquet")
    expected = parquet.read_table(tmp_path / "alone.parquet")
    for seed in range(2):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        with start_cluster() as (address, _, workers):
            command = [*COMMAND, "encode", str(model), str(folder), "--id", "who"]
            process = subprocess.Popen(
                [*command, "-o", tmp_path / "out", "--cluster", address]
            )
            time.sleep(random.Random(seed).uniform(1, 4))
            workers[0].send_signal(signal.SIGKILL)
            with start_worker(address):
                assert process.wait(120) == 0
        assert parquet.read_table(tmp_path / "out").equals(expected)


@slow
def test_the_command_goes_on_after_the_scheduler_was_killed(model, folder, tmp_path):
    arguments = ["encode", model, folder, "--id", "who", "-o"]
    command = [*COMMAND, *map(str, arguments), str(tmp_path / "out")]
    with start_cluster() as (address, scheduler, _):
        process = subprocess.Popen(
            [*command, "--cluster", address], stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + 60
        while not (tmp_path / "out").exists() and process.poll() is None:
            assert time.monotonic() < deadline
        scheduler.kill()
        _, message = process.communicate(timeout=120)
    if process.returncode:  # it may have been done already
        assert process.returncode == 1
        assert "run the command again" in message.decode().splitlines()[-1]
    with start_cluster() as (address, *_):
        run(*arguments, tmp_path / "out", "--cluster", address)
    run(*arguments, tmp_path / "alone.parquet")
    found, expected = (
        parquet.read_table(tmp_path / name) for name in ("out", "alone.parquet")
    )
    assert found.equals(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            ["--cluster", "tcp://127.0.0.1:1"],
            "no scheduler of Dask answers",
            marks=slow,
        ),
        (["--cluster", "127.0.0.1"], "no address such as tcp://"),
        (["--workers", "2", "-o", "c.npy"], "--workers is for --cluster local"),
        (["--cluster", "local", "-o", "x.csv"], "name a folder"),
    ],
)
def test_wrong_use_is_one_sentence(
    options, message, model, folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    done = subprocess.run(
        [
            *COMMAND,
            "encode",
            str(model),
            str(folder),
            "--id",
            "who",
            "-o",
            "out",
            *options,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode in (1, 2)
    assert message in done.stderr.splitlines()[-1]  # a slow machine says more
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


@slow
def test_a_fit_on_workers_is_that_of_one_process(folder, tmp_path, monkeypatch):
    code = (
        "import sys; from keras_tied.fitting import sample; sample.MOST_ROWS = 2000\n"
        "from keras_tied.cli import main; main()"
    )
    for options in ([], ["--cluster", "local", "--workers", "2"]):
        name = f"m{len(options)}.safetensors"
        arguments = [
            "fit",
            str(folder),
            "-o",
            name,
            "--id",
            "who",
            "--epochs",
            "2",
            *options,
        ]
        subprocess.run(
            [sys.executable, "-c", code, *arguments], check=True, cwd=tmp_path
        )
    from keras_tied import TiedAutoencoder

    ours, alone = (TiedAutoencoder.load(tmp_path / f"m{n}.safetensors") for n in (4, 0))
    for one, other in zip(
        ours.model_.get_weights(), alone.model_.get_weights(), strict=True
    ):
        assert (one == other).all()


@slow
@pytest.mark.usefixtures("default_sigint")
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0])
def test_ctrl_c_while_workers_start_is_one_line(seconds):
    code = (
        "import os, signal, threading, time\n"
        "import distributed\n"
        "from keras_tied._signals import run\n"
        "from keras_tied.rows import connect\n"
        "def command():\n"
        f"    threading.Timer({seconds}, os.killpg, (0, signal.SIGINT)).start()\n"
        "    with connect('local', 2):\n"
        "        time.sleep(60)\n"
        "run(command)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert (process.returncode, errors) == (130, "keras-tied: interrupted.\n")
