"""The recipes for other engines, where these are installed, against the command."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("engine", "options"), [("ray", []), ("pyspark", ["local-cluster[2,1,1024]"])]
)
def test_an_engine_gives_the_codes_of_the_command(
    engine, options, model, folder, tmp_path
):
    pytest.importorskip(engine)
    script = RECIPES / f"{engine.removeprefix('py')}_batches.py"
    output = tmp_path / "codes"
    command = [sys.executable, script, model, folder, output, *options]
    subprocess.run(list(map(str, command)), check=True, cwd=tmp_path)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "keras_tied",
            "encode",
            model,
            folder,
            "-o",
            tmp_path / "c.npy",
        ],
        check=True,
    )
    table = parquet.read_table(output)
    codes = np.column_stack([table["code0"], table["code1"]])
    expected = np.load(tmp_path / "c.npy")
    places = [np.lexsort(rows.T) for rows in (codes, expected)]  # engines keep no order
    np.testing.assert_allclose(
        codes[places[0]], expected[places[1]], rtol=1e-5, atol=1e-6
    )
