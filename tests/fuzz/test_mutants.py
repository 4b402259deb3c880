"""Files that were changed at random end in a sentence, in no crash, hang or other exception."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("mutants.py")
FORMATS = "csv csv.gz parquet arrow feather npy npz jsonl json orc sqlite xlsx".split()


# 2,000 tables and as many model files that are read without Keras; seconds of each are
# few.
PIECES = [(form, 84 * part, 84) for form in FORMATS for part in range(2)]
PIECES += [("safetensors", 500 * part, 500) for part in range(4)]


@pytest.mark.parametrize(
    ("kind", "first", "count"),
    [*PIECES, pytest.param("keras", 0, 300, marks=pytest.mark.slow)],
)
def test_mutants_are_refused_or_give_what_they_promise(kind, first, count):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), kind, str(first), str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.split("\n")[-2] if done.stdout else "nothing"
    assert last.startswith("done"), f"mutant {last} of {kind}: {done.stderr[-2000:]}"
    _, n_refused, mebibytes = last.split()
    assert int(n_refused) > count / 3
    if kind == "safetensors":
        assert int(mebibytes) < 128
