"""A folder of Parquet files, encoded by the command and by engines that spread the rows."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Measure, Options, System

TITLE = "Engines"
TEXT = """
A million rows of 16 columns in 8 Parquet files are encoded to 2 numbers and written, as whole
processes: by the command, by the command on Dask with two local workers, and by the recipes of
`examples/recipes` on Ray and Spark. On one machine of two cores the engines have nothing to spread,
so what is seen is what they cost.
"""
CHOSEN_ON = "Nothing was chosen on these rows."
MEASURES = {
    "seconds": SECONDS,
    "rows_per_second": Measure("rows a second", None),
    "memory": MEMORY,
}
PICTURE = ["seconds"]
HOT = False
FILES = 8
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"


def setup(options: Options) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from keras_tied import TiedAutoencoder

    random = np.random.default_rng(0)
    mixing, n = random.standard_normal((4, 16), dtype="f"), count_rows(options) // FILES
    (options.folder / "rows").mkdir()
    for index in range(FILES):
        rows = np.tanh(random.standard_normal((n, 4), dtype="f")) @ mixing
        rows += np.float32(0.1) * random.standard_normal(rows.shape, dtype="f")
        table = pa.table({f"c{i}": column for i, column in enumerate(rows.T.copy())})
        parquet.write_table(table, options.folder / f"rows/{index}.parquet")
    frame = table.slice(0, 5000).to_pandas()
    TiedAutoencoder(2, random_state=0).fit(frame).save(options.folder / "m.safetensors")


def count_rows(options: Options) -> int:
    return 80_000 if options.quick else 1_000_000


def prepare(options: Options) -> dict[str, Callable[[], int]]:
    return {"rows": lambda: count_rows(options)}


def measure(n: int, output: str, seconds: dict[str, float]) -> dict[str, float]:
    import pyarrow.dataset as ds

    table = ds.dataset(output, format="parquet").to_table()
    shutil.rmtree(output, ignore_errors=True)  # or Ray adds the files of the next turn
    assert table.num_rows == n, f"{table.num_rows} rows of {n}"
    from keras_tied.rows import load_transform

    expected, encode = np.zeros(2), load_transform("m.safetensors")
    for batch in ds.dataset("rows", format="parquet").to_batches():
        codes = encode(batch)
        expected += [np.asarray(codes[i], dtype=float).sum() for i in range(2)]
    sums = [np.asarray(table[f"code{i}"], dtype=float).sum() for i in range(2)]
    assert np.allclose(sums, expected, rtol=1e-4, atol=1e-3 * n), "codes are others"
    return {"rows_per_second": n / seconds["seconds"]}


def make_command(*options: str) -> Callable[[int], str]:
    output = "codes" if options else "codes.parquet"
    command = [
        sys.executable,
        "-m",
        "keras_tied",
        "encode",
        "m.safetensors",
        "rows",
        "-o",
        output,
    ]

    def run(n: int) -> str:
        subprocess.run([*command, "--quiet", *options], check=True)
        return output

    return run


def make_recipe(name: str, *options: str) -> Callable[[int], str]:
    script = RECIPES / f"{name}_batches.py"

    def run(n: int) -> str:
        folder = str(Path(f"codes_{name}").resolve())
        data = [str(Path(path).resolve()) for path in ("m.safetensors", "rows")]
        subprocess.run(
            [sys.executable, str(script), *data, folder, *options], check=True
        )
        return folder

    return run


SYSTEMS = {
    "keras-tied encode": System(make_command, ours=True),
    "keras-tied encode, Dask": System(
        partial(make_command, "--cluster", "local", "--workers", "2"),
        ("distributed",),
        ours=True,
    ),
    "Ray": System(partial(make_recipe, "ray"), ("ray",), ours=True),
    "Spark": System(partial(make_recipe, "spark", "local[2]"), ("pyspark",), ours=True),
}
