"""The command on real workers and object stores, some of which are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_equal
from pyarrow import fs, parquet
from tests.marks import slow
from tests.processes import find_port, run_python

from tied_tables import TiedAutoencoder, _processors
from tied_tables.rows import connect

from .conftest import run

distributed = pytest.importorskip("distributed")
COMMAND = [sys.executable, "-m", "tied_tables"]
LOCAL = ["--cluster", "local", "--workers", "2"]
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


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
    port = find_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        start = stack.enter_context
        scheduler = start(dask("scheduler", "--host", "127.0.0.1", "--port", port))
        workers = [start(start_worker(address)) for _ in range(2)]
        # Under load, a scheduler and workers take long to start.
        with distributed.Client(address, timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, scheduler, workers


@pytest.fixture
def store(s3, folder):
    """The file system of a store, with the rows in `s3://bucket/rows`."""
    for path in folder.glob("*.parquet"):
        table = parquet.read_table(path)
        parquet.write_table(table, f"bucket/rows/{path.name}", filesystem=s3)
    return s3


@pytest.fixture
def alone(model, folder, tmp_path):
    """What a command gives for all rows in one process."""

    def read(kind):
        output = tmp_path / "alone.parquet"
        run(kind, model, folder, "--id", "who", "-o", output)
        return parquet.read_table(output)

    return read


@slow
@pytest.mark.parametrize("kind", ["encode", "reconstruct", "score"])
def test_workers_give_what_the_command_gives_alone(
    kind, alone, store, model, folder, tmp_path
):
    expected = alone(kind)
    if kind == "score":
        expected = expected.drop_columns("rank")
    run(kind, model, folder, "--id", "who", "-o", tmp_path / "out", *LOCAL)
    assert parquet.read_table(tmp_path / "out").equals(expected)
    output = f"s3://bucket/{kind}"
    run(kind, model, "s3://bucket/rows", "--id", "who", "-o", output, *LOCAL)
    assert parquet.read_table(f"bucket/{kind}", filesystem=store).equals(expected)


@slow
def test_there_is_one_worker_for_each_processor_that_the_quota_leaves(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    monkeypatch.setattr(_processors, "QUOTA", 3.9)
    with connect("local") as workers:
        assert len(workers.client.ncores()) == 3


@slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_worker_loses_no_row(seed, alone, model, folder, tmp_path):
    output = tmp_path / "out"
    with start_cluster() as (address, _, workers), start_worker(address):
        command = [*COMMAND, "encode", model, folder, "--id", "who", "-o", output]
        process = subprocess.Popen([*command, "--cluster", address])
        time.sleep(random.Random(seed).uniform(1, 4))
        workers[0].kill()
        assert process.wait(120) == 0
    assert parquet.read_table(output).equals(alone("encode"))


@slow
def test_the_command_goes_on_after_the_scheduler_was_killed(
    alone, model, folder, tmp_path
):
    output = tmp_path / "out"
    command = ["encode", model, folder, "--id", "who", "-o", output, "--cluster"]
    with start_cluster() as (address, scheduler, _):
        process = subprocess.Popen(
            [*COMMAND, *command, address], stderr=subprocess.PIPE, text=True
        )
        while not output.exists() and process.poll() is None:
            time.sleep(0.01)
        scheduler.kill()
        _, message = process.communicate(timeout=120)
    if process.returncode:  # it may have been done already
        assert process.returncode == 1
        assert "run the command again" in message.splitlines()[-1]
    with start_cluster() as (address, *_):
        run(*command, address)
    assert parquet.read_table(output).equals(alone("encode"))


@slow
def test_a_killed_writer_leaves_no_object_that_looks_whole(store, model, alone):
    selector = fs.FileSelector("bucket/killed", allow_not_found=True)
    expected = alone("encode").drop_columns("who")
    command = ["encode", model, "s3://bucket/rows", "-o", "s3://bucket/killed", *LOCAL]
    process = subprocess.Popen([*COMMAND, *command], start_new_session=True)
    while len(store.get_file_info(selector)) < 2 and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for info in store.get_file_info(selector):
        if info.extension == "parquet":
            codes = parquet.read_table(info.path, filesystem=store)
            assert codes.num_rows == 1000
    run(*command)
    assert parquet.read_table("bucket/killed", filesystem=store).equals(expected)


@slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_of_the_terminal_leaves_no_part_of_workers(
    signal_number, model, folder, tmp_path
):
    output = tmp_path / "out"
    command = [*COMMAND, "encode", model, folder, "-o", output, *LOCAL]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while (
            not list(output.glob(".tied-tables-*.parquet")) and process.poll() is None
        ):
            time.sleep(0.001)
        os.killpg(process.pid, signal_number)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (
        0,
        128 + signal_number,
    )  # it may have been done already
    assert "Traceback" not in said
    assert not list(output.glob(".*"))


FIT = """
import sys
from tied_tables.cli import main
from tied_tables.fit import sample

sample.MOST_TRAINING_ROWS = 2000
main()
"""


@slow
def test_a_fit_on_workers_or_by_address_is_that_of_the_files(store, folder, tmp_path):
    weights = []
    for data, options in ((folder, []), (folder, LOCAL), ("s3://bucket/rows", [])):
        path = tmp_path / "m.safetensors"
        arguments = ["fit", data, "-o", path, "--id", "who", "--epochs", "2"]
        run_python("-c", FIT, *arguments, *options)
        kernels = TiedAutoencoder.load(path)._model.network.kernels
        weights.append(list(kernels))
        path.unlink()
    assert_equal(weights[1:], weights[:1] * 2)


@slow
@pytest.mark.parametrize(
    ("engine", "options"), [("ray", []), ("pyspark", ["local-cluster[2,1,1024]"])]
)
def test_a_recipe_for_an_engine_gives_the_codes_of_the_command(
    engine, options, model, folder, alone, tmp_path
):
    pytest.importorskip(engine)
    script = RECIPES / f"{engine.removeprefix('py')}_batches.py"
    output = tmp_path / "codes"
    run_python(script, model, folder, output, *options, cwd=tmp_path)
    names = ["code0", "code1"]
    found, expected = (
        np.sort(table.select(names).to_pandas(), axis=0)  # engines keep no order
        for table in (parquet.read_table(output), alone("encode"))
    )
    assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


STOPPED = """
import os, signal, socket, sys, threading, time
from contextlib import suppress
from multiprocessing import util
import distributed
from tied_tables.__main__ import run
from tied_tables.rows import connect

start, end = util.spawnv_passfds, os._exit

def start_slowly(*arguments):
    number = start(*arguments)
    time.sleep(0.5)  # a process that starts now waits for what it is to do
    return number

def end_slowly(code):
    time.sleep(0.3)
    end(code)

def command():
    with suppress(OSError):
        another = socket.create_server(("", 8787))  # the port of Dask's pages
    util.spawnv_passfds, os._exit = start_slowly, end_slowly
    threading.Timer(float(sys.argv[1]), os.killpg, (0, signal.SIGINT)).start()
    with connect("local", 2):
        os.killpg(0, signal.SIGINT)

sys.exit(run(command))
"""


@slow
@pytest.mark.usefixtures("default_sigint")
@pytest.mark.parametrize("seconds", ["0.2", "1.0", "60"])
def test_ctrl_c_while_workers_start_is_one_line(seconds):
    done = run_python(
        *("-c", STOPPED, seconds),
        code=130,
        timeout=60,
        start_new_session=True,
    )
    assert done.stderr == "tied-tables: interrupted.\n"
