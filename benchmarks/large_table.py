"""A Parquet file larger than memory may be, through `keras-tied fit`, `encode` and `score`.

Written are rows of 16 float32 columns, which come from 4 hidden ones and noise: 20 million of them
are 1.3 GB. Printed are, for each command as a whole process, its seconds, rows a second, and the
largest memory that it has held (the kernel's, as `/usr/bin/time -v` prints it).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

COLUMNS, HIDDEN, ROWS_IN_GROUP = 16, 4, 2**17


def write(path: Path, n_rows: int, seed: int = 0) -> None:
    """Write rows of random numbers in groups, so that only one is in memory."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((HIDDEN, COLUMNS), dtype=np.float32)
    schema = pa.schema([(f"c{index}", pa.float32()) for index in range(COLUMNS)])
    with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for begin in range(0, n_rows, ROWS_IN_GROUP):
            n = min(ROWS_IN_GROUP, n_rows - begin)
            hidden = np.tanh(random.standard_normal((n, HIDDEN), dtype=np.float32))
            noise = random.standard_normal((n, COLUMNS), dtype=np.float32)
            rows = hidden @ mixing + np.float32(0.1) * noise
            columns = [np.ascontiguousarray(column) for column in rows.T]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def measured(n_rows: int, *arguments: str) -> None:
    """Run a command, and print what it took."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "keras_tied.cli", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    seconds = time.perf_counter() - began
    print(
        f"== {arguments[0]}: {seconds:.1f} s, {n_rows / seconds:,.0f} rows a second, "
        f"{usage.ru_maxrss / 2**20:.2f} GiB at most\n",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--components", default="2")
    parser.add_argument("--data", type=Path, help="a Parquet file, instead of one that is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, model = arguments.data or Path(folder, "rows.parquet"), f"{folder}/model.safetensors"
        if arguments.data is None:
            write(data, arguments.rows)
        n_rows = parquet.ParquetFile(data).metadata.num_rows
        print(f"{n_rows:,} rows, {data.stat().st_size / 1e9:.2f} GB", flush=True)
        measured(n_rows, "fit", str(data), "-o", model, "--components", arguments.components)
        measured(n_rows, "encode", model, str(data), "-o", f"{folder}/codes.parquet")
        measured(n_rows, "score", model, str(data), "-o", f"{folder}/scores.parquet")


if __name__ == "__main__":
    main()
