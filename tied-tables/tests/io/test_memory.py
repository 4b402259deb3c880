"""The memory of a whole process that goes through a table does not grow
with its rows.
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.random import default_rng
from tests.marks import slow
from tests.processes import run_python

from tied_tables.io import write_table

FEW, COLUMNS = 800_000, 8
MEGABYTES = 60
"""How much more many rows may take than few; whole, they would take 102 to 128 MB more.
"""

pytestmark = slow

PROGRAM = """
import pathlib, re, sys
from tied_tables.columns import Columns
from tied_tables.io import open_table, write_table

source = open_table(sys.argv[1])
columns = Columns.survey(source.sample(10_000, seed=0))[0]
n_rows = sum(len(columns.encode(batch)) for batch in source.batches(4096))
n_rows += write_table(sys.argv[2], source.batches())
# Not ru_maxrss, which begins with that of the process that started this one.
print(n_rows, *re.findall(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text()))
"""


def batches(n_rows):
    rng = default_rng(0)
    for _ in range(0, n_rows, 100_000):
        rows = rng.standard_normal((COLUMNS, 100_000), np.float32)
        yield pa.record_batch([pa.array(row) for row in rows], names=[*"abcdefgh"])


def save(path, n_rows):
    if path.suffix == ".parquet":  # in a single row group
        table = pa.Table.from_batches(batches(n_rows))
        pq.write_table(table, path, row_group_size=n_rows)
    else:
        write_table(path, batches(n_rows))


def peak(path, n_rows):
    """Peak resident memory in MB of a process that reads a file and writes another."""
    save(path, n_rows)
    copy = path.with_name("copy.npy" if path.suffix == ".csv" else f"copy{path.suffix}")
    printed = run_python("-c", PROGRAM, path, copy).stdout
    path.unlink()
    copy.unlink()
    counted, kilobytes = map(int, printed.split())
    assert counted == 2 * n_rows
    return kilobytes / 1024


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="peak memory is in /proc"
)
@pytest.mark.parametrize("ending", ["parquet", "arrow", "npy", "csv"])
def test_memory_is_level(tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    many = 2_400_000 if ending == "csv" else 4_800_000
    assert peak(path, many) < peak(path, FEW) + MEGABYTES
