"""Files that lie: they end in a sentence, and never in a crash, a hang or another exception."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutants.py")
FORMATS = ("csv", "parquet", "arrow", "feather", "npy", "npz", "jsonl", "orc")
BATCH = 250


def read_mutants(form, first, count):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), form, str(first), str(count)],
        capture_output=True,
        text=True,
    )
    last = done.stdout.split("\n")[-2] if done.stdout else "nothing"
    assert last.startswith("done"), f"mutant {last} of {form}: {done.stderr[-2000:]}"
    assert done.returncode == 0


def test_some_mutants_of_a_format_without_checksums_are_read_or_refused():
    read_mutants("feather", 0, 40)


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, BATCH))
@pytest.mark.parametrize("form", FORMATS)
def test_all_mutants_are_read_or_refused(form, first):
    read_mutants(form, first, BATCH)
