"""Writers whose calls fail, one after the other, leave the old file or the new one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or not compiler, reason="needs Linux and a C compiler"
)
def test_a_failure_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path):
    shim = tmp_path / "failing_io.so"
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-o",
        shim,
        FOLDER / "failing_io.c",
        "-ldl",
    ]
    subprocess.run(command, check=True)
    done = subprocess.run(
        [sys.executable, str(FOLDER / "failing_io.py")],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "done" in done.stdout.splitlines()[-1]
