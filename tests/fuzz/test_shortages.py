"""A full disk, a quota and a read-only folder are one sentence of each command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("shortages.py")
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or not compiler, reason="needs Linux and a C compiler"
)
def test_a_disk_at_its_limit_is_one_sentence_and_leaves_the_old_output():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rows", "2000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, last = done.stdout.splitlines()
    assert (len(lines), last) == (16, "done")
    for line in lines:
        assert "keras-tied: cannot write 'out/" in line
        assert line.endswith(
            ("free some space. (exit code 1)", "another file. (exit code 1)")
        )
