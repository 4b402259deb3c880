"""Files that lie: they end in a sentence, and never in a crash, a hang or another exception."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutants.py")


def read_mutants(form, first, count):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), form, str(first), str(count)],
        capture_output=True,
        text=True,
    )
    last = done.stdout.split("\n")[-2] if done.stdout else "nothing"
    assert last.startswith("done"), f"mutant {last} of {form}: {done.stderr[-2000:]}"
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        *("csv", "csv.gz", "parquet", "arrow", "feather", "npy", "npz", "jsonl", "json", "orc"),
        *("sqlite", "xlsx"),
    ],
)
def test_mutants_are_read_or_refused(form):
    read_mutants(form, 0, 40)
