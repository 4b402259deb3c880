"""Containers of one host name, in which processes have the same numbers, write to one
folder.
"""

import os
import shutil
import subprocess
import sys

import pytest

CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "sh", "-c"]
PROGRAM = """
import os, signal, socket, sys
from pathlib import Path
import pyarrow as pa
from keras_tied.tables import open_table, write_table

name, dies = sys.argv[1], sys.argv[2] == "dies"
print(os.getpid(), socket.gethostname(), flush=True)
rows = [pa.record_batch({"from": [name] * 2000})] * 20

def write(path, n, until=None):
    def batches():
        for number, batch in enumerate(rows):
            if number == until:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch
    assert write_table(path, batches()) == 40_000

for n in range(30):
    write("same.csv", n)
    write(f"{name}.parquet", n)
    assert open_table(f"{name}.parquet").n_rows == 40_000
    assert open_table("same.csv").n_rows == 40_000
if dies and os.fork() == 0:
    write("same.csv", 0, until=10)
if dies:
    os.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*CONTAINER, "hostname same"], capture_output=True).returncode
    != 0,
    reason="this user may not make containers",
)
def test_two_of_one_host_name_leave_each_other_s_part_files(tmp_path):
    def start(name, dies):
        return subprocess.Popen(
            [
                *CONTAINER,
                f'hostname same; "$PYTHON" -c "$PROGRAM" {name} {dies}; exit $?',
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHON": sys.executable, "PROGRAM": PROGRAM},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    both = [start("one", "dies"), start("other", "lives")]
    results = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    assert results[0][0] == results[1][0]  # the same number of a process, the same host
    results = start("third", "lives").communicate(timeout=300)
    assert (tmp_path / "third.parquet").exists(), results
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.parquet",
        "other.parquet",
        "same.csv",
        "third.parquet",
    ]
