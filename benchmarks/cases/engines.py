"""A folder of Parquet files, encoded by the command and by engines that spread the rows."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks._case import MEMORY, SECONDS, Measure, System
from benchmarks.cases._arrays import draw_curved

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
N_FILES = 8
N_ROWS = 1_000_000
RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
MODEL = "m.safetensors"


def setup(options):
    from pandas import DataFrame

    from tied_tables import TiedAutoencoder

    random = np.random.default_rng(0)
    X = draw_curved(random, N_ROWS, 4, 16)
    frame = DataFrame(X).add_prefix("c")
    TiedAutoencoder(2, random_state=0).fit(frame[:5000]).save(MODEL)
    Path("rows").mkdir()
    for index, places in enumerate(np.split(frame.index, N_FILES)):
        frame.loc[places].to_parquet(f"rows/{index}.parquet")


def prepare(options):
    return {"rows": lambda: N_ROWS}


def measure(n, output, seconds):
    import pyarrow.dataset as ds

    from tied_tables.rows import load_transform

    codes = ds.dataset(output, format="parquet").to_table()
    shutil.rmtree(output, ignore_errors=True)  # or Ray adds the files of the next turn
    assert codes.num_rows == n, f"{codes.num_rows} rows of {n}"
    expected = load_transform(MODEL)(ds.dataset("rows", format="parquet").to_table())
    for name in ("code0", "code1"):
        apart = np.sum(np.asarray(codes[name])) - np.sum(np.asarray(expected[name]))
        assert abs(apart) < 1e-3 * n, "codes are others"
    return {"rows_per_second": n / seconds["seconds"]}


def run_command(output, options, n):
    command = f"-m tied_tables encode {MODEL} rows -o {output} --quiet {options}"
    subprocess.run([sys.executable, *command.split()], check=True)
    return output


def run_recipe(name, options, n):
    paths = [str(Path(path).resolve()) for path in (MODEL, "rows", name)]
    script = str(RECIPES / f"{name}_batches.py")
    command = [
        sys.executable,
        script,
        *paths,
        *options.split(),
    ]
    subprocess.run(command, check=True)
    return name


ALONE = partial(run_command, "codes.parquet", "")
DASK = partial(run_command, "codes", "--cluster local --workers 2")
SPARK = partial(run_recipe, "spark", "local[2]")
SYSTEMS = {
    "tied-tables encode": System(ALONE, ours=True),
    "tied-tables encode, Dask": System(DASK, needs="distributed", ours=True),
    "Ray": System(partial(run_recipe, "ray", ""), needs="ray", ours=True),
    "Spark": System(SPARK, needs="pyspark", ours=True),
}
