"""A Parquet file larger than memory may be, through the command."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Measure, Options, System

TITLE = "More rows than memory"
TEXT = """
20 million rows of 16 float32 columns, 1.3 GB of Parquet, which come from 4 hidden ones and noise,
through `keras-tied fit`, `encode` and `score`, each as a whole process; the memory is the largest
that the kernel saw.
"""
CHOSEN_ON = "The number of steps on a sample was chosen on tables like this one."
MEASURES = {
    "seconds": SECONDS,
    "rows_per_second": Measure("rows a second", None),
    "memory": MEMORY,
}
PICTURE = ["seconds"]
HOT, LONG, REPEATS, LIMIT = False, True, 1, 3600
ROWS_IN_GROUP = 2**17
COMMANDS = {
    "fit": "fit rows.parquet -o m.safetensors --components 2 --quiet",
    "encode": "encode m.safetensors rows.parquet -o codes.parquet --quiet",
    "score": "score m.safetensors rows.parquet -o scores.parquet --quiet",
}


def count_rows(options: Options) -> int:
    return 200_000 if options.quick else 20_000_000


def setup(options: Options) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    random, n_rows = np.random.default_rng(0), count_rows(options)
    mixing = random.standard_normal((4, 16), dtype="f")
    schema = pa.schema([(f"c{index}", pa.float32()) for index in range(16)])
    path, format = (
        options.folder / "rows.parquet",
        {"compression": "none", "use_dictionary": False},
    )
    with parquet.ParquetWriter(path, schema, **format) as writer:
        for begin in range(
            0, n_rows, ROWS_IN_GROUP
        ):  # so that only one group is in memory
            n = min(ROWS_IN_GROUP, n_rows - begin)
            rows = np.tanh(random.standard_normal((n, 4), dtype="f")) @ mixing
            rows += np.float32(0.1) * random.standard_normal((n, 16), dtype="f")
            columns = [np.ascontiguousarray(column) for column in rows.T]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def prepare(options: Options) -> dict[str, Callable[[], tuple[str, int]]]:
    return {name: lambda name=name: (name, count_rows(options)) for name in COMMANDS}


def measure(
    task: tuple[str, int], status: int, seconds: dict[str, float]
) -> dict[str, float]:
    assert status == 0, f"exit status {status}"
    if task[0] != "fit":
        from pyarrow import parquet

        path = "codes.parquet" if task[0] == "encode" else "scores.parquet"
        assert parquet.ParquetFile(path).metadata.num_rows == task[1]
    assert Path("m.safetensors").exists()
    return {"rows_per_second": task[1] / seconds["seconds"]}


def make_ours() -> Callable[[tuple[str, int]], int]:
    def run(task: tuple[str, int]) -> int:
        return subprocess.run(
            [sys.executable, "-m", "keras_tied", *COMMANDS[task[0]].split()]
        ).returncode

    return run


SYSTEMS = {"keras-tied": System(make_ours, ours=True)}
